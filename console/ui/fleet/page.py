"""The fleet page: heat map and table of the same cards under one filter and one selection."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QColor, QLinearGradient, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QStackedWidget,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from console.fleet.metrics import CARD_METRIC
from console.fleet.query import Query
from console.fleet.show import number
from console.fleet.state import ReadingState
from console.ui.context import Context
from console.ui.fleet.filterbar import FilterBar
from console.ui.fleet.heatmap import Cell, HeatMap
from console.ui.fleet.table import CardTable, RowPainter, columns
from console.ui.text import PlainLabel, tr
from console.ui.theme import Theme

# metric, top of its scale (None: the greatest value shown)
METRICS: tuple[tuple[str, float | None], ...] = (
    ("utilization_gpu", 100.0),
    ("mem", 100.0),
    ("power_draw", None),
    ("temperature_gpu", 100.0),
    ("temperature_memory", 110.0),
    ("clock_sm", None),
    ("nvlink_rx", None),
    ("pcie_rx", None),
    ("ecc_uncorrected_volatile", None),
)
GROUPS = ("rack", "region", "sku", "node")


class Legend(QWidget):
    """The ramp with its ends and unit."""

    def __init__(self) -> None:
        super().__init__()
        self._low, self._high = "", ""
        self.setFixedSize(220, 22)

    def set_scale(self, low: str, high: str) -> None:
        """Write the ends."""
        self._low, self._high = low, high
        self.setAccessibleName(f"{tr('Scale')}: {low} – {high}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        t = Theme.now
        ramp = QLinearGradient(60, 0, 150, 0)
        ramp.setColorAt(0.0, QColor(t.ramp[0]))
        ramp.setColorAt(1.0, QColor(t.ramp[1]))
        painter.fillRect(60, 6, 90, 10, ramp)
        painter.setPen(QColor(t.quiet))
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        centre = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(0, 0, 54, 22, centre | Qt.AlignmentFlag.AlignRight, self._low)
        painter.drawText(156, 0, 64, 22, centre | Qt.AlignmentFlag.AlignLeft, self._high)
        painter.end()


class FleetPage(QWidget):
    """Cards of the whole fleet. Repaints once a second, and only what is visible."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._metric = 0
        self._group = "rack"
        self._layout_key: tuple[object, ...] = ()
        self.filter = FilterBar()
        self.map = HeatMap()
        self.model = CardTable(context.rows)
        self.table = self._make_table()
        self._empty = PlainLabel("", "quiet")
        self._empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.stack = QStackedWidget()
        for widget in (self.map, self.table, self._empty):
            self.stack.addWidget(widget)
        self._view: QWidget = self.map
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.filter)
        layout.addWidget(self._make_bar())
        layout.addWidget(self.stack, 1)
        self.filter.changed.connect(self._filter)
        self.map.picked.connect(self._pick)
        self.map.opened.connect(self._open)
        context.ticked.connect(self.refresh)
        context.directory.connect(self.refresh)
        context.selected.connect(self._follow)
        self.refresh()

    def _make_table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setAccessibleName(tr("Cards"))
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setShowGrid(False)
        table.setWordWrap(False)
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(26)
        table.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        table.horizontalHeader().setHighlightSections(False)
        table.setItemDelegate(RowPainter(self.model, self._context.rows, table))
        for i, column in enumerate(columns()):
            table.setColumnWidth(i, column.width)
        table.horizontalHeader().setStretchLastSection(True)
        table.setSortingEnabled(True)
        table.sortByColumn(0, Qt.SortOrder.DescendingOrder)
        table.selectionModel().currentRowChanged.connect(self._current)
        table.doubleClicked.connect(lambda index: self._open(self.model.row_at(index.row())))
        return table

    def _make_bar(self) -> QWidget:
        bar = QWidget()
        layout = QHBoxLayout(bar)
        layout.setContentsMargins(16, 8, 16, 4)
        layout.setSpacing(8)
        self._metric_box = QComboBox()
        for i, (metric, _) in enumerate(METRICS):
            title = tr("Memory used") if metric == "mem" else tr(CARD_METRIC[metric].title)
            self._metric_box.addItem(f"{i + 1}  {title}")
        self._metric_box.setAccessibleName(tr("Colour by"))
        self._metric_box.currentIndexChanged.connect(self.set_metric)
        self._group_box = QComboBox()
        titles = {"rack": tr("Rack"), "region": tr("Region"), "sku": tr("Model"), "node": tr("Node")}
        for group in GROUPS:
            self._group_box.addItem(titles[group], group)
        self._group_box.setAccessibleName(tr("Group by"))
        self._group_box.currentIndexChanged.connect(lambda i: self.set_group(GROUPS[i]))
        self._toggle = QToolButton()
        self._toggle.setProperty("chip", True)
        self._toggle.setText(tr("Table"))
        self._toggle.clicked.connect(self.toggle)
        self._counts = PlainLabel("", "quiet")
        self._legend = Legend()
        for widget in (
            PlainLabel(tr("Colour"), "label"),
            self._metric_box,
            PlainLabel(tr("Group"), "label"),
            self._group_box,
        ):
            layout.addWidget(widget)
        layout.addWidget(self._toggle)
        layout.addWidget(self._counts)
        layout.addStretch(1)
        layout.addWidget(self._legend)
        return bar

    # What a person asks for

    def set_metric(self, index: int) -> None:
        """Colour the map by the metric of that place."""
        self._metric = index % len(METRICS)
        self._metric_box.setCurrentIndex(self._metric)
        self.refresh()

    def next_metric(self) -> None:
        """Colour the map by the next metric."""
        self.set_metric(self._metric + 1)

    def set_group(self, group: str) -> None:
        """Group the map."""
        self._group = group
        self._group_box.setCurrentIndex(GROUPS.index(group))
        self.refresh()

    def next_group(self) -> None:
        """Group by the next field."""
        self.set_group(GROUPS[(GROUPS.index(self._group) + 1) % len(GROUPS)])

    def toggle(self) -> None:
        """Switch between map and table."""
        self._view = self.table if self._view is self.map else self.map
        self._toggle.setText(tr("Map") if self._view is self.table else tr("Table"))
        self.refresh()
        self._view.setFocus()

    def open_selected(self) -> None:
        """Go into the selected card."""
        row = self._context.live.row_of.get(self._context.selection)
        if row is not None:
            self._open(row)

    def _filter(self, text: str, query: Query) -> None:
        self._context.set_query(text, query)
        self.refresh()

    def _pick(self, row: int) -> None:
        self._context.select(self._context.live.entities[row].entity.uuid)

    def _open(self, row: int) -> None:
        if 0 <= row < len(self._context.live.entities):
            entity = self._context.live.entities[row].entity
            self._context.select(entity.uuid)
            self._context.go.emit("card", entity.uuid)

    def _current(self, current: QModelIndex, _before: QModelIndex) -> None:
        row = self.model.row_at(current.row())
        if row >= 0 and self._view is self.table:
            self._pick(row)

    def _follow(self, what: str) -> None:
        row = self._context.live.row_of.get(what, -1)
        self.map.focus_row(row)
        place = self.model.place_of(row)
        if place >= 0 and self.table.currentIndex().row() != place:
            self.table.setCurrentIndex(self.model.index(place, 0))

    # Showing

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Show the present numbers."""
        rows = self._context.rows
        if not rows.count():
            self._empty.setText(self._why_empty())
            self.stack.setCurrentWidget(self._empty)
            return
        if self.stack.currentWidget() is not self._view:
            self.stack.setCurrentWidget(self._view)
        if not self.isVisible():
            return
        if len(rows.judged.conditions) != rows.count():
            rows.refresh()
        shown = rows.select(self._context.query)
        self._counts.setText(tr("%n shown", len(shown)).replace("%n", str(len(shown))))
        self.filter.show_counts(rows.judged.conditions)
        if self._view is self.table:
            self.model.arrange(shown)
        else:
            self._show_map(shown)

    def _why_empty(self) -> str:
        live = self._context.live
        if live.collector:
            return tr("The collector is starting…") if live.collector == "starting" else live.collector
        if not live.nodes:
            return tr("No nodes yet. Add one with Ctrl+N, or import an inventory: cardkeeper fleet import HOSTS")
        return tr("Connecting. Cards appear here as their nodes answer; F3 shows the nodes.")

    def _show_map(self, shown: np.ndarray) -> None:
        rows = self._context.rows
        groups, nodes = rows.texts(self._group), rows.texts("node")
        key = (rows.live.version, self._group, shown.tobytes())
        if key != self._layout_key:
            self._layout_key = key
            order = sorted((int(r) for r in shown), key=lambda r: (groups[r], nodes[r], r))
            self.map.set_cells([Cell(r, groups[r] or tr("(none)"), nodes[r]) for r in order])
            self._order = np.array(order, dtype=np.intp)
            self.map.focus_row(rows.live.row_of.get(self._context.selection, -1))
        shown = self._order
        metric, top = METRICS[self._metric]
        values, states, _ = rows.column(metric)
        values, states = values[shown], states[shown]
        if top is None:
            top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
        unit = "%" if metric == "mem" else CARD_METRIC[metric].unit
        self._legend.set_scale(number(0.0, unit), number(top, unit))
        unknown = states != ReadingState.FRESH
        self.map.set_values(values / (top or 1.0), unknown, rows.judged.conditions[shown], self._cell_text)

    def _cell_text(self, row: int) -> str:
        rows = self._context.rows
        if row >= rows.count():
            return ""
        metric = METRICS[self._metric][0]
        values, states, _ = rows.column(metric)
        state = ReadingState(int(states[row]))
        entity = rows.live.entities[row].entity
        unit = "%" if metric == "mem" else CARD_METRIC[metric].unit
        word = "" if state is ReadingState.FRESH else f" ({state.word.replace('_', ' ')})"
        title = tr("Memory used") if metric == "mem" else tr(CARD_METRIC[metric].title)
        lines = [
            f"{entity.node} / {entity.index}   {entity.name}",
            f"{title}: {number(float(values[row]), unit)}{word}",
        ]
        return "\n".join([*lines, *rows.judged.reasons[row]])

    def dress(self) -> None:
        """Take over another theme."""
        self.map.update()
        self.table.viewport().update()
