"""Whether to rent or to own: what an hour costs either way, and above which utilisation owning is cheaper."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QRect, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QFormLayout, QLineEdit, QSlider, QWidget

from console.ledger.estimates import assumptions
from console.ui.context import Context
from console.ui.parts import Panel
from console.ui.text import PlainLabel, tr
from console.ui.theme import Theme

WAIT_MS = 200


class EvenBar(QWidget):
    """The calendar's utilisation from 0 to 100 %, the break-even on it, and where one stands."""

    def __init__(self) -> None:
        super().__init__()
        self.even: float | None = None
        self.used = 0
        self.setFixedHeight(22)

    def show_even(self, even: float | None, used: int) -> None:
        """Show a break-even in percent, None for never."""
        self.even, self.used = even, used
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        t = Theme.now
        painter = QPainter(self)
        wide = self.width() - 2
        painter.fillRect(QRect(0, 8, wide, 6), QColor(t.line))
        if self.even is not None and self.even < 100:
            at = int(wide * self.even / 100)
            painter.fillRect(QRect(at, 8, wide - at, 6), QColor(t.accent))
        painter.setPen(QPen(QColor(t.text), 2))
        x = int(wide * self.used / 100)
        painter.drawLine(x, 2, x, 20)
        painter.end()


class OwningPanel(Panel):
    """The comparison; its rent follows the quote's price."""

    def __init__(self, context: Context) -> None:
        super().__init__(tr("Rent or own"))
        self._context = context
        self._rent, self._currency = "", ""
        self._asked = 0
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.timeout.connect(self._ask)
        self.fields = {
            "capex": QLineEdit("35000"), "life_months": QLineEdit("48"), "watts": QLineEdit("1275"), "power": QLineEdit("0.09"),
            "pue": QLineEdit(assumptions()["pue"]["likely"]), "yearly": QLineEdit("0"), "residual": QLineEdit("0"),
        }  # fmt: skip
        self.used = QSlider(Qt.Orientation.Horizontal)
        self.used.setRange(1, 100)
        self.used.setValue(70)
        self.used.setAccessibleName(tr("Utilisation"))
        self.bar = EvenBar()
        self.answer = PlainLabel("").wrapped()
        form = QFormLayout()
        titles = {
            "capex": tr("A card with its server"), "life_months": tr("Months of life"), "watts": tr("Watts a card"),
            "power": tr("A kWh"), "pue": tr("PUE"), "yearly": tr("Staff and hosting a year"),
            "residual": tr("Left in the end, %"),
        }  # fmt: skip
        for name, edit in self.fields.items():
            form.addRow(titles[name], edit)
            edit.setAccessibleName(titles[name])
            edit.textChanged.connect(lambda *_: self._timer.start())
        form.addRow(tr("Utilisation"), self.used)
        self.used.valueChanged.connect(lambda *_: self._timer.start())
        self.body.addLayout(form)
        self.body.addWidget(self.bar)
        self.body.addWidget(self.answer)

    def rent_is(self, price: str, currency: str) -> None:
        """Compare with another rent a card-hour."""
        if (price, currency) != (self._rent, self._currency):
            self._rent, self._currency = price, currency
            self._timer.start()

    def _ask(self) -> None:
        if not self._rent:
            return
        self._asked += 1
        number = self._asked
        values: dict[str, Any] = {n: e.text().strip() or "0" for n, e in self.fields.items()}
        months = values.pop("life_months")
        if not months.isdecimal():
            self._failed(tr("Months of life is a whole number"))
            return
        values |= {
            "life_months": int(months), "rent": self._rent, "currency": self._currency,
            "utilisation": str(self.used.value()),
        }  # fmt: skip
        self._context.books.do(
            lambda books: books.ask("rent-or-own", **values),
            lambda found: self.show_answer(found) if number == self._asked else None,
            lambda why: self._failed(why) if number == self._asked else None,
        )

    def _failed(self, why: str) -> None:
        self.answer.set_foreign(why, 300)
        self.bar.show_even(None, self.used.value())

    def show_answer(self, found: dict[str, Any]) -> None:
        """Show a comparison."""
        even = found["break_even_percent"]
        self.bar.show_even(None if even is None else float(even), self.used.value())
        money = found["currency"]
        hours = tr("An hour of use at {used} %: owned {own}, rented {rent} {money}.").format(
            used=self.used.value(), own=f"{float(found['own_per_used_hour']):.3f}",
            rent=f"{float(found['rent_per_used_hour']):.3f}", money=money,
        )  # fmt: skip
        if found["owning_ever_pays"]:
            text = tr("Owning is cheaper above {even} % of the calendar.").format(even=f"{float(even):.1f}")
        else:
            text = tr("Owning is never cheaper at this rent.")
        if found["payback_months"] is not None:
            text += " " + tr("Paid back in {months} months.").format(months=f"{float(found['payback_months']):.0f}")
        self.answer.set_foreign(f"{hours} {text}", 400)
