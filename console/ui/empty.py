"""What stands where there is nothing to show: what will be shown here, and how to begin."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from console.ui.text import PlainLabel
from console.ui.theme import mono

TEXT_W = 560


class Empty(QWidget):
    """A heading, a text, a line to copy, and buttons."""

    def __init__(self) -> None:
        super().__init__()
        self._title = PlainLabel("", "heading")
        self._text = PlainLabel("", "quiet")
        self._text.setWordWrap(True)
        self._text.setFixedWidth(TEXT_W)
        self._line = PlainLabel().selectable().left_to_right()
        self._line.setFont(mono(12))
        self._buttons = QHBoxLayout()
        self._buttons.setSpacing(8)
        layout = QVBoxLayout(self)
        layout.setSpacing(8)
        layout.addStretch(2)
        for label in (self._title, self._text, self._line):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            layout.addWidget(label, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addSpacing(8)
        holder = QWidget()
        holder.setLayout(self._buttons)
        layout.addWidget(holder, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        self._shown: tuple[object, ...] = ()

    def show_text(
        self, title: str, text: str, line: str = "", actions: Sequence[tuple[str, Callable[[], object]]] = ()
    ) -> None:
        """Show this; the same again changes nothing."""
        shown = (title, text, line, *(name for name, _ in actions))
        if shown == self._shown:
            return
        self._shown = shown
        self._title.set_foreign(title)
        self._text.set_foreign(text, 600)
        self._line.set_foreign(line)
        self._line.setVisible(bool(line))
        while (item := self._buttons.takeAt(0)) is not None:
            item.widget().hide()
            item.widget().hide()
            item.widget().deleteLater()
        for name, act in actions:
            button = QPushButton(name)
            button.clicked.connect(lambda _=False, a=act: a())
            self._buttons.addWidget(button)
