"""The card page: live plots, counters, processes, slices and events of one card."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from console.fleet.condition import Condition
from console.fleet.metrics import CARD_METRICS, CLOCKS_EVENT_REASONS, Kind, Tier
from console.fleet.show import plain
from console.telemetry.live import EntityRow, Series
from console.telemetry.messages import Focus
from console.ui.context import Context
from console.ui.empty import Empty
from console.ui.marks import condition_word
from console.ui.pages.events import event_rows
from console.ui.parts import (
    ConditionMark,
    Facts,
    Panel,
    TextTable,
    age_text,
    chosen_pid,
    process_rows,
    process_table,
    value_text,
)
from console.ui.plots import saving
from console.ui.plots.timeplot import Curve, TimePlot
from console.ui.text import PlainLabel, tr
from console.ui.theme import Theme
from console.ui.timeline import DAY_S
from console.ui.verdict import VerdictPanel

FOCUS_S = 0.5
PLOTTED = {
    "use": ("utilization_gpu", "utilization_memory"),
    "memory": ("memory_used",),
    "power": ("power_draw",),
    "temperature": ("temperature_gpu", "temperature_memory"),
    "clocks": ("clock_sm", "clock_memory"),
    "links": ("pcie_rx", "pcie_tx", "nvlink_rx", "nvlink_tx"),
}
"""What is compared, a plot each: the metrics of its first curves."""


class ReasonBands(QWidget):
    """Clock event reasons over time: one row a reason, filled while it held, the same span as the plots."""

    ROW = 16
    LEFT = 132

    def __init__(self) -> None:
        super().__init__()
        self._series = Series(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.uint8))
        self._since, self._until = 0.0, 1.0
        self._cursor = float("nan")
        self.setMinimumHeight(self.ROW * len(CLOCKS_EVENT_REASONS) + 4)
        self.setAccessibleName(tr("Clock event reasons over time"))

    def show_series(self, series: Series, since: float, until: float) -> None:
        """Draw the masks of a series between two unix seconds."""
        self._series, self._since, self._until = series, since, until
        self.update()

    def point(self, at: float) -> None:
        """Put the cursor at a unix second, or away with NaN."""
        self._cursor = at
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        t = Theme.now
        painter = QPainter(self)
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        width = self.width() - self.LEFT
        known = ~np.isnan(self._series.v)
        masks = np.nan_to_num(self._series.v).astype(np.int64)
        x = self.LEFT + (self._series.t - self._since) / (self._until - self._since) * width
        for place, (bit, name) in enumerate(CLOCKS_EVENT_REASONS.items()):
            y = place * self.ROW
            painter.setPen(QColor(t.quiet))
            painter.drawText(0, y, self.LEFT - 8, self.ROW, Qt.AlignmentFlag.AlignVCenter, tr(name))
            painter.fillRect(self.LEFT, y + self.ROW - 1, width, 1, QColor(t.line))
            on = known & ((masks & bit) != 0)
            colour = QColor(t.warning if bit in (0x8, 0x20, 0x40, 0x80) else t.curves[1])
            for first, last in _runs(on):
                left = max(self.LEFT, int(x[first]))
                right = int(x[last + 1]) if last + 1 < len(x) else int(x[last]) + 2
                painter.fillRect(left, y + 3, max(2, right - left), self.ROW - 6, colour)
        if self._since <= self._cursor <= self._until:
            at = self.LEFT + (self._cursor - self._since) / (self._until - self._since) * width
            painter.fillRect(int(at), 0, 1, self.height(), QColor(t.accent))
        painter.end()


def _runs(on: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(np.int8), [0]))))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


class CardPage(QWidget):
    """One card. While it is open, the card is sampled faster."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.uuid = ""
        self._mark = ConditionMark()
        self._title = PlainLabel("", "title")
        self._model = PlainLabel("", "quiet")
        self._condition = PlainLabel()
        self._reasons = PlainLabel("", "quiet")
        self.verdict = VerdictPanel(context)
        self._empty, self._stack = Empty(), QStackedWidget()
        self._plots = self._make_plots()
        self._bands = ReasonBands()
        self._facts = Facts()
        self._counters = TextTable((tr("Counter"), tr("Value"), tr("Age"), tr("Source")), tr("Counters"), 3)
        self._counters.setMinimumHeight(260)
        self._processes = process_table()
        self._processes.setMinimumHeight(110)
        self._slices = TextTable((tr("Slice"), tr("Memory"), tr("SM active"), tr("UUID")), tr("Slices"), 3)
        self._slices.setMinimumHeight(100)
        titles = (tr("Time"), tr("Node"), tr("Card"), tr("Kind"), tr("Source"), tr("Text"))
        self._events = TextTable(titles, tr("Events"), 5)
        self._events.setMinimumHeight(120)
        self._build()
        self._pointed = self._plots["use"]
        context.ticked.connect(self.refresh)
        context.timed.connect(self._point)
        context.timeline.loaded.connect(self._show_loaded)
        context.timeline.spanned.connect(self.refresh)

    def _make_plots(self) -> dict[str, TimePlot]:
        made = {
            "use": TimePlot(tr("Utilisation"), "%", 100.0),
            "memory": TimePlot(tr("Memory"), "B"),
            "power": TimePlot(tr("Power"), "W"),
            "temperature": TimePlot(tr("Temperature"), "degC"),
            "clocks": TimePlot(tr("Clocks"), "MHz"),
            "links": TimePlot(tr("PCIe and NVLink"), "B/s"),
        }
        for plot in made.values():
            plot.pointed.connect(self._context.timed.emit)
            plot.pointed.connect(lambda at, p=plot: self._note_plot(p, at))
            plot.picked.connect(self._context.timeline.look)
        return made

    def _build(self) -> None:
        inner = QWidget()
        page = QVBoxLayout(inner)
        page.setContentsMargins(16, 16, 16, 16)
        page.setSpacing(12)
        head = QHBoxLayout()
        head.setSpacing(10)
        for widget in (self._title, self._model, self._mark, self._condition, self._reasons):
            head.addWidget(widget)
        head.addStretch(1)
        page.addLayout(head)
        page.addWidget(self.verdict)
        grid = QGridLayout()
        grid.setSpacing(12)
        for place, plot in enumerate(self._plots.values()):
            panel = Panel("")
            panel.body.setContentsMargins(8, 6, 8, 2)
            panel.body.addWidget(plot)
            panel.setMinimumHeight(170)
            grid.addWidget(panel, place // 2, place % 2)
        page.addLayout(grid)
        bands = Panel(tr("Clock event reasons"))
        bands.body.addWidget(self._bands)
        page.addWidget(bands)
        lower = QHBoxLayout()
        lower.setSpacing(12)
        facts = Panel(tr("Facts"))
        facts.body.addWidget(self._facts)
        facts.body.addStretch(1)
        counters = Panel(tr("Counters"))
        counters.body.addWidget(self._counters)
        lower.addWidget(facts, 2)
        lower.addWidget(counters, 3)
        page.addLayout(lower)
        for title, table in (
            (tr("Processes"), self._processes),
            (tr("Slices"), self._slices),
            (tr("Events"), self._events),
        ):
            panel = Panel(title)
            panel.body.addWidget(table)
            page.addWidget(panel)
            if table is self._slices:
                self._slice_panel = panel
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        self._stack.addWidget(scroll)
        self._stack.addWidget(self._empty)
        outer.addWidget(self._stack)

    def _show_absent(self) -> None:
        line, ask = self._context.timeline, self._context.asked.emit
        if line.is_live:
            self._empty.show_text(tr("This card is not in the fleet now"), self.uuid)
        else:
            title = tr("Nothing was recorded of this card then")
            self._empty.show_text(title, self.uuid, actions=[(tr("Back to live"), lambda: ask("time.live"))])

    def chosen_pid(self) -> int | None:
        """The process that is selected here."""
        return chosen_pid(self._processes)

    def open(self, uuid: str) -> None:
        """Show another card."""
        self.uuid = uuid
        self._context.select(uuid)
        if self.isVisible():
            self._context.live.send(Focus([uuid], FOCUS_S))
        self.refresh()

    def step(self, by: int) -> None:
        """Go to the card `by` places further on the node."""
        row = self._context.live.entity(self.uuid)
        if row is None:
            return
        beside = [e.entity.uuid for e in self._context.live.entities_of(row.entity.node)]
        self._context.go.emit("card", beside[(beside.index(self.uuid) + by) % len(beside)])

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        if self.uuid:
            self._context.live.send(Focus([self.uuid], FOCUS_S))
        self.refresh()

    def hideEvent(self, event: object) -> None:
        super().hideEvent(event)
        self._context.live.send(Focus([], FOCUS_S))

    def _point(self, at: float) -> None:
        for plot in self._plots.values():
            plot.point(at)
        self._bands.point(at)

    def _note_plot(self, plot: TimePlot, at: float) -> None:
        if at == at:
            self._pointed = plot

    def save_plot(self) -> None:
        """Ask where to, and write the plot that was pointed at last."""
        row = self._context.live.entity(self.uuid)
        name = "card" if row is None else f"{row.entity.node}-{row.entity.index}"
        path = saving.ask_path(self, f"{name}-{self._pointed.title.lower().replace(' ', '-')}")
        if path is not None:
            saving.write(path, self._pointed.as_file(path.suffix.lower()[1:]), self._context.said.emit)

    def _show_loaded(self) -> None:
        row = self._context.live.entity(self.uuid)
        if self.isVisible() and row is not None:
            self._show_plots(row)

    def dress(self) -> None:
        """Take over another theme."""
        for plot in self._plots.values():
            plot.dress()

    def refresh(self) -> None:
        """Show the present readings of the card."""
        row = self._context.live.entity(self.uuid)
        if not self.isVisible():
            return
        self._stack.setCurrentIndex(0 if row is not None else 1)
        if row is None:
            self._show_absent()
            return
        self._show_head(row)
        self.verdict.show_for(row.entity.node, self.uuid)
        self._show_plots(row)
        self._show_lists(row)

    def _show_head(self, row: EntityRow) -> None:
        rows, entity = self._context.rows, row.entity
        self._title.set_foreign(f"{entity.node} / {entity.index}")
        self._model.set_foreign(entity.name)
        known = row.row < len(rows.judged.conditions)
        condition = Condition(int(rows.judged.conditions[row.row])) if known else Condition.UNKNOWN
        self._mark.set_condition(condition)
        self._condition.setText(condition_word(condition))
        self._condition.set_role(condition.name.lower() if condition >= Condition.NOTICE else "quiet")
        reasons = rows.judged.reasons[row.row] if known else ()
        self._reasons.setText("   ".join(plain(r) for r in reasons[:3]))

    def _show_plots(self, row: EntityRow) -> None:
        live, line, uuid = self._context.live, self._context.timeline, row.entity.uuid

        def curve(title: str, metric: str) -> Curve:
            return Curve(title, line.series(uuid, metric))

        since, now = line.window()
        limit = line.series(uuid, "power_limit")
        shown = {
            "use": [curve(tr("GPU"), "utilization_gpu"), curve(tr("memory"), "utilization_memory")],
            "memory": [curve(tr("used"), "memory_used"), curve(tr("reserved"), "memory_reserved")],
            "power": [curve(tr("draw"), "power_draw"), Curve(tr("limit"), limit)],
            "temperature": [curve(tr("GPU"), "temperature_gpu"), curve(tr("memory"), "temperature_memory")],
            "clocks": [curve(tr("SM"), "clock_sm"), curve(tr("memory"), "clock_memory")],
            "links": [
                curve(tr("PCIe in"), "pcie_rx"), curve(tr("PCIe out"), "pcie_tx"),
                curve(tr("NVLink in"), "nvlink_rx"), curve(tr("NVLink out"), "nvlink_tx"),
            ],
        }  # fmt: skip
        marks = [
            (e.wall_s, Theme.now.critical, f"XID {e.code}")
            for e in live.events
            if e.uuid == uuid and e.kind == "xid" and e.wall_s > since
        ]
        for name, curves in shown.items():
            self._plots[name].set_utc(self._context.utc)
            self._plots[name].show_curves([*curves, *self._compared(name, curves)], since, now)
            self._plots[name].mark_events(marks)
            self._plots[name].show_moment(line.at)
        self._bands.show_series(line.series(uuid, "clocks_event_reasons"), since, now)

    def _compared(self, name: str, curves: list[Curve]) -> list[Curve]:
        """The same curves of a day earlier, or of another card."""
        line, what = self._context.timeline, self._context.timeline.compared
        if not what or what == self.uuid:
            return []
        if what == "day":
            prefix, uuid, shift = tr("day before"), self.uuid, DAY_S
        else:
            row = self._context.live.entity(what)
            prefix = plain(f"{row.entity.node}/{row.entity.index}") if row is not None else plain(what[:12])
            uuid, shift = what, 0.0
        return [
            Curve(f"{prefix} {curve.title}", line.series(uuid, metric, shift), True)
            for curve, metric in zip(curves, PLOTTED[name], strict=False)
        ]

    def _show_lists(self, row: EntityRow) -> None:
        live, entity = self._context.live, row.entity
        names = sorted(entity.facts)
        self._facts.show_rows([("uuid", entity.uuid, ""), *((n.replace("_", " "), entity.facts[n], "") for n in names)])
        counters = []
        for metric in CARD_METRICS:
            if metric.tier is not Tier.FAST or metric.kind in (Kind.COUNTER, Kind.CODE):
                reading = live.reading(entity.uuid, metric.id)
                counters.append([tr(metric.title), value_text(reading), age_text(reading.age_s), metric.source])
        self._counters.show_rows(counters)
        slices = [e.entity for e in live.entities if e.entity.parent == entity.uuid]
        mine = {entity.uuid: entity.index} | {s.uuid: s.index for s in slices}
        self._processes.show_rows(process_rows([p for p in live.processes(entity.node) if p.uuid in mine], mine))
        self._slice_panel.setVisible(bool(slices))
        self._slices.show_rows(
            [
                s.name,
                value_text(live.reading(s.uuid, "memory_used")),
                value_text(live.reading(s.uuid, "sm_active")),
                s.uuid,
            ]
            for s in slices
        )
        self._events.show_rows(event_rows(self._context, lambda e: e.uuid == entity.uuid))
