"""Painters of the table's cells: plain text and shapes without the style's detours, and the column of small curves.

The style's own way asks the model seven times a cell; at thirty rows that was most of a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetrics, QImage, QPainter, QPixmap
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from console.fleet.condition import Condition
from console.rows import Rows
from console.ui.icons import condition_icon
from console.ui.plots import sparks
from console.ui.theme import Theme

if TYPE_CHECKING:
    from console.ui.fleet.table import CardTable

SPARK_W, SPARK_H, SPARK_SAMPLES = 90, 18, 60
MARGIN, SHAPE = 8, 12

_Index = QModelIndex | QPersistentModelIndex


class CellPainter(QStyledItemDelegate):
    """Draws a cell of text, with the shape of its condition where it has one."""

    def __init__(self, model: CardTable, table: QTableView) -> None:
        super().__init__(table)
        self._model = model
        self._theme = ""
        self._shapes: dict[Condition, QPixmap] = {}
        self._selected = self._text = QColor()
        self._hatch = QBrush()

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        if self._theme != Theme.now.name:
            self._dress()
        cell = self._model.cell(index.row(), index.column())
        box: QRect = option.rect
        is_selected = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_selected:
            painter.fillRect(box, self._selected)
        elif cell.is_hatched:
            painter.fillRect(box, self._hatch)
        mirrored = option.direction == Qt.LayoutDirection.RightToLeft
        inner = box.adjusted(MARGIN, 0, -MARGIN, 0)
        if cell.condition is not None:
            x = inner.right() - SHAPE + 1 if mirrored else inner.left()
            painter.drawPixmap(x, box.center().y() - SHAPE // 2 + 1, self._shapes[cell.condition])
            inner = inner.adjusted(0, 0, -SHAPE - 6, 0) if mirrored else inner.adjusted(SHAPE + 6, 0, 0, 0)
        if cell.text:
            painter.setPen(cell.colour if cell.colour is not None and not is_selected else self._text)
            painter.drawText(inner, _flags(cell.is_number, mirrored), _fitting(cell.text, option.fontMetrics, inner))

    def _dress(self) -> None:
        t = Theme.now
        self._theme = t.name
        self._shapes = {c: condition_icon(c).pixmap(SHAPE, SHAPE) for c in Condition}
        self._selected, self._text = QColor(t.selected), QColor(t.text)
        self._hatch = QBrush(QColor(t.line), Qt.BrushStyle.BDiagPattern)


def _flags(is_number: bool, mirrored: bool) -> int:
    side = Qt.AlignmentFlag.AlignRight if is_number != mirrored else Qt.AlignmentFlag.AlignLeft
    return int(side) | int(Qt.AlignmentFlag.AlignVCenter) | int(Qt.TextFlag.TextSingleLine)


def _fitting(text: str, metrics: QFontMetrics, box: QRect) -> str:
    # A letter is rarely wider than the line is high: only what may not fit is measured.
    if len(text) * metrics.height() <= 2 * box.width():
        return text
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, box.width())


class SparkPainter(QStyledItemDelegate):
    """Draws the column of small curves, all that are visible from one image a turn."""

    def __init__(self, model: CardTable, rows: Rows, table: QTableView) -> None:
        super().__init__(table)
        self._model = model
        self._rows = rows
        self._table = table
        self._turn = -1
        self._picture = QImage()
        self._places: dict[int, int] = {}

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        if option.state & QStyle.StateFlag.State_Selected:
            painter.fillRect(option.rect, QColor(Theme.now.selected))
        row = self._model.row_at(index.row())
        if self._turn != self._model.turn or row not in self._places:
            self._raster(index.row())
        place = self._places.get(row)
        if place is not None:
            box: QRect = option.rect
            at = QRect(0, 0, SPARK_W, SPARK_H)
            at.moveCenter(box.center())
            painter.drawImage(at, self._picture, QRect(0, place * SPARK_H, SPARK_W, SPARK_H))

    def _raster(self, asked: int) -> None:
        first, last = self._table.rowAt(0), self._table.rowAt(self._table.viewport().height() - 1)
        last = last if last >= 0 else self._model.rowCount() - 1
        rows = self._model.order[min(max(first, 0), asked) : max(last, asked) + 1]
        values = self._rows.live.sparks(rows, "utilization_gpu", SPARK_SAMPLES)
        self._picture = sparks.image(sparks.raster(values, 0.0, 100.0, SPARK_W, SPARK_H, Theme.now.curves[0]))
        self._places = {int(row): place for place, row in enumerate(rows)}
        self._turn = self._model.turn
