"""The business page: what the pool earns today, and the calendar, tenants, pool, usage and invoices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from console.books import Books
from console.fleet.condition import Condition
from console.fleet.show import DASH
from console.ledger import leases
from console.operations.journal import Operation, OpState
from console.standing import PAYING, Standing
from console.ui.acts import ACTS
from console.ui.business import tables
from console.ui.business.calendar import Calendar
from console.ui.business.lines import LinesTable
from console.ui.business.reserve import ReserveDialog
from console.ui.context import Context
from console.ui.dialogs.act import ActDialog
from console.ui.parts import TextTable
from console.ui.text import PlainLabel, ask, tr

MOSTLY = 95
"""Percent of leased time that must be recorded for waste to be said without a word about it."""

VIEWS = ("leases", "tenants", "pool", "usage", "invoices")


class BusinessPage(QWidget):
    """What is sold, to whom, until when, for how much."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._books = context.books
        self._invoice_lines: dict[str, list[list[str]]] = {}
        self._tiles = {name: (PlainLabel("", "label"), PlainLabel("", "heading")) for name in tables.TILES}
        self._head = PlainLabel("", "quiet").wrapped()
        self._chips: dict[str, QToolButton] = {}
        self._stack = QStackedWidget()
        self.calendar = Calendar()
        self.leases = TextTable(tables.titles("leases"), tr("Leases"), 7, is_mono=False)
        self.tenants = TextTable(tables.titles("tenants"), tr("Tenants"), 1, is_mono=False)
        self.cards = TextTable(tables.titles("cards"), tr("Cards of the tenant"), 1, is_mono=False)
        self.pool = TextTable(tables.titles("pool"), tr("Pool"), 0, is_mono=False)
        self.usage = TextTable(tables.titles("usage"), tr("Usage"), 0, is_mono=False)
        self.invoices = TextTable(tables.titles("invoices"), tr("Invoices"), 1, is_mono=False)
        self.lines = LinesTable(tables.titles("lines"), tr("Lines"))
        self.begin = QPushButton(tr("Begin…"))
        self.give_back = QPushButton(tr("Return…"))
        self.cancel = QPushButton(tr("Cancel the lease…"))
        self._build()
        self.calendar.asked.connect(self._reserve)
        self.calendar.chosen.connect(self._show_lease)
        self.calendar.pointed.connect(context.pointed.emit)
        self.begin.clicked.connect(self._begin)
        self.give_back.clicked.connect(self._give_back)
        self.cancel.clicked.connect(self._cancel)
        self.tenants.currentCellChanged.connect(lambda *_: self._show_tenant())
        self.cards.cellDoubleClicked.connect(lambda row, _: self._open_card(row))
        self.leases.currentCellChanged.connect(lambda *_: self._mark_lease())
        self.invoices.currentCellChanged.connect(lambda *_: self._show_invoice())
        self._books.changed.connect(self.refresh)
        context.ticked.connect(self._tick)

    def _build(self) -> None:
        tiles, bar = QHBoxLayout(), QHBoxLayout()
        tiles.setSpacing(28)
        for title, value in self._tiles.values():
            column = QVBoxLayout()
            column.setSpacing(2)
            column.addWidget(title)
            column.addWidget(value)
            tiles.addLayout(column)
        tiles.addStretch(1)
        bar.setSpacing(6)
        group = QButtonGroup(self)
        for name, word in zip(VIEWS, tables.titles("views"), strict=True):
            chip = QToolButton()
            chip.setProperty("chip", True)
            chip.setCheckable(True)
            chip.setText(word)
            chip.clicked.connect(lambda _=False, n=name: self.show_view(n))
            group.addButton(chip)
            self._chips[name] = chip
            bar.addWidget(chip)
        bar.addStretch(1)
        for button in (self.begin, self.give_back, self.cancel):
            button.setAutoDefault(False)
            bar.addWidget(button)
        for parts in ((self.calendar, self.leases), (self.tenants, self.cards), (self.pool,), (self.usage,),
                      (self.invoices, self.lines)):  # fmt: skip
            self._stack.addWidget(_split(parts))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 0)
        layout.setSpacing(10)
        layout.addLayout(tiles)
        layout.addLayout(bar)
        layout.addWidget(self._head)
        layout.addWidget(self._stack, 1)
        self.show_view("leases")

    def show_view(self, name: str) -> None:
        """Show one of VIEWS."""
        self._chips[name].setChecked(True)
        self._stack.setCurrentIndex(VIEWS.index(name))
        for button in (self.begin, self.give_back, self.cancel):
            button.setVisible(name == "leases")

    def open(self, argument: str) -> None:
        """Show a view by its name; a link may name it."""
        if argument in VIEWS:
            self.show_view(argument)

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self._books.look()
        self.refresh()
        self.calendar.setFocus(Qt.FocusReason.OtherFocusReason)

    def _tick(self) -> None:
        if self.isVisible():
            self._show_tenant()

    def refresh(self) -> None:
        """Show the business as it was read last."""
        if not self.isVisible():
            return
        standing = self._books.standing
        self._context.stock_demo()
        self._head.set_foreign(self._heading(standing), 400)
        self._head.setVisible(bool(self._head.text()))
        shown = standing or Standing(0)
        for (title, value), (name, text) in zip(self._tiles.values(), self._figures(shown), strict=True):
            title.setText(name)
            value.set_foreign(text, 80)
        if shown.at:
            indices = {e.entity.uuid: e.entity.index for e in self._context.live.entities}
            zone = UTC if self._context.utc else None
            self.calendar.show_bars(shown.cards, shown.bars, indices, shown.at, zone)
        self.leases.show_rows(tables.lease_rows(shown, self._context.local))
        self.tenants.show_rows(tables.tenant_rows(shown))
        self.pool.show_rows(tables.pool_rows(shown))
        self.usage.show_rows(tables.usage_rows(shown))
        self.invoices.show_rows(tables.invoice_rows(shown, self._context.local))
        if self.tenants.currentRow() < 0 and shown.tenants:
            self.tenants.selectRow(0)
        self._show_tenant()
        self._show_invoice()
        self._mark_lease()

    def _heading(self, standing: Standing | None) -> str:
        if self._books.problem:
            return self._books.problem
        if not self._books.can_write:
            return tr("A recording has no business.")
        if standing is None and self._books.is_read:
            return tr("No ledger was begun. cardkeeper tenant add and cardkeeper pool bind begin one.")
        if standing is not None and not standing.tenants:
            return tr("There is no tenant yet: cardkeeper tenant add")
        if standing is not None and not self._context.timeline.is_live:
            return tr("The business is shown as it is now, not as it was at the moment that other pages show.")
        return ""

    def _figures(self, standing: Standing) -> list[tuple[str, str]]:
        held = {c["uuid"] for c in standing.cards if c["lease"] is not None}
        rows = self._context.rows
        mine = {c["uuid"] for c in standing.cards}
        sick = sum(
            1 for e in self._context.live.entities
            if e.entity.uuid in mine and rows.condition(e.row) in (Condition.CRITICAL, Condition.WARNING)
        )  # fmt: skip
        revenue = ", ".join(f"{money} {currency}" for currency, money, _ in standing.today) or DASH
        # Of what nobody saw there is no waste of 0.00.
        known = [f"{w} {c}" for c, _, w in standing.today if w is not None and standing.seen_percent]
        waste = ", ".join(known) or (tr("unknown") if standing.today else DASH)
        if known and (standing.seen_percent or 0) < MOSTLY:
            waste += f"  ({tr('of {percent} % that was recorded').format(percent=standing.seen_percent)})"
        return [
            (tr("Pool"), str(len(mine))), (tr("Leased"), str(len(held))), (tr("Idle"), str(len(mine) - len(held))),
            (tr("Sick"), str(sick)), (tr("Revenue today"), revenue), (tr("Waste today"), waste),
        ]  # fmt: skip

    # Tenants and invoices

    def _show_tenant(self) -> None:
        standing, row = self._books.standing, self.tenants.currentRow()
        if standing is None or not 0 <= row < len(standing.tenants):
            self.cards.show_rows(())
            return
        self.cards.show_rows(tables.card_rows(self._context.live, standing.tenants[row]))

    def _open_card(self, row: int) -> None:
        standing, tenant = self._books.standing, self.tenants.currentRow()
        if standing is not None and 0 <= tenant < len(standing.tenants):
            leased = standing.tenants[tenant].leased
            if row < len(leased) and self._context.live.entity(leased[row]) is not None:
                self._context.go.emit("card", leased[row])

    def _show_invoice(self) -> None:
        standing, row = self._books.standing, self.invoices.currentRow()
        if standing is None or not 0 <= row < len(standing.invoices):
            self.lines.show_rows(())
            return
        name = standing.invoices[row]["invoice"]
        if name in self._invoice_lines:
            self.lines.show_rows(self._invoice_lines[name])
            return
        self.lines.show_rows(())

        def read(books: Books) -> tuple[str, list[list[str]]]:
            return name, tables.invoice_lines(books.invoice(name))

        def show(found: tuple[str, list[list[str]]]) -> None:
            self._invoice_lines[found[0]] = found[1]
            self._show_invoice()

        self._invoice_lines[name] = []
        self._books.do(read, show, self._context.said.emit)

    # Leases

    def chosen_lease(self) -> leases.Lease | None:
        """The lease of the current row."""
        standing, row = self._books.standing, self.leases.currentRow()
        return None if standing is None or not 0 <= row < len(standing.leases) else standing.leases[row]

    def _show_lease(self, name: str) -> None:
        standing = self._books.standing
        if standing is not None:
            found = [i for i, one in enumerate(standing.leases) if one.id == name]
            if found:
                self.leases.selectRow(found[0])

    def _mark_lease(self) -> None:
        one = self.chosen_lease()
        self.calendar.lease = "" if one is None else one.id
        self.calendar.viewport().update()
        can = () if one is None else leases.NEXT[one.state]
        # A server's leases begin and end on the server, which has their nodes.
        is_live = self._context.timeline.is_live and self._context.desk.can_act and self._books.is_own
        self.cancel.setEnabled(leases.State.CANCELLED in can)
        self.begin.setEnabled(is_live and one is not None and one.state is leases.State.RESERVED)
        self.give_back.setEnabled(is_live and one is not None and one.state in PAYING)

    def _reserve(self, cards: Sequence[str], begin: int, end: int) -> None:
        standing = self._books.standing
        if standing is None or not standing.tenants or not standing.plans:
            self._context.said.emit(
                tr("A reservation needs a tenant and a plan: cardkeeper tenant add, cardkeeper plan add")
            )
            return
        skus = {c["sku"] for c in standing.cards if c["uuid"] in set(cards)}
        if len(skus) != 1:
            self._context.said.emit(
                tr("A lease is of cards of one SKU; these are of {skus}").format(skus=", ".join(sorted(skus)))
            )
            return
        when = f"{self._context.local(begin / 1e6):%Y-%m-%d %H:%M} – {self._context.local(end / 1e6):%Y-%m-%d %H:%M}"
        dialog = ReserveDialog(self.window(), standing, len(cards), next(iter(skus)), when)
        if not dialog.exec():
            return
        tenant, plan, sku = dialog.tenant, dialog.plan, next(iter(skus))
        self._books.do(
            lambda books: books.reserve(tenant, plan, sku, cards, begin, end),
            lambda name: self._context.said.emit(tr("Reserved: {lease}").format(lease=name)), self._refused,
        )  # fmt: skip

    def _cancel(self) -> None:
        one = self.chosen_lease()
        if one is None or not ask(
            self.window(), tr("Cancel the lease"), f"{one.id}: {one.tenant}, {one.cards} × {one.sku}",
            tr("Its cards are free from then on."), tr("Cancel the lease"),
        ):  # fmt: skip
            return
        self._books.do(
            lambda books: books.cancel(one.id, tr("cancelled in the window")),
            lambda _: self._context.said.emit(tr("Cancelled: {lease}").format(lease=one.id)), self._refused,
        )  # fmt: skip

    def _act(self, name: str, title: str, one: leases.Lease, why: str, done: Callable[[Books], object]) -> ActDialog:
        """The act on the nodes that a lease's step needs; the ledger follows only when they confirmed."""
        dialog = ActDialog(self.window(), self._context, ACTS[name], title, list(one.held), why, {})

        def then(operation: Operation) -> None:
            if operation.state is OpState.DONE:
                self._books.do(done, lambda _: None, self._refused)

        dialog.then = then
        return dialog

    def _begin(self) -> None:
        one = self.chosen_lease()
        if one is None:
            return
        dialog = self._act(
            "acts.assign", tr("Begin the lease {lease}").format(lease=one.id), one, f"lease {one.id}",
            lambda books: books.begin(one.id),
        )  # fmt: skip
        dialog.fill("tenant", one.tenant)
        if one.end is not None:
            dialog.fill("until", f"{self._context.local(one.end / 1e6):%Y-%m-%d %H:%M}")
        dialog.exec()

    def _give_back(self) -> None:
        one = self.chosen_lease()
        if one is None:
            return

        self._act(
            "acts.release", tr("Return the lease {lease}").format(lease=one.id), one, f"lease {one.id} ends",
            lambda books: books.give_back(one.id),
        ).exec()  # fmt: skip

    def _refused(self, why: str) -> None:
        self._context.desk.failed.emit(why)

    def state(self) -> str:
        """The view, kept between runs."""
        return VIEWS[self._stack.currentIndex()]

    def restore(self, state: str) -> None:
        """Show the view of the last run."""
        self.open(state)


def _split(parts: Sequence[QWidget]) -> QWidget:
    if len(parts) == 1:
        return parts[0]
    made = QSplitter(Qt.Orientation.Vertical)
    made.setChildrenCollapsible(False)
    for part in parts:
        made.addWidget(part)
    made.setSizes([420, 220])
    return made
