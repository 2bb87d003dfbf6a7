"""The fleet page: heat map and table of the same cards under one filter and one selection."""

from __future__ import annotations

import json

import numpy as np
from PySide6.QtCore import QByteArray, QModelIndex, QSize, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from console.fleet.metrics import CARD_METRIC
from console.fleet.model import EntityKind
from console.fleet.query import Query
from console.fleet.show import DASH, THIN, figures, number
from console.fleet.state import ReadingState
from console.ui.bar import Bar
from console.ui.context import Context
from console.ui.empty import Empty
from console.ui.fleet.filterbar import FilterBar
from console.ui.fleet.grid import Cell
from console.ui.fleet.heatmap import HeatMap
from console.ui.fleet.legend import Legend
from console.ui.fleet.table import CardTable, make_table
from console.ui.icons import icon
from console.ui.marks import condition_word
from console.ui.parts import age_text, state_word
from console.ui.text import PlainLabel, set_tip, tr

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


def metric_title(metric: str) -> str:
    """What a person reads for a metric of the map."""
    return tr("Memory used") if metric == "mem" else tr(CARD_METRIC[metric].title)


def metric_unit(metric: str) -> str:
    """The unit of a metric of the map."""
    return "%" if metric == "mem" else CARD_METRIC[metric].unit


class FleetPage(QWidget):
    """Cards of the whole fleet. Repaints once a second, and only what is visible."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._metric = 0
        self._group = "rack"
        self._layout_key: tuple[object, ...] = ()
        self._order: np.ndarray = np.zeros(0, dtype=np.intp)
        self._anchor = self._pointed = -1
        self.filter = FilterBar()
        self.map = HeatMap()
        self.model = CardTable(context.rows)
        self.table = make_table(self.model, context.rows)
        self.empty = Empty()
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self.map)
        self.stack = QStackedWidget()
        for widget in (self._scroll, self.table, self.empty):
            self.stack.addWidget(widget)
        self._view: QWidget = self.map
        self._bar = self._make_bar()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.filter)
        layout.addWidget(self._bar)
        layout.addWidget(self.stack, 1)
        self.setFocusProxy(self.map)
        self._connect()
        self._show_view()
        self.refresh()

    def _connect(self) -> None:
        context = self._context
        self.filter.changed.connect(self._filter)
        self.map.picked.connect(self._pick)
        self.map.opened.connect(self._open)
        self.map.hovered.connect(self._point)
        self.table.selectionModel().currentRowChanged.connect(self._current)
        self.table.doubleClicked.connect(lambda index: self._open(self.model.row_at(index.row())))
        context.ticked.connect(self.refresh)
        context.directory.connect(self.refresh)
        context.selected.connect(self._follow)
        context.marked.connect(self.refresh)

    def _make_bar(self) -> Bar:
        self._views = {}
        for name, title in (("map", tr("Map")), ("table", tr("Table"))):
            button = QToolButton()
            button.setProperty("chip", True)
            button.setCheckable(True)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setIconSize(QSize(16, 16))
            button.setText(title)
            set_tip(button, title + "  (T)")
            button.clicked.connect(lambda _=False, n=name: self.set_view(n))
            self._views[name] = button
        self._metric_box = self._make_box(
            tr("Colour by"), [f"{i + 1}  {metric_title(m)}" for i, (m, _) in enumerate(METRICS)]
        )
        self._metric_box.currentIndexChanged.connect(self.set_metric)
        titles = {"rack": tr("Rack"), "region": tr("Region"), "sku": tr("Model"), "node": tr("Node")}
        self._group_box = self._make_box(tr("Group by"), [titles[g] for g in GROUPS])
        self._group_box.currentIndexChanged.connect(lambda i: self.set_group(GROUPS[i]))
        self._counts = PlainLabel("", "quiet")
        self._legend = Legend()
        self._of_map = [
            PlainLabel(tr("Colour by"), "label"),
            self._metric_box,
            PlainLabel(tr("Group by"), "label"),
            self._group_box,
        ]
        bar = Bar()
        layout = bar.row
        layout.setContentsMargins(16, 8, 16, 8)
        layout.setSpacing(8)
        for button in self._views.values():
            layout.addWidget(button)
        layout.addSpacing(8)
        for widget in self._of_map:
            layout.addWidget(widget)
        layout.addSpacing(8)
        layout.addWidget(self._counts)
        layout.addStretch(1)
        layout.addWidget(self._legend, 100)
        bar.give_way((self._counts, *self._of_map[::2], self._legend))
        return bar

    @staticmethod
    def _make_box(name: str, titles: list[str]) -> QComboBox:
        box = QComboBox()
        box.addItems(titles)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(min(18, max(len(t) for t in titles)))
        box.setAccessibleName(name)
        return box

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

    def set_view(self, name: str) -> None:
        """Show "map" or "table"."""
        self._view = self.table if name == "table" else self.map
        self._show_view()
        self.setFocusProxy(self._view)
        self.refresh()
        self._follow(self._context.selection)
        self._view.setFocus()

    def toggle(self) -> None:
        """Switch between map and table."""
        self.set_view("map" if self._view is self.table else "table")

    def _show_view(self) -> None:
        for name, button in self._views.items():
            button.setChecked((name == "map") == (self._view is self.map))
            button.setIcon(icon(name))
        for widget in (*self._of_map, self._legend):
            self._bar.set_wanted(widget, self._view is self.map)

    def open_selected(self) -> None:
        """Go into the selected card."""
        row = self._context.live.row_of.get(self._context.selection)
        if row is not None:
            self._open(row)

    def mark(self) -> None:
        """Mark the card under the cursor, or take its mark away."""
        row = self._cursor()
        if row >= 0:
            uuid = self._context.live.entities[row].entity.uuid
            self._anchor = row
            self._context.mark({uuid}, uuid not in self._context.rows.marked)
            self._context.said.emit(tr("%n marked", len(self._context.rows.marked)))

    def mark_range(self) -> None:
        """Mark from the card marked last to the one under the cursor, in the order shown."""
        row, order = self._cursor(), self._shown_rows()
        if row not in order:
            return
        a, b = sorted((order.index(self._anchor) if self._anchor in order else order.index(row), order.index(row)))
        entities = self._context.live.entities
        self._context.mark({entities[r].entity.uuid for r in order[a : b + 1]}, True)
        self._context.said.emit(tr("%n marked", len(self._context.rows.marked)))

    def _cursor(self) -> int:
        return self.map.at if self._view is self.map else self.model.row_at(self.table.currentIndex().row())

    def _shown_rows(self) -> list[int]:
        return self.map.rows() if self._view is self.map else [int(r) for r in self.model.order]

    def _filter(self, text: str, query: Query) -> None:
        self._context.set_query(text, query)
        self.refresh()

    def _pick(self, row: int) -> None:
        self._context.select(self._context.live.entities[row].entity.uuid)
        self._point(row)

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
        if not what:
            self.table.clearSelection()
        place = self.model.place_of(row)
        if place >= 0 and self.table.currentIndex().row() != place:
            self.table.setCurrentIndex(self.model.index(place, 0))

    def _point(self, row: int) -> None:
        """Say what is under the pointer; when it leaves, what is under the cursor."""
        row = row if row >= 0 else self._context.live.row_of.get(self._context.selection, -1)
        self._pointed = row
        self._context.pointed.emit(self.describe(row).replace("\n", "   ") if row >= 0 else "")

    # Showing

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Show the present numbers."""
        rows = self._context.rows
        if not rows.count():
            self._show_empty()
            return
        page = self._scroll if self._view is self.map else self.table
        if self.stack.currentWidget() is not page:
            self.stack.setCurrentWidget(page)
            self._bar.show()
        if not self.isVisible():
            return
        if len(rows.judged.conditions) != rows.count():
            rows.refresh()
        shown = rows.select(self._context.query)
        self._show_counts(shown)
        self._point(self._pointed)
        if self._view is self.table:
            self.model.arrange(shown)
            self._show_none(len(shown))
        else:
            self._show_map(shown)

    def _show_none(self, count: int) -> None:
        if count:
            return
        self.empty.show_text(
            tr("No card matches this filter"),
            tr("The filter stays until you clear it."),
            self._context.query_text,
            [(tr("Clear the filter"), lambda: self.filter.set_text(""))],
        )
        self.stack.setCurrentWidget(self.empty)

    def _show_counts(self, shown: np.ndarray) -> None:
        slices = int(self._context.rows.flag("slice")[shown].sum())
        cards = len(shown) - slices
        text = tr("%n cards", cards) + (f", {tr('%n slices', slices)}" if slices else "")
        self._counts.setText(text)
        self.filter.show_counts(self._context.rows.judged.conditions)

    def _show_empty(self) -> None:
        live = self._context.live
        self._bar.hide()
        self.stack.setCurrentWidget(self.empty)
        add = (tr("Add a node…"), lambda: self._context.asked.emit("node.add"))
        if not self._context.timeline.is_live:
            ask = self._context.asked.emit
            self.empty.show_text(
                tr("Nothing was recorded then"),
                tr("No console was recording at this moment. The bar below is brighter where something was."),
                actions=[
                    (tr("Event after"), lambda: ask("time.event_after")),
                    (tr("Back to live"), lambda: ask("time.live")),
                ],
            )
        elif live.collector and live.collector != "starting":
            self.empty.show_text(tr("No live readings"), live.collector)
        elif not live.configured and not live.collector:
            self.empty.show_text(
                tr("No nodes yet"),
                tr("Cards appear here, one cell each, as soon as a node is in the fleet. Add one by hand, or make a "
                   "fleet file of an inventory or a list of hosts:"),
                "cardkeeper fleet import HOSTS --output " + (live.fleet.path or "fleet.toml"),
                [add],
            )  # fmt: skip
        else:
            nodes = (tr("Show the nodes"), lambda: self._context.asked.emit("go.nodes"))
            self.empty.show_text(
                tr("Connecting"),
                tr("Cards appear here as their nodes answer. The list of nodes says what each one is waiting for."),
                actions=[nodes],
            )

    def _show_map(self, shown: np.ndarray) -> None:
        rows = self._context.rows
        key = (rows.live.version, self._group, shown.tobytes())
        if key != self._layout_key:
            self._layout_key = key
            self._arrange_map(shown)
        self._show_none(len(self._order))
        order = self._order
        metric, top = METRICS[self._metric]
        values, states, _ = rows.column(metric)
        values, states = values[order], states[order]
        if top is None:
            top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
        unit = metric_unit(metric)
        self._legend.set_scale(number(0.0, unit), number(top, unit))
        unknown = states != ReadingState.FRESH
        texts = [short(v, unit) for v in values.tolist()] if self.map.is_spoken else ()
        marked = rows.flag("marked")[order]
        out, given = rows.flag("drained")[order], rows.flag("assigned")[order]
        shares, judged = values / (top or 1.0), rows.judged.conditions[order]
        self.map.set_values(shares, unknown, judged, marked, texts, self.describe, out, given)

    def _arrange_map(self, shown: np.ndarray) -> None:
        """One cell a card; slices have cells only where the filter leaves nothing but slices."""
        rows = self._context.rows
        entities = rows.live.entities
        cards = [int(r) for r in shown if entities[r].entity.kind is EntityKind.CARD] or [int(r) for r in shown]
        groups, nodes = rows.texts(self._group), rows.texts("node")
        order = sorted(cards, key=lambda r: (groups[r], nodes[r], r))
        self.map.set_cells([Cell(r, groups[r].removeprefix("NVIDIA ") or tr("(none)"), nodes[r]) for r in order])
        self._order = np.array(order, dtype=np.intp)
        self.map.focus_row(rows.live.row_of.get(self._context.selection, -1))

    def describe(self, row: int) -> str:
        """A card in some lines: name, the metric with its age, condition and reasons."""
        rows = self._context.rows
        if not 0 <= row < rows.count() or row >= len(rows.judged.reasons):
            return ""
        metric = METRICS[self._metric][0]
        values, states, ages = rows.column(metric)
        state, age = ReadingState(int(states[row])), float(ages[row])
        entity = rows.live.entities[row].entity
        shown = number(float(values[row]), metric_unit(metric))
        word = "" if state is ReadingState.FRESH else f" {state_word(state)}"
        text = f"{metric_title(metric)}: {shown}{word}"
        if not np.isnan(age):
            text += "  " + tr("{age} ago").format(age=age_text(age))
        condition = condition_word(rows.condition(row))
        if entity.uuid in rows.out:
            condition += "   " + tr("out of service")
        if entity.uuid in rows.tenants:
            condition += "   " + tr("assigned to {tenant}").format(tenant=rows.tenants[entity.uuid])
        return "\n".join(
            [f"{entity.node} / {entity.index}   {entity.name}", text, condition, *rows.judged.reasons[row]]
        )

    # The window's

    def dress(self) -> None:
        """Take over another theme."""
        self.filter.dress()
        self.model.dress()
        self._show_view()
        self.refresh()
        self.table.viewport().update()

    def state(self) -> str:
        """What is kept between runs."""
        kept = {
            "view": "table" if self._view is self.table else "map",
            "metric": self._metric,
            "group": self._group,
            "columns": bytes(self.table.horizontalHeader().saveState().toHex().data()).decode(),
            "filters": self.filter.history,
        }
        return json.dumps(kept)

    def restore(self, state: str) -> None:
        """Take over what was kept; what cannot be understood is left out."""
        try:
            kept = json.loads(state)
        except ValueError:
            return
        if not isinstance(kept, dict):
            return
        filters = kept.get("filters")
        self.filter.history = [f for f in filters if isinstance(f, str)] if isinstance(filters, list) else []
        if isinstance(kept.get("metric"), int):
            self.set_metric(kept["metric"])
        if kept.get("group") in GROUPS:
            self.set_group(kept["group"])
        if isinstance(kept.get("columns"), str):
            self.table.horizontalHeader().restoreState(QByteArray.fromHex(kept["columns"].encode()))
        if kept.get("view") == "table":
            self.set_view("table")


def short(value: float, unit: str) -> str:
    """A value for a cell: no unit, as the legend has it, but a prefix where the number would be long."""
    if np.isnan(value):
        return DASH
    if unit in ("B", "B/s"):
        digits, _, prefixed = number(value, unit).partition(THIN)
        return digits + (prefixed[0] if prefixed[:1] != "B" else "")
    return f"{value:.0f}" if unit else figures(value)
