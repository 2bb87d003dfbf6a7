"""Twelve recorded incidents, one of each family, from the alarm to the action, by keys: counted, and timed generously."""

import time

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from console.fleet.state import LinkState, Problem, ProblemCode
from tests.ui.test_alarms import make, tick  # noqa: F401 - a fixture

MOST_KEYS = 2
"""Steps 0 to 5 of the workflow: the list, and into the card; everything else stands there."""

MOST_S = 30.0
CARD = "GPU-gpu02-5"


class Person:
    """Presses keys, and counts them."""

    def __init__(self, window):
        self.window = window
        self.keys = 0
        self.begun = time.monotonic()

    def press(self, key, widget=None, modifier=Qt.KeyboardModifier.NoModifier):
        self.keys += 1
        QTest.keyClick(widget or self.window.frame, key, modifier)

    @property
    def took(self):
        return time.monotonic() - self.begun


def slow(**values):
    return lambda fleet, stream: fleet.feed("gpu02", stream.sample("slow", {CARD: values}))


def fast(seconds, **values):
    def play(fleet, stream):
        for _ in range(seconds):
            stream.wait(0.05)
            fleet.feed("gpu02", stream.sample("fast", {CARD: values}))
            yield

    return play


def lost_card(fleet, stream):
    fleet.feed("gpu02", stream.sample("fast", None, {CARD: {"memory_used": "l", "utilization_gpu": "l"}}))


def host(**values):
    return lambda fleet, stream: fleet.feed("gpu02", stream.sample("slow", host=values))


def link(code, text):
    def play(fleet, _stream):
        problem = Problem(code, text, "", "", {}, True)
        fleet.collector.link_state("gpu02", LinkState.FAILED, problem)
        fleet.pump()

    return play


INCIDENTS = {
    "driver": (slow(recovery_action=2), "Reboot the node", "card"),
    "bus": (lost_card, "Drain the node and reboot it", "card"),
    "memory": (slow(remap_failure=1), "field diagnostics", "card"),
    "memory, pending": (slow(remap_pending=1), "next gap", "card"),
    "memory, SRAM": (slow(ecc_sram_threshold=1), "field diagnostics", "card"),
    "link": (slow(nvlink_active=16), "ask support", "card"),
    "bus, narrow": (slow(pcie_width=8), "reseat", "card"),
    "heat": (fast(6, clocks_event_reasons=0x40), "Inspect cooling", "card"),
    "power": (fast(6, clocks_event_reasons=0x80), "Ask the facility", "card"),
    "host": (host(disk_used=93), "Make room", "node"),
    "driver, mismatch": (link(ProblemCode.NVML, "Driver/library version mismatch"), "reload the driver", "node"),
    "network, key": (link(ProblemCode.KEY_CHANGED, "the host key is another one"), "Find out why", "node"),
}


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_is_understood_within_its_keys(make, name):  # noqa: F811
    play, words, place = INCIDENTS[name]
    window = make()
    begun = play(window.fleet, window.fleet.streams["gpu02"])
    for _ in begun or ():
        # Looks are not closer than a second; rules that want several see several.
        for state in window.context.rows.checkup.examiner._states.values():
            state.held._looked_at = -1e9
        tick(window)
    tick(window)
    person = Person(window)
    person.press(Qt.Key.Key_F5)
    page = window.page("alarms")
    lines = [[page.table.item(r, c).text() for c in range(8)] for r in range(page.table.rowCount())]
    assert lines, "no alarm"
    assert lines[0][2] == "gpu02"
    assert words in lines[0][5]
    assert len(lines) == 1, "one cause, one alarm"
    person.press(Qt.Key.Key_Return, page.table)
    assert window.place.page == place
    shown = window.page(place)
    assert shown.verdict.isVisible()
    assert words in shown.verdict.do.text()
    told = " ".join(shown.verdict.rest.texts)
    for part in ("Evidence:", "How wide:", "Source:"):
        assert part in told
    assert person.keys <= MOST_KEYS
    assert person.took < MOST_S
    assert window.actions_of.acts.words() == ([CARD] if place == "card" else ["gpu02"]), "D is of what is open"
