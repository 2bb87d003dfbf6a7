"""The filter box: completion, history, errors that point at their column; and the counts by condition."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QEvent, QObject, QSize, QStringListModel, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QCompleter, QHBoxLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from console.fleet.condition import Condition
from console.fleet.query import Query, QueryError, complete, parse
from console.fleet.show import plain
from console.ui.icons import condition_icon
from console.ui.marks import condition_word
from console.ui.text import announce, set_tip, tr
from console.ui.theme import Theme

KEPT = 30
_CHIPS = (Condition.CRITICAL, Condition.WARNING, Condition.NOTICE, Condition.UNKNOWN)
_LEFT_OF_TEXT = 11


class _Fault(QWidget):
    """A pointer under the column that could not be understood, and why."""

    def __init__(self) -> None:
        super().__init__()
        self.setFixedHeight(18)
        self._x = 0
        self._text = ""
        self.hide()

    def show_fault(self, x: int, text: str) -> None:
        """Point at `x` pixels from the left of the box."""
        self._x, self._text = x, text
        self.setVisible(bool(text))
        if text:
            announce(self, text)
        self.update()

    @property
    def text(self) -> str:
        """What is said, "" for nothing."""
        return self._text

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(Theme.now.critical))
        metrics = painter.fontMetrics()
        arrow = "\u25b4 "
        arrow_w = metrics.horizontalAdvance(arrow)
        fits = self._x + arrow_w + metrics.horizontalAdvance(self._text) < self.width()
        text = arrow + self._text if fits else self._text + " \u25b4"
        x = self._x - 3 if fits else max(0, self._x + 6 - metrics.horizontalAdvance(text))
        # The filter language is written from left to right everywhere, and so is what points into it.
        painter.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        painter.drawText(x, 0, self.width() - x, self.height(), int(Qt.AlignmentFlag.AlignVCenter), text)
        painter.end()


class FilterBar(QWidget):
    """A line for the filter language.

    Signals:
        changed: an understood filter: (text, query).
    """

    changed = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.history: list[str] = []
        self._recalled = -1
        self._draft = ""
        self.edit = QLineEdit()
        self.edit.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self.edit.setPlaceholderText(tr("Filter") + ":  node:gpu-r07*  temp>80  ecc>0  is:faulty  user:amal")
        self.edit.setAccessibleName(tr("Filter"))
        self.edit.setClearButtonEnabled(True)
        self.edit.textChanged.connect(self._changed)
        self.edit.textEdited.connect(self._suggest)
        self.edit.installEventFilter(self)
        self._words = QStringListModel()
        completer = QCompleter(self._words, self)
        completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        completer.activated.connect(self._completed)
        completer.setWidget(self.edit)
        self._completer = completer
        self._fault = _Fault()
        self._chips: dict[Condition, QToolButton] = {}
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.edit, 1)
        for condition in _CHIPS:
            line.addWidget(self._make_chip(condition))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 8, 16, 8)
        layout.setSpacing(0)
        layout.addLayout(line)
        layout.addWidget(self._fault)
        self.dress()
        self._tell(0, "")

    def _make_chip(self, condition: Condition) -> QToolButton:
        chip = QToolButton()
        chip.setProperty("chip", True)
        chip.setCheckable(True)
        chip.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        chip.setIconSize(QSize(12, 12))
        word = f"is:{condition.name.lower()}"
        chip.clicked.connect(lambda on: self.set_text(word if on else ""))
        chip.setAccessibleName(condition_word(condition))
        set_tip(chip, tr("Show only these") + f"  ({word})")
        chip.hide()
        self._chips[condition] = chip
        return chip

    @property
    def fault(self) -> str:
        """Why the text in the box is not understood, or ""."""
        return self._fault.text

    def set_text(self, text: str) -> None:
        """Put a filter in, as if it were typed."""
        self.remember()
        self.edit.setText(text)
        self.remember()

    def invert(self) -> None:
        """Show what the filter hides."""
        text = self.edit.text().strip()
        if text.startswith("!(") and text.endswith(")"):
            self.set_text(text[2:-1])
        elif text:
            self.set_text(f"!({text})")

    def remember(self) -> None:
        """Keep the present filter in the history, newest first."""
        text = self.edit.text().strip()
        if text and not self.fault:
            self.history = [text, *(t for t in self.history if t != text)][:KEPT]
        self._recalled = -1

    def show_counts(self, conditions: np.ndarray) -> None:
        """Write how many cards are in each condition."""
        counts = np.bincount(conditions, minlength=5)
        for condition, chip in self._chips.items():
            chip.setText(f"{counts[condition]} {condition_word(condition).lower()}")
            chip.setVisible(bool(counts[condition]) or chip.isChecked())

    def dress(self) -> None:
        """Take over another theme."""
        for condition, chip in self._chips.items():
            chip.setIcon(condition_icon(condition))

    def focus(self) -> None:
        """Put the cursor into the box."""
        self.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.edit.selectAll()

    def _changed(self, text: str) -> None:
        for condition, chip in self._chips.items():
            chip.setChecked(text.strip() == f"is:{condition.name.lower()}")
        try:
            query: Query = parse(text)
        except QueryError as exc:
            self._tell(exc.column, f"{exc} ({tr('column {n}').format(n=exc.column + 1)})")
            return
        self._tell(0, "")
        self.changed.emit(text, query)

    def _suggest(self, text: str) -> None:
        words = complete(text, self.edit.cursorPosition())
        self._words.setStringList(words)
        if words and self.edit.hasFocus():
            self._completer.complete()
        else:
            self._completer.popup().hide()

    def _completed(self, word: str) -> None:
        at = self.edit.cursorPosition()
        text = self.edit.text()
        begin = max(text.rfind(c, 0, at) for c in " ()|!-") + 1
        self.edit.setText(text[:begin] + word + text[at:])
        self.edit.setCursorPosition(begin + len(word))

    def _tell(self, column: int, error: str) -> None:
        if self.edit.property("bad") != bool(error):
            self.edit.setProperty("bad", bool(error))
            self.edit.style().unpolish(self.edit)
            self.edit.style().polish(self.edit)
        before = self.edit.text()[:column]
        self._fault.show_fault(_LEFT_OF_TEXT + self.edit.fontMetrics().horizontalAdvance(before), plain(error, 160))
        set_tip(self.edit, error or tr("Terms side by side must all hold; | is either; ! negates."))

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1}.get(Qt.Key(event.key()))
            if step is not None and not self._completer.popup().isVisible():
                self._recall(step)
                return True
        return super().eventFilter(watched, event)

    def _recall(self, step: int) -> None:
        if self._recalled < 0:
            self._draft = self.edit.text()
        wanted = max(-1, min(len(self.history) - 1, self._recalled + step))
        if wanted != self._recalled:
            self._recalled = wanted
            self.edit.setText(self.history[wanted] if wanted >= 0 else self._draft)
