"""What never answers must not stop what does: NVML, the console, the pipe."""

import itertools
import sys
import threading
import time

import pytest

from console.agent.aside import Aside
from console.telemetry.wire import Beat, Hello, Processes
from tests.agent.agent_process import is_event, is_sample, values

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the agent's node side is Linux")


def longest_silence(lines):
    stamps = [line.m for line in lines]
    return max(b - a for a, b in itertools.pairwise(stamps))


def test_a_process_list_that_hangs_stops_neither_cards_nor_beats(library, start):
    agent = start(library, "cards 3\nhang_list 1 8\n")
    assert agent.ever(is_event("card_hung")).uuid == "GPU-mock-1"
    fast = agent.until(is_sample("fast"))
    assert set(fast.q[1]) == {"l"}
    assert values(fast, 2)["utilization_gpu"] == (52, ".")
    listed = agent.ever(lambda line: isinstance(line, Processes))
    assert listed.q == {"GPU-mock-1": "l"}
    assert listed.p[0].uuid == "GPU-mock-0"
    assert agent.until(is_event("card_back")).uuid == "GPU-mock-1"
    assert longest_silence(agent.seen) < 3.5


def test_a_driver_with_one_lock_is_found_out_after_two_cards(library, start):
    agent = start(library, "cards 8\nhang 1 8\none_lock 1\n")
    begun = time.monotonic()
    hung = {agent.until(is_event("card_hung")).uuid for _ in range(8 - 1)}
    assert hung == {f"GPU-mock-{i}" for i in range(1, 8)}
    assert time.monotonic() - begun < 8, "not a limit for every card"
    back = {agent.until(is_event("card_back")).uuid for _ in range(7)}
    assert back == hung
    agent.until(is_sample("fast"))
    fast = agent.until(is_sample("fast"))
    assert [values(fast, e)["utilization_gpu"][0] for e in range(8)] == list(range(50, 58))


def test_a_driver_that_takes_long_to_open_is_waited_for_beside_the_host(library, start):
    agent = start(library, "init_hang 7\n")
    hello = agent.until(lambda line: isinstance(line, Hello), 6)
    assert (hello.mode, hello.entities) == ("none", [])
    assert "not answered" in hello.reason
    assert agent.until(is_sample("fast"), 3).h
    again = agent.until(lambda line: isinstance(line, Hello), 8)
    assert (again.mode, len(again.entities)) == ("nvml", 8)
    assert "8 cards" in agent.until(is_event("driver")).text
    assert values(agent.until(is_sample("fast")), 7)["utilization_gpu"] == (57, ".")


def test_it_ends_at_the_end_of_its_input_while_a_call_hangs(library, start):
    agent = start(library, "cards 2\nhang_list 1 30\n")
    agent.ever(is_event("card_hung"))
    begun = time.monotonic()
    agent.process.stdin.close()
    assert agent.process.wait(5) == 0
    assert time.monotonic() - begun < 4


def test_it_ends_at_silence_even_when_nobody_reads_what_it_writes(library, start):
    # A console that is stopped: the connection stands, the pipe is full, no word comes.
    agent = start(library, period={"fast": 0.5, "medium": 0.5, "slow": 0.5}, ttl_s=4.0, is_read=False)
    agent.fill_pipe()
    begun = time.monotonic()
    assert agent.process.wait(20) == 0
    assert time.monotonic() - begun < 12


def test_it_ends_when_its_output_is_closed(library, start):
    agent = start(library, is_read=False)
    agent.process.stdout.close()
    assert agent.process.wait(10) == 0


def test_odd_orders_are_let_pass(library, start):
    agent = start(library)
    agent.until(is_sample("fast"))
    agent.send_raw(b'{"c":"focus","uuids":7}\n[]\n{"c":5}\nnull\n\xff\n' + b"[" * 60000 + b"\n" + b'{"c":"ping"}\n')
    agent.send(c="rate", fast=0.7)
    hello = agent.until(lambda line: isinstance(line, Hello) and line.period["fast"] == 0.7)
    assert hello.mode == "nvml"


def test_beats_go_on_in_a_long_hang(library, start):
    agent = start(library, "cards 1\nhang_list 0 9\n", period={"fast": 60.0, "medium": 60.0, "slow": 60.0})
    for _ in range(2):
        agent.until(lambda line: isinstance(line, Beat), 8)


def test_aside_gives_a_late_answer_once_and_refuses_meanwhile():
    aside = Aside("test", True)
    gate = threading.Event()
    assert aside.ask(lambda: 1, 5.0) == (True, 1)
    assert aside.ask(lambda: gate.wait(10) and 2, 0.05) == (False, None)
    assert aside.is_stuck()
    assert aside.ask(lambda: 3, 0.05) == (False, None)
    gate.set()
    deadline = time.monotonic() + 5
    while aside.is_stuck() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert aside.late() == (True, 2)
    assert aside.late() == (False, None)
    with pytest.raises(ZeroDivisionError):
        aside.ask(lambda: 1 // 0, 5.0)
    assert aside.ask(lambda: 4, 5.0) == (True, 4)
    aside.close()
