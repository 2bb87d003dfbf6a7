"""Where to look: a time as people write it, or a console:// link."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from console.ui.text import PlainLabel, tr


class GoDialog(QDialog):
    """One line. `accept_text` says what is wrong with a text, or "" when it was followed.

    Attributes:
        edit: the line.
        error: what is wrong with it.
    """

    def __init__(self, parent: QWidget, accept_text: Callable[[str], str]) -> None:
        super().__init__(parent)
        self._accept_text = accept_text
        self.setWindowTitle(tr("Go to a time"))
        self.setMinimumWidth(480)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(PlainLabel(tr("Go to a time"), "heading"))
        self.edit = QLineEdit()
        self.edit.setAccessibleName(tr("A time or a link"))
        self.edit.setPlaceholderText("03:12")
        layout.addWidget(self.edit)
        examples = tr("03:12, yesterday 03:00, -2h, 2026-11-22T03:12+03:00, a console:// link, or now")
        layout.addWidget(PlainLabel(examples, "quiet").wrapped())
        self.error = PlainLabel("", "error").wrapped()
        self.error.hide()
        layout.addWidget(self.error)
        buttons = QDialogButtonBox()
        buttons.addButton(tr("Go"), QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)
        self.edit.textEdited.connect(lambda _: self.error.hide())
        self.edit.setFocus()

    def accept(self) -> None:
        wrong = self._accept_text(self.edit.text().strip())
        self.error.set_foreign(wrong, 400)
        self.error.setVisible(bool(wrong))
        if not wrong:
            super().accept()
