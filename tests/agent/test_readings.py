"""Every reading against what the C library plays, and the cards' changes of state, over real pipes."""

import os
import sys

import pytest

from console.agent import columns
from console.telemetry.wire import Hello, Processes, Sample
from tests.agent.agent_process import is_event, is_sample, values

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the agent's node side is Linux")


def test_every_slow_reading_has_the_value_that_the_library_plays(library, start):
    agent = start(library, "ecc 1\n")
    slow = agent.until(is_sample("slow"))
    assert values(slow, 1) == {
        "power_limit": (700.0, "."),
        "temperature_margin": (23, "."),
        "fan_speed": (None, "n"),
        "ecc_corrected_volatile": (40, "."),
        "ecc_uncorrected_volatile": (2, "."),
        "ecc_corrected_aggregate": (140, "."),
        "ecc_uncorrected_aggregate": (102, "."),
        "ecc_sram_uncorrected": (7, "."),
        "ecc_sram_threshold": (1, "."),
        "remapped_rows_corrected": (0, "."),
        "remapped_rows_uncorrected": (1, "."),
        "remap_pending": (1, "."),
        "remap_failure": (0, "."),
        "retired_pages_pending": (None, "n"),
        "pcie_replay": (7, "."),
        "pcie_correctable_errors": (9, "."),
        "pcie_fatal_errors": (0, "."),
        "pcie_generation": (5, "."),
        "pcie_width": (16, "."),
        "nvlink_active": (17, "."),
        "nvlink_crc_errors": (0, "."),
        "nvlink_replay_errors": (0, "."),
        "nvlink_recovery_errors": (None, "n"),
        "compute_mode": (0, "."),
        "persistence_mode": (1, "."),
        "ecc_mode": (1, "."),
        "mig_mode": (0, "."),
        "fabric_state": (3, "."),
        "recovery_action": (1, "."),
    }


def test_every_medium_reading_has_the_value_that_the_library_plays(library, start):
    agent = start(library, "throttle 0\nquiet 1\nprocess 1 1\n")
    agent.until(is_sample("medium"))
    medium = agent.until(is_sample("medium"))
    assert values(medium) == {
        "process_count": (1, "."),
        "utilization_encoder": (11, "."),
        "utilization_decoder": (12, "."),
        "utilization_jpg": (13, "."),
        "utilization_ofa": (14, "."),
        "sm_active": (20.0, "."),
        "sm_occupancy": (30.0, "."),
        "tensor_active": (50.0, "."),
        "dram_active": (100.0, "."),
        "throttle_power_s": (5.0, "."),
        "throttle_thermal_s": (5.0, "."),
        "throttle_hw_thermal_s": (5.0, "."),
        "throttle_hw_power_brake_s": (5.0, "."),
    }
    assert values(medium, 1)["process_count"] == (1, ".")
    assert values(medium, 2)["process_count"] == (0, ".")


def test_not_a_number_is_an_error_and_never_breaks_a_line(library, start):
    agent = start(library, "blank 2\n")
    assert values(agent.until(is_sample("fast")), 2)["temperature_memory"] == (None, "e")
    agent.until(is_sample("medium"))
    medium = values(agent.until(is_sample("medium")), 2)
    assert medium["sm_active"] == (None, "e")
    assert medium["utilization_encoder"] == (11, ".")


def test_the_hello_says_which_way_a_reading_comes(library, old_library, start):
    facts = start(library).until(lambda line: isinstance(line, Hello)).entities[0].facts
    assert (facts["power_source"], facts["pcie_source"], facts["serial"]) == ("instant", "byte counter", "S0000")
    assert "memory_source" not in facts
    facts = start(old_library).until(lambda line: isinstance(line, Hello)).entities[0].facts
    assert facts["memory_source"] == "v1: used includes reserved"
    assert facts["power_source"].startswith("nvmlDeviceGetPowerUsage")
    assert "20 ms" in facts["pcie_source"]


def test_a_process_has_its_share_and_a_share_beyond_reason_is_none(library, start):
    found = start(library).until(lambda line: isinstance(line, Processes) and line.p)
    assert found.p[0].util == 41


def test_a_card_that_comes_back_is_told_and_read_again(library, start):
    agent = start(library, "cards 3\nlost 1\nfound 1 2\n")
    assert agent.ever(is_event("card_lost")).uuid == "GPU-mock-1"
    assert set(agent.until(is_sample("fast")).q[1]) == {"l"}
    assert agent.until(is_event("card_back")).uuid == "GPU-mock-1"
    assert values(agent.until(is_sample("fast")), 1)["utilization_gpu"] == (51, ".")
    assert len([line for line in agent.seen if is_event("card_lost")(line)]) == 1


def test_turning_mig_on_says_hello_anew_with_the_slices(library, start):
    agent = start(library, "cards 2\nmig_later 0 2\n")
    first = agent.until(lambda line: isinstance(line, Hello))
    assert [e.kind for e in first.entities] == ["card", "card"]
    again = agent.until(lambda line: isinstance(line, Hello))
    assert [(e.uuid, e.parent) for e in again.entities] == [
        ("GPU-mock-0", ""), ("MIG-mock-0-0", "GPU-mock-0"), ("MIG-mock-0-1", "GPU-mock-0"), ("GPU-mock-1", ""),
    ]  # fmt: skip
    fast = agent.until(is_sample("fast"))
    assert len(fast.c) == 4
    assert values(fast, 0)["utilization_gpu"] == (None, "n")


def test_gpm_of_a_slice_is_the_slices_own(library, start):
    agent = start(library, "cards 1\nmig 0 2\n")
    agent.until(is_sample("medium"))
    medium = agent.until(is_sample("medium"))
    assert [values(medium, e)["sm_active"] for e in range(3)] == [(20.0, "."), (22.0, "."), (23.0, ".")]


def test_a_process_on_a_slice_is_told_once(library, start):
    agent = start(library, "cards 1\nmig 0 2\n")
    found = agent.until(lambda line: isinstance(line, Processes) and line.p)
    assert [p.uuid for p in found.p] == ["MIG-mock-0-0"]


def test_the_event_set_outlives_a_card_that_is_lost(library, start):
    agent = start(library, "event_lost 1\nxid 2 94\n")
    xid = agent.until(is_event("xid"))
    assert (xid.uuid, xid.code) == ("GPU-mock-2", 94)


@pytest.mark.parametrize(("code", "word"), [(9, "not loaded"), (18, "different versions"), (4, "permission")])
def test_why_there_is_no_nvml(library, start, code, word):
    agent = start(library, f"init {code}\n")
    hello = agent.until(lambda line: isinstance(line, Hello))
    assert hello.mode == "none"
    assert word in hello.reason
    assert agent.until(is_sample("fast")).h[columns.HOST_FAST.index("host_memory_total")] > 1 << 28


def test_every_line_of_every_scenario_decodes_and_counts_up(library, start):
    scenario = "throttle 1\necc 2\ndenied 3\nxid 4 79\nlost 5\nmig 6 7\nblank 7\nprocess 1 1\n"
    agent = start(library, scenario)
    for _ in range(4):
        agent.until(is_sample("fast"))
    agent.until(is_sample("slow"))
    assert [line.n for line in agent.seen] == list(range(len(agent.seen)))
    for line in agent.seen:
        if isinstance(line, Sample):
            assert all(len(row) == len(columns.CARDS[line.k]) for row in line.c)
            assert all(q is None or len(q) == len(columns.CARDS[line.k]) for q in line.q or [])
            letters = [qs or "." * len(row) for row, qs in zip(line.c, line.q or [None] * len(line.c), strict=True)]
            pairs = [pair for row, qs in zip(line.c, letters, strict=True) for pair in zip(row, qs, strict=True)]
            assert all(v is None for v, q in pairs if q != ".")


def test_it_writes_no_file(library, start):
    agent = start(library)
    agent.until(is_sample("slow"))
    folder = f"/proc/{agent.process.pid}/fd"
    modes = []
    for number in os.listdir(folder):
        if int(number) > 2:
            with open(f"/proc/{agent.process.pid}/fdinfo/{number}") as info:
                flags = next(line for line in info if line.startswith("flags:"))
            modes.append(int(flags.split()[1], 8) & os.O_ACCMODE)
    assert all(mode == os.O_RDONLY for mode in modes)
