"""The request: typed or filled in, with its candidates on the rack map at once, why these, and what would help."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from console.books import Books, Seen
from console.placement.errors import PlacementError
from console.placement.request import DAY_US, Request, Together, parse
from console.placing import moment
from console.standing import Standing
from console.ui.context import Context
from console.ui.parts import Lines, TextTable
from console.ui.planning import words
from console.ui.planning.rackmap import RackMap
from console.ui.text import PlainLabel, set_tip, tr

WAIT_MS = 200
"""Nothing is asked while somebody types faster than this."""
MOST_CARDS, MOST_DAYS = 10_000, 3660


class RequestView(QWidget):
    """One request.

    Attributes:
        found: the answer that is shown, None before the first.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.found: dict[str, Any] | None = None
        self._asked = 0
        self._is_begun = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(WAIT_MS)
        self._timer.timeout.connect(self._ask)
        self.text = QLineEdit()
        self.cards, self.days = number_box(1, MOST_CARDS), number_box(0, MOST_DAYS)
        self.sku, self.together, self.region, self.tenant, self.plan = (QComboBox() for _ in range(5))
        self.head = PlainLabel("", "quiet").wrapped()
        self.candidates = TextTable(words.titles("candidates"), tr("Candidates"), 1, is_mono=False)
        self.effect = PlainLabel("", "quiet").wrapped()
        self.terms = TextTable(words.titles("terms"), tr("Terms of the slot price"), 0, is_mono=False)
        self.notes, self._notes_room = Lines(), QScrollArea()
        self.map = RackMap()
        self.why = QLineEdit()
        self.reserve = QPushButton(tr("Reserve"))
        self._build()
        self.text.textChanged.connect(self._typed)
        self.candidates.currentCellChanged.connect(lambda *_: self._choose())
        self.map.pointed.connect(context.pointed.emit)
        self.map.picked.connect(self._pick)
        self.reserve.clicked.connect(self._reserve)
        self.why.textChanged.connect(lambda: self._allow())

    def _build(self) -> None:
        self.text.setAccessibleName(tr("Request"))
        self.text.setPlaceholderText(tr("8 x h100 80 GB, one node, riyadh-1 or within 20 ms of it, for 60 days"))
        self.days.setSpecialValueText(tr("no end"))
        self.together.addItem(tr("as it comes"), "")
        for one in Together:
            self.together.addItem(together_word(one), str(one))
        fields = QHBoxLayout()
        fields.setSpacing(12)
        for title, field in (
            (tr("Cards"), self.cards), (tr("SKU"), self.sku), (tr("Together on"), self.together), (tr("Region"), self.region),
            (tr("Days"), self.days), (tr("Tenant"), self.tenant), (tr("Plan"), self.plan),
        ):  # fmt: skip
            fields.addLayout(titled(title, field))
            field.setAccessibleName(title)
            signal = field.valueChanged if isinstance(field, QSpinBox) else field.currentIndexChanged
            signal.connect(lambda *_: self._filled())
        fields.addStretch(1)
        self.why.setPlaceholderText(tr("Why not the best one; it is audited"))
        self.why.setAccessibleName(tr("Reason"))
        act = QHBoxLayout()
        act.addWidget(self.why, 1)
        act.addStretch(0)
        act.addWidget(self.reserve)
        self.reserve.setAutoDefault(False)
        left = QWidget()
        column = QVBoxLayout(left)
        column.setContentsMargins(0, 0, 8, 0)
        column.setSpacing(8)
        column.addWidget(self.candidates, 3)
        column.addWidget(self.effect)
        column.addLayout(act)
        column.addWidget(self.terms, 2)
        room = QWidget()
        self._notes_room.setWidget(room)
        down = QVBoxLayout(room)
        down.setContentsMargins(0, 0, 0, 0)
        down.addWidget(self.notes)
        down.addStretch(1)
        self._notes_room.setWidgetResizable(True)
        self._notes_room.setFrameShape(QScrollArea.Shape.NoFrame)
        self._notes_room.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        column.addWidget(self._notes_room, 1)
        split = QSplitter()
        split.setChildrenCollapsible(False)
        split.addWidget(left)
        split.addWidget(self.map)
        split.setSizes([700, 560])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 8)
        layout.setSpacing(10)
        layout.addWidget(self.text)
        layout.addLayout(fields)
        layout.addWidget(self.head)
        layout.addWidget(split, 1)

    # What is asked

    def show_standing(self, standing: Standing) -> None:
        """Take over what there is to choose from."""
        offer(self.sku, tr("any"), sorted({sku for sku, _, _, _ in standing.skus}))
        offer(self.region, tr("any"), sorted({region for _, region, _, _ in standing.skus}))
        offer(self.tenant, "–", [t.id for t in standing.tenants])
        offer(self.plan, "–", list(standing.plans))
        if not self._is_begun and standing.skus:
            self._is_begun = True
            sku = max(standing.skus, key=lambda s: s[2] - s[3])[0]
            if not self.text.text():
                self.text.setText(f"8 x {sku}, one node, for 60 days")

    def _typed(self) -> None:
        request = self._parsed()
        if request is not None:
            self._fill(request)
        self._timer.start()

    def _parsed(self) -> Request | None:
        self.text.setProperty("bad", False)
        try:
            return parse(self.text.text(), moment)
        except (PlacementError, ValueError) as exc:
            self.text.setProperty("bad", bool(self.text.text().strip()))
            self.head.set_foreign(str(exc), 400)
            return None
        finally:
            self.text.style().unpolish(self.text)
            self.text.style().polish(self.text)

    def _fill(self, asked: Request) -> None:
        """The fields follow the text."""
        fields = (self.cards, self.days, self.sku, self.together, self.region, self.tenant, self.plan)
        blocked = [QSignalBlocker(f) for f in fields]
        self.cards.setValue(asked.cards)
        if asked.end is not None and asked.begin is not None:
            self.days.setValue(round((asked.end - asked.begin) / DAY_US))
        else:
            self.days.setValue(0)
        _set(self.sku, asked.skus[0] if len(asked.skus) == 1 else "")
        _set(self.together, "" if asked.together is None else str(asked.together))
        _set(self.region, asked.regions[0] if len(asked.regions) == 1 else "")
        _set(self.tenant, asked.tenant)
        _set(self.plan, asked.plan)
        for one in blocked:
            one.unblock()

    def _filled(self) -> None:
        """The text follows the fields; phrases that no field stands for are kept."""
        together, region = self.together.currentData() or "", self.region.currentData() or ""
        parts = [f"{self.cards.value()} x {self.sku.currentData() or 'any'}"]
        if together:
            parts.append("anywhere" if together == Together.ANYWHERE else f"one {together}")
        if region:
            parts.append(f"in {region}")
        parts += self._others()
        if self.days.value():
            parts.append(f"for {self.days.value()} days")
        parts += [
            f"{name} {box.currentData()}"
            for name, box in (("tenant", self.tenant), ("plan", self.plan))
            if box.currentData()
        ]
        self.text.setText(", ".join(parts))

    def _others(self) -> Iterable[str]:
        """Phrases of the text that no field stands for."""
        mine = ("one ", "in ", "for ", "tenant ", "plan ", "anywhere")
        for phrase in self.text.text().split(",")[1:]:
            text = phrase.strip()
            is_until = text.lower().startswith("until ")
            if text and not text.lower().startswith(mine) and not (is_until and self.days.value()):
                yield text

    def _ask(self) -> None:
        text = self.text.text()
        if self._parsed() is None:
            return
        self._asked += 1
        number, seen = self._asked, self._context.seen()
        self._context.books.do(
            lambda books: books.place(text, seen),
            lambda found: self.show_answer(found) if number == self._asked else None,
            lambda why: self._failed(why) if number == self._asked else None,
        )

    def ask_again(self) -> None:
        """The pool may be another."""
        if self.found is not None:
            self._timer.start()

    # What is answered

    def _failed(self, why: str) -> None:
        self.found = None
        self.head.set_foreign(why, 400)
        for table in (self.candidates, self.terms):
            table.show_rows(())
        self.notes.show_lines(())
        self.map.choose(())
        self._allow()

    def show_answer(self, found: dict[str, Any]) -> None:
        """Show a decision."""
        self.found = found
        chosen = max(0, self.candidates.currentRow())
        self.map.show_nodes(found["map"])
        shown = len(found["candidates"])
        if found["possible"] > shown:
            text = tr("{shown} of {possible} candidates, the best first").format(
                shown=shown, possible=found["possible"]
            )
        elif shown:
            text = tr("Candidates: {n}, the best first").format(n=shown)
        else:
            text = tr("Nothing fits. What would help:")
        self.head.setText(text)
        self.candidates.show_rows(words.candidate_rows(found))
        self.notes.show_lines(words.refusal_lines(found))
        for part in (self.candidates, self.reserve):
            part.setVisible(bool(shown))
        if shown:
            self.candidates.selectRow(min(chosen, shown - 1) if chosen < shown else 0)
        self._choose()

    def candidate(self) -> dict[str, Any] | None:
        """The candidate of the current row."""
        row = self.candidates.currentRow()
        made = self.found["candidates"] if self.found else []
        return made[row] if 0 <= row < len(made) else None

    def _choose(self) -> None:
        one = self.candidate()
        self.map.choose(one["cards"] if one else ())
        self.effect.set_foreign(words.effect_text(self.found, one) if self.found else "", 300)
        rows = words.term_rows(one)
        self.terms.show_rows(rows)
        self.terms.setVisible(bool(rows))
        self._allow()

    def _pick(self, node: str) -> None:
        for i, one in enumerate(self.found["candidates"] if self.found else ()):
            if any(n["node"] == node for n in one["nodes"]):
                self.candidates.selectRow(i)
                return

    def _allow(self) -> None:
        one = self.candidate()
        is_best = one is not None and one["rank"] == 1
        self.why.setVisible(one is not None and not is_best)
        has_who = bool(self.tenant.currentData() and self.plan.currentData())
        self.reserve.setEnabled(one is not None and has_who and (is_best or bool(self.why.text().strip())))
        set_tip(self.reserve, "" if has_who else tr("Choose a tenant and a plan first"))

    def _reserve(self) -> None:
        one = self.candidate()
        if one is None:
            return
        text, cards, why, seen = self.text.text(), list(one["cards"]), self.why.text().strip(), self._context.seen()
        reason = "" if one["rank"] == 1 else why
        self._context.books.do(_take(text, cards, reason, seen), self._reserved, self._context.desk.failed.emit)

    def _reserved(self, lease: str) -> None:
        self._context.said.emit(tr("Reserved: {lease}").format(lease=lease))
        self.why.clear()
        self._ask()


def _take(text: str, cards: list[str], why: str, seen: Seen) -> Callable[[Books], str]:
    return lambda books: books.take(text, cards, why, seen)


def together_word(one: Together) -> str:
    """What cards share, in a word."""
    return {
        Together.NODE: tr("one node"), Together.ISLAND: tr("one island"), Together.RAIL: tr("one rail"),
        Together.RACK: tr("one rack"), Together.REGION: tr("one region"), Together.ANYWHERE: tr("anywhere"),
    }[one]  # fmt: skip


def number_box(low: int, high: int, value: int = 0, suffix: str = "") -> QSpinBox:
    """A box for a whole number, changed by keys and wheel."""
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(suffix)
    box.setMinimumWidth(76)
    box.lineEdit().setTextMargins(6, 0, 6, 0)
    return box


def titled(title: str, field: QWidget) -> QVBoxLayout:
    """A field under its title."""
    column = QVBoxLayout()
    column.setSpacing(2)
    column.addWidget(PlainLabel(title, "label"))
    column.addWidget(field)
    return column


def offer(box: QComboBox, none: str, names: list[str]) -> None:
    """Offer these names and none of them, keeping what is chosen."""
    if [box.itemData(i) for i in range(1, box.count())] == names and box.count():
        return
    chosen, blocked = box.currentData(), QSignalBlocker(box)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
    box.clear()
    box.addItem(none, "")
    for name in names:
        box.addItem(name, name)
    _set(box, chosen or "")
    blocked.unblock()


def _set(box: QComboBox, data: str) -> None:
    """Choose by data; a name that is not offered, as "h100" for a SKU that has it in its name, is offered from then on."""
    at = box.findData(data)
    if at < 0 and data:
        box.addItem(data, data)
        at = box.count() - 1
    box.setCurrentIndex(max(0, at))
