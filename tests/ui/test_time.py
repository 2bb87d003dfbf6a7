"""Looking back: the time bar, moments of the past on every page, links, comparing, saving a plot."""

import contextlib
import csv
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QMainWindow

from console.app import Config, Console
from console.fleet import links
from console.fleet.condition import Condition
from console.ui.dialogs.gotime import GoDialog
from console.ui.theme import DARK, Theme
from console.ui.timebar import when_text
from tests.history.recorded import power, record


class RecordedConsole(Console):
    """A console over a recorded fleet; no processes."""

    def __init__(self, recorded, replay=False):
        super().__init__(Config(data=recorded.folder, replay=recorded.folder if replay else None))
        self.fleet = recorded.fleet.fleet
        self._live = recorded.fleet.live

    @property
    def live(self):
        return self._live


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    made = record(tmp_path_factory.mktemp("recorded"))
    made.close()
    return made


@pytest.fixture
def window(qtbot, qapp, recorded):
    from console.ui.window import MainWindow

    Theme.apply(qapp, DARK)
    frame = QMainWindow()
    frame.resize(1400, 860)
    content = MainWindow(RecordedConsole(recorded), frame)
    frame.setCentralWidget(content)
    qtbot.addWidget(frame)
    frame.show()
    qtbot.waitExposed(frame)
    content.pump()
    content.context.timeline.refresh_bar()
    yield content
    content.stop()


@pytest.fixture
def look(window, recorded, qtbot):
    def at(second):
        moment = recorded.begin + second
        window.context.timeline.look(moment)
        qtbot.waitUntil(lambda: window.context.timeline.at == moment, timeout=5000)

    return at


def settle(qtbot, window, seconds=0.6):
    """Let asked series come and be drawn."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        qtbot.wait(20)
        window.pump()


def test_the_whole_window_shows_the_moment_and_says_so(window, look, qtbot, recorded):
    look(450)
    assert "past" in window.header.live.text()
    assert "not now" in window.header.mode.text()
    assert not window.header.mode.isHidden()
    assert when_text(recorded.begin + 450, False) in window.timebar.state.text()
    rows = window.context.rows
    assert rows.condition(window.context.live.row_of["GPU-gpu01-3"]) is Condition.CRITICAL
    window.go("nodes")
    assert "lost" in window.page("nodes").table.item(1, 1).text().lower()
    window.go("events")
    texts = [window.page("events").table.item(r, 3).text() for r in range(window.page("events").table.rowCount())]
    assert "XID 79" in texts
    qtbot.keyClick(window, Qt.Key.Key_L)
    assert window.context.timeline.is_live
    assert window.context.live is window.context.console.live
    assert window.header.live.text() == "● live"
    assert window.timebar.state.text() == "Live"


def test_before_the_fault_the_card_was_well(window, look):
    look(250)
    assert window.context.rows.condition(window.context.live.row_of["GPU-gpu01-3"]) is Condition.WELL


def test_keys_step_by_a_minute_and_by_an_event(window, look, qtbot, recorded):
    look(450)
    line = window.context.timeline
    qtbot.keyClick(window, Qt.Key.Key_BracketLeft)
    assert line.wanted == recorded.begin + 390
    qtbot.keyClick(window, Qt.Key.Key_BracketRight)
    assert line.wanted == recorded.begin + 450
    qtbot.waitUntil(lambda: line.at == line.wanted, timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_Comma)
    qtbot.waitUntil(lambda: abs(line.wanted - recorded.lost_at) < 2, timeout=5000)
    qtbot.waitUntil(lambda: line.at == line.wanted, timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_Comma)
    qtbot.waitUntil(lambda: abs(line.wanted - recorded.xid_at) < 0.01, timeout=5000)
    qtbot.waitUntil(lambda: line.at == line.wanted, timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_Period)
    qtbot.waitUntil(lambda: abs(line.wanted - recorded.lost_at) < 2, timeout=5000)


def test_stepping_back_from_live_and_on_again_ends_live(window, qtbot):
    line = window.context.timeline
    window.run("time.back")
    assert line.wanted is not None
    qtbot.waitUntil(lambda: line.at == line.wanted, timeout=5000)
    for _ in range(4):
        window.run("time.on")
    assert line.is_live


def test_nothing_is_looked_at_before_the_oldest_moment(window, look, qtbot, recorded):
    qtbot.waitUntil(lambda: window.context.timeline.bar is not None, timeout=5000)
    look(120)
    window.run("time.hour_back")
    assert window.context.timeline.wanted >= recorded.begin


def test_where_nothing_was_recorded_the_pages_say_so(window, look):
    look(1500)
    window.go("card", "GPU-gpu01-0")
    window.go("fleet")
    assert window.context.live.node("gpu01").problem.what.startswith("Nothing was recorded")
    conditions = window.context.rows.judged.conditions
    assert all(c == Condition.UNKNOWN for c in conditions[:3])


def test_the_bar_is_dragged(window, qtbot, recorded):
    line, track = window.context.timeline, window.timebar.track
    qtbot.waitUntil(lambda: line.bar is not None and line.bar_s == 3600.0, timeout=5000)
    x = int(track.x_of(recorded.begin + 200))
    qtbot.mousePress(track, Qt.MouseButton.LeftButton, pos=QPoint(x, 20))
    assert abs(line.wanted - (recorded.begin + 200)) < 6
    x = int(track.x_of(recorded.xid_at)) + 2
    qtbot.mouseMove(track, QPoint(x, 20))
    qtbot.mouseRelease(track, Qt.MouseButton.LeftButton, pos=QPoint(x, 20))
    qtbot.mouseClick(track, Qt.MouseButton.LeftButton, pos=QPoint(x, 20))
    assert line.wanted == pytest.approx(recorded.xid_at, abs=0.01), "an event that is near is met"


def test_the_card_page_draws_the_past_and_one_cursor_runs_over_all_plots(window, look, qtbot, recorded):
    look(300)
    window.go("card", "GPU-gpu01-2")
    settle(qtbot, window)
    page = window.page("card")
    series = page._plots["power"]._curves[0].series
    assert recorded.begin + 144 < series.t.min() < recorded.begin + 156
    assert recorded.begin + 444 < series.t.max() < recorded.begin + 461
    known = {round(t - recorded.begin): v for t, v in zip(series.t, series.v, strict=True)}
    assert known[290] == power("gpu01", 2, 290)
    page._plots["use"].pointed.emit(recorded.begin + 290.5)
    assert f"draw {power('gpu01', 2, 290):.0f}" in page._plots["power"]._readout.text()
    assert all(plot._cursor.isVisible() for plot in page._plots.values())
    assert page._plots["power"]._moment.isVisible()


def test_wider_plots_have_bands_from_least_to_greatest(window, look, qtbot, recorded):
    look(300)
    window.go("card", "GPU-gpu01-2")
    window.run("span.wider")
    settle(qtbot, window)
    series = window.page("card")._plots["power"]._curves[0].series
    assert series.low is not None
    known = series.v == series.v
    assert (series.low[known] <= series.v[known]).all()
    assert (series.high[known] >= series.v[known]).all()
    assert (series.high[known] > series.low[known]).any()


def test_live_plots_wider_than_the_rings_come_from_history(window, qtbot, recorded):
    window.go("card", "GPU-gpu01-1")
    window.run("span.wider")
    settle(qtbot, window)
    series = window.page("card")._plots["power"]._curves[0].series
    assert len(series.t) > 50
    assert series.t.min() < recorded.begin + 60


def test_another_card_is_compared(window, look, qtbot):
    look(300)
    window.go("card", "GPU-gpu01-2")
    window.run("compare.card")
    assert "Mark a card first" in window.status.text.text()
    window.context.mark({"GPU-gpu02-5"}, True)
    window.run("compare.card")
    settle(qtbot, window)
    curves = window.page("card")._plots["power"]._curves
    other = next(c for c in curves if c.is_compared)
    assert other.title.startswith("gpu02/5")
    assert other.series.v[0] - curves[0].series.v[0] == pytest.approx(130.0)
    window.run("compare.card")
    settle(qtbot, window, 0.2)
    assert not any(c.is_compared for c in window.page("card")._plots["power"]._curves)


def test_a_plot_is_saved_as_csv_png_and_svg(window, look, qtbot, monkeypatch, tmp_path, recorded):
    look(300)
    window.go("card", "GPU-gpu01-2")
    settle(qtbot, window)
    page = window.page("card")
    page._plots["power"].pointed.emit(recorded.begin + 290)
    for kind in ("csv", "png", "svg"):
        path = tmp_path / f"plot.{kind}"
        monkeypatch.setattr("console.ui.plots.saving.QFileDialog.getSaveFileName", lambda *_a, p=path: (str(p), ""))
        window.run("plot.save")
        qtbot.waitUntil(lambda p=path: p.exists() and p.stat().st_size > 0, timeout=5000)
    rows = list(csv.DictReader((tmp_path / "plot.csv").read_text().splitlines()))
    assert {r["curve"] for r in rows} == {"draw", "limit"}
    first = next(r for r in rows if r["curve"] == "draw")
    at = datetime.fromisoformat(first["time"]).timestamp()
    assert float(first["value"]) == power("gpu01", 2, round(at - recorded.begin))
    assert first["unit"] == "W"
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "plot.svg").read_bytes()


def test_a_plot_that_cannot_be_written_says_why(window, look, qtbot, monkeypatch, tmp_path):
    look(300)
    window.go("card", "GPU-gpu01-2")
    path = tmp_path / "no" / "plot.csv"
    monkeypatch.setattr("console.ui.plots.saving.QFileDialog.getSaveFileName", lambda *_a: (str(path), ""))
    window.run("plot.save")
    qtbot.waitUntil(lambda: "cannot be written" in window.status.text.text(), timeout=5000)


def test_a_link_brings_back_view_filter_and_time(window, look, qtbot, recorded):
    look(300)
    window.go("card", "GPU-gpu01-2")
    window.context.timeline.live()
    look(300)
    link = window.actions_of.link()
    window.run("time.live")
    window.go("fleet")
    assert window.actions_of.follow_time(link) == ""
    assert (window.place.page, window.place.argument) == ("card", "GPU-gpu01-2")
    assert window.context.timeline.wanted == pytest.approx(recorded.begin + 300, abs=0.001)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("console://other/fleet", "of the fleet other"),
        ("console://test/nonsense", "no view nonsense"),
        ("console://test/fleet?at=soon", "not a time"),
        ("http://test/fleet", "not a time"),
        ("soon", "not a time"),
        ("2999-01-01", "yet to come"),
    ],
)
def test_where_nobody_can_go_is_said(window, text, answer, qtbot):
    dialog = GoDialog(window.frame, window.actions_of.follow_time)
    qtbot.addWidget(dialog)
    dialog.edit.setText(text)
    dialog.accept()
    assert answer in dialog.error.text()
    assert dialog.result() == 0


def test_a_time_is_typed(window, qtbot, recorded):
    dialog = GoDialog(window.frame, window.actions_of.follow_time)
    qtbot.addWidget(dialog)
    dialog.edit.setText(datetime.fromtimestamp(recorded.begin + 240, tz=UTC).isoformat())
    dialog.accept()
    assert window.context.timeline.wanted == recorded.begin + 240


def test_recording_states_are_shown(window, qtbot):
    live = window.context.console.live
    live.recording = ("failed", "/data/telemetry.sqlite: the disk is full; free some space")
    window.timebar.refresh()
    assert "Not recording: /data/telemetry.sqlite: the disk is full" in window.timebar.recording.text()
    live.recording = ("busy", "process 4711 records there already")
    window.timebar.refresh()
    assert "another console" in window.timebar.recording.text()
    live.recording = ("on", "")
    window.timebar.refresh()
    assert window.timebar.recording.isHidden()


def test_a_replayed_folder_begins_at_its_end_and_has_no_present(qtbot, qapp, recorded):
    from console.ui.window import MainWindow

    console = Console(Config(replay=recorded.folder))
    console.start()
    frame = QMainWindow()
    frame.resize(1300, 800)
    content = MainWindow(console, frame)
    frame.setCentralWidget(content)
    qtbot.addWidget(frame)
    frame.show()
    content.begin()
    line = content.context.timeline
    qtbot.waitUntil(lambda: line.at is not None, timeout=5000)
    assert recorded.begin + 480 <= line.at <= recorded.begin + 600
    assert len(content.context.live.entities) == 16
    content.run("time.live")
    assert not line.is_live
    assert "no present" in content.status.text.text()
    content.stop()
    console.close()


def test_the_header_counts_the_sick_after_there_were_none(window, look):
    look(250)
    assert window.header.sick.isHidden()
    look(450)
    assert not window.header.sick.isHidden()


# Links


@given(
    st.builds(
        links.Link,
        fleet=st.text(min_size=1, max_size=30).filter(lambda s: s.strip() == s),
        page=st.sampled_from(["fleet", "node", "card"]),
        argument=st.text(max_size=30).map(str.strip).filter(lambda s: not s.endswith("/")),
        query=st.text(max_size=40).map(str.strip),
        at=st.none() | st.integers(0, 4_000_000_000_000).map(lambda ms: ms / 1000),
    )
)
def test_a_link_comes_back(link):
    text = links.write(link)
    assert all(32 < ord(c) < 127 for c in text)
    found = links.read(text)
    assert (found.fleet, found.page, found.argument, found.query) == (link.fleet, link.page, link.argument, link.query)
    assert found.at == (None if link.at is None else pytest.approx(link.at, abs=0.001))


@given(st.text(max_size=200) | st.text(max_size=100).map(lambda s: "console://" + s))
def test_any_text_is_a_link_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        links.read(text)


def test_the_past_and_a_recording_offer_no_acts(window, look, recorded, qtbot):
    from console.commands import registry

    acts, drain = window.actions_of.acts, registry["acts.drain"]
    window.context.select(window.context.live.entities[0].entity.uuid)
    assert acts.reason(drain) == ""
    look(450)
    assert "press L" in acts.reason(drain)
    assert not RecordedConsole(recorded, replay=True).can_act
