"""Alarms in the window: seen, understood, noted, put aside; and the verdict on the pages of card and node."""

import time
from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMainWindow, QSystemTrayIcon

from console.app import Config
from console.health.store import AlarmStore
from console.ui.dialogs.shelve import ShelveDialog
from console.ui.notice import _unmarked
from console.ui.theme import DARK, Theme
from tests.health.test_alarms import cause
from tests.ui.conftest import TestConsole
from tests.ui.test_acts import during


class WatchingConsole(TestConsole):
    """A console whose alarms are kept in a folder."""

    def __init__(self, fleet, folder):
        super().__init__(fleet)
        self.config = Config(data=folder)

    @property
    def can_act(self):
        return True


@pytest.fixture
def make(qtbot, qapp, live_fleet, tmp_path):
    from console.ui.window import MainWindow

    def window():
        Theme.apply(qapp, DARK)
        frame = QMainWindow()
        frame.resize(1400, 860)
        content = MainWindow(WatchingConsole(live_fleet, tmp_path), frame)
        content.fleet = live_fleet
        frame.setCentralWidget(content)
        qtbot.addWidget(frame, before_close_func=lambda _: content.stop())
        frame.show()
        qtbot.waitExposed(frame)
        qtbot.waitUntil(lambda: content.context.watch._is_ready, timeout=5000)
        return content

    return window


def tick(window):
    window._last_tick = 0.0
    window.pump()


def sicken(window, node="gpu02", card="GPU-gpu02-5", **values):
    """Cards stay as sick as they were told before."""
    stream = window.fleet.streams[node]
    sick = window.__dict__.setdefault("sick", {})
    sick.setdefault(card, {}).update(values)
    window.fleet.feed(node, stream.sample("slow", sick))
    tick(window)


def rows(page):
    return [
        [page.table.item(r, c).text() for c in range(page.table.columnCount())] for r in range(page.table.rowCount())
    ]


def test_from_alarm_to_the_action_in_three_keys(make, qtbot):
    window = make()
    called = []
    window.context.watch.called.connect(called.append)
    sicken(window, recovery_action=2)
    assert [a.lead.rule for a in called] == ["recovery-action"]
    qtbot.keyClick(window.frame, Qt.Key.Key_F5)
    page = window.page("alarms")
    (row,) = rows(page)
    assert row[0] == "◆ page"
    assert (row[2], row[3], row[5], row[6]) == ("gpu02", "5", "Reboot the node", "new")
    assert any("Likely cause" in line for line in page.guidance.texts)
    assert sum(line[:2] in ("1.", "2.", "3.") for line in page.guidance.texts) == 3
    assert any(line.startswith("Source: nvml.h") for line in page.guidance.texts)
    qtbot.keyClick(page.table, Qt.Key.Key_Return)
    assert (window.place.page, window.place.argument) == ("card", "GPU-gpu02-5")
    card = window.page("card")
    assert card.verdict.isVisible()
    assert "Reboot the node" in card.verdict.do.text()
    assert any(line.startswith("How wide:") for line in card.verdict.rest.texts)
    assert window.actions_of.acts.words(of_nodes=True) == ["gpu02"]
    assert "reboot the node" in window.actions_of.acts.why(["GPU-gpu02-5"], _drain())
    window.go("node", "gpu01")
    assert not window.page("node").verdict.isVisible()


def _drain():
    from console.ui.acts import ACTS

    return ACTS["acts.drain"]


def test_noted_cleared_and_gone_and_kept_between_windows(make, qtbot, tmp_path):
    window = make()
    sicken(window, remap_failure=1)
    sicken(window, card="GPU-gpu02-3", recovery_action=1)
    window.go("alarms")
    page = window.page("alarms")
    assert len(rows(page)) == 2
    page.table.selectRow(0)
    noted = page.chosen_alarm()
    qtbot.keyClick(page.table, Qt.Key.Key_Q)
    assert [r[6].split()[0] for r in rows(page)] == ["new", "noted"]
    sicken(window, remap_failure=0)
    sicken(window, card="GPU-gpu02-3", recovery_action=0)
    (left,) = rows(page)
    assert left[6] == "over, not noted"
    window.stop()
    again = make()
    assert noted.key not in again.context.watch.alarms.standing
    again.go("alarms")
    assert [r[6] for r in rows(again.page("alarms"))] == ["over, not noted"]
    qtbot.keyClick(again.page("alarms").table, Qt.Key.Key_Q)
    assert rows(again.page("alarms")) == []
    again.stop()
    store = AlarmStore(tmp_path)
    assert [h["what"] for h in store.happened(0.0)].count("acknowledged") == 2
    store.close()


def test_putting_aside_wants_a_reason_and_can_be_taken_back(make, qtbot):
    window = make()
    sicken(window, remap_pending=1)
    window.go("alarms")
    page = window.page("alarms")

    def fill(dialog):
        assert isinstance(dialog, ShelveDialog)
        assert not dialog.button.isEnabled()
        qtbot.keyClicks(dialog.why, "new fans tomorrow")
        qtbot.mouseClick(dialog.button, Qt.MouseButton.LeftButton)

    during(qtbot, lambda: window.run("alarm.shelve"), fill)
    assert rows(page) == []
    assert page.aside.text().endswith("1")
    qtbot.mouseClick(page.aside, Qt.MouseButton.LeftButton)
    assert [r[6] for r in rows(page)] == ["put aside"]
    assert any("new fans tomorrow" in line for line in page.guidance.texts)
    window.run("alarm.shelve")
    qtbot.mouseClick(page.aside, Qt.MouseButton.LeftButton)
    assert [r[6] for r in rows(page)] == ["new"]


def test_what_is_drained_asks_for_nobody(make):
    window = make()
    window.context.rows.set_books(frozenset({"GPU-gpu02-5"}), {})
    sicken(window, remap_pending=1)
    assert window.context.watch.alarms.shown() == []
    assert [a.state for a in window.context.watch.alarms.set_aside()] == ["suppressed"]


def test_sound_only_for_a_new_top_severity_and_muted_for_a_time(make, monkeypatch):
    window = make()
    beeps = []
    monkeypatch.setattr(QApplication, "beep", lambda: beeps.append(1))
    sicken(window, remap_pending=1)
    assert beeps == []
    sicken(window, remap_failure=1)
    sicken(window, remap_failure=1)
    assert beeps == [1]
    window.run("alarm.mute")
    assert 3500.0 < window.context.watch.muted_s <= 3600.0
    sicken(window, card="GPU-gpu02-1", remap_failure=1)
    assert beeps == [1]
    window.run("alarm.mute")
    assert window.context.watch.muted_s == 0.0


def test_a_recording_and_a_test_console_raise_none(window):
    window.fleet.feed("gpu02", window.fleet.streams["gpu02"].sample("slow", {"GPU-gpu02-5": {"recovery_action": 1}}))
    tick(window)
    assert window.context.rows.checkup.examiner.causes
    assert window.context.watch.alarms.standing == {}


def test_five_hundred_at_once_are_few_rows_and_hold_up_nobody(make):
    window = make()
    many = [cause(f"GPU-{i}", 2, "hw-thermal", f"gpu{i // 8:03d}", since=float(i)) for i in range(499)]
    many.append(cause("GPU-x", 1, "card-lost", "gpu900", since=1000.0))
    window.context.watch.alarms.update(many, (), time.time())
    page = window.page("alarms")
    begun = time.perf_counter()
    window.go("alarms")
    page.refresh()
    assert time.perf_counter() - begun < 1.0
    assert 1 < len(rows(page)) < 20
    assert rows(page)[0][4].startswith("Signal card-lost"), "what came first of the worst is on top"
    assert "flood" in page._head.text()


def test_an_incident_is_copied_for_the_ticket(make, qtbot):
    window = make()
    sicken(window, recovery_action=2)
    window.go("card", "GPU-gpu02-5")
    qtbot.keyClick(window.frame, Qt.Key.Key_C, Qt.KeyboardModifier.ShiftModifier)
    text = QApplication.clipboard().text()
    assert text.startswith("**The driver asks for a recovery** on gpu02 / `GPU-gpu02-5`")
    assert "Action: Reboot the node" in text
    assert "console://" in text


@pytest.mark.qt_log_ignore("systemTrayWindowChanged")  # the offscreen platform has no tray
def test_a_desktop_that_has_a_place_for_notices_gets_one_and_a_click_leads_to_the_alarms(make, monkeypatch):
    window = make()
    shown = []
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", staticmethod(lambda: True))
    monkeypatch.setattr(QSystemTrayIcon, "showMessage", lambda _icon, *what: shown.append(what))
    sicken(window, remap_failure=1)
    (title, text, *_), *more = shown
    assert title == "A row remap failed: gpu02"
    assert "field diagnostics" in text
    assert more == []
    window.notice._icon.messageClicked.emit()
    assert window.place.page == "alarms"
    assert not window.notice._icon.isVisible()


def test_a_notice_holds_no_markup():
    assert _unmarked("gpu<br>01 <img src=/etc/passwd> & \x1b[0m") == "gpu‹br›01 ‹img src=/etc/passwd› + \\u{1b}[0m"


def test_the_window_begins_where_it_is_told(make, live_fleet):
    window = make()
    window.context.console.config = replace(window.context.console.config, page=("node", "gpu02"))
    window.begin()
    assert (window.place.page, window.place.argument) == ("node", "gpu02")
