"""The heat map: one cell a card, painted from a lookup table over a map of cell numbers, in one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QHelpEvent,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPolygonF,
    QResizeEvent,
)
from PySide6.QtWidgets import QStyle, QWidget

from console.fleet.condition import Condition
from console.fleet.show import plain
from console.ui.fleet.grid import Cell, Grid, Label, beside, lay_out
from console.ui.marks import draw_condition
from console.ui.text import announce, left_to_right, show_tip, tr
from console.ui.theme import RAMP_STEPS, Theme, ramp

SPOKEN = 30
"""Cells at least this large have their value written in them."""
_HATCH = 5
_EMPTY = Grid(SPOKEN, np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32), (), (), 0)

Bools = npt.NDArray[np.bool_]


class HeatMap(QWidget):
    """Cells in groups. `set_cells` gives the layout, `set_values` the colours.

    Signals:
        picked: a cell got the cursor: its row.
        opened: a cell was entered: its row.
        hovered: the pointer is over a cell: its row, or -1.
    """

    picked = Signal(int)
    opened = Signal(int)
    hovered = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName(tr("Heat map of cards"))
        self._cells: list[Cell] = []
        self._grid = _EMPTY
        self._map: npt.NDArray[np.intp] = np.zeros((0, 0), dtype=np.intp)
        self._pixels: npt.NDArray[np.uint32] = np.zeros((0, 0), dtype=np.uint32)
        self._shares: npt.NDArray[np.float64] = np.zeros(0)
        self._unknown: Bools = np.zeros(0, dtype=bool)
        self._conditions: npt.NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self._marked: Bools = np.zeros(0, dtype=bool)
        self._out: Bools = np.zeros(0, dtype=bool)
        self._given: Bools = np.zeros(0, dtype=bool)
        self._texts: Sequence[str] = ()
        self._describe: Callable[[int], str] = lambda _row: ""
        self._at = -1
        self._selected = -1
        self._hovered = -1

    @property
    def is_spoken(self) -> bool:
        """Whether cells are large enough for `texts`."""
        return self._grid.size >= SPOKEN

    @property
    def grid(self) -> Grid:
        """The layout in force."""
        return self._grid

    @property
    def at(self) -> int:
        """The row under the cursor, -1 where there is none."""
        return self._cells[self._at].row if 0 <= self._at < len(self._cells) else -1

    def rows(self) -> list[int]:
        """The rows shown, in the order of the cells."""
        return [c.row for c in self._cells]

    def set_cells(self, cells: list[Cell]) -> None:
        """Lay out these cells, already in order of group, node and place."""
        row, selected = self.at, self._selected
        place = {c.row: i for i, c in enumerate(cells)}
        self._selected = place.get(self._cells[selected].row, -1) if 0 <= selected < len(self._cells) else -1
        self._cells, self._at, self._hovered = cells, place.get(row, -1), -1
        self._lay_out()

    def set_values(
        self,
        shares: npt.NDArray[np.float64],
        unknown: Bools,
        conditions: npt.NDArray[np.uint8],
        marked: Bools,
        texts: Sequence[str],
        describe: Callable[[int], str],
        out: Bools | None = None,
        given: Bools | None = None,
    ) -> None:
        """Colours by cell: share 0 to 1 of the ramp, hatched where unknown, shapes where not well.

        `texts` are written into cells that are large enough (may be empty); `describe` gives the tool tip of a row
        when it is asked for. `out`: a bar goes through the cell of a card out of service; `given`: a small mark at
        the foot of an assigned one.
        """
        self._shares, self._unknown, self._conditions, self._marked = shares, unknown, conditions, marked
        self._texts, self._describe = texts, describe
        none = np.zeros(len(marked), dtype=bool)
        self._out, self._given = none if out is None else out, none if given is None else given
        self._paint_pixels()
        self.update()

    def focus_row(self, row: int) -> None:
        """Show the cell of a row as selected; -1 selects none and leaves the cursor where it is."""
        self._selected = next((i for i, c in enumerate(self._cells) if c.row == row), -1) if row >= 0 else -1
        if self._selected >= 0:
            self._at = self._selected
        self.update()

    # Layout

    def _lay_out(self) -> None:
        parent = self.parentWidget()
        height = parent.height() if parent is not None else self.height()
        self._grid = lay_out(self._cells, max(320, self.width()), max(120, height), self._group_w())
        if self.minimumHeight() != self._grid.bottom:
            self.setMinimumHeight(self._grid.bottom)
        width = int(self._grid.left.max()) + self._grid.size + 1 if len(self._cells) else 0
        # Twice the cell's number, plus one on the lines of the hatch; the last number is the ground.
        numbers = np.full((self._grid.bottom, width), len(self._cells), dtype=np.intp)
        size = self._grid.size
        for number, (x, y) in enumerate(zip(self._grid.left.tolist(), self._grid.top.tolist(), strict=True)):
            numbers[y : y + size, x : x + size] = number
        lines, columns = np.ogrid[: numbers.shape[0], : numbers.shape[1]]
        self._map = 2 * numbers + ((lines + columns) % _HATCH == 0)
        self._pixels = np.empty(self._map.shape, dtype=np.uint32)
        self._paint_pixels()
        self.update()

    def _group_w(self) -> int:
        font = self.font()
        font.setPixelSize(11)
        advance = QFontMetrics(font).horizontalAdvance
        longest = max((advance(g) for g in {c.group for c in self._cells}), default=0)
        return max(84, min(200, longest + 20))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()

    def _is_mirrored(self) -> bool:
        return self.layoutDirection() == Qt.LayoutDirection.RightToLeft

    def _box(self, x: int, y: int, width: int, height: int) -> QRect:
        return QRect(self.width() - x - width if self._is_mirrored() else x, y, width, height)

    def _cell_box(self, number: int) -> QRect:
        size = self._grid.size
        return self._box(int(self._grid.left[number]), int(self._grid.top[number]), size, size)

    # Painting

    def _fills(self) -> npt.NDArray[np.uint32]:
        steps = np.asarray(ramp(Theme.now), dtype=np.uint32)
        shares = np.nan_to_num(np.clip(self._shares, 0.0, 1.0))
        fills: npt.NDArray[np.uint32] = steps[np.rint(shares * (RAMP_STEPS - 1)).astype(np.intp)]
        return fills

    def _paint_pixels(self) -> None:
        if len(self._shares) != len(self._cells) or not len(self._cells):
            return
        t = Theme.now
        ground, line = np.uint32(QColor(t.ground).rgba()), np.uint32(QColor(t.faint).rgba())
        fills = self._fills()
        table = np.full(2 * len(fills) + 2, ground, dtype=np.uint32)
        table[:-2:2] = np.where(self._unknown, ground, fills)
        table[1:-2:2] = np.where(self._unknown, line, fills)
        # Without clip, take() buffers its output: twice the cost.
        np.take(table, self._map, out=self._pixels, mode="clip")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(event.rect(), QColor(Theme.now.ground))
        if len(self._cells) and len(self._shares) == len(self._cells):
            height, width = self._pixels.shape
            picture = QImage(self._pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)
            if self._is_mirrored():
                picture = picture.flipped(Qt.Orientation.Horizontal)
            painter.drawImage(self._box(0, 0, width, height).topLeft(), picture)
            self._draw_texts(painter, event.rect())
            self._draw_marks(painter, event.rect())
            self._draw_edges(painter)
        self._draw_labels(painter)
        painter.end()

    def _draw_labels(self, painter: QPainter) -> None:
        t, height = Theme.now, max(14, self._grid.size)
        self._small(painter, 11)
        for label in self._grid.groups:
            painter.setPen(QColor(t.text))
            is_tall = self._grid.size >= 27
            box = self._box(label.x, label.y, label.width, height // 2 if is_tall else height)
            bottom = Qt.AlignmentFlag.AlignBottom if is_tall else Qt.AlignmentFlag.AlignVCenter
            self._draw_label(painter, box, label, bottom)
            if is_tall:
                painter.setPen(QColor(t.faint))
                under = self._box(label.x, label.y + height // 2, label.width, height // 2)
                painter.drawText(under, self._start() | int(Qt.AlignmentFlag.AlignTop), tr("%n cards", label.count))
        painter.setPen(QColor(t.quiet))
        for label in self._grid.nodes:
            box = self._box(label.x, label.y, label.width, 14)
            self._draw_label(painter, box, label, Qt.AlignmentFlag.AlignVCenter)

    def _draw_label(self, painter: QPainter, box: QRect, label: Label, line: Qt.AlignmentFlag) -> None:
        elided = painter.fontMetrics().elidedText(plain(label.text), Qt.TextElideMode.ElideMiddle, box.width())
        painter.drawText(box, self._start() | int(line), left_to_right(elided))

    def _start(self) -> int:
        return int(QStyle.visualAlignment(self.layoutDirection(), Qt.AlignmentFlag.AlignLeft))

    @staticmethod
    def _small(painter: QPainter, side: int) -> None:
        font = painter.font()
        font.setPixelSize(side)
        painter.setFont(font)

    def _draw_texts(self, painter: QPainter, part: QRect) -> None:
        if not self.is_spoken or len(self._texts) != len(self._cells):
            return
        self._small(painter, 11 if self._grid.size >= 36 else 10)
        dark, bright = QColor("#10151a"), QColor("#ffffff")
        fills = self._fills()
        light = (0.2126 * (fills >> 16 & 255) + 0.7152 * (fills >> 8 & 255) + 0.0722 * (fills & 255)) > 118
        for number in np.flatnonzero(~self._unknown).tolist():
            box = self._cell_box(number)
            if box.intersects(part):
                is_marked = self._conditions[number] > Condition.UNKNOWN
                below = Qt.AlignmentFlag.AlignBottom if is_marked else Qt.AlignmentFlag.AlignVCenter
                painter.setPen(dark if light[number] else bright)
                place = box.adjusted(0, 0, 0, -2) if is_marked else box
                painter.drawText(place, int(Qt.AlignmentFlag.AlignHCenter | below), self._texts[number])

    def _draw_marks(self, painter: QPainter, part: QRect) -> None:
        for number in np.flatnonzero(self._conditions > Condition.UNKNOWN):
            cell = QRectF(self._cell_box(int(number)))
            if not cell.intersects(QRectF(part)):
                continue
            is_written = self.is_spoken and not self._unknown[number]
            side = self._grid.size * (0.46 if is_written else 0.62)
            box = QRectF(0, 0, side, side)
            box.moveCenter(cell.center())
            if is_written:
                box.moveTop(cell.top() + 3)
            draw_condition(painter, Condition(int(self._conditions[number])), box)
        if self._marked.any() and len(self._marked) == len(self._cells):
            self._draw_corners(painter)
        if len(self._out) == len(self._cells):
            self._draw_books(painter)

    def _draw_books(self, painter: QPainter) -> None:
        """A bar through what is out of service, a foot under what is assigned."""
        t, thick = Theme.now, max(2.0, self._grid.size * 0.1)
        for number in np.flatnonzero(self._out):
            box = QRectF(self._cell_box(int(number)))
            bar = QRectF(box.left(), box.center().y() - thick / 2, box.width(), thick)
            painter.fillRect(bar.adjusted(0, -1, 0, 1), QColor(t.ground))
            painter.fillRect(bar, QColor(t.text))
        for number in np.flatnonzero(self._given):
            box = QRectF(self._cell_box(int(number)))
            foot = QRectF(box.left() + box.width() * 0.25, box.bottom() - thick - 1, box.width() * 0.5, thick)
            painter.fillRect(foot.adjusted(-1, -1, 1, 1), QColor(t.ground))
            painter.fillRect(foot, QColor(t.accent))

    def _draw_corners(self, painter: QPainter) -> None:
        side = max(4.0, self._grid.size * 0.3)
        painter.setPen(QPen(QColor(Theme.now.ground), 1.0))
        painter.setBrush(QColor(Theme.now.text))
        for number in np.flatnonzero(self._marked):
            corner = QRectF(self._cell_box(int(number))).topRight()
            points = (corner.x() - side, corner.y()), (corner.x(), corner.y()), (corner.x(), corner.y() + side)
            polygon = QPolygonF()
            for x, y in points:
                polygon.append(QRectF(x, y, 0, 0).topLeft())
            painter.drawPolygon(polygon)

    def _draw_edges(self, painter: QPainter) -> None:
        t = Theme.now
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if 0 <= self._hovered < len(self._cells):
            painter.setPen(QPen(QColor(t.text), 1.0))
            painter.drawRect(self._cell_box(self._hovered).adjusted(0, 0, -1, -1))
        if 0 <= self._at < len(self._cells) and self._at != self._selected and self.hasFocus():
            painter.setPen(QPen(QColor(t.text), 1.0, Qt.PenStyle.DashLine))
            painter.drawRect(self._cell_box(self._at).adjusted(-2, -2, 1, 1))
        if 0 <= self._selected < len(self._cells):
            box = self._cell_box(self._selected)
            painter.setPen(QPen(QColor(t.ground), 2.0))
            painter.drawRect(box.adjusted(0, 0, 0, 0))
            painter.setPen(QPen(QColor(t.accent), 2.0))
            painter.drawRect(box.adjusted(-2, -2, 2, 2))

    # Acting

    def _cell_at(self, point: QPoint) -> int:
        x = self.width() - 1 - point.x() if self._is_mirrored() else point.x()
        height, width = self._map.shape
        if 0 <= point.y() < height and 0 <= x < width:
            number = int(self._map[point.y(), x]) // 2
            return number if number < len(self._cells) else -1
        return -1

    def _focus(self, number: int) -> None:
        if 0 <= number < len(self._cells):
            self._at = self._selected = number
            self.picked.emit(self._cells[number].row)
            announce(self, self._describe(self._cells[number].row).replace("\n", ", "))
            self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover(self._cell_at(event.position().toPoint()))

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(-1)

    def _hover(self, number: int) -> None:
        if number == self._hovered:
            return
        for old in (self._hovered, number):
            if 0 <= old < len(self._cells):
                self.update(self._cell_box(old).adjusted(-3, -3, 3, 3))
        self._hovered = number
        self.hovered.emit(self._cells[number].row if number >= 0 else -1)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus()
        self._focus(self._cell_at(event.position().toPoint()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        number = self._cell_at(event.position().toPoint())
        if number >= 0:
            self.opened.emit(self._cells[number].row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        ahead, behind = Qt.Key.Key_Right, Qt.Key.Key_Left
        if self._is_mirrored():
            ahead, behind = behind, ahead
        is_placed = 0 <= self._at < len(self._cells)
        match event.key():
            case key if key == ahead:
                self._focus(self._at + 1)
            case key if key == behind:
                self._focus(max(0, self._at - 1))
            case Qt.Key.Key_Down:
                self._focus(beside(self._grid, self._at, 1) if is_placed else 0)
            case Qt.Key.Key_Up:
                self._focus(beside(self._grid, self._at, -1) if is_placed else 0)
            case Qt.Key.Key_Home:
                self._focus(0)
            case Qt.Key.Key_End:
                self._focus(len(self._cells) - 1)
            case _:
                super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = self._cell_at(event.pos())
            show_tip(self, event.globalPos(), self._describe(self._cells[number].row) if number >= 0 else "")
            return True
        return super().event(event)
