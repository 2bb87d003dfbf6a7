"""The table twin of the heat map: sorted and filtered in numpy, handed to Qt as a permutation of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QWidget

from console.fleet.condition import Condition
from console.fleet.metrics import CARD_METRIC
from console.fleet.model import EntityKind
from console.fleet.show import DASH, duration, number, plain
from console.fleet.state import ReadingState
from console.ui.marks import condition_colour, condition_word, draw_condition
from console.ui.plots import sparks
from console.ui.rows import Rows
from console.ui.text import tip, tr
from console.ui.theme import Theme

_Index = QModelIndex | QPersistentModelIndex
SPARK_W, SPARK_H, SPARK_SAMPLES = 90, 18, 60
KEYWORDS = {
    ReadingState.NOT_SUPPORTED: "n/a",
    ReadingState.NO_PERMISSION: "no permission",
    ReadingState.LOST: "lost",
    ReadingState.ERROR: "error",
    ReadingState.NONE: DASH,
}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its title and either a text field or a metric of the rows."""

    title: str
    field: str = ""
    metric: str = ""
    width: int = 90


def columns() -> list[TableColumn]:
    """The table's columns, titles in the person's language."""
    return [
        TableColumn(tr("Condition"), "condition", width=110),
        TableColumn(tr("Node"), "node", width=120),
        TableColumn(tr("Card"), "index", width=56),
        TableColumn(tr("Model"), "sku", width=200),
        TableColumn(tr("Utilisation"), metric="utilization_gpu", width=84),
        TableColumn(tr("1 min"), "spark", width=SPARK_W + 16),
        TableColumn(tr("Memory"), metric="mem", width=76),
        TableColumn(tr("Power"), metric="power_draw", width=76),
        TableColumn(tr("Temp."), metric="temperature_gpu", width=66),
        TableColumn(tr("SM clock"), metric="clock_sm", width=84),
        TableColumn(tr("User"), "user", width=100),
        TableColumn(tr("Rack"), "rack", width=64),
        TableColumn(tr("Age"), "age", width=64),
    ]


class CardTable(QAbstractTableModel):
    """Cards and slices; `arrange` filters and sorts, `tick` shows new numbers."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self._rows = rows
        self._columns = columns()
        self._order: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._sort = (0, Qt.SortOrder.DescendingOrder)
        self._shown: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._version = -1

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """Rows of the fleet in the order shown."""
        return self._order

    def arrange(self, shown: npt.NDArray[np.intp]) -> None:
        """Show these rows of the fleet, sorted."""
        self._shown = shown
        order = self._sorted(shown)
        if len(order) != len(self._order) or self._version != self._rows.live.version:
            self.beginResetModel()
            self._order, self._version = order, self._rows.live.version
            self.endResetModel()
            return
        if not np.array_equal(order, self._order):
            self.layoutAboutToBeChanged.emit()
            old = self.persistentIndexList()
            places = {int(r): i for i, r in enumerate(order)}
            new = [self.index(places.get(int(self._order[i.row()]), 0), i.column()) for i in old]
            self._order = order
            self.changePersistentIndexList(old, new)
            self.layoutChanged.emit()
        elif len(order):
            self.dataChanged.emit(self.index(0, 0), self.index(len(order) - 1, len(self._columns) - 1))

    def _sorted(self, shown: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        column, direction = self._columns[self._sort[0]], self._sort[1]
        if not len(shown):
            return shown
        keys = self._keys(column)[shown]
        descending = direction == Qt.SortOrder.DescendingOrder
        if keys.dtype.kind == "f":
            keys = np.where(np.isnan(keys), -np.inf if descending else np.inf, keys)
        else:
            _, keys = np.unique(keys, return_inverse=True)
        order = np.argsort(-keys if descending else keys, kind="stable")
        return shown[order]

    def _keys(self, column: TableColumn) -> npt.NDArray[Any]:
        rows = self._rows
        if column.metric:
            return rows.column(column.metric)[0]
        if column.field == "condition":
            return rows.judged.conditions.astype(float)
        if column.field == "index":
            return np.array([float(e.entity.index) for e in rows.live.entities])
        if column.field == "spark":
            return rows.column("utilization_gpu")[0]
        if column.field == "age":
            return rows.column("utilization_gpu")[2]
        return np.array(rows.texts(column.field))

    def row_at(self, place: int) -> int:
        """The fleet's row at a place of the table, -1 outside."""
        return int(self._order[place]) if 0 <= place < len(self._order) else -1

    def place_of(self, row: int) -> int:
        """The place of a fleet's row, -1 when it is not shown."""
        hits = np.flatnonzero(self._order == row)
        return int(hits[0]) if len(hits) else -1

    # Qt

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self._columns)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if 0 <= column < len(self._columns):
            self._sort = (column, order)
            self.arrange(self._shown)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and 0 <= section < len(self._columns):
            if role == Qt.ItemDataRole.DisplayRole:
                return self._columns[section].title
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return int(self._alignment(self._columns[section]))
        return None

    @staticmethod
    def _alignment(column: TableColumn) -> Qt.AlignmentFlag:
        side = (
            Qt.AlignmentFlag.AlignRight
            if column.metric or column.field in ("age", "index")
            else Qt.AlignmentFlag.AlignLeft
        )
        return side | Qt.AlignmentFlag.AlignVCenter

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._order):
            return None
        row, column = int(self._order[index.row()]), self._columns[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return int(self._alignment(column))
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._colour(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            reasons = self._rows.judged.reasons[row] if row < len(self._rows.judged.reasons) else ()
            return tip("\n".join([self._rows.live.entities[row].entity.uuid, *reasons]))
        return None

    def _text(self, row: int, column: TableColumn) -> str:
        entity = self._rows.live.entities[row].entity
        if column.metric:
            values, states, _ = self._rows.column(column.metric)
            state = ReadingState(int(states[row]))
            if state not in (ReadingState.FRESH, ReadingState.STALE):
                return tr(KEYWORDS[state])
            unit = "%" if column.metric == "mem" else CARD_METRIC[column.metric].unit
            return number(float(values[row]), unit)
        match column.field:
            case "condition":
                return condition_word(Condition(int(self._rows.judged.conditions[row])))
            case "index":
                return f"{entity.index}" if entity.kind is EntityKind.CARD else f"· {entity.index}"
            case "age":
                age = self._rows.column("memory_used")[2][row]
                return DASH if np.isnan(age) else duration(float(age))
            case "spark":
                return ""
            case _:
                return plain(self._rows.texts(column.field)[row].replace("\n", ", "))

    def _colour(self, row: int, column: TableColumn) -> QColor | None:
        t = Theme.now
        if column.metric:
            state = int(self._rows.column(column.metric)[1][row])
            return None if state == ReadingState.FRESH else QColor(t.faint)
        if column.field == "condition":
            return QColor(condition_colour(Condition(int(self._rows.judged.conditions[row]))))
        return QColor(t.quiet) if column.field in ("sku", "rack", "age", "user") else None


class RowPainter(QStyledItemDelegate):
    """Draws the condition's shape and the sparkline; everything else is Qt's."""

    def __init__(self, model: CardTable, rows: Rows, parent: QWidget) -> None:
        super().__init__(parent)
        self._model = model
        self._rows = rows

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: _Index) -> None:
        super().paint(painter, option, index)
        row = self._model.row_at(index.row())
        field = self._model._columns[index.column()].field
        box = QRectF(option.rect)
        if field == "condition":
            side = 10.0
            shape = QRectF(box.right() - side - 8, box.center().y() - side / 2, side, side)
            draw_condition(painter, Condition(int(self._rows.judged.conditions[row])), shape)
        elif field == "spark" and row >= 0:
            values = self._rows.live.sparks(np.array([row]), "utilization_gpu", SPARK_SAMPLES)
            pixels = sparks.raster(values, 0.0, 100.0, SPARK_W, SPARK_H, Theme.now.curves[0])
            at = QRectF(box.left() + 8, box.center().y() - SPARK_H / 2, SPARK_W, SPARK_H)
            painter.drawImage(at, sparks.image(pixels))
