"""The inspector on the right: the same for whatever is selected anywhere."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from console.fleet.condition import Condition
from console.fleet.metrics import CARD_METRIC
from console.fleet.show import middle, plain
from console.telemetry.live import EntityRow
from console.ui.context import Context
from console.ui.marks import condition_word
from console.ui.parts import ConditionMark, Facts, Spark, process_rows, process_table, value_text
from console.ui.text import PlainLabel, tr
from console.ui.theme import mono

WIDTH = 376
SAMPLES = 120
CURVES: tuple[tuple[str, float], ...] = (
    ("utilization_gpu", 100.0),
    ("memory_used", 0.0),
    ("power_draw", 0.0),
    ("temperature_gpu", 100.0),
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
    """What is known of the selected card, at a glance.

    Attributes:
        is_allowed: False on pages that show the same card themselves.
    """

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setObjectName("inspector")
        self.setFixedWidth(WIDTH)
        self.is_allowed = True
        self._context = context
        self._mark = ConditionMark()
        self._title = PlainLabel("", "heading")
        self._model = PlainLabel("", "quiet")
        self._condition = PlainLabel()
        self._reasons = PlainLabel().wrapped()
        self._uuid = PlainLabel("", "faint").selectable()
        self._uuid.setFont(mono(11))
        self._sparks = {m: Spark(tr(CARD_METRIC[m].title).split(" ")[-1].capitalize()) for m, _ in CURVES}
        self._facts = Facts()
        self._processes = process_table()
        for column in (1, 2, 4):
            self._processes.setColumnHidden(column, True)
        self._processes.setMinimumHeight(110)
        open_card = QPushButton(tr("Open card"))
        open_card.clicked.connect(lambda: context.go.emit("card", context.selection))
        open_node = QPushButton(tr("Open node"))
        open_node.clicked.connect(self._open_node)
        self._build(open_card, open_node)
        context.selected.connect(lambda _: self.refresh())
        context.ticked.connect(self.refresh)
        self.hide()

    def _build(self, open_card: QPushButton, open_node: QPushButton) -> None:
        inner = QWidget()
        layout = QVBoxLayout(inner)
        layout.setContentsMargins(16, 16, 16, 16)
        layout.setSpacing(8)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self._mark)
        head.addWidget(self._condition)
        head.addStretch(1)
        layout.addWidget(self._title)
        layout.addWidget(self._model)
        layout.addLayout(head)
        layout.addWidget(self._reasons)
        for spark in self._sparks.values():
            layout.addWidget(spark)
        layout.addSpacing(4)
        layout.addWidget(self._facts)
        layout.addWidget(PlainLabel(tr("Processes").upper(), "section"))
        layout.addWidget(self._processes)
        layout.addWidget(self._uuid)
        buttons = QHBoxLayout()
        buttons.addWidget(open_card)
        buttons.addWidget(open_node)
        layout.addLayout(buttons)
        layout.addStretch(1)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(inner)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)

    def _open_node(self) -> None:
        found = self._context.live.entity(self._context.selection)
        if found is not None:
            self._context.go.emit("node", found.entity.node)

    def refresh(self) -> None:
        """Show the selected card's present readings."""
        row = self._context.live.entity(self._context.selection)
        self.setVisible(row is not None and self.is_allowed)
        if row is not None and self.isVisible():
            self._show(row)

    def _show(self, row: EntityRow) -> None:
        live, rows, entity = self._context.live, self._context.rows, row.entity
        self._title.set_foreign(f"{entity.node} / {entity.index}")
        self._model.set_foreign(entity.name)
        known = row.row < len(rows.judged.conditions)
        condition = Condition(int(rows.judged.conditions[row.row])) if known else Condition.UNKNOWN
        self._mark.set_condition(condition)
        self._condition.setText(condition_word(condition))
        self._condition.set_role(condition.name.lower() if condition >= Condition.NOTICE else "quiet")
        reasons = rows.judged.reasons[row.row] if known else ()
        self._reasons.setText("\n".join(plain(r) for r in reasons))
        self._reasons.setVisible(bool(reasons))
        for metric, top in CURVES:
            values = live.sparks(np.array([row.row]), metric, SAMPLES)[0]
            high = top or _top(live, entity.uuid, metric, values)
            self._sparks[metric].show_values(values, 0.0, high, live.reading(entity.uuid, metric))
        readings = [live.reading(entity.uuid, m) for m in MORE]
        facts = [(tr(CARD_METRIC[r.metric].title), value_text(r), "") for r in readings]
        facts += [
            (tr("Serial"), entity.facts.get("serial", ""), ""),
            (tr("PCI"), entity.facts.get("pci_bus_id", ""), ""),
        ]
        self._facts.show_rows([f for f in facts if f[1]])
        mine = [p for p in live.processes(entity.node) if p.uuid == entity.uuid]
        self._processes.show_rows(process_rows(mine, {entity.uuid: entity.index}))
        self._uuid.set_foreign(middle(entity.uuid, 40))


def _top(live: object, uuid: str, metric: str, values: np.ndarray) -> float:
    """The top of a small curve: the card's own limit where there is one."""
    limit = {"memory_used": "memory_total", "power_draw": "power_limit"}.get(metric)
    reading = live.reading(uuid, limit) if limit else None  # type: ignore[attr-defined]
    if reading is not None and reading.value:
        return float(reading.value)
    return float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
