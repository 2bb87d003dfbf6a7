"""The table twin of the heat map: sorted and filtered in numpy, handed to Qt as a permutation of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt, QTimer
from PySide6.QtGui import QBrush, QColor, QFocusEvent, QIcon
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from console.fleet.condition import Condition
from console.fleet.metrics import CARD_METRIC
from console.fleet.model import EntityKind
from console.fleet.show import DASH, number, plain
from console.fleet.state import ReadingState
from console.rows import Rows
from console.ui.fleet.cells import SPARK_W, CellPainter, SparkPainter
from console.ui.icons import condition_icon
from console.ui.marks import condition_colour, condition_word
from console.ui.parts import age_text, state_word
from console.ui.text import left_to_right, tip, tr
from console.ui.theme import Theme

_Index = QModelIndex | QPersistentModelIndex
_NO_INDEX = QModelIndex()
ROW_H = 26
STEP_ROWS, STEP_MS = 8, 17
_FRESH = ReadingState.FRESH
_STATES = {int(s): s for s in ReadingState}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its title and either a text field or a metric of the rows."""

    title: str
    field: str = ""
    metric: str = ""
    width: int = 90

    @property
    def is_number(self) -> bool:
        """Whether its values stand at the right, digit under digit."""
        return bool(self.metric) or self.field in ("age", "index")


def columns() -> list[TableColumn]:
    """The table's columns, titles in the person's language."""
    return [
        TableColumn(tr("Condition"), "condition", width=112),
        TableColumn(tr("Node"), "node", width=120),
        TableColumn(tr("Card"), "index", width=60),
        TableColumn(tr("Utilisation"), metric="utilization_gpu", width=92),
        TableColumn(tr("1 min"), "spark", width=SPARK_W + 16),
        TableColumn(tr("Memory"), metric="mem", width=84),
        TableColumn(tr("Power"), metric="power_draw", width=84),
        TableColumn(tr("Temp."), metric="temperature_gpu", width=74),
        TableColumn(tr("SM clock"), metric="clock_sm", width=96),
        TableColumn(tr("Age"), "age", width=68),
        TableColumn(tr("User"), "user", width=100),
        TableColumn(tr("Rack"), "rack", width=68),
        TableColumn(tr("Model"), "sku", width=200),
    ]


@dataclass(frozen=True, slots=True)
class TableCell:
    """A cell as painted. `condition` is set in the column that shows it as a shape."""

    text: str
    colour: QColor | None
    is_number: bool
    is_hatched: bool
    condition: Condition | None


class CardTable(QAbstractTableModel):
    """Cards and slices; `arrange` filters, sorts and shows new numbers."""

    def __init__(self, rows: Rows) -> None:
        super().__init__()
        self._rows = rows
        self.columns = columns()
        self._order: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._sort = (0, Qt.SortOrder.DescendingOrder)
        self._shown: npt.NDArray[np.intp] = np.zeros(0, dtype=np.intp)
        self._version = -1
        self._icons: dict[Condition, QIcon] = {}
        self._cells: dict[tuple[int, int], TableCell] = {}
        self.turn = 0
        """Grows with every new set of numbers, so that a painter knows when its pictures are old."""
        self.dress()

    def cell(self, place: int, at: int) -> TableCell:
        """What a painter needs to know of a cell, worked out once a turn."""
        found = self._cells.get((place, at))
        if found is None:
            row, column = int(self._order[place]), self.columns[at]
            condition = self._rows.condition(row) if column.field == "condition" else None
            is_hatched = bool(column.metric) and not self._is_fresh(row, column)
            colour = None if column.metric and not is_hatched else self._colour(row, column)
            found = TableCell(self._text(row, column), colour, column.is_number, is_hatched, condition)
            self._cells[place, at] = found
        return found

    def _new_turn(self) -> None:
        self.turn += 1
        self._cells.clear()

    @property
    def order(self) -> npt.NDArray[np.intp]:
        """Rows of the fleet in the order shown."""
        return self._order

    def dress(self) -> None:
        """Take over another theme."""
        self._icons = {c: condition_icon(c) for c in Condition}
        self._hatch = QBrush(QColor(Theme.now.line), Qt.BrushStyle.BDiagPattern)
        self._new_turn()

    def arrange(self, shown: npt.NDArray[np.intp]) -> None:
        """Show these rows of the fleet, sorted."""
        self._shown = shown
        self._new_turn()
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
            self.dataChanged.emit(self.index(0, 0), self.index(len(order) - 1, len(self.columns) - 1))

    def _sorted(self, shown: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        column, direction = self.columns[self._sort[0]], self._sort[1]
        if not len(shown):
            return shown
        keys = self._keys(column)[shown]
        descending = direction == Qt.SortOrder.DescendingOrder
        if keys.dtype.kind == "f":
            # Unknown is neither little nor much: it stands last either way.
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

    def rowCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: _Index = _NO_INDEX) -> int:
        return 0 if parent.isValid() else len(self.columns)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        if 0 <= column < len(self.columns):
            self._sort = (column, order)
            self.arrange(self._shown)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation == Qt.Orientation.Horizontal and 0 <= section < len(self.columns):
            if role == Qt.ItemDataRole.DisplayRole:
                return self.columns[section].title
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return self._alignment(self.columns[section])
        return None

    @staticmethod
    def _alignment(column: TableColumn) -> int:
        side = Qt.AlignmentFlag.AlignRight if column.is_number else Qt.AlignmentFlag.AlignLeft
        return int(side | Qt.AlignmentFlag.AlignVCenter)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or index.row() >= len(self._order):
            return None
        row, column = int(self._order[index.row()]), self.columns[index.column()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return self._text(row, column)
            case Qt.ItemDataRole.TextAlignmentRole:
                return self._alignment(column)
            case Qt.ItemDataRole.ForegroundRole:
                return self._colour(row, column)
            case Qt.ItemDataRole.BackgroundRole:
                return self._hatch if column.metric and not self._is_fresh(row, column) else None
            case Qt.ItemDataRole.DecorationRole:
                return self._icons[self._rows.condition(row)] if column.field == "condition" else None
            case Qt.ItemDataRole.ToolTipRole:
                return tip(self._describe(row, column))
        return None

    def _is_fresh(self, row: int, column: TableColumn) -> bool:
        return bool(self._rows.column(column.metric)[1][row] == _FRESH)

    def _text(self, row: int, column: TableColumn) -> str:
        entity = self._rows.live.entities[row].entity
        if column.metric:
            values, states, _ = self._rows.column(column.metric)
            state = _STATES[int(states[row])]
            if state is not _FRESH and state is not ReadingState.STALE:
                return DASH if state is ReadingState.NONE else state_word(state)
            text = number(float(values[row]), _unit(column.metric))
            return left_to_right(text if state is _FRESH else f"{text} {state_word(state)}")
        match column.field:
            case "condition":
                return condition_word(self._rows.condition(row))
            case "index":
                mark = "✓ " if entity.uuid in self._rows.marked else ""
                return left_to_right(f"{mark}{'· ' if entity.kind is EntityKind.SLICE else ''}{entity.index}")
            case "age":
                return left_to_right(age_text(float(self._rows.column("utilization_gpu")[2][row])) or DASH)
            case "spark":
                return ""
            case _:
                return plain(self._rows.text(column.field, row).replace("\n", ", "))

    def _describe(self, row: int, column: TableColumn) -> str:
        rows = self._rows
        lines = [rows.live.entities[row].entity.uuid]
        if column.metric:
            values, states, ages = rows.column(column.metric)
            shown = number(float(values[row]), _unit(column.metric), full=True)
            word, age = state_word(ReadingState(int(states[row]))), float(ages[row])
            lines.append(f"{column.title}: {shown} {word}".strip())
            if not np.isnan(age):
                lines.append(tr("{age} ago").format(age=age_text(age)))
        if row < len(rows.judged.reasons):
            lines += rows.judged.reasons[row]
        return "\n".join(lines)

    def _colour(self, row: int, column: TableColumn) -> QColor | None:
        t = Theme.now
        if column.metric:
            return None if self._is_fresh(row, column) else QColor(t.quiet)
        if column.field == "condition":
            return QColor(condition_colour(self._rows.condition(row)))
        return QColor(t.quiet) if column.field in ("sku", "rack", "age", "user") else None


def _unit(metric: str) -> str:
    return "%" if metric == "mem" else CARD_METRIC[metric].unit


class CardView(QTableView):
    """A table that shows new numbers some rows at a time, so that no turn of the event loop is long.

    It does not take a row for itself when it gets the focus: what is selected stays selected.
    """

    def __init__(self) -> None:
        super().__init__()
        self._due = 0
        self._timer = QTimer(self)
        self._timer.setInterval(STEP_MS)
        self._timer.timeout.connect(self._step)

    def dataChanged(self, _first: _Index, _last: _Index, _roles: Sequence[int] = ()) -> None:
        self._due = 0
        self._step()
        self._timer.start()

    def _step(self) -> None:
        height = STEP_ROWS * ROW_H
        self.viewport().update(0, self._due, self.viewport().width(), height)
        self._due += height
        if self._due >= self.viewport().height():
            self._timer.stop()

    def focusInEvent(self, event: QFocusEvent) -> None:
        was = self.selectionModel().blockSignals(True)
        super().focusInEvent(event)
        self.selectionModel().blockSignals(was)


def make_table(model: CardTable, rows: Rows) -> CardView:
    """A view of the model, dressed and sorted by condition."""
    table = CardView()
    table.setModel(model)
    table.setAccessibleName(tr("Cards"))
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setItemDelegate(CellPainter(model, table))
    table.verticalHeader().hide()
    table.verticalHeader().setDefaultSectionSize(ROW_H)
    header = table.horizontalHeader()
    header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    header.setHighlightSections(False)
    header.setSectionsMovable(True)
    header.setStretchLastSection(True)
    for i, column in enumerate(model.columns):
        # Words of a longer language must fit too.
        need = table.fontMetrics().horizontalAdvance(column.title) + 32
        table.setColumnWidth(i, max(column.width, need if column.is_number else column.width))
        if column.field == "spark":
            table.setItemDelegateForColumn(i, SparkPainter(model, rows, table))
    table.setSortingEnabled(True)
    table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
    return table
