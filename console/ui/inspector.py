"""The inspector on the right: the same for whatever is selected anywhere, card or node."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from console.fleet.condition import Condition
from console.fleet.metrics import CARD_METRIC
from console.fleet.model import EntityKind
from console.fleet.show import DASH, duration, middle, plain
from console.operations.scheduler import SchedulerState
from console.operations.states import NODE as WHOLE
from console.operations.states import Admin, Book
from console.telemetry.live import EntityRow, LiveFleet, NodeRow
from console.ui.context import NODE, Context
from console.ui.marks import condition_word, link_role, link_text
from console.ui.parts import ConditionMark, Facts, Spark, admin_word, process_rows, process_table, value_text
from console.ui.text import PlainLabel, tr
from console.ui.theme import mono

WIDTH, NARROW_WIDTH = 376, 304
SAMPLES = 120
CURVES: tuple[tuple[str, str, float], ...] = (
    ("utilization_gpu", "Utilisation", 100.0),
    ("memory_used", "Memory", 0.0),
    ("power_draw", "Power", 0.0),
    ("temperature_gpu", "Temperature", 100.0),
)
MORE = (
    "clock_sm",
    "clocks_event_reasons",
    "power_limit",
    "ecc_uncorrected_volatile",
    "recovery_action",
    "nvlink_active",
)


class Inspector(QFrame):
    """What is known of the selected card or node, at a glance.

    Attributes:
        is_allowed: False on pages that show the same themselves.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setObjectName("inspector")
        self.setFixedWidth(WIDTH)
        self.is_allowed = True
        self._context = context
        self._title = PlainLabel("", "heading").elided()
        self._model = PlainLabel("", "quiet").elided()
        self._mark = ConditionMark()
        self._condition = PlainLabel()
        self._reasons = PlainLabel().wrapped()
        self._next = PlainLabel("", "quiet").wrapped().selectable()
        self._uuid = PlainLabel("", "faint").selectable().left_to_right()
        self._uuid.setFont(mono(11))
        self._sparks = {metric: Spark(tr(title)) for metric, title, _ in CURVES}
        self._facts = Facts()
        self._no_processes = PlainLabel(tr("No process uses this card."), "quiet").wrapped()
        self._processes = process_table()
        for column in (1, 2, 4):
            self._processes.setColumnHidden(column, True)
        self._processes.setFixedHeight(148)
        self._processes_title = PlainLabel(tr("Processes"), "section")
        self._open_card = QPushButton(tr("Open card"))
        self._open_card.clicked.connect(lambda: context.go.emit("card", context.selection))
        self._open_node = QPushButton(tr("Open node"))
        self._open_node.clicked.connect(self._go_to_node)
        self._build()
        context.selected.connect(lambda _: self.refresh())
        context.ticked.connect(self.refresh)
        self.hide()

    def _build(self) -> None:
        inner = QWidget()
        # A long word must not widen the inspector: labels elide or wrap instead.
        inner.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(16, 12, 16, 16)
        layout.setSpacing(8)
        state = QHBoxLayout()
        state.setSpacing(8)
        state.addWidget(self._mark)
        state.addWidget(self._condition)
        state.addStretch(1)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self._open_card, 1)
        buttons.addWidget(self._open_node, 1)
        for part in (self._title, self._model, state, self._reasons, self._next, buttons):
            layout.addLayout(part) if isinstance(part, QHBoxLayout) else layout.addWidget(part)
        layout.addSpacing(4)
        for spark in self._sparks.values():
            layout.addWidget(spark)
        layout.addSpacing(4)
        layout.addWidget(self._facts)
        layout.addSpacing(4)
        for widget in (self._processes_title, self._no_processes, self._processes, self._uuid):
            layout.addWidget(widget)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def set_narrow(self, narrow: bool) -> None:
        """Give way where the window is narrow."""
        self.setFixedWidth(NARROW_WIDTH if narrow else WIDTH)

    def _go_to_node(self) -> None:
        selection = self._context.selection
        found = self._context.live.entity(selection)
        self._context.go.emit("node", found.entity.node if found is not None else selection.removeprefix(NODE))

    def refresh(self) -> None:
        """Show the present readings of what is selected."""
        live, selection = self._context.live, self._context.selection
        row = live.entity(selection)
        node = live.node(selection.removeprefix(NODE)) if selection.startswith(NODE) else None
        self.setVisible(self.is_allowed and (row is not None or node is not None))
        if not self.isVisible():
            return
        if row is not None:
            self._show_card(row)
        elif node is not None:
            self._show_node(node)

    def _show_parts(self, is_card: bool) -> None:
        for widget in (*self._sparks.values(), self._processes_title, self._open_card):
            widget.setVisible(is_card)
        if not is_card:
            self._processes.hide()
            self._no_processes.hide()

    def _show_card(self, row: EntityRow) -> None:
        live, rows, entity = self._context.live, self._context.rows, row.entity
        self._show_parts(True)
        self._title.set_foreign(f"{entity.node} / {entity.index}")
        self._model.set_foreign(entity.name)
        known = row.row < len(rows.judged.conditions)
        condition = Condition(int(rows.judged.conditions[row.row])) if known else Condition.UNKNOWN
        self._mark.setVisible(condition is not Condition.WELL)
        self._mark.set_condition(condition)
        self._condition.setText(condition_word(condition))
        self._condition.set_role(condition.name.lower() if condition >= Condition.NOTICE else "quiet")
        reasons = rows.judged.reasons[row.row] if known else ()
        self._reasons.setText("\n".join(plain(r) for r in reasons))
        self._reasons.setVisible(bool(reasons))
        self._next.hide()
        for metric, _, top in CURVES:
            values = live.sparks(np.array([row.row]), metric, SAMPLES)[0]
            high = top or _top(live, entity.uuid, metric, values)
            self._sparks[metric].show_values(values, 0.0, high, live.reading(entity.uuid, metric))
        readings = [live.reading(entity.uuid, m) for m in MORE]
        facts = [(tr(CARD_METRIC[r.metric].title), value_text(r), "") for r in readings]
        facts += [
            (tr("Serial"), entity.facts.get("serial", ""), ""),
            (tr("PCI"), entity.facts.get("pci_bus_id", ""), ""),
        ]
        facts = [*self._service(entity.node, entity.uuid), *facts]
        self._facts.show_rows([f for f in facts if f[1]])
        mine = [p for p in live.processes(entity.node) if p.uuid == entity.uuid]
        self._processes.show_rows(process_rows(mine, {entity.uuid: entity.index}))
        self._processes.setVisible(bool(mine))
        self._no_processes.setVisible(not mine)
        self._uuid.set_foreign(middle(entity.uuid, 40))

    def _show_node(self, row: NodeRow) -> None:
        live, node, hello, counters = self._context.live, row.node, row.hello, row.counters
        self._show_parts(False)
        self._title.set_foreign(node.name)
        self._model.set_foreign(" · ".join(p for p in (node.region, node.rack, node.supplier) if p) or node.host)
        self._mark.hide()
        self._condition.setText(link_text(row.link))
        self._condition.set_role(link_role(row.link))
        problem, reason = row.problem, hello.reason if hello else ""
        what = f"{problem.what}. {problem.why}".strip(". ") if problem else reason
        self._reasons.set_foreign(what, 400)
        self._reasons.setVisible(bool(what))
        self._next.set_foreign(f"{tr('Next')}: {problem.next_step}" if problem else "", 400)
        self._next.setVisible(problem is not None)
        cards = sum(e.entity.kind is EntityKind.CARD for e in live.entities_of(node.name))
        host = [("CPU", "cpu_utilization"), (tr("Host memory"), "host_memory_used"), (tr("Load, 1 min"), "load1")]
        facts = [(tr("Cards"), str(cards), "")]
        facts += [(title, value_text(live.host_reading(node.name, metric)), "") for title, metric in host]
        facts += [
            (tr("Driver"), (hello.versions.get("driver") if hello else "") or DASH, ""),
            (tr("Last line"), DASH if counters.last_line_s is None else duration(counters.last_line_s), ""),
            (tr("Clock offset"), DASH if counters.clock_offset_s is None else f"{counters.clock_offset_s:+.2f} s", ""),
            (tr("Reconnects"), str(counters.reconnects), ""),
        ]
        self._facts.show_rows([*self._service(node.name, WHOLE), *facts])
        self._uuid.set_foreign(f"{node.host}:{node.port or 22}")

    def _service(self, node: str, target: str) -> list[tuple[str, str, str]]:
        """What the node's card book says of a target, and its scheduler of the node."""
        desk = self._context.desk
        book, said = desk.books.get(node), desk.schedulers.get(node)
        rows: list[tuple[str, str, str]] = []
        if isinstance(book, Book):
            for entry in dict.fromkeys((book.entry(target), book.entry(WHOLE))):
                if entry.admin is not Admin.IN_SERVICE:
                    rows.append((tr("State"), admin_word(entry.admin), ""))
                rows += [(tr("Hold"), f"{h.reason} – {h.owner}", "") for h in entry.holds]
                if entry.assignment is not None:
                    rows.append((tr("Tenant"), entry.assignment.tenant, ""))
        if isinstance(said, SchedulerState):
            rows.append((tr("Scheduler"), f"{said.text} {said.reason}".strip(), ""))
        return rows


def _top(live: LiveFleet, uuid: str, metric: str, values: np.ndarray) -> float:
    """The top of a small curve: the card's own limit where there is one."""
    limit = {"memory_used": "memory_total", "power_draw": "power_limit"}.get(metric)
    reading = live.reading(uuid, limit) if limit else None
    if reading is not None and reading.value:
        return float(reading.value)
    return float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
