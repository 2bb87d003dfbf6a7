"""The frame around the pages: start, history, header, preferences, settings, palette, empty pages."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QHelpEvent
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QToolTip, QWidget

from console.app import Config
from console.fleet.state import LinkState
from console.ui import keys
from console.ui.bar import Bar
from console.ui.history import History, Place
from console.ui.main import Opening
from console.ui.pages import PAGES
from console.ui.palette import KeysDialog, entries, score
from console.ui.preferences import Preferences
from console.ui.text import PlainLabel, announce, show_tip, tip
from console.ui.theme import DARK, LIGHT, Theme
from tests.ui.conftest import TestConsole

ROOM = Path(keys.__file__).parent
HOSTILE = "<img src=file:///etc/passwd><b>fine</b>\x1b[31m\u202eevil"


def tick(window):
    window._last_tick = 0.0
    window.pump()


# History


def test_history_goes_back_forward_and_to_the_last_view():
    history = History()
    assert history.now == Place("")
    assert (history.back(), history.forward(), history.last()) == (None, None, None)
    assert history.visit(Place("fleet"))
    assert not history.visit(Place("fleet"))
    history.visit(Place("node", "gpu01"))
    history.visit(Place("card", "GPU-1"))
    assert history.back() == Place("node", "gpu01")
    assert history.last() == Place("card", "GPU-1")
    assert history.back() == Place("fleet")
    assert history.back() is None
    assert history.forward() == Place("node", "gpu01")
    history.visit(Place("events"))
    assert history.forward() is None
    for i in range(500):
        history.visit(Place("card", str(i)))
    steps = sum(1 for _ in iter(history.back, None))
    assert 90 <= steps <= 110


def test_keys_move_through_history_and_keep_what_was_selected(window, qtbot):
    window.context.select("GPU-gpu02-3")
    window.run("go.in")
    assert window.place == Place("card", "GPU-gpu02-3")
    qtbot.keyClick(window.frame, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert window.place == Place("fleet")
    assert window.context.selection == "GPU-gpu02-3"
    qtbot.keyClick(window.frame, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    assert window.place.page == "card"
    qtbot.keyClick(window.frame, Qt.Key.Key_Minus)
    assert window.place.page == "fleet"
    qtbot.keyClick(window.frame, Qt.Key.Key_Minus)
    assert window.place.page == "card"


def test_escape_goes_up_to_where_the_card_was_entered_from(window, qtbot):
    window.go("node", "gpu01")
    window.go("card", "GPU-gpu01-0")
    window.run("go.next")
    qtbot.keyClick(window.frame, Qt.Key.Key_Escape)
    assert window.place == Place("node", "gpu01")
    window.context.select("")
    qtbot.keyClick(window.frame, Qt.Key.Key_Escape)
    assert window.place.page == "fleet"
    qtbot.keyClick(window.frame, Qt.Key.Key_Escape)
    assert window.place.page == "fleet"


def test_function_keys_open_every_page_of_the_rail(window, qtbot):
    for key, page in ((Qt.Key.Key_F3, "nodes"), (Qt.Key.Key_F4, "events"), (Qt.Key.Key_F2, "fleet")):
        qtbot.keyClick(window.frame, key)
        assert window.place.page == page
        assert window.rail._buttons[page].isChecked()
    window.go("card", "GPU-gpu01-0")
    assert window.rail._buttons["fleet"].isChecked()
    assert {p.id for p in PAGES.values() if p.rail} == set(window.rail._buttons)


def test_letters_do_not_act_while_a_person_types(window, qtbot):
    qtbot.keyClick(window.frame, Qt.Key.Key_Slash)
    edit = window.fleet_page.filter.edit
    assert QApplication.focusWidget() is edit
    qtbot.keyClicks(edit, "tgmc-[")
    assert edit.text() == "tgmc-["
    assert window.place.page == "fleet"
    qtbot.keyClick(edit, Qt.Key.Key_Escape)
    assert QApplication.focusWidget() is window.fleet_page.map


def test_enter_presses_the_button_that_has_the_focus(window, qtbot):
    window.header.sick.show()
    button = window.fleet_page._views["table"]
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Return)
    assert window.fleet_page._view is window.fleet_page.table
    assert window.place.page == "fleet"


# Filter box


def test_the_filter_points_at_the_column_recalls_and_completes(window, qtbot):
    bar = window.fleet_page.filter
    bar.focus()
    qtbot.keyClicks(bar.edit, "is:faulty temp>>80")
    assert "column 16" in bar.fault
    assert bar._fault.isVisible()
    assert bar._fault._x > bar.edit.fontMetrics().horizontalAdvance("is:faulty temp")
    bar.edit.clear()
    assert not bar._fault.isVisible()
    for text in ("temp>80", "node:gpu01"):
        bar.focus()
        bar.edit.setText(text)
        qtbot.keyClick(bar.edit, Qt.Key.Key_Return)
    bar.focus()
    bar.edit.setText("draft")
    qtbot.keyClick(bar.edit, Qt.Key.Key_Up)
    assert bar.edit.text() == "node:gpu01"
    qtbot.keyClick(bar.edit, Qt.Key.Key_Up)
    qtbot.keyClick(bar.edit, Qt.Key.Key_Up)
    assert bar.edit.text() == "temp>80"
    qtbot.keyClick(bar.edit, Qt.Key.Key_Down)
    qtbot.keyClick(bar.edit, Qt.Key.Key_Down)
    assert bar.edit.text() == "draft"


def test_a_count_filters_when_it_is_clicked(window, qtbot):
    stream = window.fleet.streams["gpu02"]
    window.fleet.feed("gpu02", stream.sample("slow", {"GPU-gpu02-5": {"remap_pending": 1}}))
    tick(window)
    bar = window.fleet_page.filter
    chip = next(c for c in bar._chips.values() if c.isVisible())
    assert chip.text() == "1 warning"
    chip.click()
    assert bar.edit.text() == "is:warning"
    assert window.fleet_page.map.rows() == [13]
    chip.click()
    assert bar.edit.text() == ""
    assert len(window.fleet_page.map.rows()) == 16


def test_a_filter_that_nothing_matches_says_so_and_offers_a_way_back(window):
    page = window.fleet_page
    for view in ("map", "table"):
        page.set_view(view)
        page.filter.set_text("node:nowhere")
        assert page.stack.currentWidget() is page.empty
        assert page.empty._title.text() == "No card matches this filter"
        page.filter.set_text("")
        assert page.stack.currentWidget() is not page.empty


# Inspector and header


def test_the_inspector_shows_a_node_with_its_problem(window):
    window.go("nodes")
    window.page("nodes").table.selectRow(1)
    assert window.context.selection == "node:gpu02"
    assert window.inspector.isVisible()
    assert window.inspector._title.text() == "gpu02"
    window.run("go.in")
    assert window.place == Place("node", "gpu02")


def test_switching_map_and_table_keeps_the_selection(window):
    window.context.select("GPU-gpu02-6")
    for _ in range(2):
        window.run("fleet.toggle")
        assert window.context.selection == "GPU-gpu02-6"
    window.context.select("")
    window.run("fleet.toggle")
    assert window.context.selection == ""


def test_the_header_says_demo_and_what_is_not_live(window):
    assert not window.header.mode.isVisible()
    window.fleet.live.fleet = window.fleet.fleet.__class__("d", "", window.fleet.fleet.nodes, demo=True)
    for name in ("gpu01", "gpu02"):
        window.fleet.collector.link_state(name, LinkState.LOST, None)
    window.fleet.pump()
    tick(window)
    assert window.header.mode.text() == "Demo: simulated nodes"
    assert window.header.property("mode") == "demo"
    assert window.header.live.text() == "○ not connected"


def test_a_command_that_cannot_run_says_why(window):
    window.run("node.reconnect")
    assert "only on the page Node" in window.status.text.text()
    window.run("copy.name")
    assert "nothing is selected" in window.status.text.text()
    window.context.select("GPU-gpu01-1")
    window.run("copy.name")
    assert QApplication.clipboard().text() == "GPU-gpu01-1"
    window.run("copy.link")
    assert QApplication.clipboard().text() == "console://test/fleet"


def test_times_are_local_or_utc(window):
    window.run("time.utc")
    assert window.status.clock.text().endswith("UTC")
    assert window.preferences.utc
    window.run("time.utc")


# What is kept


def test_layout_and_choices_are_kept(qtbot, qapp, live_fleet, tmp_path):
    from console.ui.window import MainWindow

    def open_window():
        frame = QMainWindow()
        frame.resize(1400, 860)
        content = MainWindow(TestConsole(live_fleet), frame, Preferences(tmp_path))
        frame.setCentralWidget(content)
        qtbot.addWidget(frame)
        frame.show()
        return content

    Theme.apply(qapp, DARK)
    first = open_window()
    first.run("theme.toggle")
    first.run("time.utc")
    first.fleet_page.set_metric(3)
    first.fleet_page.set_group("node")
    first.fleet_page.filter.set_text("temp>1")
    first.fleet_page.set_view("table")
    first.fleet_page.table.setColumnWidth(1, 177)
    first.stop()
    first.preferences.save()
    second = open_window()
    assert (second.preferences.theme, second.preferences.utc) == ("light", True)
    page = second.fleet_page
    assert (page._metric, page._group, page._view) == (3, "node", page.table)
    assert page.filter.history == ["temp>1"]
    assert page.table.columnWidth(1) == 177
    assert second.preferences.geometry is not None
    second.stop()
    Theme.apply(qapp, DARK)


@pytest.mark.parametrize("state", ["", "nonsense", "[]", '{"metric": "x", "group": 7, "columns": 1, "filters": [1]}'])
def test_a_damaged_layout_is_ignored(window, state):
    window.fleet_page.restore(state)
    assert window.fleet_page._metric == 0


def test_settings_change_the_window_at_once(window, qapp):
    window.go("settings")
    page = window.page("settings")
    page._theme.setCurrentIndex(page._theme.findData("light"))
    assert Theme.now is LIGHT
    window.run("theme.toggle")
    assert page._theme.currentData() == "dark"
    page._times.setCurrentIndex(page._times.findData("utc"))
    assert window.context.utc
    window.run("time.utc")
    page._language.setCurrentIndex(page._language.findData("en"))
    assert window.preferences.language == "en"
    assert page._note.isVisible()


# Start


def test_a_bad_fleet_file_is_a_page_with_a_next_step(qtbot, qapp, tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text('[[node]]\nname = "gpu01"\nhost = "h"\nintervall_s = 1\n')
    frame = QMainWindow()
    qtbot.addWidget(frame)
    opening = Opening(Config(fleet=path, data=tmp_path), frame, Preferences(tmp_path))
    frame.show()
    qtbot.waitUntil(lambda: opening.page.again.isVisible(), timeout=10_000)
    shown = [label.text() for label in opening.page.findChildren(QLabel)]
    assert "The fleet file cannot be used" in shown
    assert any(f"{path}:4" in text and "interval_s" in text for text in shown)
    assert any(text.startswith("Next: ") for text in shown)
    assert not any("Traceback" in text for text in shown)
    opening.page.again.click()
    qtbot.waitUntil(lambda: opening.page.again.isVisible(), timeout=10_000)
    opening.close()


@pytest.mark.slow
def test_the_demo_opens_in_a_window_and_ends_with_it(qtbot, qapp, tmp_path):
    from console.app import Demo

    frame = QMainWindow()
    qtbot.addWidget(frame)
    opening = Opening(Config(data=tmp_path, demo=Demo(nodes=2, cards=2)), frame, Preferences(tmp_path))
    frame.show()
    qtbot.waitUntil(
        lambda: opening.content is not None and len(opening.content.fleet_page.map.rows()) >= 2, timeout=60_000
    )
    assert opening.content.header.mode.text() == "Demo: simulated nodes"
    assert "Demo" in frame.windowTitle()
    opening.close()
    assert opening.console.demo_pid is None


# Palette and keys


def test_the_palette_prefers_beginnings_of_words():
    titles = ["Show the nodes", "Reconnect the node", "Change grouping", "Show events"]
    assert min(titles, key=lambda t: (score("sn", t) is None, score("sn", t))) == "Show the nodes"
    assert score("zzz", "Show the nodes") is None


def test_the_palette_offers_every_command_and_every_card(window):
    found = entries(window.context, window.actions_of.reason)
    commands = {e.command for e in found if e.command}
    assert commands == set(window.actions_of.of) - {"palette.open"}
    assert sum(e.page == "card" for e in found) == 16
    assert sum(e.page == "node" for e in found) == 2


def test_the_keys_of_this_view_leave_out_those_of_others(window, qtbot):
    from console.commands import registry
    from console.registry import Face

    commands = [c for c in registry.of(Face.WINDOW) if not window.actions_of.reason(c)]
    dialog = KeysDialog(window.frame, commands)
    qtbot.addWidget(dialog)
    shown = {dialog.findChild(type(window.inspector._processes)).item(r, 1).text() for r in range(len(commands))}
    assert "Mark the card" in shown
    assert "Next card" not in shown


# Hostile text


def test_labels_and_tips_never_render_what_they_are_given(qtbot, window):
    label = PlainLabel().elided()
    qtbot.addWidget(label)
    label.set_foreign(HOSTILE)
    label.resize(40, 20)
    label.show()
    assert label.textFormat() == Qt.TextFormat.PlainText
    assert "\x1b" not in label.text()
    assert "\u202e" not in label.text()
    QApplication.sendEvent(label, QHelpEvent(QEvent.Type.ToolTip, QPoint(1, 1), label.mapToGlobal(QPoint(1, 1))))
    assert "&lt;img" in QToolTip.text()
    show_tip(label, QPoint(), "")
    assert tip("a\nb<") == "<qt>a<br>b&lt;</qt>"


def test_what_is_announced_is_kept_as_the_description(qtbot):
    label = PlainLabel("x")
    qtbot.addWidget(label)
    announce(label, "gpu01 / 0, 91 %")
    assert label.accessibleDescription() == "gpu01 / 0, 91 %"


BANNED = {
    "QLabel", "QMessageBox", "QTextEdit", "QTextBrowser", "QTextDocument", "QInputDialog", "QErrorMessage",
    "QProgressDialog", "QWhatsThis", "setHtml", "setWhatsThis", "setStatusTip",
}  # fmt: skip


def test_raw_text_widgets_stand_only_in_the_text_room():
    for path in ROOM.rglob("*.py"):
        if path.name == "text.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(node, "id", getattr(node, "attr", ""))
            if path.name == "pdf.py" and name in ("QTextDocument", "setHtml"):
                continue  # paper, not a screen; test_pdf.py sees that it loads nothing
            assert name not in BANNED, f"{path.name}:{node.lineno} uses {name}"
            is_plots = path.parent.name == "plots"
            imports = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            imports += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert is_plots or not any(i.startswith("pyqtgraph") for i in imports), f"{path.name} imports pyqtgraph"


def test_tool_tips_are_given_only_what_tip_made():
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("setToolTip", "showText"):
                made = [a for a in node.args if isinstance(a, ast.Call) and getattr(a.func, "id", "") == "tip"]
                assert made, f"{path.name}:{node.lineno} shows a tip that tip() did not make"


# Bars


def test_a_bar_hides_the_least_important_first_and_brings_it_back(qtbot):
    holder = QWidget()
    qtbot.addWidget(holder)
    bar = Bar()
    bar.setParent(holder)
    labels = [PlainLabel("x" * 20) for _ in range(3)]
    for label in labels:
        bar.row.addWidget(label)
    bar.give_way((labels[1], labels[2]))
    holder.show()
    need = labels[0].sizeHint().width()
    bar.resize(need * 4, 30)
    assert [label.isVisible() for label in labels] == [True, True, True]
    bar.resize(int(need * 2.4), 30)
    assert [label.isVisible() for label in labels] == [True, False, True]
    bar.resize(int(need * 1.2), 30)
    assert [label.isVisible() for label in labels] == [True, False, False]
    bar.set_wanted(labels[2], False)
    bar.resize(need * 5, 30)
    assert [label.isVisible() for label in labels] == [True, True, False]
    assert bar.minimumSizeHint().width() < need * 2


def test_a_bar_without_room_comes_to_rest(qtbot):
    asked = []

    class Counted(Bar):
        def event(self, event):
            if event.type() == QEvent.Type.LayoutRequest:
                asked.append(event)
            return super().event(event)

    bar = Counted()
    qtbot.addWidget(bar)
    labels = [PlainLabel("x" * 20) for _ in range(3)]
    for label in labels:
        bar.row.addWidget(label)
    bar.give_way((labels[1], labels[2]))
    bar.resize(labels[0].sizeHint().width(), 30)
    bar.show()
    qtbot.wait(200)
    assert labels[1].isHidden()
    asked.clear()
    qtbot.wait(300)
    assert len(asked) < 5


# The table's small curves


def test_all_visible_curves_are_rastered_once_a_turn(window, qtbot, monkeypatch):
    asked = []
    real = window.context.live.sparks
    monkeypatch.setattr(
        window.context.live, "sparks", lambda rows, *rest: (asked.append(len(rows)), real(rows, *rest))[1]
    )
    window.run("fleet.toggle")
    window.context.select("")
    asked.clear()
    tick(window)
    QApplication.processEvents()
    assert asked == [16]
    assert np.unique(window.fleet_page.model.order).size == 16


def test_page_state_is_json(window):
    assert set(json.loads(window.fleet_page.state())) == {"view", "metric", "group", "columns", "filters"}
