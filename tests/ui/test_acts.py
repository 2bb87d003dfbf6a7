"""Acting from the window, over a running demo: read-only start, arming, plans, typed words, Operations, Assignments."""

import threading
import time

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QMainWindow, QMessageBox

from console.app import Config, Console, Demo
from console.operate import Operations
from console.operations.journal import OpState
from console.operations.states import NODE, Admin, Book
from console.ui.acts import ACTS
from console.ui.dialogs.act import ActDialog
from console.ui.theme import DARK, Theme

PATIENCE_MS = 30_000


def started(folder, demo):
    """A console over a demo, all of whose nodes are there."""
    console = Console(Config(data=folder, demo=demo)).start()
    end = time.monotonic() + 60.0
    while time.monotonic() < end and not (console.live.nodes and all(n.hello for n in console.live.nodes)):
        console.live.pump()
        time.sleep(0.05)
    return console


@pytest.fixture(scope="module")
def console(tmp_path_factory):
    console = started(tmp_path_factory.mktemp("acts"), Demo(6, 8))
    yield console
    console.close()


@pytest.fixture
def window(qtbot, qapp, console):
    from console.ui.window import MainWindow

    Theme.apply(qapp, DARK)
    frame = QMainWindow()
    frame.resize(1400, 860)
    content = MainWindow(console, frame)
    frame.setCentralWidget(content)
    # Closing with a drain in force would ask.
    qtbot.addWidget(frame, before_close_func=lambda _: content.stop())
    frame.show()
    qtbot.waitExposed(frame)
    first = content.context.live.entities[0]
    qtbot.waitUntil(
        lambda: content.context.live.reading(first.entity.uuid, "utilization_gpu") is not None, timeout=9000
    )
    # Processes are read less often; without them nothing can be planned.
    qtbot.waitUntil(lambda: bool(content.context.desk.books), timeout=PATIENCE_MS)
    return content


def node_of(window, index=0):
    return window.context.live.nodes[index].node.name


def card_of(window, index=0, node=0):
    name = node_of(window, node)
    return [r.entity.uuid for r in window.context.live.entities if r.entity.node == name][index]


def shown_cards(window):
    rows = window.context.rows
    return [window.context.live.entities[int(r)].entity.uuid for r in rows.select(window.context.query)]


def during(qtbot, press, drive):
    """Press something that opens a dialog, and drive the dialog as a person does until it closes."""
    faults = []

    def run():
        dialog = QApplication.activeModalWidget()
        if dialog is None:
            QTimer.singleShot(20, run)
            return
        try:
            drive(dialog)
        except BaseException as exc:
            faults.append(exc)
        finally:
            if dialog.isVisible():
                dialog.close()

    QTimer.singleShot(20, run)
    press()
    if faults:
        raise faults[0]


def planned(qtbot, dialog):
    assert isinstance(dialog, ActDialog)
    qtbot.waitUntil(lambda: dialog.plan is not None or bool(dialog.error.text()), timeout=PATIENCE_MS)
    assert dialog.plan is not None, dialog.error.text()


def texts(dialog):
    return [w.text() for w in dialog.body.children() if hasattr(w, "text")]


def act(qtbot, window, name, reason="xid 79", more=None):
    """Do an act as a person does; the operation's last state on this desk is returned by `ended`."""

    def drive(dialog):
        planned(qtbot, dialog)
        dialog.reason.setText(reason)
        for field, text in (more or {}).items():
            dialog._fields[field].setText(text)
        qtbot.keyClicks(dialog.word, dialog.word.placeholderText())
        assert dialog.button.isEnabled(), (dialog.error.text(), texts(dialog))
        qtbot.mouseClick(dialog.button, Qt.MouseButton.LeftButton)

    known = {t.operation.id for t in window.context.desk.told}
    during(qtbot, lambda: window.run(name), drive)
    desk = window.context.desk
    qtbot.waitUntil(
        lambda: any(t.operation.id not in known for t in desk.told) and not desk.running, timeout=PATIENCE_MS
    )
    return next(t.operation for t in desk.told if t.operation.id not in known)


def look(qtbot, window):
    qtbot.waitUntil(lambda: not window.context.desk._looking, timeout=PATIENCE_MS)
    with qtbot.waitSignal(window.context.desk.looked, timeout=PATIENCE_MS):
        window.context.desk.look_now()


def book(qtbot, window, index=0):
    look(qtbot, window)
    found = window.context.desk.books[node_of(window, index)]
    assert isinstance(found, Book), found
    return found


def test_the_window_starts_reading_only_and_arming_shows_and_ends(window, qtbot, monkeypatch):
    desk, button = window.context.desk, window.header.lock
    assert desk.armed_s == 0.0
    assert "Read-only" in button.text()
    qtbot.keyClick(window.frame, Qt.Key.Key_A)
    assert desk.armed_s > 890.0
    qtbot.waitUntil(lambda: "15" in button.text())
    monkeypatch.setattr(desk, "_armed_until", time.monotonic() + 0.1)
    qtbot.waitUntil(lambda: "Read-only" in button.text(), timeout=3000)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert desk.armed_s > 0.0
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert desk.armed_s == 0.0


def test_sleep_of_the_workstation_locks_and_forgets(window, qtbot, monkeypatch):
    desk = window.context.desk
    desk.arm()
    with qtbot.waitSignal(desk.woke, timeout=3000) as said:
        monkeypatch.setattr(desk, "_gap", desk._gap - 3600.0)
    assert "slept for 3600 s" in said.args[0]
    QApplication.activeModalWidget().close()
    assert desk.armed_s == 0.0
    qtbot.waitUntil(lambda: bool(desk.books), timeout=PATIENCE_MS)


def test_nothing_happens_while_locked_and_enter_never_confirms(window, qtbot):
    window.context.select(card_of(window))

    def drive(dialog):
        planned(qtbot, dialog)
        dialog.reason.setText("xid 79")
        assert dialog.plan.word == node_of(window)
        for widget in (dialog.reason, dialog.word):
            widget.setFocus()
            qtbot.keyClick(widget, Qt.Key.Key_Return)
        qtbot.keyClicks(dialog.word, dialog.plan.word)
        assert not dialog.button.isEnabled()
        assert "locked" in dialog.error.text()
        qtbot.mouseClick(dialog._arm, Qt.MouseButton.LeftButton)
        assert dialog.button.isEnabled()
        dialog.button.setFocus()
        for widget in (dialog.word, dialog.reason, dialog.button):
            qtbot.keyClick(widget, Qt.Key.Key_Return)
            qtbot.keyClick(widget, Qt.Key.Key_Enter)
        assert dialog.isVisible()
        dialog.word.setText(dialog.plan.word[:-1])
        assert not dialog.button.isEnabled()
        dialog.word.setText(dialog.plan.word)
        dialog.reason.clear()
        assert not dialog.button.isEnabled()
        assert "Say why" in dialog.error.text()
        said = " ".join(texts(dialog))
        assert "$ cardkeeper-node compute-mode" in said
        assert "in service → draining" in said

    during(qtbot, lambda: qtbot.keyClick(window.frame, Qt.Key.Key_D), drive)
    assert book(qtbot, window).generation == 0
    assert window.context.desk.told == ()


def test_a_card_is_drained_seen_everywhere_and_undone(window, qtbot):
    window.context.desk.arm()
    card = card_of(window)
    window.context.select(card)
    made = act(qtbot, window, "acts.drain")
    assert made.state is OpState.WAITING
    entry = book(qtbot, window).entry(card)
    assert (entry.admin, entry.holds[0].reason) == (Admin.DRAINING, "xid 79")
    qtbot.waitUntil(lambda: "1 out of service" in window.header.counts.text(), timeout=5000)
    window.go("fleet")
    window.fleet_page.filter.set_text("is:drained")
    qtbot.waitUntil(lambda: shown_cards(window) == [card], timeout=5000)
    window.fleet_page.filter.set_text("")
    window.go("assignments")
    page = window.page("assignments")
    qtbot.mouseClick(page._chips["out of service"], Qt.MouseButton.LeftButton)
    assert page.chosen() == [card] or page.table.rowCount() == 1
    window.go("operations")
    page = window.page("operations")
    qtbot.waitUntil(lambda: page.table.rowCount() == 1)
    shown = [page.steps.item(r, 2).text() for r in range(page.steps.rowCount())]
    assert shown[0].startswith("card book: ")
    assert shown[1].startswith("cardkeeper-node compute-mode")
    assert {page.steps.item(r, 3).text() for r in range(page.steps.rowCount())} == {"✓ seen"}
    _press(window, qtbot, page.undo)
    qtbot.waitUntil(lambda: not window.context.desk.running, timeout=PATIENCE_MS)
    assert book(qtbot, window).entry(card).admin is Admin.IN_SERVICE
    assert window.context.desk.told[0].operation.state is OpState.UNDONE


def _press(window, qtbot, button):
    """Press a button that asks once more, and say yes."""

    def agree(box):
        assert isinstance(box, QMessageBox)
        yes = next(b for b in box.buttons() if box.buttonRole(b) == QMessageBox.ButtonRole.AcceptRole)
        assert box.defaultButton() is box.button(QMessageBox.StandardButton.Cancel)
        qtbot.mouseClick(yes, Qt.MouseButton.LeftButton)

    during(qtbot, lambda: qtbot.mouseClick(button, Qt.MouseButton.LeftButton), agree)


def test_a_locked_window_undoes_nothing(window, qtbot):
    window.go("operations")
    page = window.page("operations")
    look(qtbot, window)
    page.undo.setEnabled(True)
    page.undo.setVisible(True)
    with qtbot.waitSignal(window.context.said) as said:
        qtbot.mouseClick(page.undo, Qt.MouseButton.LeftButton)
    assert "press A" in said.args[0]
    assert not window.context.desk.running


def test_another_consoles_hold_is_stranded_and_taken_over(window, qtbot, console, tmp_path):
    window.context.desk.arm()
    node = node_of(window, 1)
    # The console that made the hold is gone with its journal; only the node's card book knows of it.
    gone = []

    def other():
        operations = Operations(
            console.live, tmp_path / "gone", window.context.desk._rows, window.context.desk._on_live,
            closing=window.context.desk._closing,
        )  # fmt: skip
        gone.append(operations.carry_out(operations.plan(operations.asked("drain", "left behind"), [node])))
        operations.close()

    thread = threading.Thread(target=other)
    thread.start()
    qtbot.waitUntil(lambda: not thread.is_alive(), timeout=PATIENCE_MS)
    assert gone
    window.go("operations")
    page = window.page("operations")
    look(qtbot, window)
    qtbot.waitUntil(lambda: isinstance(page._rows[0], tuple))
    page.table.selectRow(0)
    assert page.table.item(0, 5).text() == "left behind"
    assert page.adopt.isVisible()
    assert not page.undo.isVisible()
    _press(window, qtbot, page.adopt)
    qtbot.waitUntil(lambda: not window.context.desk.running, timeout=PATIENCE_MS)
    look(qtbot, window)
    assert not any(isinstance(r, tuple) for r in page._rows)
    window.context.select(card_of(window, 0, 1))
    window.go("node", node)
    act(qtbot, window, "acts.undrain", "taken over")
    assert book(qtbot, window, 1).entry(NODE).holds == ()


def test_a_free_card_is_assigned_counted_and_released(window, qtbot):
    window.context.desk.arm()
    window.go("assignments")
    page = window.page("assignments")
    look(qtbot, window)
    page.refresh()
    qtbot.mouseClick(page._chips["free"], Qt.MouseButton.LeftButton)
    assert page.table.rowCount() > 0
    page.table.selectRow(0)
    (card,) = page.chosen()
    made = act(qtbot, window, "acts.assign", "contract 17", {"tenant": "atlas", "until": "60d"})
    assert made.state is OpState.DONE
    look(qtbot, window)
    page.refresh()
    assert page._chips["assigned"].text().endswith("1")
    qtbot.mouseClick(page._chips["assigned"], Qt.MouseButton.LeftButton)
    assert page.table.item(0, 3).text() == "atlas"
    window.context.select(card)
    page.table.selectRow(0)
    act(qtbot, window, "acts.release", "contract over")
    look(qtbot, window)
    page.refresh()
    assert page._chips["assigned"].text().endswith("0")


def test_an_assignment_without_a_tenant_or_with_a_past_end_is_refused_in_words(window, qtbot):
    window.go("assignments")
    page = window.page("assignments")
    look(qtbot, window)
    page.refresh()
    qtbot.mouseClick(page._chips["free"], Qt.MouseButton.LeftButton)
    assert page.table.rowCount() > 0
    page.table.selectRow(0)

    def drive(dialog):
        planned(qtbot, dialog)
        dialog.reason.setText("contract 17")
        assert "whose" in dialog.error.text()
        dialog._fields["tenant"].setText("atlas")
        for text, why in (("yesterday", "past"), ("noon-ish", "noon-ish")):
            dialog._fields["until"].setText(text)
            assert why in dialog.error.text()
            assert not dialog.button.isEnabled()

    during(qtbot, lambda: window.run("acts.assign"), drive)


def test_the_menu_offers_every_act_that_is_possible_here(window, qtbot):
    window.context.select(card_of(window))
    window.go("fleet")
    menu = window.actions_of.acts.menu()
    titles = [a.text() for a in menu.actions() if a.text()]
    assert titles[0] == f"{node_of(window)} / 0"
    assert len(titles) == len(ACTS), "all but ending a process, and the head"
    assert any("D" in t.split("\t")[-1] for t in titles)
    menu.close()


def test_marked_cards_are_meant_before_the_selected_one(window, qtbot):
    window.go("fleet")
    window.context.select(card_of(window, 3))
    window.context.mark({card_of(window, 1), card_of(window, 2)}, True)
    assert set(window.actions_of.acts.words()) == {card_of(window, 1), card_of(window, 2)}
    window.context.mark({card_of(window, 1), card_of(window, 2)}, False)
    assert window.actions_of.acts.words() == [card_of(window, 3)]
    assert window.actions_of.acts.words(of_nodes=True) == [node_of(window)]


def test_closing_while_a_drain_waits_names_what_stays(window, qtbot):
    window.context.desk.arm()
    window.go("node", node_of(window, 2))
    act(qtbot, window, "acts.drain_node", "firmware")
    look(qtbot, window)
    assert window.context.desk.in_force() == [f"drain of {node_of(window, 2)}: firmware"]
    seen = []

    def stay(box):
        seen.append(box.informativeText() + box.text())
        box.reject()

    during(qtbot, window.frame.close, stay)
    assert "firmware" in seen[0]
    assert window.frame.isVisible()
    act(qtbot, window, "acts.undrain", "done")
    look(qtbot, window)
    assert window.context.desk.in_force() == []
