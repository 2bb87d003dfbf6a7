"""Capacity: how long the cards of each pool last, contracts that end, what earns nothing, and moves that would mend it."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from console.fleet.show import DASH
from console.ledger.times import parse_instant
from console.ui.context import Context
from console.ui.parts import Panel, TextTable
from console.ui.planning import words
from console.ui.planning.wall import ExpiryWall
from console.ui.plots.planned import PoolPlot
from console.ui.text import PlainLabel, tr

TILES = 7


class CapacityView(QWidget):
    """All pools at a glance, one of them over time.

    Attributes:
        found: what is shown, None before the first; moves: what would mend the pool.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.found: dict[str, Any] | None = None
        self.moves: list[dict[str, Any]] = []
        self._is_asked = False
        self._tiles = [(PlainLabel("", "label"), PlainLabel("", "heading")) for _ in range(TILES)]
        self.head = PlainLabel("", "quiet").wrapped()
        self.pools = TextTable(words.titles("pools"), tr("Pools"), 8, is_mono=False)
        self.plot = PoolPlot()
        self.test = PlainLabel("", "quiet").wrapped()
        self.wall = ExpiryWall()
        self.idle = TextTable(words.titles("idle"), tr("What earns nothing"), 1, is_mono=False)
        self.moving = TextTable(words.titles("moves"), tr("Moves that would mend it"), 5, is_mono=False)
        self.copy = QPushButton(tr("Copy the command"))
        self.no_moves = PlainLabel("", "quiet").wrapped()
        self._build()
        self.pools.currentCellChanged.connect(lambda *_: self._show_pool())
        self.moving.currentCellChanged.connect(lambda *_: self._allow())
        self.copy.clicked.connect(self._copy)
        self.wall.pointed.connect(context.pointed.emit)

    def _build(self) -> None:
        tiles = QHBoxLayout()
        tiles.setSpacing(28)
        for title, value in self._tiles:
            column = QVBoxLayout()
            column.setSpacing(2)
            column.addWidget(title)
            column.addWidget(value)
            tiles.addLayout(column)
        tiles.addStretch(1)
        ends, idle, moves = (
            Panel(tr("Contracts that end")),
            Panel(tr("What earns nothing")),
            Panel(tr("Moves that would mend it")),
        )
        ends.body.addWidget(self.wall, 1)
        idle.body.addWidget(self.idle, 1)
        idle.body.addWidget(
            PlainLabel(tr("Stranded: free, and fits no request of the last 30 days."), "faint").wrapped()
        )
        moves.body.addWidget(self.moving, 1)
        moves.body.addWidget(self.no_moves)
        moves.body.addStretch(0)
        moves.body.addWidget(self.copy, 0, Qt.AlignmentFlag.AlignLeft)
        moves.body.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.copy.setAutoDefault(False)
        chart = QWidget()
        column = QVBoxLayout(chart)
        column.setContentsMargins(8, 0, 0, 0)
        column.addWidget(self.plot, 1)
        column.addWidget(self.test)
        upper = _across((self.pools, chart), (880, 380))
        lower = _across((ends, idle, moves), (420, 420, 420))
        down = QSplitter(Qt.Orientation.Vertical)
        down.setChildrenCollapsible(False)
        down.addWidget(upper)
        down.addWidget(lower)
        down.setSizes([360, 260])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 8)
        layout.setSpacing(10)
        layout.addLayout(tiles)
        layout.addWidget(self.head)
        layout.addWidget(down, 1)

    def ask(self) -> None:
        """Read it anew."""
        if self._is_asked:
            return
        self._is_asked = True
        seen = self._context.seen()
        self._context.books.do(
            lambda books: (books.ask("capacity"), books.moves(seen)["moves"]),
            lambda both: self.show_capacity(*both),
            self._failed,
        )

    def _failed(self, why: str) -> None:
        self._is_asked = False
        self.head.set_foreign(why, 400)
        self.head.setVisible(True)

    def show_capacity(self, found: dict[str, Any], moves: list[dict[str, Any]]) -> None:
        """Show what `capacity` and `defragment` told."""
        self._is_asked = False
        self.found, self.moves = found, moves
        self.head.setVisible(False)
        for (title, value), (name, text) in zip(self._tiles, tiles_of(found), strict=True):
            title.setText(name)
            value.set_foreign(text, 60)
        self.pools.show_rows(words.pool_rows(found, self._context.local))
        if self.pools.currentRow() < 0 and found["pools"]:
            self.pools.selectRow(_fullest(found))
        self.wall.show_expiries(found["expiries"], found["at"][:7])
        self.idle.show_rows(words.idle_rows(found))
        self.moving.show_rows(words.move_rows(moves))
        self.moving.setVisible(bool(moves))
        self.copy.setVisible(bool(moves))
        self.no_moves.setVisible(not moves)
        self.no_moves.setText(tr("No move of a movable or idle lease would open room that recent requests could use."))
        if moves and self.moving.currentRow() < 0:
            self.moving.selectRow(0)
        self._show_pool()
        self._allow()

    def _show_pool(self) -> None:
        row = self.pools.currentRow()
        if self.found is None or not 0 <= row < len(self.found["pools"]):
            self.plot.show_pool(None, 0.0)
            return
        pool = self.found["pools"][row]
        self.plot.show_pool(pool, parse_instant(self.found["at"], "at") / 1e6)
        self.test.set_foreign(f"{pool['sku']} {pool['region']}. {words.forecast_text(pool)}", 500)

    def _allow(self) -> None:
        self.copy.setEnabled(0 <= self.moving.currentRow() < len(self.moves))

    def _copy(self) -> None:
        text = self.moves[self.moving.currentRow()]["command"]
        QGuiApplication.clipboard().setText(text)
        self._context.said.emit(tr("Copied: {text}").format(text=text))

    def dress(self) -> None:
        """Take over another theme."""
        self.plot.dress()


def tiles_of(found: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, figure) of the head."""
    pools, scattered = found["pools"], found["fragments"]

    def cards(key: str) -> str:
        return words.count(sum(p[key] for p in pools))

    worst = max((p for p in pools if p["shortage_index"] is not None), key=lambda p: p["shortage_index"], default=None)
    market = DASH if worst is None else f"{worst['shortage_index']:.2f} {words.balance_word(worst['balance'])}"
    wasted = DASH if scattered["wasted"] is None else f"{scattered['wasted'] * 100:.0f} %"
    soon = [p["full_likely"] for p in pools if p["full_likely"]]
    return [
        (tr("Rentable"), cards("rentable")), (tr("Free"), cards("free")), (tr("Queued"), cards("queued")),
        (tr("Worst shortage index"), market), (tr("Scattered"), wasted), (tr("Stranded"), str(scattered["stranded"])),
        (tr("Full within {days} days").format(days=found["days"]), f"{len(soon)} / {len(pools)}"),
    ]  # fmt: skip


def _fullest(found: dict[str, Any]) -> int:
    """The pool to look at first: the one that is full first, else the fullest."""
    pools = found["pools"]
    return min(
        range(len(pools)),
        key=lambda i: (
            pools[i]["full_likely"] or "9",
            pools[i]["free"] / (pools[i]["rentable"] or 1),
            -pools[i]["rentable"],
        ),
    )


def _across(parts: tuple[QWidget, ...], sizes: tuple[int, ...]) -> QSplitter:
    made = QSplitter()
    made.setChildrenCollapsible(False)
    for part in parts:
        made.addWidget(part)
    made.setSizes(list(sizes))
    return made
