"""Putting an alarm aside: a reason, and an end."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QLineEdit, QVBoxLayout, QWidget

from console.ui.text import PlainLabel, tr

HOURS = (0.5, 2.0, 8.0, 12.0)


class ShelveDialog(QDialog):
    """Asks why and for how long.

    Attributes:
        why, span: what is typed and chosen; `seconds` of the span.
    """

    def __init__(self, parent: QWidget, signal: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Put aside"))
        self.setMinimumWidth(460)
        head = PlainLabel("", "heading").wrapped()
        head.set_foreign(signal, 200)
        self.why = QLineEdit()
        self.why.setPlaceholderText(tr("Why does nobody need to see it until then?"))
        self.span = QComboBox()
        self.span.addItems([tr("30 minutes"), tr("2 hours"), tr("8 hours"), tr("12 hours")])
        self.span.setCurrentIndex(1)
        form = QFormLayout()
        form.addRow(tr("Reason"), self.why)
        form.addRow(tr("For"), self.span)
        buttons = QDialogButtonBox()
        self.button = buttons.addButton(tr("Put aside"), QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        self.button.setEnabled(False)
        self.why.textChanged.connect(lambda text: self.button.setEnabled(bool(text.strip())))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(head)
        layout.addLayout(form)
        layout.addWidget(buttons)

    @property
    def seconds(self) -> float:
        """For how long."""
        return HOURS[self.span.currentIndex()] * 3600.0
