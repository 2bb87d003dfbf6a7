"""The command palette, and the list of keys."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from console.registry import Command
from console.ui.parts import TextTable
from console.ui.text import PlainLabel, tr


def score(words: str, text: str) -> int | None:
    """How well `text` answers `words`: smaller is better, None when a letter is missing. Letters must come in order."""
    at, gaps, text = -1, 0, text.lower()
    for letter in words.lower():
        if letter == " ":
            continue
        found = text.find(letter, at + 1)
        if found < 0:
            return None
        gaps += found - at - 1
        at = found
    return gaps + len(text) // 8


class Palette(QDialog):
    """Type to find a command, Enter to run it. `chosen` is its id after `exec`."""

    def __init__(self, parent: QWidget, commands: list[Command], reasons: dict[str, str]) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Command palette"))
        self.resize(560, 420)
        self._commands = commands
        self._reasons = reasons
        self.chosen = ""
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(tr("Type a command"))
        self.edit.setAccessibleName(tr("Command"))
        self.list = QListWidget()
        self.list.setAccessibleName(tr("Commands"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 12, 12, 12)
        layout.addWidget(self.edit)
        layout.addWidget(self.list)
        self.edit.textChanged.connect(self._find)
        self.edit.installEventFilter(self)
        self.list.itemActivated.connect(self._run)
        self._find("")
        self.edit.setFocus()

    def _find(self, words: str) -> None:
        ranked = [(s, i, c) for i, c in enumerate(self._commands) if (s := score(words, tr(c.title))) is not None]
        self.list.clear()
        for _, _, command in sorted(ranked, key=lambda r: (r[0] if words else 0, r[1])):
            reason = self._reasons.get(command.id, "")
            key = f"    {command.key}" if command.key else ""
            item = QListWidgetItem(tr(command.title) + key + (f"    ({reason})" if reason else ""))
            item.setData(Qt.ItemDataRole.UserRole, command.id)
            if reason:
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
            self.list.addItem(item)
        self.list.setCurrentRow(0)

    def _run(self, item: QListWidgetItem | None) -> None:
        if item is not None and item.flags() & Qt.ItemFlag.ItemIsEnabled:
            self.chosen = str(item.data(Qt.ItemDataRole.UserRole))
            self.accept()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            if event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
                step = 1 if event.key() == Qt.Key.Key_Down else -1
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
        self.resize(640, 560)
        table = TextTable((tr("Key"), tr("Command"), tr("What it does")), tr("Keys"), 2)
        table.show_rows([c.key, tr(c.title), tr(c.doc)] for c in commands if c.key)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.addWidget(PlainLabel(tr("Keys of this view"), "heading"))
        layout.addWidget(table)
