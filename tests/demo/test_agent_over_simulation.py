"""The real agent over the simulation: what the console's decoder reads of every model and of every trouble."""

from collections import Counter

import pytest

from console.demo.simulation.host import SimulatedHost
from console.demo.simulation.incidents import CYCLE_S
from console.telemetry.wire import Detail, Hello, Processes, WireEvent
from tests.demo.conftest import agent_lines, column, samples


def hello_of(lines):
    return next(x for x in lines if isinstance(x, Hello))


def events(lines):
    return [x for x in lines if isinstance(x, WireEvent)]


@pytest.mark.parametrize("place", [0, 3, 4, 5, 11], ids=["H100", "H200", "A100 with MIG", "L40S", "RTX 4090"])
def test_every_model_is_read_without_an_error(make_node, clock, place):
    node = make_node(place, script=())
    lines = agent_lines(node, clock, 65.0)
    hello = hello_of(lines)
    assert hello.mode == "nvml"
    assert hello.host["simulated"] == "yes"
    assert {len(samples(lines, t)) >= n for t, n in (("fast", 60), ("medium", 12), ("slow", 2))} == {True}
    for tier in ("fast", "medium", "slow"):
        sample = samples(lines, tier)[-1]
        for letters in sample.q or []:
            # "p": processes of a card with MIG are told to root only.
            assert set(letters or ".") <= set(".np")
    fast = samples(lines, "fast")[-1]
    has_util = [letter for _, letter in column(hello, fast, "utilization_gpu")]
    expected = {"card": ".", "slice": "n"}
    for entity, letter in zip(hello.entities, has_util, strict=True):
        with_mig = any(e.parent == entity.uuid for e in hello.entities)
        assert letter == ("n" if with_mig else expected[entity.kind])
    assert any(isinstance(x, Detail) for x in lines)


def test_support_differs_as_among_real_cards(make_node, clock):
    support = {}
    for place in (0, 4, 5, 11):
        clock.t = 0.0
        lines = agent_lines(make_node(place, script=()), clock, 40.0)
        hello, last = hello_of(lines), len(hello_of(lines).entities) - 1
        support[place] = {
            metric
            for tier in ("fast", "medium", "slow")
            for metric in hello.columns[tier]
            if column(hello, samples(lines, tier)[-1], metric)[min(7, last) if place != 4 else 7][1] == "."
        }
    h100, a100, l40s, consumer = (support[p] for p in (0, 4, 5, 11))
    assert {"sm_active", "nvlink_tx", "ecc_corrected_volatile", "temperature_memory"} <= h100
    assert "sm_active" not in a100
    assert "nvlink_tx" in a100
    assert "nvlink_tx" not in l40s
    assert "ecc_mode" in l40s
    assert consumer.isdisjoint({"ecc_corrected_volatile", "nvlink_tx", "temperature_memory", "ecc_mode"})
    assert {"fan_speed", "remapped_rows_uncorrected", "utilization_gpu"} <= consumer


def test_rates_come_from_counters(make_node, clock):
    node = make_node(0, script=())
    lines = agent_lines(node, clock, 20.0)
    hello = hello_of(lines)
    for value, letter in column(hello, samples(lines, "fast")[-1], "nvlink_tx"):
        assert letter == "."
        assert 1e11 < value < 4e11
    for value, _ in column(hello, samples(lines, "fast")[-1], "pcie_rx"):
        assert 1e8 < value < 2.2e10


def test_processes_have_owners(make_node, clock):
    lines = agent_lines(make_node(0, script=()), clock, 10.0)
    rows = next(x for x in lines if isinstance(x, Processes)).p
    assert len(rows) == 8
    assert {r.slurm_job for r in rows} == {"4400"}
    assert len({r.user for r in rows}) == 1
    assert "train.py" in rows[0].command
    clock.t = 0.0
    rows = [r for x in agent_lines(make_node(4, script=()), clock, 10.0) if isinstance(x, Processes) for r in x.p]
    assert {len(r.pod) for r in rows if "vllm" in r.command} == {36}
    assert any(r.uuid.startswith("MIG-") for r in rows)


def test_a_process_began_when_it_began_whoever_asks(make_node, clock):
    node = make_node(0)
    pid = node.plan.jobs[0].pid
    node.advance()
    first = SimulatedHost(node).process_start(pid)
    clock.t = 300.0
    node.advance()
    assert SimulatedHost(node).process_start(pid) == pytest.approx(first)


def test_a_card_falls_off_and_the_node_comes_back_by_a_reboot(make_node, clock):
    node = make_node(1)
    lines = agent_lines(node, clock, 100.0)
    codes = [(e.kind, e.code, e.uuid) for e in events(lines)]
    lost = node.cards[3].uuid
    assert ("xid", 79, lost) in codes
    assert ("xid", 154, lost) in codes
    assert [e.uuid for e in events(lines) if e.kind == "card_lost"] == [lost]
    letters = [q for _, q in column(hello_of(lines), samples(lines, "fast")[-1], "memory_used")]
    assert letters == [".", ".", ".", "l", ".", ".", ".", "."]
    busy = [v for v, _ in column(hello_of(lines), samples(lines, "fast")[-1], "utilization_gpu")]
    assert [v for v in busy if v is not None] == [0] * 7  # the job over all cards has died with one
    before, was_up = hello_of(lines).boot_id, node.uptime()
    clock.t = 215.0
    assert node.is_away()
    clock.t = 270.0
    assert not node.is_away()
    lines = agent_lines(node, clock, 20.0)
    assert hello_of(lines).boot_id != before
    assert node.uptime() < was_up
    assert not events(lines)  # the kernel's log began anew
    assert {q for _, q in column(hello_of(lines), samples(lines, "fast")[-1], "memory_used")} == {"."}


def test_an_ecc_storm(make_node, clock):
    node = make_node(4)
    lines = agent_lines(node, clock, 300.0)
    hello, slow = hello_of(lines), samples(lines, "slow")
    place = [e.uuid for e in hello.entities].index(node.cards[5].uuid)
    assert [e.code for e in events(lines) if e.uuid == node.cards[5].uuid] == [48, 63]
    counts = [column(hello, s, "ecc_corrected_volatile")[place][0] for s in slow]
    assert counts == sorted(counts)
    assert counts[-1] - counts[0] > 40
    assert column(hello, slow[0], "remap_pending")[place] == (0, ".")
    assert column(hello, slow[-1], "remap_pending")[place] == (1, ".")
    assert column(hello, slow[-1], "recovery_action")[place] == (1, ".")
    assert column(hello, slow[-1], "remap_pending")[place - 1] == (0, ".")


def test_a_link_fails(make_node, clock):
    node = make_node(6)
    clock.t = 500.0
    lines = agent_lines(node, clock, 200.0)
    hello, slow = hello_of(lines), samples(lines, "slow")
    assert [e.code for e in events(lines) if e.uuid == node.cards[1].uuid] == [74]
    assert column(hello, slow[-1], "nvlink_active")[1] == (17, ".")
    assert column(hello, slow[-1], "nvlink_active")[0] == (18, ".")
    errors = [column(hello, s, "nvlink_crc_errors")[1][0] for s in slow]
    # Three a second of the fault, however often it is looked at.
    assert errors[0] == 0
    assert (errors[-1] - errors[-2]) / 30.0 == pytest.approx(3.0, abs=0.1)


def test_an_application_fails(make_node, clock):
    node = make_node(6)
    lines = agent_lines(node, clock, 80.0)
    assert [e.code for e in events(lines)] == [31, 13]
    assert {e.uuid for e in events(lines)} == {node.cards[6].uuid}


def test_each_reader_hears_every_xid_once(make_node, clock):
    node = make_node(1)
    one = agent_lines(node, clock, 40.0)
    clock.t = 20.0
    two = agent_lines(node, clock, 20.0)
    for lines in (one, two):
        assert Counter(e.code for e in events(lines) if e.kind == "xid") == {79: 1, 154: 1}
    # One that comes later has them from the kernel's log.
    clock.t = 100.0
    late = [e for e in events(agent_lines(node, clock, 10.0)) if e.kind == "xid"]
    assert [(e.code, e.source) for e in late] == [(79, "kernel"), (154, "kernel")]
    assert late[0].at == pytest.approx(clock.wall() - (clock.t - 25.0), abs=1.0)


def test_the_script_repeats(make_node, clock):
    clock.t = CYCLE_S + 20.0
    lines = agent_lines(make_node(1), clock, 20.0)
    assert 79 in {e.code for e in events(lines)}


def test_no_driver(make_node, clock):
    lines = agent_lines(make_node(9), clock, 10.0)
    hello = hello_of(lines)
    assert (hello.mode, hello.entities) == ("none", [])
    assert "driver is not loaded" in hello.reason
    sample = samples(lines, "fast")[-1]
    cpu = sample.h[hello.host_columns["fast"].index("cpu_utilization")]
    assert 0 < cpu < 20  # no card can work there


def test_a_node_with_a_wrong_clock_says_that_it_is_not_synchronised(make_node, clock):
    node = make_node(8)
    lines = agent_lines(node, clock, 40.0)
    hello = hello_of(lines)
    sample = samples(lines, "slow")[-1]
    assert sample.h[hello.host_columns["slow"].index("ntp_synchronised")] == 0
    assert samples(lines, "fast")[-1].w - clock.wall() == pytest.approx(3.0, abs=1.5)


def test_persistence_is_off_on_one_node(make_node, clock):
    lines = agent_lines(make_node(3), clock, 10.0)
    assert {v for v, _ in column(hello_of(lines), samples(lines, "slow")[-1], "persistence_mode")} == {0}
