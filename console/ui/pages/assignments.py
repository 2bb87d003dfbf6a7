"""The assignments page: who has which card until when, what is free, who runs where they should not."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from console.fleet.model import EntityKind
from console.fleet.show import DASH
from console.fleet.state import LinkState
from console.operations.plan import View, Work
from console.operations.states import NODE, Admin, Book, Use
from console.ui.context import Context
from console.ui.parts import TextTable, admin_word, use_word
from console.ui.text import PlainLabel, tr

KINDS = ("all", "free", "assigned", "in use", "squatted", "out of service")


@dataclass(frozen=True, slots=True)
class Card:
    """One row: a card with what its node's book says; `kind` is one of KINDS, or "unknown"."""

    uuid: str
    node: str
    kind: str
    cells: tuple[str, ...]


class AssignmentsPage(QWidget):
    """Every card of the fleet, as the card books tell."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._desk = context.desk
        self._kind = "all"
        self._cards: list[Card] = []
        self._chips: dict[str, QToolButton] = {}
        self._head = PlainLabel("", "quiet").wrapped()
        titles = (
            tr("Card"), tr("Model"), tr("Use"), tr("Tenant"), tr("Until"), tr("Runs there"), tr("State"), tr("Hold"),
        )  # fmt: skip
        self.table = TextTable(titles, tr("Assignments"), 7, is_mono=False)
        self.table.currentCellChanged.connect(lambda row, *_: self._select(row))
        self.table.cellDoubleClicked.connect(lambda row, _: self._open(row))
        self.setFocusProxy(self.table)
        bar = QHBoxLayout()
        bar.setSpacing(6)
        for kind in KINDS:
            bar.addWidget(self._chip(kind))
        bar.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 0)
        layout.setSpacing(8)
        layout.addLayout(bar)
        layout.addWidget(self._head)
        layout.addWidget(self.table, 1)
        self._desk.looked.connect(self.refresh)
        context.ticked.connect(self.refresh)

    def _chip(self, kind: str) -> QToolButton:
        button = QToolButton()
        button.setProperty("chip", True)
        button.setCheckable(True)
        button.setChecked(kind == self._kind)
        button.clicked.connect(lambda: self.show_kind(kind))
        self._chips[kind] = button
        return button

    def show_kind(self, kind: str) -> None:
        """Show only cards of this kind."""
        self._kind = kind
        for name, chip in self._chips.items():
            chip.setChecked(name == kind)
        self.refresh()

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self._desk.look()
        self.refresh()
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def chosen(self) -> list[str]:
        """UUIDs of the selected rows."""
        rows = sorted({i.row() for i in self.table.selectedIndexes()})
        return [self._shown()[r].uuid for r in rows if r < len(self._shown())]

    def open_selected(self) -> None:
        """Go into the card of the current row."""
        self._open(self.table.currentRow())

    def _open(self, row: int) -> None:
        if 0 <= row < len(self._shown()):
            self._context.go.emit("card", self._shown()[row].uuid)

    def _select(self, row: int) -> None:
        if self.isVisible() and 0 <= row < len(self._shown()):
            self._context.select(self._shown()[row].uuid)

    def _shown(self) -> list[Card]:
        return [c for c in self._cards if self._kind in ("all", c.kind)]

    def refresh(self) -> None:
        """Show what the books and the live processes say now."""
        if not self.isVisible():
            return
        self._cards = cards_of(self._context)
        words = {
            "all": tr("All"), "free": tr("Free"), "assigned": tr("Assigned"), "in use": tr("In use"),
            "squatted": tr("Squatted"), "out of service": tr("Out of service"),
        }  # fmt: skip
        for kind, chip in self._chips.items():
            count = sum(kind in ("all", c.kind) for c in self._cards)
            chip.setText(f"{words[kind]}  {count}")
        unread = [n for n, b in self._desk.books.items() if isinstance(b, str)]
        apart = [n for n, b in self._desk.books.items() if isinstance(b, Book) and not b.is_shared]
        if self._desk.problem:
            self._head.set_foreign(self._desk.problem, 300)
        elif not self._desk.books:
            self._head.setText(tr("Reading the card books of the nodes…") if self._desk.can_act else
                               tr("A recording has no card books."))  # fmt: skip
        elif unread:
            first = f"{unread[0]}: {self._desk.books[unread[0]]}"
            self._head.set_foreign(tr("%n card books could not be read", len(unread)) + f" ({first})", 300)
        elif apart:
            self._head.setText(tr("Advisory on %n nodes: other logins cannot see their card books", len(apart)))
        else:
            self._head.setText(tr("As the card books of the nodes say; every console sees the same."))
        self.table.show_rows(c.cells for c in self._shown())


def cards_of(context: Context) -> list[Card]:
    """Every card with its assignment, use and hold."""
    live, books = context.live, context.desk.books
    # What runs on a slice runs on its card.
    card_of = {e.entity.uuid: e.entity.parent or e.entity.uuid for e in live.entities}
    work: dict[str, list[Work]] = {}
    for node in live.nodes:
        for p in live.processes(node.node.name):
            work.setdefault(card_of.get(p.uuid, p.uuid), []).append(Work(p.pid, p.user, p.command))
    out = []
    for row in live.entities:
        entity = row.entity
        if entity.kind is not EntityKind.CARD:
            continue
        entry = live.node(entity.node)
        is_stale = entry is None or entry.link is not LinkState.LIVE
        found = books.get(entity.node)
        book = found if isinstance(found, Book) else Book(entity.node, 0)
        name = f"{entity.node} / {entity.index}"
        runs = work.get(entity.uuid, [])
        users = ", ".join(sorted({w.user or "?" for w in runs})) or DASH
        if not isinstance(found, Book):
            cells = (name, entity.name, tr("unknown"), DASH, DASH, users, DASH, found or DASH)
            out.append(Card(entity.uuid, entity.node, "unknown", cells))
            continue
        view = View(entity.node, entity.uuid, name, (entity.uuid,), book, tuple(runs), is_stale=is_stale)
        out.append(_card(context, view, entity.name, users))
    return out


def _card(context: Context, view: View, model: str, users: str) -> Card:
    own, node = view.entry, view.book.entry(NODE)
    entry = own if own.admin is not Admin.IN_SERVICE or own.holds else node
    assignment = own.assignment or node.assignment
    use = view.use
    if own.assignment is None and node.assignment is not None:
        strangers = node.assignment.users and any(w.user not in node.assignment.users for w in view.work)
        use = Use.UNKNOWN if view.is_stale else Use.SQUATTED if strangers else Use.IN_USE if view.work else Use.ASSIGNED
    is_out = entry.admin not in (Admin.IN_SERVICE, Admin.PROBATION)
    kind = "out of service" if is_out else str(use).replace("_", " ")
    until = DASH
    if assignment is not None:
        until = tr("no end") if assignment.until is None else _day(context, assignment.until)
    hold = entry.holds[0] if entry.holds else None
    more = f" (+{len(entry.holds) - 1})" if len(entry.holds) > 1 else ""
    cells = (
        view.label, model, use_word(use), assignment.tenant if assignment else DASH, until, users,
        admin_word(entry.admin), f"{hold.reason} – {hold.owner}{more}" if hold else DASH,
    )  # fmt: skip
    return Card(view.target, view.node, kind, cells)


def _day(context: Context, at: float) -> str:
    return context.local(at).strftime("%Y-%m-%d %H:%M")
