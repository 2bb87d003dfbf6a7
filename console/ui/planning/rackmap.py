"""The rack map of a request: every node of every rack with its cards, what refuses each, and which are chosen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from console.ui.text import left_to_right, set_tip, tr
from console.ui.theme import Theme

SIDE, GAP, ROW, TITLE = 12, 3, 18, 24
LABEL, PAD, LEGEND = 104, 16, 30
STATES = ("chosen", "free", "held", "barred", "unfit")


@dataclass(frozen=True, slots=True)
class Square:
    """A card where it is painted."""

    box: QRect
    node: str
    uuid: str
    state: str
    why: str


def state_word(state: str) -> str:
    """What a state of a card is called."""
    return {
        "chosen": tr("chosen"), "free": tr("free"), "held": tr("leased"),
        "barred": tr("out of service"), "unfit": tr("does not fit"),
    }[state]  # fmt: skip


class RackMap(QAbstractScrollArea):
    """Racks side by side, their nodes below each other.

    Signals:
        pointed: what is under the pointer, in a line.
        picked: a node was clicked.
    """

    pointed = Signal(str)
    picked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes: Sequence[Mapping[str, Any]] = ()
        self._chosen: frozenset[str] = frozenset()
        self._squares: list[Square] = []
        self._titles: list[tuple[QRect, str]] = []
        self._labels: list[tuple[QRect, str]] = []
        self._height = 0
        self.setAccessibleName(tr("Rack map"))
        self.setFrameShape(QAbstractScrollArea.Shape.NoFrame)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_nodes(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Show these nodes, as `answers.told_map` tells them."""
        self._nodes = nodes
        self._lay_out()

    def choose(self, cards: Collection[str]) -> None:
        """Mark these cards as those that would be given."""
        self._chosen = frozenset(cards)
        self._lay_out()

    def squares(self) -> list[Square]:
        """What is painted, for tests."""
        return self._squares

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._lay_out()

    def _lay_out(self) -> None:
        racks: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        for node in self._nodes:
            racks.setdefault((node["region"], node["rack"]), []).append(node)
        most = max((len(n["cards"]) for n in self._nodes), default=1)
        wide = LABEL + min(most, 16) * (SIDE + GAP) + PAD
        columns = max(1, (self.viewport().width() - PAD) // wide)
        heights = [LEGEND] * columns
        self._squares, self._titles, self._labels = [], [], []
        for (region, rack), nodes in racks.items():
            column = heights.index(min(heights))
            x, y = PAD + column * wide, heights[column]
            self._titles.append((QRect(x, y, wide - PAD, TITLE), f"{region}  {rack}".strip()))
            y += TITLE
            for node in nodes:
                y = self._lay_node(node, x, y)
            heights[column] = y + 10
        self._height = max(heights)
        over = self._height - self.viewport().height()
        self.verticalScrollBar().setRange(0, max(0, over))
        self.verticalScrollBar().setPageStep(max(1, self.viewport().height()))
        self.viewport().update()

    def _lay_node(self, node: Mapping[str, Any], x: int, y: int) -> int:
        self._labels.append((QRect(x, y, LABEL - 6, ROW), node["node"]))
        for i, card in enumerate(node["cards"]):
            line, place = divmod(i, 16)
            box = QRect(x + LABEL + place * (SIDE + GAP), y + line * ROW + (ROW - SIDE) // 2, SIDE, SIDE)
            state = "chosen" if card["uuid"] in self._chosen else card["state"]
            self._squares.append(Square(box, node["node"], card["uuid"], state, card["why"]))
        return y + ROW * max(1, -(-len(node["cards"]) // 16))

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        t = Theme.now
        painter = QPainter(self.viewport())
        painter.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        painter.fillRect(self.viewport().rect(), QColor(t.ground))
        painter.translate(0, -self.verticalScrollBar().value())
        shown = event.rect().translated(0, self.verticalScrollBar().value())
        painter.setPen(QColor(t.quiet))
        for box, text in self._titles:
            if box.intersects(shown):
                painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, left_to_right(text))
        painter.setPen(QColor(t.text))
        metrics = painter.fontMetrics()
        for box, text in self._labels:
            if box.intersects(shown):
                cut = metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, box.width())
                painter.drawText(box, Qt.AlignmentFlag.AlignVCenter, left_to_right(cut))
        for square in self._squares:
            if square.box.intersects(shown):
                paint_state(painter, square.box, square.state)
        painter.resetTransform()
        self._paint_legend(painter)
        painter.end()

    def _paint_legend(self, painter: QPainter) -> None:
        t = Theme.now
        painter.fillRect(0, 0, self.viewport().width(), LEGEND - 4, QColor(t.ground))
        x = PAD
        for state in STATES:
            word = state_word(state)
            paint_state(painter, QRect(x, 7, SIDE, SIDE), state)
            painter.setPen(QColor(t.quiet))
            wide = painter.fontMetrics().horizontalAdvance(word)
            painter.drawText(QRect(x + SIDE + 6, 0, wide + 4, LEGEND - 4), Qt.AlignmentFlag.AlignVCenter, word)
            x += SIDE + wide + 26

    # The pointer

    def _at(self, point: QPoint) -> Square | None:
        here = point + QPoint(0, self.verticalScrollBar().value())
        return next((s for s in self._squares if s.box.adjusted(-1, -2, 2, 3).contains(here)), None)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        found = self._at(event.position().toPoint())
        text = "" if found is None else f"{found.node}  {found.uuid}  {found.why or state_word(found.state)}"
        set_tip(self.viewport(), text)
        self.pointed.emit(text)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self._at(event.position().toPoint())
        if found is not None:
            self.picked.emit(found.node)


def paint_state(painter: QPainter, box: QRect, state: str) -> None:
    """A card's square; states differ in shape, not in colour alone."""
    t = Theme.now
    match state:
        case "chosen":
            painter.fillRect(box, QColor(t.accent))
            painter.setPen(QPen(QColor(t.ground), 2))
            painter.drawPolyline(
                [box.topLeft() + QPoint(2, 6), box.topLeft() + QPoint(5, 9), box.topLeft() + QPoint(10, 3)]
            )
        case "free":
            painter.setPen(QPen(QColor(t.accent), 1))
            painter.drawRect(box.adjusted(0, 0, -1, -1))
        case "held":
            painter.fillRect(box, QColor(t.line))
            painter.setPen(QPen(QColor(t.quiet), 1))
            painter.drawRect(box.adjusted(0, 0, -1, -1))
        case "barred":
            painter.setPen(QPen(QColor(t.critical), 1))
            painter.drawRect(box.adjusted(0, 0, -1, -1))
            painter.drawLine(box.topLeft() + QPoint(2, 2), box.bottomRight() - QPoint(2, 2))
            painter.drawLine(box.topRight() + QPoint(-2, 2), box.bottomLeft() + QPoint(2, -2))
        case _:
            painter.fillRect(QRect(box.center() - QPoint(1, 1), box.center() + QPoint(1, 1)), QColor(t.faint))
