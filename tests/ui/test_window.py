"""The window by what a person does and sees."""

import colorsys
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QPushButton, QToolButton, QWidget

from console.fleet.state import LinkState, Problem, ProblemCode
from console.telemetry.messages import Focus
from console.ui.dialogs.hostkey import HostKeyDialog
from console.ui.palette import Palette, entries, score
from console.ui.plots.decimate import decimate
from console.ui.plots.sparks import raster
from console.ui.text import PlainLabel, tip
from console.ui.theme import DARK, LIGHT, Theme

HOSTILE = "<img src=file:///etc/passwd width=30000><b>fine</b>\x1b[31m"


def tick(window):
    window._last_tick = 0.0
    window.pump()


def test_the_header_counts(window):
    tick(window)
    assert window.header.live.text() == "● live"
    assert window.header.counts.text() == "2 of 2 nodes   16 cards"
    assert not window.header.sick.isVisible()


def test_keys_walk_the_map_open_a_card_and_come_back(window, qtbot):
    grid = window.fleet_page.map
    grid.setFocus()
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    assert window.context.selection == "GPU-gpu01-1"
    assert window.inspector.isVisible()
    window.run("go.in")
    assert window.place.page == "card"
    assert window.fleet.requests[-1] == Focus(["GPU-gpu01-1"], 0.5)
    window.run("go.next")
    assert window.context.selection == "GPU-gpu01-2"
    window.run("go.out")
    assert window.place.page == "fleet"
    assert Focus([], 0.5) in window.fleet.requests
    assert window.context.selection == "GPU-gpu01-2"
    window.run("go.out")
    assert window.context.selection == ""
    window.go("node", "gpu01")
    window.run("go.out")
    assert window.place.page == "fleet"


def test_a_filter_is_typed_and_kept(window, qtbot):
    stream = window.fleet.streams["gpu01"]
    window.fleet.feed("gpu01", stream.sample("fast", {"GPU-gpu01-3": {"temperature_gpu": 91}}))
    tick(window)
    window.run("filter.edit")
    edit = window.fleet_page.filter.edit
    assert QApplication.focusWidget() is edit
    qtbot.keyClicks(edit, "temp>80")
    assert [c.row for c in window.fleet_page.map._cells] == [3]
    window.run("fleet.toggle")
    assert window.fleet_page.model.rowCount() == 1
    window.go("nodes")
    window.go("fleet")
    assert edit.text() == "temp>80"
    qtbot.keyClicks(edit, ">")
    assert "column" in window.fleet_page.filter.fault
    assert window.fleet_page.model.rowCount() == 1
    window.run("filter.clear")
    assert window.fleet_page.model.rowCount() == 16


def test_a_sick_card_is_counted_and_sorted_first(window):
    stream = window.fleet.streams["gpu02"]
    window.fleet.feed("gpu02", stream.sample("slow", {"GPU-gpu02-5": {"recovery_action": 1}}))
    tick(window)
    assert window.header.sick.text() == "1 needs attention"
    window.run("fleet.toggle")
    model = window.fleet_page.model
    assert model.index(0, 1).data() == "gpu02"
    assert model.index(0, 0).data() == "Critical"
    window.run("filter.faults")
    assert model.rowCount() == 1


def test_unknown_is_words_not_zero(window):
    stream = window.fleet.streams["gpu01"]
    marks = {"GPU-gpu01-0": {"utilization_gpu": "n", "power_draw": "p"}}
    window.fleet.feed("gpu01", stream.sample("fast", None, marks))
    tick(window)
    window.run("fleet.toggle")
    model = window.fleet_page.model
    place = model.place_of(0)
    assert [model.index(place, c).data() for c in (3, 6)] == ["not supported", "no permission"]


def test_hostile_text_is_shown_as_text(window, qtbot):
    stream = window.fleet.streams["gpu01"]
    for entity in stream.entities:
        entity["name"] = HOSTILE
    window.fleet.connect("gpu01")
    processes = [{"uuid": "GPU-gpu01-0", "pid": 1, "kind": "compute", "user": HOSTILE, "command": HOSTILE}]
    window.fleet.feed("gpu01", stream.line("procs", p=processes))
    tick(window)
    window.go("card", "GPU-gpu01-0")
    window.go("node", "gpu01")
    window.context.select("GPU-gpu01-0")
    tick(window)
    for label in window.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText, label.text()
        assert label.sizeHint().width() < 4096
        assert "\x1b" not in label.text()
    assert "<img" in window.inspector._model.text()
    assert tip(HOSTILE).count("&lt;img") == 1


def test_a_lost_collector_and_a_failed_node_are_told(window):
    problem = Problem(ProblemCode.AUTH, "gpu01: no key was accepted", "tried one", "add a key", {}, True)
    window.fleet.collector.link_state("gpu01", LinkState.FAILED, problem)
    window.fleet.pump()
    window.go("node", "gpu01")
    tick(window)
    page = window.page("node")
    assert page._problem.text() == "gpu01: no key was accepted"
    assert "add a key" in page._why.text()
    window.context.live.collector_lost("the collector ended")
    tick(window)
    assert "the collector ended" in window.header.live.text()


def test_the_palette_finds_and_explains(window, qtbot):
    palette = Palette(window.frame, entries(window.context, window.actions_of.reason))
    qtbot.addWidget(palette)
    palette.open()
    qtbot.keyClicks(palette.edit, "addnode")
    assert palette.list.item(0).data(Qt.ItemDataRole.UserRole).command == "node.add"
    palette.edit.clear()
    qtbot.keyClicks(palette.edit, "reconnect")
    assert palette.list.item(0).data(Qt.ItemDataRole.UserRole).reason == "only on the page Node"
    qtbot.keyClick(palette.edit, Qt.Key.Key_Return)
    assert palette.chosen is None
    palette.edit.clear()
    qtbot.keyClicks(palette.edit, "gpu02 / 5")
    qtbot.keyClick(palette.edit, Qt.Key.Key_Return)
    assert (palette.chosen.page, palette.chosen.argument) == ("card", "GPU-gpu02-5")


def test_every_window_command_is_bound_and_keys_differ(window):
    from console.commands import registry
    from console.registry import Face

    commands = registry.of(Face.WINDOW)
    assert {c.id for c in commands} == set(window.actions_of.of)
    for page in ("fleet", "node", "card"):
        keys = [c.key for c in commands if c.key and c.page in ("", page)]
        assert len(keys) == len(set(keys))


def test_the_models_pass_qts_own_tester(window, qtmodeltester):
    window.run("fleet.toggle")
    qtmodeltester.check(window.fleet_page.model, force_py=True)


def test_sorting_keeps_the_selected_card(window):
    window.run("fleet.toggle")
    window.context.select("GPU-gpu02-6")
    model, table = window.fleet_page.model, window.fleet_page.table
    table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert model.row_at(table.currentIndex().row()) == window.context.live.row_of["GPU-gpu02-6"]


def test_an_unknown_key_needs_the_trust_button(qtbot, qapp):
    problem = Problem(ProblemCode.KEY_UNKNOWN, "w", "", "", {"fingerprint": "SHA256:abc"}, True)
    dialog = HostKeyDialog(None, "gpu01", problem)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    assert dialog.result() == 0
    changed = HostKeyDialog(None, "gpu01", Problem(ProblemCode.KEY_CHANGED, "w", "", "", {}, True))
    qtbot.addWidget(changed)
    assert changed.trust is None


def test_everything_that_acts_has_a_name(window):
    for page in ("nodes", "events", "node", "card"):
        window.go(page, {"node": "gpu01", "card": "GPU-gpu01-0"}.get(page, ""))
        tick(window)
    for widget in window.findChildren(QWidget):
        if isinstance(widget, (QLineEdit, QPushButton, QToolButton)) and widget.isVisibleTo(window):
            has_name = widget.accessibleName() or getattr(widget, "text", str)()
            assert has_name or widget.parent().metaObject().className().startswith("Q"), widget


def test_a_well_fleet_is_calm(window):
    tick(window)
    picture = window.grab().toImage()
    loud = 0
    for x in range(0, picture.width(), 4):
        for y in range(60, picture.height(), 4):
            c = QColor(picture.pixel(x, y))
            hue, _, _ = colorsys.rgb_to_hsv(c.redF(), c.greenF(), c.blueF())
            blue = 0.45 < hue < 0.72
            loud += c.hsvSaturationF() > 0.5 and c.valueF() > 0.4 and not blue
    assert loud / (picture.width() * picture.height() / 16) < 0.005


def _luminance(colour):
    parts = [v / 12.92 if v <= 0.03928 else ((v + 0.055) / 1.055) ** 2.4 for v in QColor(colour).getRgbF()[:3]]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda t: t.name)
def test_text_can_be_read(tokens):
    for ground in (tokens.ground, tokens.raised):
        for text in (tokens.text, tokens.quiet, tokens.faint, tokens.critical, tokens.warning, tokens.notice):
            a, b = sorted((_luminance(ground), _luminance(text)))
            assert (b + 0.05) / (a + 0.05) >= 4.4, (ground, text)


def test_the_theme_changes_live(window, qapp):
    window.run("theme.toggle")
    assert Theme.now is LIGHT
    window.run("theme.toggle")
    assert Theme.now is DARK


@given(st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=400), st.integers(1, 60))
def test_decimation_keeps_extremes_ends_and_gaps(values, columns):
    v = np.array(values)
    t = np.arange(len(v), dtype=float)
    dt, dv = decimate(t, v, columns)
    assert len(dv) <= max(2 * columns, 3 * columns + 2)
    assert np.isnan(v).any() == np.isnan(dv).any()
    if not np.isnan(v).all():
        assert (np.nanmin(dv), np.nanmax(dv)) == (np.nanmin(v), np.nanmax(v))
    assert (np.diff(dt) > 0).all()
    assert (dt[0], dt[-1]) == (t[0], t[-1])


def test_two_thousand_sparklines_are_one_quick_image():
    values = np.random.default_rng(1).random((2000, 60)).astype(np.float32)
    values[:, 20:25] = np.nan
    begun = time.perf_counter()
    pixels = raster(values, 0.0, 1.0, 60, 16, "#ffffff")
    assert time.perf_counter() - begun < 1.0
    assert pixels.shape == (32000, 60)
    assert not pixels.reshape(2000, 16, 60)[:, :, 20:25].any()
    assert pixels.reshape(2000, 16, 60)[:, :, 30].any(axis=1).all()


@given(st.text(max_size=10), st.text(max_size=30))
def test_palette_scores_hold_the_letters_in_order(words, text):
    found = score(words, text)
    assert found is None or found >= 0


def test_the_map_finds_the_cell_under_the_mouse(window, qtbot):
    grid = window.fleet_page.map
    x, y, size = int(grid.grid.left[9]), int(grid.grid.top[9]), grid.grid.size
    qtbot.mouseClick(grid, Qt.MouseButton.LeftButton, pos=QPoint(x + size // 2, y + size // 2))
    assert window.context.selection == "GPU-gpu02-1"


def test_labels_are_plain_whatever_they_show(qtbot):
    label = PlainLabel(HOSTILE)
    qtbot.addWidget(label)
    assert label.textFormat() == Qt.TextFormat.PlainText


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="True and None are immortal from Python 3.12 on")
def test_qt_loses_no_reference_to_true():
    code = (
        "import sys\nfrom PySide6.QtCore import QObject, Signal\n"
        "class O(QObject):\n    s = Signal(bool)\n"
        "o = O(); o.s.connect(lambda v: None)\nbefore = sys.getrefcount(True)\n"
        "[o.s.emit(True) for _ in range(5000)]\nassert sys.getrefcount(True) > before - 50\n"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


@pytest.mark.slow
def test_five_seconds_of_repaints_end_well(window):
    window.go("card", "GPU-gpu01-0")
    end = time.monotonic() + 5.0
    count = 0
    while time.monotonic() < end:
        stream = window.fleet.streams["gpu01"]
        stream.wait(0.5)
        window.fleet.feed("gpu01", stream.sample())
        tick(window)
        window.repaint()
        QApplication.processEvents()
        count += 1
    assert count > 20
