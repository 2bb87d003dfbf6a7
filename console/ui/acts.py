"""What can be done to what is selected, and the menu of it. The one place where the window's acts are named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QPoint
from PySide6.QtGui import QAction, QCursor
from PySide6.QtWidgets import QMenu

from console.commands import registry
from console.fleet.condition import Condition
from console.registry import Command
from console.ui.context import NODE
from console.ui.keys import key_text
from console.ui.text import tr

if TYPE_CHECKING:
    from console.ui.window import MainWindow


@dataclass(frozen=True, slots=True)
class Act:
    """One act of the window.

    Attributes:
        verb: what operations call it; see console.operations.verbs.
        button: the words on the button that does it.
        node: it is of nodes: a selected card stands for its node.
        fields: what the person is asked for: "tenant", "users", "until", "deadline".
    """

    verb: str
    button: str
    node: bool = False
    fields: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


ACTS: dict[str, Act] = {
    "acts.drain": Act("drain", "Drain", fields=("deadline",)),
    "acts.drain_node": Act("drain", "Drain the node", node=True, fields=("deadline",)),
    "acts.undrain": Act("undrain", "Undrain"),
    "acts.return": Act("return", "Verify and return"),
    "acts.assign": Act("assign", "Assign", fields=("tenant", "users", "until")),
    "acts.release": Act("release", "Release"),
    "acts.maintenance_begin": Act("maintenance-begin", "Begin maintenance"),
    "acts.maintenance_end": Act("maintenance-end", "End maintenance"),
    "acts.mark_healthy": Act("mark-healthy", "Mark as healthy"),
    "acts.mode_default": Act("compute-mode", "Set the mode", more={"mode": "default"}),
    "acts.mode_exclusive": Act("compute-mode", "Set the mode", more={"mode": "exclusive_process"}),
    "acts.reset": Act("reset", "Reset the card"),
    "acts.reboot": Act("reboot", "Reboot the node", node=True),
    "acts.kill": Act("kill", "End the process"),
}


class Acts:
    """The acts of one window."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._context = window.context
        self._desk = window.context.desk

    def reason(self, command: Command) -> str:
        """Why an act cannot be done now, or ""."""
        if not self._desk.can_act:
            return tr("this is a recording; it has no present")
        if not self._context.timeline.is_live:
            return tr("this is the past; press L for the present")
        if command.id == "acts.arm":
            return ""
        if not self.words(command.id in ACTS and ACTS[command.id].node):
            return tr("nothing is selected")
        if command.id == "acts.kill" and self._pid() is None:
            return tr("open a card or node and select one of its processes")
        return ""

    def words(self, of_nodes: bool = False) -> list[str]:
        """What is meant: the marked cards on the fleet page, else what is open, else what is selected."""
        place, live = self._window.place, self._context.live
        marked = sorted(u for u in self._context.rows.marked if live.entity(u) is not None)
        if place.page == "fleet" and marked:
            found = marked
        elif place.page in ("card", "node") and place.argument:
            found = [place.argument]
        else:
            page = self._window.page(place.page)
            chosen = getattr(page, "chosen", None)
            found = chosen() if chosen is not None else [self._context.selection.removeprefix(NODE)]
        found = [f for f in found if f]
        if of_nodes:
            found = [row.entity.node if (row := live.entity(f)) is not None else f for f in found]
        # A slice stands for its card.
        cards = [row.entity.parent or f if (row := live.entity(f)) is not None else f for f in found]
        return list(dict.fromkeys(cards))

    def _pid(self) -> int | None:
        page = self._window.page(self._window.place.page)
        chosen = getattr(page, "chosen_pid", None)
        return chosen() if chosen is not None else None

    def run(self, name: str) -> None:
        """Open the dialog of an act."""
        from console.ui.dialogs.act import ActDialog

        act = ACTS[name]
        words = self.words(act.node)
        more = dict(act.more)
        if act.verb == "kill":
            more["pid"] = self._pid()
        title = tr(registry[name].title)
        ActDialog(self._window.frame, self._context, act, title, words, self.why(words, act), more).exec()

    def toggle_arm(self) -> None:
        """Allow acts, or lock them."""
        if self._desk.armed_s > 0.0:
            self._desk.disarm()
            self._context.said.emit(tr("Acts are locked"))
        else:
            self._desk.arm()
            self._context.said.emit(tr("Acts are allowed for 15 minutes"))

    def why(self, words: list[str], act: Act) -> str:
        """A reason to begin with: what is found of the first target."""
        if act.verb not in ("drain", "maintenance-begin", "reset", "reboot"):
            return ""
        live, judged = self._context.live, self._context.rows.judged
        for row in live.entities:
            is_meant = row.entity.uuid in words or row.entity.node in words
            known = is_meant and row.row < len(judged.reasons)
            if known and judged.conditions[row.row] >= Condition.WARNING and judged.reasons[row.row]:
                return f"{row.entity.node} / {row.entity.index}: {judged.reasons[row.row][0]}"[:160]
        return ""

    def menu(self, at: QPoint | None = None) -> QMenu:
        """Show the acts that are possible here."""
        menu = QMenu(self._window.frame)
        words = self.words()
        label = tr("%n targets", len(words)) if len(words) > 1 else self._name(words)
        head = QAction(label or tr("Nothing is selected"), menu)
        head.setEnabled(False)
        menu.addAction(head)
        for name in ACTS:
            command = registry[name]
            if self.reason(command):
                continue
            action = QAction(f"{tr(command.title)}…\t{key_text(command)}", menu)
            action.triggered.connect(lambda _=False, n=name: self.run(n))
            menu.addAction(action)
            if name in ("acts.return", "acts.release", "acts.maintenance_end"):
                menu.addSeparator()
        menu.popup(at or QCursor.pos())
        return menu

    def _name(self, words: list[str]) -> str:
        if not words:
            return ""
        row = self._context.live.entity(words[0])
        return words[0] if row is None else f"{row.entity.node} / {row.entity.index}"
