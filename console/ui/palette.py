"""The command palette: commands, pages, nodes and cards by a few letters; and the list of keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QModelIndex, QObject, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from PySide6.QtWidgets import (
    QDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from console.commands import registry
from console.fleet.model import EntityKind
from console.registry import Command, Face
from console.ui.context import Context
from console.ui.keys import key_text
from console.ui.parts import TextTable
from console.ui.text import PlainLabel, left_to_right, plain, tr
from console.ui.theme import Theme

LONGEST = 50
ROW_H = 30
_ENTRY = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class Entry:
    """Something the palette can do.

    Attributes:
        title: what it is.
        kind: "" for a command, else a word for what is opened.
        key: its keys, for a person.
        reason: why it cannot be done now, or "".
        command: id of the command to run, or "".
        page, argument: where to go when it is no command.
    """

    title: str
    kind: str = ""
    key: str = ""
    reason: str = ""
    command: str = ""
    page: str = ""
    argument: str = ""


def entries(context: Context, reason: Callable[[Command], str]) -> list[Entry]:
    """All commands, then all nodes and cards."""
    found = [
        Entry(tr(c.title), "", key_text(c), reason(c), command=c.id)
        for c in registry.of(Face.WINDOW)
        if c.id != "palette.open"
    ]
    live = context.live
    found += [Entry(plain(n.node.name, 80), tr("node"), page="node", argument=n.node.name) for n in live.nodes]
    found += [
        Entry(
            plain(f"{e.entity.node} / {e.entity.index}   {e.entity.name}", 120),
            tr("card"),
            page="card",
            argument=e.entity.uuid,
        )
        for e in live.entities
        if e.entity.kind is EntityKind.CARD
    ]
    return found


def score(words: str, text: str) -> int | None:
    """How well `text` answers `words`: smaller is better, None when a letter is missing.

    The letters must come in order; those that begin a word or follow each other cost nothing.
    """
    at, cost, text = -1, 0, text.lower()
    for letter in words.lower():
        if letter == " ":
            continue
        found = text.find(letter, at + 1)
        if found < 0:
            return None
        begins = text.find(f" {letter}", at + 1)
        if found != at + 1 and begins >= 0 and found != 0:
            found = begins + 1
        elif found != at + 1:
            cost += 3 + found - at
        at = found
    return cost * 4 + len(text) // 8


class _Painter(QStyledItemDelegate):
    """Title on one side, kind or key on the other, the reason in between."""

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        return QSize(200, ROW_H)

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        t, entry = Theme.now, index.data(_ENTRY)
        rect: QRect = option.rect.adjusted(10, 0, -10, 0)
        painter.save()
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(t.selected))
            painter.drawRoundedRect(option.rect.adjusted(2, 1, -2, -1), 6, 6)
        start = QStyle.visualAlignment(option.direction, Qt.AlignmentFlag.AlignLeft) | Qt.AlignmentFlag.AlignVCenter
        end = QStyle.visualAlignment(option.direction, Qt.AlignmentFlag.AlignRight) | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(t.faint if entry.reason else t.text))
        painter.drawText(rect, int(start), left_to_right(entry.title) if entry.kind else entry.title)
        aside = entry.reason or entry.kind or left_to_right(entry.key)
        painter.setPen(QColor(t.faint))
        painter.drawText(rect, int(end), aside)
        painter.restore()


class Palette(QDialog):
    """Type to find, Enter to do. `chosen` is the entry after `exec`."""

    def __init__(self, parent: QWidget, found: list[Entry]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Command palette"))
        self.resize(640, 460)
        self._entries = found
        self.chosen: Entry | None = None
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(tr("A command, a node or a card"))
        self.edit.setAccessibleName(tr("Find"))
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Found"))
        self.list.setItemDelegate(_Painter(self.list))
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._none = PlainLabel(tr("Nothing is called that."), "quiet")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.setSpacing(8)
        layout.addWidget(self.edit)
        layout.addWidget(self._none)
        layout.addWidget(self.list, 1)
        self.edit.textChanged.connect(self._find)
        self.edit.installEventFilter(self)
        self.list.itemClicked.connect(self._run)
        self._find("")
        self.edit.setFocus()

    def _find(self, words: str) -> None:
        if words.strip():
            ranked = [(s, i) for i, e in enumerate(self._entries) if (s := score(words, e.title)) is not None]
            shown = [self._entries[i] for _, i in sorted(ranked)[:LONGEST]]
        else:
            shown = [e for e in self._entries if e.command]
        self.list.clear()
        for entry in shown:
            item = QListWidgetItem()
            item.setData(_ENTRY, entry)
            said = ", ".join(part for part in (entry.title, entry.kind, entry.key, entry.reason) if part)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, said)
            self.list.addItem(item)
        self._none.setVisible(not shown)
        self.list.setCurrentRow(0)

    def _run(self, item: QListWidgetItem | None) -> None:
        entry = None if item is None else item.data(_ENTRY)
        if entry is not None and not entry.reason:
            self.chosen = entry
            self.accept()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1, Qt.Key.Key_PageDown: 10, Qt.Key.Key_PageUp: -10}
            step = steps.get(Qt.Key(event.key()))
            if step is not None:
                self.list.setCurrentRow(max(0, min(self.list.count() - 1, self.list.currentRow() + step)))
                return True
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
                self._run(self.list.currentItem())
                return True
        return super().eventFilter(watched, event)


class KeysDialog(QDialog):
    """The keys of the present view."""

    def __init__(self, parent: QWidget, commands: list[Command]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Keys"))
        self.resize(720, 640)
        table = TextTable((tr("Key"), tr("Command"), tr("What it does")), tr("Keys"), 2, is_mono=False)
        rows = [[key_text(c), tr(c.title), tr(c.doc)] for c in commands if c.key]
        rows.append([tr("Arrows"), tr("Walk"), tr("From card to card in the map, from row to row in the table.")])
        rows.append(["1 … 9", tr("Colour by"), tr("The metric of that number, on the fleet page.")])
        table.show_rows(rows)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(12)
        layout.addWidget(PlainLabel(tr("Keys of this view"), "heading"))
        layout.addWidget(table)
