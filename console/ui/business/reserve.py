"""A reservation: for whom, and by which plan."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox, QDialog, QDialogButtonBox, QFormLayout, QVBoxLayout, QWidget

from console.standing import Standing
from console.ui.text import PlainLabel, tr


class ReserveDialog(QDialog):
    """Asks for tenant and plan.

    Attributes:
        who, by: the boxes; `tenant` and `plan` what is chosen.
    """

    def __init__(self, parent: QWidget, standing: Standing, cards: int, sku: str, when: str) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Reserve cards"))
        self.setMinimumWidth(480)
        head = PlainLabel("", "heading").wrapped()
        head.set_foreign(f"{cards} × {sku}", 120)
        time = PlainLabel("", "quiet").wrapped()
        time.set_foreign(when, 120)
        self.who, self.by = QComboBox(), QComboBox()
        self.who.addItems([t.id for t in standing.tenants])
        self.by.addItems(list(standing.plans))
        form = QFormLayout()
        form.addRow(tr("Tenant"), self.who)
        form.addRow(tr("Plan"), self.by)
        buttons = QDialogButtonBox()
        self.button = buttons.addButton(tr("Reserve"), QDialogButtonBox.ButtonRole.AcceptRole)
        buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.setSpacing(12)
        for part in (head, time):
            layout.addWidget(part)
        layout.addLayout(form)
        layout.addWidget(buttons)

    @property
    def tenant(self) -> str:
        """For whom."""
        return self.who.currentText()

    @property
    def plan(self) -> str:
        """By which plan."""
        return self.by.currentText()
