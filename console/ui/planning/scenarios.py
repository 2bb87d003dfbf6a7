"""Scenarios side by side: prices fall, a supplier is late, a tenant leaves."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from console.standing import Standing
from console.ui.context import Context
from console.ui.parts import TextTable
from console.ui.planning import words
from console.ui.planning.request import number_box, offer, titled
from console.ui.plots.planned import RevenuePlot
from console.ui.text import PlainLabel, tr


class ScenariosView(QWidget):
    """What changes, and what comes of it.

    Attributes:
        found: what is shown, None before the first.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.found: dict[str, Any] | None = None
        self.drop, self.days = number_box(0, 100, 20, " %"), number_box(1, 730, 30)
        self.renew, self.months = number_box(0, 100, 0, " %"), number_box(1, 60, 12)
        self.supplier, self.tenant = QComboBox(), QComboBox()
        self.button = QPushButton(tr("Compare"))
        self.head = PlainLabel("", "quiet").wrapped()
        self.table = TextTable(words.titles("scenarios"), tr("Scenarios"), 1, is_mono=False)
        self.currency, self.plot, self._of = QComboBox(), RevenuePlot(), PlainLabel(tr("Revenue by month in"), "label")
        self.currency.setAccessibleName(tr("Revenue by month in"))
        fields = QHBoxLayout()
        fields.setSpacing(12)
        for title, field in (
            (tr("Prices fall by"), self.drop), (tr("A supplier is late"), self.supplier), (tr("by days"), self.days),
            (tr("A tenant leaves"), self.tenant), (tr("Renewed when a lease ends"), self.renew), (tr("Months"), self.months),
        ):  # fmt: skip
            fields.addLayout(titled(title, field))
            field.setAccessibleName(title)
        fields.addLayout(titled("", self.button))
        fields.addStretch(1)
        self.button.setAutoDefault(False)
        self.button.clicked.connect(self.ask)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 8)
        layout.setSpacing(10)
        layout.addLayout(fields)
        layout.addWidget(self.head)
        layout.addWidget(self.table, 3)
        of = QHBoxLayout()
        of.addWidget(self._of)
        of.addWidget(self.currency)
        of.addStretch(1)
        layout.addLayout(of)
        layout.addWidget(self.plot, 2)
        self.currency.currentIndexChanged.connect(lambda *_: self._draw())
        for part in (self._of, self.currency, self.plot):
            part.hide()

    def show_standing(self, standing: Standing) -> None:
        """Take over what there is to choose from."""
        offer(self.tenant, tr("nobody"), [t.id for t in standing.tenants])
        offer(self.supplier, tr("none"), sorted({c["supplier"] for c in standing.cards if c["supplier"]}))

    def ask(self) -> None:
        """Compare."""
        late = [f"{self.supplier.currentData()}={self.days.value()}"] if self.supplier.currentData() else None
        values = {
            "price_drop": str(self.drop.value()), "late": late, "renew": str(self.renew.value()), "months": self.months.value(),
            "leaves": [self.tenant.currentData()] if self.tenant.currentData() else None,
        }  # fmt: skip
        self.button.setEnabled(False)
        self._context.books.do(lambda books: books.ask("compare", **values), self.show_scenarios, self._failed)

    def _failed(self, why: str) -> None:
        self.button.setEnabled(True)
        self.head.set_foreign(why, 400)

    def show_scenarios(self, found: dict[str, Any]) -> None:
        """Show what `compare` told."""
        self.button.setEnabled(True)
        self.found = found
        self.head.setText(tr("What the invoices of whole months to come would be if nothing else changed, before tax."))
        self.table.show_rows(words.scenario_rows(found))
        earned = {t["currency"]: float(t["amount"]) for t in found["scenarios"][0]["totals"]}
        offer(self.currency, "", sorted(earned))
        if not self.currency.currentData() and earned:
            self.currency.setCurrentIndex(self.currency.findData(max(earned, key=lambda c: earned[c])))
        for part in (self._of, self.currency, self.plot):
            part.setVisible(bool(earned))
        self._draw()

    def _draw(self) -> None:
        if self.found is not None:
            self.plot.show_revenue(self.found["scenarios"], self.currency.currentData() or "")

    def dress(self) -> None:
        """Take over another theme."""
        self.plot.dress()
        self._draw()
