"""The filter box with its errors, and the counts by condition that filter when they are clicked."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QStringListModel, Qt, Signal
from PySide6.QtWidgets import QCompleter, QHBoxLayout, QLineEdit, QToolButton, QWidget

from console.fleet.condition import Condition
from console.fleet.query import Query, QueryError, complete, parse
from console.ui.marks import condition_word
from console.ui.text import PlainLabel, set_tip, tr

_CHIPS = (Condition.CRITICAL, Condition.WARNING, Condition.NOTICE, Condition.UNKNOWN)


class FilterBar(QWidget):
    """A line for the filter language.

    Signals:
        changed: an understood filter: (text, query).
    """

    changed = Signal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("bar")
        self.edit = QLineEdit()
        self.edit.setPlaceholderText(tr("Filter: node:gpu-r07* temp>80 ecc>0 is:faulty user:amal"))
        self.edit.setAccessibleName(tr("Filter"))
        self.edit.setClearButtonEnabled(True)
        self.edit.textEdited.connect(self._edited)
        self._words = QStringListModel()
        completer = QCompleter(self._words, self)
        completer.setCompletionMode(QCompleter.CompletionMode.UnfilteredPopupCompletion)
        completer.activated.connect(self._completed)
        completer.setWidget(self.edit)
        self._completer = completer
        self._error = PlainLabel("", "critical")
        self._error.hide()
        self._chips: dict[Condition, QToolButton] = {}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 8, 16, 8)
        layout.setSpacing(8)
        layout.addWidget(self.edit, 1)
        layout.addWidget(self._error)
        for condition in _CHIPS:
            chip = QToolButton()
            chip.setProperty("chip", True)
            chip.setCheckable(True)
            word = f"is:{condition.name.lower()}"
            chip.clicked.connect(lambda on, w=word: self.set_text(w if on else ""))
            chip.setAccessibleName(condition_word(condition))
            self._chips[condition] = chip
            layout.addWidget(chip)

    def set_text(self, text: str) -> None:
        """Put a filter in, as if it were typed."""
        self.edit.setText(text)
        self._edited(text)

    def show_counts(self, conditions: np.ndarray) -> None:
        """Write how many cards are in each condition."""
        counts = np.bincount(conditions, minlength=5)
        for condition, chip in self._chips.items():
            chip.setText(f"{counts[condition]} {condition_word(condition).lower()}")
            chip.setVisible(bool(counts[condition]) or chip.isChecked())

    def _edited(self, text: str) -> None:
        for condition, chip in self._chips.items():
            chip.setChecked(text.strip() == f"is:{condition.name.lower()}")
        words = complete(text, self.edit.cursorPosition())
        self._words.setStringList(words)
        if words and self.edit.hasFocus():
            self._completer.complete()
        else:
            self._completer.popup().hide()
        try:
            query: Query = parse(text)
        except QueryError as exc:
            self._tell(f"{exc} ({tr('column')} {exc.column + 1})")
            return
        self._tell("")
        self.changed.emit(text, query)

    def _completed(self, word: str) -> None:
        at = self.edit.cursorPosition()
        text = self.edit.text()
        begin = max(text.rfind(c, 0, at) for c in " ()|!-") + 1
        self.edit.setText(text[:begin] + word + text[at:])
        self.edit.setCursorPosition(begin + len(word))
        self._edited(self.edit.text())

    def _tell(self, error: str) -> None:
        self.edit.setProperty("bad", bool(error))
        self.edit.style().unpolish(self.edit)
        self.edit.style().polish(self.edit)
        self._error.set_foreign(error, 120)
        self._error.setVisible(bool(error))
        set_tip(self.edit, error or tr("Terms side by side must all hold; | is either; ! negates."))

    def focus(self) -> None:
        """Put the cursor into the box."""
        self.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.edit.selectAll()
