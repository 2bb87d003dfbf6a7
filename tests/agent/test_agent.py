"""The agent on the C library: every scenario, over real pipes, under unmodified nvidia-ml-py."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.agent import columns
from console.agent.events import XidLog
from console.agent.kernel import parse_dmesg, parse_kmsg, parse_xid
from console.agent.processes import owners_of
from console.agent.rates import Rates
from console.fleet.metrics import CARD_METRICS, HOST_METRICS, Tier, tier_columns
from console.telemetry.wire import Beat, Bye, Hello, Probe, Processes, Sample, WireEvent
from tests.agent.agent_process import is_sample, values

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the agent's node side is Linux")


def test_the_agents_columns_are_the_catalogues():
    for tier in Tier:
        assert list(columns.CARDS[tier]) == [CARD_METRICS[i].id for i in tier_columns(CARD_METRICS, tier)]
    for tier in (Tier.FAST, Tier.SLOW):
        assert list(columns.HOST[tier]) == [HOST_METRICS[i].id for i in tier_columns(HOST_METRICS, tier)]


def test_healthy(library, start):
    agent = start(library)
    hello = agent.until(lambda line: isinstance(line, Hello))
    assert (hello.mode, len(hello.entities), hello.versions["driver"]) == ("nvml", 8, "580.0-mock")
    assert hello.entities[3].facts["pci_bus_id"] == "00000000:1e:00.0"
    agent.until(is_sample("fast"))
    fast = values(agent.until(is_sample("fast")), 3)
    assert fast["utilization_gpu"] == (53, ".")
    assert fast["power_draw"] == (615.0, ".")
    assert fast["memory_used"] == (10 << 30, ".")
    assert fast["memory_reserved"] == (1 << 28, ".")
    assert fast["pcie_tx"][0] == pytest.approx(1e6, rel=0.2)
    assert fast["nvlink_rx"][0] == pytest.approx(1024.0 * 1024.0, rel=0.2)
    slow = values(agent.until(is_sample("slow")))
    assert slow["power_limit"] == (700.0, ".")
    assert slow["fan_speed"] == (None, "n")
    assert slow["recovery_action"] == (0, ".")


def test_own_process_is_found_with_user_and_command(library, start):
    agent = start(library)
    found = agent.ever(lambda line: isinstance(line, Processes) and line.p)
    assert found.p[0].pid == agent.process.pid
    assert found.p[0].user
    assert "python" in found.p[0].command


def test_sick_cards(library, start):
    agent = start(library, "throttle 1\necc 2\ndenied 3\nxid 4 79\n")
    fast = agent.until(is_sample("fast"))
    assert values(fast, 1)["clocks_event_reasons"] == (0x48, ".")
    assert values(fast, 3)["power_draw"] == (None, "p")
    slow = agent.until(is_sample("slow"))
    assert values(slow, 2)["ecc_uncorrected_volatile"] == (2, ".")
    assert values(slow, 2)["remap_pending"] == (1, ".")
    assert values(slow, 2)["recovery_action"] == (1, ".")
    xid = agent.ever(lambda line: isinstance(line, WireEvent) and line.kind == "xid")
    assert (xid.code, xid.uuid, xid.source) == (79, "GPU-mock-4", "nvml")


def test_a_lost_card_is_told_once_and_the_others_go_on(library, start):
    agent = start(library, "cards 3\nlost 1\n")
    event = agent.ever(lambda line: isinstance(line, WireEvent) and line.kind == "card_lost")
    assert event.uuid == "GPU-mock-1"
    sample = agent.until(is_sample("fast"))
    assert set(sample.q[1]) == {"l"}
    assert values(sample, 2)["utilization_gpu"] == (52, ".")
    hello_again = [sample]
    while len(hello_again) < 4:
        line = agent.until(lambda line: isinstance(line, (Sample, Hello)))
        assert not isinstance(line, Hello), "a lost card must not vanish by a new hello"
        hello_again.append(line)


def test_a_hung_card_does_not_stop_the_others(library, start):
    agent = start(library, "cards 3\nhang 1 7\n")
    begun = time.monotonic()
    hung = agent.ever(lambda line: isinstance(line, WireEvent) and line.kind == "card_hung")
    assert hung.uuid == "GPU-mock-1"
    assert time.monotonic() - begun < 6
    sample = agent.until(is_sample("fast"))
    assert set(sample.q[1]) == {"l"}
    assert values(sample, 2)["utilization_gpu"] == (52, ".")
    back = agent.ever(lambda line: isinstance(line, WireEvent) and line.kind == "card_back", 20)
    assert back.uuid == "GPU-mock-1"
    assert values(agent.until(is_sample("fast")), 1)["utilization_gpu"] == (51, ".")


def test_slices_stand_beside_their_card(library, start):
    agent = start(library, "cards 2\nmig 0 3\n")
    hello = agent.until(lambda line: isinstance(line, Hello))
    assert [(e.kind, e.parent) for e in hello.entities] == [
        ("card", ""), ("slice", "GPU-mock-0"), ("slice", "GPU-mock-0"), ("slice", "GPU-mock-0"), ("card", ""),
    ]  # fmt: skip
    sample = agent.until(is_sample("fast"))
    assert values(sample, 0)["utilization_gpu"] == (None, "n")
    assert values(sample, 1)["memory_used"] == (10 << 30, ".")


def test_an_old_driver_gives_what_it_has(old_library, start):
    agent = start(old_library)
    fast = values(agent.until(is_sample("fast")))
    assert fast["memory_used"] == ((10 << 30) + (1 << 28), ".")
    assert fast["memory_reserved"] == (None, "n")
    assert fast["power_draw"] == (pytest.approx(612.345), ".")
    assert fast["pcie_rx"] == (2e6, ".")
    assert fast["clocks_event_reasons"] == (0, ".")
    assert agent.ever(lambda line: isinstance(line, Processes) and line.p).p[0].memory == 10 << 30


def test_no_driver_still_tells_of_the_host(start):
    agent = start(None)
    hello = agent.until(lambda line: isinstance(line, Hello))
    assert (hello.mode, hello.entities) == ("none", [])
    assert "driver" in hello.reason
    sample = agent.until(is_sample("fast"))
    assert sample.h[columns.HOST_FAST.index("host_memory_total")] > 1 << 28


def test_focus_samples_one_card_between(library, start):
    agent = start(library, period={"fast": 2.0, "medium": 9.0, "slow": 9.0})
    agent.until(is_sample("fast"))
    agent.send(c="focus", uuids=["GPU-mock-5", "GPU-none"], period=0.5)
    begun = time.monotonic()
    for _ in range(3):
        found = agent.until(lambda line: isinstance(line, Sample) and line.i is not None)
        assert found.i == [5]
        assert values(found)["utilization_gpu"] == (55, ".")
    assert time.monotonic() - begun < 4.5


def test_an_interval_under_half_a_second_is_refused_aloud(library, start):
    agent = start(library, period={"fast": 0.01})
    event = agent.ever(lambda line: isinstance(line, WireEvent) and line.kind == "agent")
    assert "0.5 s is the least" in event.text
    first = agent.until(is_sample("fast"))
    assert agent.until(is_sample("fast")).m - first.m > 0.4


def test_it_ends_when_its_input_ends(library, start):
    agent = start(library)
    agent.until(is_sample("fast"))
    agent.process.stdin.close()
    assert agent.process.wait(5) == 0


def test_it_ends_when_nobody_speaks_to_it(library, start):
    agent = start(library, ttl_s=1.5)
    bye = agent.until(lambda line: isinstance(line, Bye))
    assert "no word" in bye.reason
    assert agent.process.wait(5) == 0


def test_beats_fill_long_silences(library, start):
    agent = start(library, period={"fast": 6.0, "medium": 60.0, "slow": 60.0})
    agent.until(lambda line: isinstance(line, Beat), 8)


def test_probe(library, start):
    agent = start(library, mode="probe")
    checks = {c["name"]: c for c in agent.until(lambda line: isinstance(line, Probe)).checks}
    assert checks["cards"]["text"] == "8 x Mock H100 80GB"
    assert checks["persistence"]["status"] == "ok"


def test_a_damaged_program_does_not_run(library, start):
    agent = start(library)
    agent.close()
    from console.remote import bundle

    program = bundle.agent_bundle()
    done = subprocess.run(
        ["/bin/sh", "-c", bundle.command(sys.executable)],
        input=program.header({}) + b"?" + program.data[1:], capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert b"damaged" in done.stderr


def _pythons():
    names = [f"python3.{n}" for n in range(6, 15)]
    found = {n: shutil.which(n) for n in names}
    for home in sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3")):
        found[f"python{'.'.join(home.parts[-3].split('.')[:2])}"] = str(home)
    return sorted((n, p) for n, p in found.items() if p)


@pytest.mark.parametrize(("name", "python"), _pythons())
def test_it_runs_on_every_python_at_hand(library, start, name, python):
    if subprocess.run([python, "-c", "import ctypes"], capture_output=True, check=False).returncode != 0:
        pytest.skip(f"{name} does not start here")
    agent = start(library, python=python)
    assert values(agent.until(is_sample("fast"), 30))["utilization_gpu"] == (50, ".")


def test_its_syntax_is_python_36():
    folder = Path(columns.__file__).parent
    files = [str(f) for f in folder.glob("*.py")]
    check = [sys.executable, "-c", "from vermin import main; main()", "-q", "-t=3.6-", "--violations"]
    done = subprocess.run([*check, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_cost_of_eight_cards_at_one_hertz(library, start):
    agent = start(library, period={"fast": 1.0, "medium": 5.0, "slow": 30.0})
    agent.until(is_sample("fast"))
    begun = _cpu(agent.process.pid), time.monotonic()
    for _ in range(6):
        agent.until(is_sample("fast"))
    share = (_cpu(agent.process.pid) - begun[0]) / (time.monotonic() - begun[1])
    assert share < 0.05, f"{100 * share:.1f} % of a core; the goal is 1 %"


def _cpu(pid):
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / 100.0


@given(st.text(max_size=300))
def test_hostile_texts_never_raise(text):
    assert parse_xid(text) is None or parse_xid(text)[1] >= 0
    assert parse_kmsg(text) is None or parse_kmsg(text)[0] >= 0
    assert parse_dmesg(text) is None or parse_dmesg(text)[0] >= 0
    assert set(owners_of(text)) == {"slurm_job", "pod", "container"}


def test_xids_of_the_kernel():
    assert parse_xid("NVRM: Xid (PCI:0000:3B:00): 79, pid=1, GPU has fallen off the bus.") == ("0000:3b:00", 79)
    assert parse_xid("NVRM: Xid (PCI:0000:3b:00 GPU-I:05): 43, pid=2") == ("0000:3b:00", 43)
    assert parse_kmsg("4,1234,5678900,-;NVRM: Xid (PCI:0000:3b:00): 48\n SUBSYSTEM=pci") == (
        5.6789,
        "NVRM: Xid (PCI:0000:3b:00): 48",
    )


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [
        ("0::/system.slice/slurmstepd.scope/job_4411/step_0/user/task_0", ("4411", "", "")),
        ("4:devices:/slurm/uid_1000/job_4412/step_batch", ("4412", "", "")),
        (
            "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0aa1b2c3_1111_2222_3333_444455556666.slice/"
            "cri-containerd-" + "ab" * 32 + ".scope",
            ("", "0aa1b2c3-1111-2222-3333-444455556666", "ab" * 32),
        ),
        ("0::/system.slice/docker-" + "cd" * 32 + ".scope", ("", "", "cd" * 32)),
        ("0::/user.slice", ("", "", "")),
    ],
)  # fmt: skip
def test_owners(cgroup, expected):
    found = owners_of(cgroup)
    assert (found["slurm_job"], found["pod"], found["container"]) == expected


def test_one_xid_seen_by_both_sources_is_told_once_and_two_are_told_twice():
    log = XidLog()
    assert log.is_new("u", 79, 100.0, "nvml")
    assert not log.is_new("u", 79, 101.0, "kernel")
    assert log.is_new("u", 79, 103.0, "nvml")
    assert log.is_new("u", 79, 104.0, "nvml")


@given(st.lists(st.integers(0, 2**64), min_size=1, max_size=20))
def test_rates_are_never_negative(counts):
    rates = Rates()
    found = [rates.rate("k", c, float(i)) for i, c in enumerate(counts)]
    assert found[0] is None
    assert all(r is None or r >= 0 for r in found)
