"""The operations page: what was done to nodes, live, step by step; and what was left behind by consoles that are gone."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from console.operations.journal import OpState, StepState
from console.operations.recovery import UNDOABLE
from console.operations.states import NODE, Book, Hold
from console.ui.context import Context
from console.ui.desk import Told
from console.ui.parts import TextTable
from console.ui.text import PlainLabel, ask, tr

_WORDS = {
    OpState.RUNNING: "▶ running",
    OpState.WAITING: "◷ waiting for the work to end",
    OpState.DONE: "✓ done",
    OpState.PARTIAL: "▲ done in part",
    OpState.FAILED: "✕ failed",
    OpState.AMBIGUOUS: "? nobody knows",
    OpState.UNDONE: "↶ undone",
}
_STEPS = {
    StepState.PLANNED: "planned",
    StepState.SENT: "▶ sent",
    StepState.CONFIRMED: "✓ seen",
    StepState.AMBIGUOUS: "? unknown",
    StepState.FAILED: "✕ failed",
    StepState.UNDONE: "↶ undone",
}


class OperationsPage(QWidget):
    """A table of operations, the steps of the chosen one, and what can be done with it."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._desk = context.desk
        self._rows: list[Told | tuple[str, str, Hold]] = []
        self._head = PlainLabel("", "quiet").wrapped()
        titles = (tr("State"), tr("Act"), tr("Targets"), tr("By"), tr("Begun"), tr("Reason"))
        self.table = TextTable(titles, tr("Operations"), 5, is_mono=False)
        self.table.currentCellChanged.connect(lambda *_: self._show_steps())
        self._about = PlainLabel("", "quiet").wrapped().selectable()
        columns = (tr("Step"), tr("Node"), tr("What"), tr("State"), tr("Evidence"))
        self.steps = TextTable(columns, tr("Steps"), 4)
        self.go_on = self._button(tr("Go on, retry what failed"), self._go_on)
        self.undo = self._button(tr("Undo"), self._undo)
        self.adopt = self._button(tr("Take over"), self._adopt)
        self._breaker = self._button(tr("Reset the breaker"), self._reset_breaker)
        self.setFocusProxy(self.table)
        self._build()
        self._desk.looked.connect(self.refresh)
        self._desk.stepped.connect(lambda _: self._desk.look_now())

    def _button(self, text: str, call: object) -> QPushButton:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.clicked.connect(call)
        return button

    def _build(self) -> None:
        below = QWidget()
        layout = QVBoxLayout(below)
        layout.setContentsMargins(0, 8, 0, 0)
        layout.setSpacing(8)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.go_on, self.undo, self.adopt):
            buttons.addWidget(button)
        buttons.addStretch(1)
        buttons.addWidget(self._breaker)
        layout.addLayout(buttons)
        layout.addWidget(self._about)
        layout.addWidget(self.steps, 1)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setChildrenCollapsible(False)
        split.addWidget(self.table)
        split.addWidget(below)
        split.setSizes([320, 320])
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 12, 16, 0)
        outer.setSpacing(8)
        outer.addWidget(self._head)
        outer.addWidget(split, 1)

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self._desk.look()
        self.refresh()

    def refresh(self) -> None:
        """Show what is known now."""
        if not self.isVisible():
            return
        stranded = _stranded(self._desk.books, {t.operation.id for t in self._desk.told})
        self._rows = [*stranded, *self._desk.told]
        open_ones = [t for t in self._desk.told if t.is_open]
        if self._desk.problem:
            self._head.set_foreign(self._desk.problem, 400)
        elif not self._rows:
            self._head.setText(
                tr(
                    "Nothing was done from here yet. Select a card or node and press D to drain it, or O for everything."
                )
            )
        else:
            parts = [tr("%n are not finished", len(open_ones))] if open_ones else [tr("Everything is finished.")]
            if stranded:
                parts.append(tr("%n holds were left by consoles that this one does not know", len(stranded)))
            self._head.setText("; ".join(parts))
        self.table.show_rows(self._line(r) for r in self._rows)
        if self.table.currentRow() < 0 and self._rows:
            self.table.selectRow(0)
        self._show_steps()

    def _line(self, row: Told | tuple[str, str, Hold]) -> list[str]:
        if isinstance(row, tuple):
            node, target, hold = row
            where = node if target == NODE else f"{node} {target}"
            return [tr("⚑ stranded hold"), "", where, hold.owner, self._when(hold.since), hold.reason]
        op = row.operation
        where = ", ".join(op.targets)
        count = sum(len(t) for t in op.targets.values())
        state = tr(_WORDS[op.state]) if op.id not in self._desk.running else tr("▶ running")
        return [state, op.verb, where if count < 2 else f"{where} ({count})", op.by, self._when(op.made_at), op.reason]

    def _when(self, at: float) -> str:
        return self._context.local(at).strftime("%m-%d %H:%M:%S")

    def chosen_row(self) -> Told | tuple[str, str, Hold] | None:
        """What is selected."""
        at = self.table.currentRow()
        return self._rows[at] if 0 <= at < len(self._rows) else None

    def _show_steps(self) -> None:
        row = self.chosen_row()
        self.adopt.setVisible(isinstance(row, tuple))
        self.go_on.setVisible(isinstance(row, Told))
        self.undo.setVisible(isinstance(row, Told))
        self._breaker.setVisible(any("breaker" in s.evidence for t in self._desk.told for s in t.steps[:1]))
        self._about.setVisible(row is not None)
        if not isinstance(row, Told):
            self.steps.show_rows([])
            if row is not None:
                self._about.set_foreign(
                    f"{row[2].reason}\n" + tr("Nobody here knows its operation. Take it over to be able to lift it."),
                    400,
                )
            return
        op = row.operation
        is_running = op.id in self._desk.running
        self.go_on.setEnabled(row.is_open and not is_running)
        self.undo.setEnabled(op.verb in UNDOABLE and op.state is not OpState.UNDONE and not is_running)
        self._about.set_foreign(f"{op.verb} {op.id} · {op.by} · {op.reason}", 400)
        self.steps.show_rows(
            [str(s.n), s.node, str(s.prior.get("text") or s.verb), tr(_STEPS[s.state]), s.evidence] for s in row.steps
        )

    # Acts

    def _may(self) -> bool:
        if self._desk.armed_s > 0.0:
            return True
        self._context.said.emit(tr("Acts are locked: press A to allow them for 15 minutes"))
        return False

    def _failed(self, why: str) -> None:
        self._desk.failed.emit(why)

    def _go_on(self) -> None:
        row = self.chosen_row()
        if isinstance(row, Told) and self._may():
            self._desk.resume(row.operation.id, self._failed)
            self.refresh()

    def _undo(self) -> None:
        row = self.chosen_row()
        if not isinstance(row, Told) or not self._may():
            return
        op = row.operation
        text = tr("Undo {verb} on {nodes}?").format(verb=op.verb, nodes=", ".join(op.targets))
        if ask(self, tr("Undo"), text, tr("What it changed is put back on every node it touched."), tr("Undo it")):
            self._desk.undo(op.id, self._failed)
            self.refresh()

    def _adopt(self) -> None:
        row = self.chosen_row()
        if not isinstance(row, tuple) or not self._may():
            return
        text = tr("Take over the hold of {owner}?").format(owner=row[2].owner)
        if ask(self, tr("Take over"), text, tr("From then on it is yours to lift."), tr("Take it over")):
            self._desk.adopt(row[2].op, self._failed)

    def _reset_breaker(self) -> None:
        if self._may():
            self._desk.reset_breaker(self._failed)


def _stranded(books: dict[str, Book | str], known: set[str]) -> list[tuple[str, str, Hold]]:
    """(node, target, hold) of holds whose operation this workstation does not know."""
    out = []
    for node, book in books.items():
        if isinstance(book, str):
            continue
        for entry in book.entries.values():
            out += [(node, entry.target, h) for h in entry.holds if h.op not in known]
    return out
