"""The node page: its cards as small multiples, the host, processes, versions and the connection."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from console.fleet.condition import Condition
from console.fleet.metrics import HOST_METRIC
from console.fleet.show import DASH, duration, number, plain
from console.fleet.state import ProblemCode, ReadingState
from console.telemetry.live import EntityRow, NodeRow
from console.telemetry.messages import Reconnect
from console.ui.context import Context
from console.ui.dialogs.hostkey import show_key_problem
from console.ui.dialogs.passphrase import ask_passphrase
from console.ui.marks import draw_condition, link_role, link_text
from console.ui.pages.events import event_rows
from console.ui.parts import Facts, Panel, TextTable, age_text, chosen_pid, process_rows, process_table, value_text
from console.ui.plots import sparks
from console.ui.plots.timeplot import Curve, TimePlot
from console.ui.text import PlainLabel, tr
from console.ui.theme import Theme
from console.ui.verdict import VerdictPanel

TILE_H = 118
SAMPLES = 120
LINES: tuple[tuple[str, float], ...] = (
    ("utilization_gpu", 100.0),
    ("memory_used", 0.0),
    ("power_draw", 0.0),
    ("temperature_gpu", 100.0),
)
HOST_FACTS = (
    "cpu_utilization", "load1", "host_memory_used", "host_memory_total", "swap_used", "disk_used", "net_rx", "net_tx",
    "ib_rx", "ib_tx", "disk_read", "disk_write", "net_errors", "ib_errors", "file_handles", "uptime", "ntp_synchronised",
)  # fmt: skip


class CardTile(QWidget):
    """One card: four small curves with their values. Enter or a click opens it.

    Signals:
        opened: its UUID.
    """

    opened = Signal(str)

    def __init__(self, context: Context, row: EntityRow) -> None:
        super().__init__()
        self._context = context
        self._row = row
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setFixedHeight(TILE_H)
        self.setMinimumWidth(280)
        self.setAccessibleName(plain(f"{row.entity.node} / {row.entity.index}"))

    def paintEvent(self, event: QPaintEvent) -> None:
        t, live, entity = Theme.now, self._context.live, self._row.entity
        row = live.row_of.get(entity.uuid)
        if row is None:
            return
        painter = QPainter(self)
        painter.setPen(QPen(QColor(t.accent if self.hasFocus() else t.line), 1.0))
        painter.setBrush(QColor(t.raised))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        centre = Qt.AlignmentFlag.AlignVCenter
        conditions = self._context.rows.judged.conditions
        condition = Condition(int(conditions[row])) if row < len(conditions) else Condition.UNKNOWN
        painter.setPen(QColor(t.text))
        title = f"{'' if not entity.parent else '· '}{entity.index}   {plain(entity.name, 60)}"
        painter.drawText(12, 4, self.width() - 48, 22, centre, title)
        draw_condition(painter, condition, QRectF(self.width() - 24, 9, 12, 12))
        for place, (metric, top) in enumerate(LINES):
            self._line(painter, 28 + place * 21, metric, top, row)
        painter.end()

    def _line(self, painter: QPainter, y: int, metric: str, top: float, row: int) -> None:
        t, live, uuid = Theme.now, self._context.live, self._row.entity.uuid
        centre = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(t.quiet))
        short = {"utilization_gpu": tr("util"), "memory_used": tr("mem"), "power_draw": tr("power")}.get(
            metric, tr("temp")
        )
        painter.drawText(12, y, 44, 20, centre, short)
        reading = live.reading(uuid, metric)
        values = live.sparks(np.array([row]), metric, SAMPLES)
        limit = {"memory_used": "memory_total", "power_draw": "power_limit"}.get(metric)
        high = top or (live.reading(uuid, limit).value if limit else None) or 1.0
        width = self.width() - 56 - 100 - 12
        if width > 20:
            painter.drawImage(56, y + 3, sparks.image(sparks.raster(values, 0.0, high, width, 14, t.curves[0])))
        is_fresh = reading.state is ReadingState.FRESH
        painter.setPen(QColor(t.text if is_fresh else t.faint))
        painter.drawText(self.width() - 108, y, 96, 20, centre | Qt.AlignmentFlag.AlignRight, value_text(reading))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus()
        self._context.select(self._row.entity.uuid)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.opened.emit(self._row.entity.uuid)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.opened.emit(self._row.entity.uuid)
        elif event.key() in (Qt.Key.Key_Right, Qt.Key.Key_Down):
            self.focusNextChild()
        elif event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Up):
            self.focusPreviousChild()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: object) -> None:
        self._context.select(self._row.entity.uuid)
        self.update()


class NodePage(QWidget):
    """One node."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.name = ""
        self._tiles: list[CardTile] = []
        self._tiles_of: tuple[str, int, int] = ("", -1, 0)
        self._title = PlainLabel("", "title")
        self._place = PlainLabel("", "quiet")
        self._link = PlainLabel()
        self._problem = PlainLabel("", "warning").wrapped()
        self._why = PlainLabel("", "quiet").wrapped().selectable()
        self._act = QPushButton()
        self._act.clicked.connect(self.act)
        reconnect = QPushButton(tr("Reconnect"))
        reconnect.clicked.connect(self.reconnect)
        self.verdict = VerdictPanel(context)
        self._cards = QGridLayout()
        self._cards.setSpacing(12)
        self._cpu = TimePlot(tr("CPU"), "%", 100.0)
        self._net = TimePlot(tr("Network and InfiniBand"), "B/s")
        self._host, self._versions, self._connection = Facts(), Facts(), Facts()
        self._ports = TextTable(
            (tr("Port"), tr("State"), tr("In"), tr("Out"), tr("Errors"), tr("Speed")), tr("Ports"), 5
        )
        self._disks = TextTable((tr("Mount"), tr("Used"), tr("Size"), tr("Type"), tr("Device")), tr("Disks"), 4)
        self._processes = process_table()
        titles = (tr("Time"), tr("Node"), tr("Card"), tr("Kind"), tr("Source"), tr("Text"))
        self._events = TextTable(titles, tr("Events"), 5)
        for table in (self._ports, self._disks, self._processes, self._events):
            table.setMinimumHeight(140)
        self._build(reconnect)
        context.ticked.connect(self.refresh)
        context.timed.connect(self._point)
        context.timeline.loaded.connect(self._show_loaded)
        context.timeline.spanned.connect(self.refresh)
        for plot in (self._cpu, self._net):
            plot.pointed.connect(context.timed.emit)
            plot.picked.connect(context.timeline.look)
        context.changed.connect(lambda names: self.refresh() if self.name in names else None)

    def _build(self, reconnect: QPushButton) -> None:
        inner = QWidget()
        page = QVBoxLayout(inner)
        page.setContentsMargins(16, 16, 16, 16)
        page.setSpacing(12)
        head = QHBoxLayout()
        head.setSpacing(12)
        for widget in (self._title, self._place, self._link):
            head.addWidget(widget)
        head.addStretch(1)
        head.addWidget(self._act)
        head.addWidget(reconnect)
        page.addLayout(head)
        page.addWidget(self._problem)
        page.addWidget(self._why)
        page.addWidget(self.verdict)
        page.addLayout(self._cards)
        page.addLayout(self._side_by_side((tr("CPU"), self._cpu), (tr("Network"), self._net)))
        facts = ((tr("Host"), self._host), (tr("Connection"), self._connection), (tr("Versions"), self._versions))
        page.addLayout(self._side_by_side(*facts))
        page.addLayout(self._side_by_side((tr("Disks"), self._disks), (tr("Ports"), self._ports)))
        page.addLayout(self._side_by_side((tr("Processes"), self._processes)))
        page.addLayout(self._side_by_side((tr("Events"), self._events)))
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    @staticmethod
    def _side_by_side(*parts: tuple[str, QWidget]) -> QHBoxLayout:
        layout = QHBoxLayout()
        layout.setSpacing(12)
        for title, widget in parts:
            panel = Panel("" if isinstance(widget, TimePlot) else title)
            panel.body.addWidget(widget)
            if isinstance(widget, Facts):
                panel.body.addStretch(1)
            if isinstance(widget, TimePlot):
                panel.setMinimumHeight(170)
            layout.addWidget(panel, 1)
        return layout

    def chosen_pid(self) -> int | None:
        """The process that is selected here."""
        return chosen_pid(self._processes)

    def open(self, name: str) -> None:
        """Show another node."""
        self.name = name
        self.refresh()

    def open_selected(self) -> None:
        """Go into the selected card of this node."""
        row = self._context.live.entity(self._context.selection)
        if row is not None and row.entity.node == self.name:
            self._context.go.emit("card", row.entity.uuid)
        elif self._tiles:
            self._tiles[0].setFocus()

    def reconnect(self) -> None:
        """Try the connection again now."""
        self._context.live.send(Reconnect(self.name))

    def act(self) -> None:
        """Do what the present problem needs: look at the key, give the passphrase."""
        node = self._context.live.node(self.name)
        if node is None or node.problem is None:
            return
        if node.problem.code is ProblemCode.PASSPHRASE:
            ask_passphrase(self, self._context, node.problem)
        elif node.problem.code in (ProblemCode.KEY_UNKNOWN, ProblemCode.KEY_CHANGED, ProblemCode.KEY_REVOKED):
            show_key_problem(self, self._context, self.name, node.problem)

    def dress(self) -> None:
        """Take over another theme."""
        self._cpu.dress()
        self._net.dress()

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self.refresh()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if self.isVisible() and self._context.live.node(self.name) is not None:
            self._show_tiles()

    def _point(self, at: float) -> None:
        self._cpu.point(at)
        self._net.point(at)

    def _show_loaded(self) -> None:
        if self.isVisible():
            self._show_plots()
            for tile in self._tiles:
                tile.update()

    def refresh(self) -> None:
        """Show the present state of the node."""
        if not self.isVisible():
            return
        node = self._context.live.node(self.name)
        if node is None:
            self._title.setText(tr("This node is not in the fleet now"))
            return
        self._show_head(node)
        self.verdict.show_for(self.name)
        self._show_tiles()
        self._show_plots()
        self._show_facts(node)
        self._show_tables(node)

    def _show_head(self, node: NodeRow) -> None:
        self._title.set_foreign(node.node.name)
        places = (
            node.node.region,
            node.node.rack,
            node.node.supplier,
            *(f"{k} {v}" for k, v in node.node.labels.items()),
        )
        self._place.set_foreign(" · ".join(p for p in places if p))
        self._link.setText(link_text(node.link))
        self._link.set_role(link_role(node.link))
        reason = node.hello.reason if node.hello else ""
        problem = node.problem
        self._problem.set_foreign(problem.what if problem else reason)
        self._problem.setVisible(bool(problem or reason))
        why = f"{problem.why}\n{tr('Next')}: {problem.next_step}" if problem else ""
        self._why.setText("\n".join(plain(line, 400) for line in why.split("\n")))
        self._why.setVisible(bool(why))
        verbs = {
            ProblemCode.KEY_UNKNOWN: tr("Look at the host key…"),
            ProblemCode.KEY_CHANGED: tr("What happened?"),
            ProblemCode.KEY_REVOKED: tr("What happened?"),
            ProblemCode.PASSPHRASE: tr("Give the passphrase…"),
        }
        verb = verbs.get(problem.code, "") if problem else ""
        self._act.setText(verb)
        self._act.setVisible(bool(verb))

    def _show_tiles(self) -> None:
        live = self._context.live
        columns = max(1, min(4, (self.width() - 32) // 300))
        if self._tiles_of != (self.name, live.version, columns):
            self._tiles_of = (self.name, live.version, columns)
            for tile in self._tiles:
                self._cards.removeWidget(tile)
                # Until it is deleted it would be painted where the layout no longer holds it.
                tile.hide()
                tile.deleteLater()
            self._tiles = []
            for place, row in enumerate(live.entities_of(self.name)):
                tile = CardTile(self._context, row)
                tile.opened.connect(lambda uuid: self._context.go.emit("card", uuid))
                self._cards.addWidget(tile, place // columns, place % columns)
                self._tiles.append(tile)
        for tile in self._tiles:
            tile.update()

    def _show_plots(self) -> None:
        line, host = self._context.timeline, f"host:{self.name}"
        cpu = [Curve(tr("CPU"), line.series(host, "cpu_utilization"))]
        net = [Curve(tr(HOST_METRIC[m].title), line.series(host, m)) for m in ("net_rx", "net_tx", "ib_rx", "ib_tx")]
        since, until = line.window()
        for plot, curves in ((self._cpu, cpu), (self._net, net)):
            plot.set_utc(self._context.utc)
            plot.show_curves(curves, since, until)
            plot.show_moment(line.at)

    def _show_facts(self, node: NodeRow) -> None:
        live, hello, c = self._context.live, node.hello, node.counters
        readings = [live.host_reading(self.name, m) for m in HOST_FACTS]
        self._host.show_rows([(tr(HOST_METRIC[r.metric].title), value_text(r), age_text(r.age_s)) for r in readings])
        versions = sorted((hello.versions | hello.host).items()) if hello else []
        self._versions.show_rows([(k.replace("_", " "), v, "") for k, v in versions if v])
        cost = {t: live.host_reading(self.name, f"agent_{t}_ms") for t in ("fast", "medium", "slow")}
        rows = [
            (tr("Address"), f"{node.node.host}:{node.node.port or 22}", ""),
            (tr("Mode"), {"nvml": "NVML", "smi": tr("reduced: nvidia-smi"), "none": tr("host only")}.get(hello.mode, DASH)
             if hello else DASH, ""),
            (tr("Last line"), DASH if c.last_line_s is None else duration(c.last_line_s), ""),
            (tr("Delay beyond the least"), DASH if c.delay_s is None else number(c.delay_s * 1000, "ms"), ""),
            (tr("Clock offset"), DASH if c.clock_offset_s is None else f"{c.clock_offset_s:+.3f} s", ""),
            (tr("Lines received"), f"{c.lines}", ""),
            (tr("Lines missed"), f"{c.missed}", ""),
            (tr("Refused"), ", ".join(f"{k} {n}" for k, n in c.dropped.items()) or "0", ""),
            (tr("Reconnects"), f"{c.reconnects}", ""),
            (tr("Agent CPU"), value_text(live.host_reading(self.name, "agent_cpu")), ""),
            *((f"{tr('Agent pass')}, {t}", value_text(r), "") for t, r in cost.items()),
        ]  # fmt: skip
        if c.dropped_newest:
            rows.append((tr("Newest refusal"), c.dropped_newest, ""))
        self._connection.show_rows(rows)

    def _show_tables(self, node: NodeRow) -> None:
        live = self._context.live
        index_of = {e.entity.uuid: e.entity.index for e in live.entities_of(self.name)}
        self._processes.show_rows(process_rows(live.processes(self.name), index_of))
        self._events.show_rows(event_rows(self._context, lambda e: e.node == self.name))
        detail = live.detail(self.name)
        if detail is not None:
            self._disks.show_rows(
                [
                    d.mount,
                    number(100.0 * d.used / d.size if d.size else None, "%"),
                    number(d.size, "B"),
                    d.fstype,
                    d.device,
                ]
                for d in detail.disks
            )
            self._ports.show_rows(
                [p.name, p.state, number(p.rx, "B/s"), number(p.tx, "B/s"), p.errors, p.speed] for p in detail.ports
            )
