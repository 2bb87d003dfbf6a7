"""The quote: cards, time and price, what if, kept and put on paper; and beside it whether to rent or to own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import QRect, Qt, QTimer
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSlider,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from console.ledger.estimates import assumptions
from console.ledger.quotes import VALID_DAYS
from console.standing import Standing
from console.ui.context import Context
from console.ui.parts import Facts, Panel, TextTable
from console.ui.planning import words
from console.ui.planning.owning import OwningPanel
from console.ui.planning.request import number_box, offer
from console.ui.text import PlainLabel, left_to_right, tr
from console.ui.theme import Theme

WAIT_MS = 200
MOST_CARDS, MOST_DAYS = 100_000, 3660
SLIDES = {"cards": 1024, "days": 730, "efficiency": 80, "overhead": 60}
"""Where the sliders end; the boxes beside them go farther where the figure may."""


class CaseBars(QWidget):
    """Low, likely and high as bars of one scale, each with its amount and time."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[str, float, str]] = []
        self.setMinimumHeight(84)
        self.setAccessibleName(tr("What if"))

    def show_cases(self, cases: list[dict[str, Any]], currency: str) -> None:
        """Show the cases of a quote's what-if."""
        names = {"low": tr("low"), "likely": tr("likely"), "high": tr("high")}
        self.rows = [
            (
                names[c["case"]],
                float(c["total"]),
                f"{words.money(c['total'])} {currency}  ·  {float(c['days']):.1f} {tr('days')}",
            )
            for c in cases
        ]
        self.setAccessibleDescription("; ".join(f"{n}: {t}" for n, _, t in self.rows))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        t = Theme.now
        painter = QPainter(self)
        painter.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        most = max((v for _, v, _ in self.rows), default=0.0) or 1.0
        metrics = painter.fontMetrics()
        wide = max((metrics.horizontalAdvance(text) for _, _, text in self.rows), default=0) + 12
        room = max(20, self.width() - 64 - wide)
        for i, (name, value, text) in enumerate(self.rows):
            y = 4 + i * 27
            painter.setPen(QColor(t.quiet))
            painter.drawText(QRect(0, y, 60, 22), Qt.AlignmentFlag.AlignVCenter, name)
            fill = QColor(t.accent)
            fill.setAlphaF(0.85 if i == 1 else 0.4)
            painter.fillRect(QRect(64, y + 5, max(2, int(room * value / most)), 12), fill)
            painter.setPen(QColor(t.text))
            at = QRect(64 + int(room * value / most) + 8, y, wide, 22)
            painter.drawText(at, Qt.AlignmentFlag.AlignVCenter, left_to_right(text))
        painter.end()


class QuoteView(QWidget):
    """One quote.

    Attributes:
        found: what is shown, None before the first.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.found: dict[str, Any] | None = None
        self._asked = 0
        self._quotes: list[dict[str, Any]] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.timeout.connect(self._ask)
        self.boxes = {name: _box(name) for name in SLIDES}
        self.sliders = {name: QSlider(Qt.Orientation.Horizontal) for name in SLIDES}
        self.price, self.currency = QLineEdit("2.35"), QLineEdit("USD")
        self.plan, self.tenant = QComboBox(), QComboBox()
        self.tax, self.deposit, self.valid = QLineEdit(), QLineEdit("0"), number_box(1, 366, VALID_DAYS)
        self.title = QLineEdit()
        self.total = PlainLabel("", "title").selectable().left_to_right()
        self.facts = Facts()
        self.bars = CaseBars()
        self.source = PlainLabel("", "faint").wrapped()
        self.lines = TextTable(words.titles("lines"), tr("Lines"), 0, is_mono=False)
        self.kept = TextTable(words.titles("quotes"), tr("Kept quotes"), 2, is_mono=False)
        self.keep, self.save = QPushButton(tr("Keep the quote")), QPushButton(tr("Save the kept quote as PDF…"))
        self.own = OwningPanel(context)
        self._build()

    def _build(self) -> None:
        likely = {"cards": 200, "days": 60} | {n: int(assumptions()[n]["likely"]) for n in ("efficiency", "overhead")}
        for name, box in self.boxes.items():
            slider = self.sliders[name]
            slider.setRange(box.minimum(), SLIDES[name])
            box.setValue(likely[name])
            slider.setValue(likely[name])
            slider.valueChanged.connect(box.setValue)
            box.valueChanged.connect(lambda value, s=slider: s.setValue(value) if value <= s.maximum() else None)
            box.valueChanged.connect(lambda *_: self._timer.start())
            box.setAccessibleName(field_word(name))
            slider.setAccessibleName(field_word(name))
        for edit in (self.price, self.currency, self.tax, self.deposit):
            edit.textChanged.connect(lambda *_: self._timer.start())
        self.tax.setPlaceholderText(tr("of the plan"))
        for chosen in (self.plan, self.tenant):
            chosen.currentIndexChanged.connect(lambda *_: self._chosen())
        self.valid.valueChanged.connect(lambda *_: self._timer.start())
        self.keep.clicked.connect(self._keep)
        self.save.clicked.connect(self._save)
        self.kept.currentCellChanged.connect(lambda *_: self._allow())
        split = QSplitter()
        split.setChildrenCollapsible(False)
        split.addWidget(self._form())
        split.addWidget(self._result())
        split.setSizes([420, 840])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 8)
        layout.addWidget(split, 1)

    def _form(self) -> QWidget:
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(12)
        asked = Panel(tr("What is asked"))
        form = QFormLayout()
        for name, slider in self.sliders.items():
            row = QHBoxLayout()
            row.addWidget(slider, 1)
            row.addWidget(self.boxes[name])
            form.addRow(field_word(name), row)
        money = QHBoxLayout()
        money.addWidget(self.price, 2)
        money.addWidget(self.currency, 1)
        form.addRow(tr("Price a card-hour"), money)
        for title, field in (
            (tr("or by the plan"), self.plan), (tr("For the tenant"), self.tenant), (tr("Tax, %"), self.tax),
            (tr("Deposit, %"), self.deposit), (tr("Stands for, days"), self.valid), (tr("Title"), self.title),
        ):  # fmt: skip
            form.addRow(title, field)
            field.setAccessibleName(title)
        self.price.setAccessibleName(tr("Price a card-hour"))
        self.currency.setAccessibleName(tr("Currency"))
        asked.body.addLayout(form)
        column.addWidget(asked)
        column.addWidget(self.own)
        column.addStretch(1)
        # A low screen scrolls it.
        scrolled = QScrollArea()
        scrolled.setFrameShape(QScrollArea.Shape.NoFrame)
        scrolled.setWidgetResizable(True)
        scrolled.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scrolled.setWidget(side)
        scrolled.setMinimumWidth(max(400, side.minimumSizeHint().width() + 24))
        return scrolled

    def _result(self) -> QWidget:
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(8, 0, 0, 0)
        column.setSpacing(10)
        made = Panel(tr("Quote"))
        made.body.addWidget(self.total)
        made.body.addWidget(self.facts)
        made.body.addWidget(self.bars)
        made.body.addWidget(self.source)
        buttons = QHBoxLayout()
        for button in (self.keep, self.save):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        buttons.addStretch(1)
        made.body.addLayout(buttons)
        column.addWidget(made)
        column.addWidget(self.lines, 2)
        column.addWidget(self.kept, 1)
        return side

    # What is asked

    def show_standing(self, standing: Standing) -> None:
        """Take over what there is to choose from."""
        offer(self.plan, tr("the price above"), list(standing.plans))
        offer(self.tenant, "–", [t.id for t in standing.tenants])

    def begin(self) -> None:
        """Show what the fields say; called when the view is shown."""
        self._timer.start()
        self._list()

    def _chosen(self) -> None:
        by_price = not self.plan.currentData()
        self.price.setEnabled(by_price)
        self.currency.setEnabled(by_price)
        self._timer.start()

    def values(self) -> dict[str, Any]:
        """The arguments of the command that the fields stand for."""
        plan = self.plan.currentData() or ""
        asked = {
            "cards": self.boxes["cards"].value(), "days": str(self.boxes["days"].value()), "plan": plan,
            "price": "" if plan else self.price.text().strip(),
            "currency": "" if plan else self.currency.text().strip().upper(),
            "tenant": self.tenant.currentData() or "", "tax": self.tax.text().strip(),
            "deposit": self.deposit.text().strip() or "0",
            "valid_days": self.valid.value(), "what_if": True,
        }  # fmt: skip
        for name in ("efficiency", "overhead"):
            asked[name] = band_text(name, self.boxes[name].value())
        return asked

    def _ask(self) -> None:
        self._asked += 1
        number, values = self._asked, self.values()
        self._context.books.do(
            lambda books: books.ask("quote", **values),
            lambda found: self.show_quote(found) if number == self._asked else None,
            lambda why: self._failed(why) if number == self._asked else None,
        )

    # What is answered

    def _failed(self, why: str) -> None:
        self.found = None
        self.total.set_foreign(why, 300)
        self.facts.show_rows([])
        self.bars.show_cases([], "")
        self.lines.show_rows(())
        self._allow()

    def show_quote(self, found: dict[str, Any]) -> None:
        """Show a quote."""
        self.found = found
        money = found["currency"]
        self.total.set_foreign(f"{words.money(found['total'])} {money}", 80)
        rows = [
            (tr("A card-hour, before tax"), f"{found['per_card_hour']} {money}", ""),
            (tr("Card-hours"), words.money(found["card_hours"]), f"{found['cards']} × {found['days']} d"),
            (tr("From"), words.day(found["from"], self._context.local), ""),
            (tr("Until"), words.day(found["to"], self._context.local), ""),
            (tr("Deposit"), f"{words.money(found['deposit'])} {money}", ""),
            (tr("Tax"), f"{words.money(found['tax'])} {money}", ""),
            (tr("Stands until"), words.day(found["valid_until"], self._context.local), ""),
        ]  # fmt: skip
        self.facts.show_rows(rows)
        if "what_if" in found:
            told = found["what_if"]
            self.bars.show_cases(told["cases"], money)
            self.source.set_foreign(
                tr("The same work at other efficiency and with more or less lost to failures; no offer. ")
                + "; ".join(dict.fromkeys((assumptions()["efficiency"]["source"], assumptions()["overhead"]["source"]))), 600,
            )  # fmt: skip
        self.lines.show_rows(words.line_rows(found, self._context.local))
        self.own.rent_is(found["per_card_hour"], money)
        self._allow()

    def _allow(self) -> None:
        self.keep.setEnabled(self.found is not None)
        self.save.setEnabled(0 <= self.kept.currentRow() < len(self._quotes))

    # Kept ones

    def _keep(self) -> None:
        values = self.values() | {"title": self.title.text().strip()}
        self._context.books.do(
            lambda books: books.ask("quote.keep", **values),
            self._is_kept, self._context.desk.failed.emit,
        )  # fmt: skip

    def _is_kept(self, made: dict[str, Any]) -> None:
        self._context.said.emit(tr("Kept: {quote}").format(quote=made["quote"]))
        self._list()

    def _list(self) -> None:
        def show(found: list[dict[str, Any]]) -> None:
            self._quotes = found
            self.kept.show_rows(words.quote_rows(found, self._context.local))
            if found and self.kept.currentRow() < 0:
                self.kept.selectRow(0)
            self._allow()

        if self._context.books.standing is not None:
            self._context.books.do(lambda books: books.ask("quote.list"), show, self._context.said.emit)

    def _save(self) -> None:
        name = self._quotes[self.kept.currentRow()]["quote"]
        path, _ = QFileDialog.getSaveFileName(self.window(), tr("Save the quote"), f"{name}.pdf", "PDF (*.pdf)")
        if path:
            self.save_to(name, Path(path))

    def save_to(self, name: str, path: Path) -> None:
        """Write a kept quote as PDF."""
        self._context.books.do(
            lambda books: books.ask("quote.export", name=name, output=str(path)),
            lambda done: self._context.said.emit(tr("Saved: {path}").format(path=done["written"])),
            self._context.desk.failed.emit,
        )


def _box(name: str) -> QSpinBox:
    suffix = " %" if name in ("efficiency", "overhead") else ""
    return number_box(0 if name == "overhead" else 1, {"cards": MOST_CARDS, "days": MOST_DAYS}.get(name, 95), 1, suffix)


def field_word(name: str) -> str:
    """What a slider is called."""
    return {
        "cards": tr("Cards"), "days": tr("Days"), "efficiency": tr("Efficiency (MFU)"), "overhead": tr("Lost to failures"),
    }[name]  # fmt: skip


def band_text(name: str, likely: int) -> str:
    """low/likely/high around a likely figure, as far apart as the assumptions' are; never of 100 %."""
    row = assumptions()[name]
    low, middle, high = (int(row[k]) for k in ("low", "likely", "high"))
    # In tenths of a percent, so that small figures keep a band.
    tenths = sorted((likely * 10 * low // middle, likely * 10, min(950, likely * 10 * high // middle)))
    if name == "efficiency":
        tenths[0] = max(1, tenths[0])
    return "/".join(f"{t // 10}.{t % 10}" for t in tenths)
