"""The alarms page: what asks for a person, worst first; what it means and what to do; and what is put aside."""

from __future__ import annotations

import contextlib
import time

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from console.fleet.show import duration, plain
from console.health.alarms import MOST_ROWS, Alarm, Group, grouped
from console.ui.context import Context
from console.ui.parts import Lines, TextTable
from console.ui.text import PlainLabel, tr

JUST_S = 0.3
SEVERITIES = {1: "◆", 2: "▲", 3: "○"}


class AlarmsPage(QWidget):
    """Alarms of the fleet."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._watch = context.watch
        self._rows: list[Group] = []
        self._aside = False
        self._refreshed = 0.0
        self._head = PlainLabel("", "quiet").wrapped()
        titles = (
            tr("Severity"), tr("Since"), tr("Node"), tr("Card"), tr("What"), tr("Do"), tr("State"), tr("ID"),
        )  # fmt: skip
        self.table = TextTable(titles, tr("Alarms"), 5, is_mono=False)
        self.table.currentCellChanged.connect(lambda row, *_: self._select(row))
        self.table.cellDoubleClicked.connect(lambda *_: self.open_selected())
        self.setFocusProxy(self.table)
        self.note = self._button(tr("Take note"), "alarm.note")
        self.shelf = self._button(tr("Put aside…"), "alarm.shelve")
        self.drain = self._button(tr("Drain…"), "acts.drain")
        self.see = self._button(tr("Open"), "go.in")
        self.aside = QToolButton()
        self.aside.setProperty("chip", True)
        self.aside.setCheckable(True)
        self.aside.clicked.connect(self._toggle)
        self.guidance = Lines()
        self._quality = PlainLabel("", "faint").wrapped()
        self._build()
        self._watch.changed.connect(self.refresh)
        context.ticked.connect(self._tick)

    def _button(self, text: str, command: str) -> QPushButton:
        button = QPushButton(text)
        button.setAutoDefault(False)
        button.clicked.connect(lambda: self._context.asked.emit(command))
        return button

    def _build(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self._head, 1)
        top.addWidget(self.aside)
        below = QWidget()
        layout = QVBoxLayout(below)
        layout.setContentsMargins(0, 8, 0, 8)
        layout.setSpacing(8)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for button in (self.note, self.shelf, self.drain, self.see):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout.addLayout(buttons)
        # Wrapped lines ask for more height than they take, and would leave the list a single row.
        words = QScrollArea()
        words.setWidgetResizable(True)
        words.setFrameShape(QFrame.Shape.NoFrame)
        words.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        words.setWidget(self._padded(self.guidance))
        layout.addWidget(words, 1)
        layout.addWidget(self._quality)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setChildrenCollapsible(False)
        split.addWidget(self.table)
        split.addWidget(below)
        split.setStretchFactor(0, 1)
        split.setStretchFactor(1, 0)
        split.setSizes([480, 230])
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 12, 16, 0)
        outer.setSpacing(8)
        outer.addLayout(top)
        outer.addWidget(split, 1)

    @staticmethod
    def _padded(lines: QWidget) -> QWidget:
        holder = QWidget()
        layout = QVBoxLayout(holder)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(lines)
        layout.addStretch(1)
        return holder

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self.refresh()
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def _toggle(self) -> None:
        self._aside = not self._aside
        self.refresh()

    def _tick(self) -> None:
        # When alarms changed in this very turn they are shown already.
        if time.monotonic() - self._refreshed > JUST_S:
            self.refresh()

    def refresh(self) -> None:
        """Show the alarms as they stand."""
        if not self.isVisible():
            return
        self._refreshed = time.monotonic()
        alarms, now = self._watch.alarms, time.time()
        shown, aside = alarms.shown(), alarms.set_aside()
        chosen = self.chosen_alarm()
        places = self._places() if len(shown) > MOST_ROWS else {}
        self._rows = [Group("", (a,)) for a in aside] if self._aside else grouped(shown, places)
        self._head.set_foreign(self._heading(len(shown), alarms.is_flood(now)), 400)
        self.aside.setText(f"{tr('Put aside')}  {len(aside)}")
        self.aside.setChecked(self._aside)
        self.table.show_rows(self._line(g, now) for g in self._rows)
        keys = [g.first.key for g in self._rows]
        if chosen is not None and chosen.key in keys:
            if self.table.currentRow() != keys.index(chosen.key):
                self.table.selectRow(keys.index(chosen.key))
        elif keys and self.table.currentRow() < 0:
            self.table.selectRow(0)
        self._show_guidance()
        q = alarms.quality(now)
        text = tr("Raised in ten minutes: {rate}. In flood: {flood} of the time. Standing for a day: {stale}.")
        self._quality.setText(text.format(rate=f"{q.per_10_min:.1f}", flood=f"{q.flood_share:.1%}", stale=q.stale))

    def _places(self) -> dict[str, dict[str, str]]:
        """{what nodes may have in common: {node: which}}, for the flood to be gathered by what gathers most."""
        live, tenants = self._context.console.live, self._context.rows.tenants
        nodes = live.nodes
        owner: dict[str, set[str]] = {}
        for e in live.entities:
            owner.setdefault(e.entity.node, set()).add(tenants.get(e.entity.uuid, ""))
        return {
            "rack": {n.node.name: n.node.rack for n in nodes},
            "switch": {n.node.name: n.node.labels.get("switch", "") for n in nodes},
            "driver": {n.node.name: n.hello.versions.get("driver", "") if n.hello is not None else "" for n in nodes},
            # A node of several tenants is none's trouble alone.
            "tenant": {name: next(iter(found)) if len(found) == 1 else "" for name, found in owner.items()},
            "node": {n.node.name: n.node.name for n in nodes},
        }

    def _heading(self, count: int, is_flood: bool) -> str:
        if self._watch.problem:
            return tr("Alarms are not remembered:") + f" {self._watch.problem}"
        if not self._context.desk.can_act:
            return tr("A recording raises no alarms; its findings are on the map.")
        if self._aside:
            return tr("Put aside by somebody, or out of service on purpose.")
        if not count:
            return tr("Nothing asks for anybody.")
        text = tr("%n alarms, worst first", count)
        return f"{text}; {tr('a flood: grouped, what came first on top')}" if is_flood else text

    def _line(self, group: Group, now: float) -> list[str]:
        first = group.first
        lead = first.lead
        if len(group.alarms) > 1:
            what = f"{group.title} ({len(group.alarms)})"
            return [self._severity(first), self._since(first, now), "", "", what, lead.do, "", ""]
        row = self._context.console.live.entity(lead.card)
        card = "" if not lead.card else plain(lead.card, 20) if row is None else str(row.entity.index)
        more = f" (+{first.others})" if first.others else ""
        return [
            self._severity(first), self._since(first, now), lead.node or tr("the fleet"), card, lead.signal + more, lead.do,
            _state(first) + (f"; {tr('chatters')}" if self._watch.alarms.is_chattering(first, now) else ""), first.id,
        ]  # fmt: skip

    def _severity(self, alarm: Alarm) -> str:
        words = {1: tr("page"), 2: tr("today"), 3: tr("trend")}
        return f"{SEVERITIES[alarm.severity]} {words[alarm.severity]}"

    def _since(self, alarm: Alarm, now: float) -> str:
        return duration(max(0.0, now - alarm.raised))

    # What is chosen

    def chosen_alarm(self) -> Alarm | None:
        """The alarm of the current row; of a group the first."""
        at = self.table.currentRow()
        return self._rows[at].first if 0 <= at < len(self._rows) else None

    def chosen(self) -> list[str]:
        """Cards, or else nodes, of the current row: what acts are of."""
        at = self.table.currentRow()
        if not 0 <= at < len(self._rows):
            return []
        return list(
            dict.fromkeys(a.lead.card or a.lead.node for a in self._rows[at].alarms if a.lead.card or a.lead.node)
        )

    def open_selected(self) -> None:
        """Go to the card or node of the current row."""
        alarm = self.chosen_alarm()
        if alarm is not None and alarm.lead.card:
            self._context.go.emit("card", alarm.lead.card)
        elif alarm is not None and alarm.lead.node:
            self._context.go.emit("node", alarm.lead.node)

    def _select(self, row: int) -> None:
        if self.isVisible() and 0 <= row < len(self._rows):
            lead = self._rows[row].first.lead
            if lead.card:
                self._context.select(lead.card)
            self._show_guidance()

    def _show_guidance(self) -> None:
        alarm = self.chosen_alarm()
        for button in (self.note, self.shelf, self.drain, self.see):
            button.setEnabled(alarm is not None)
        if alarm is None:
            self.guidance.show_lines(())
            return
        self.shelf.setText(tr("Take back") if alarm.shelved_until else tr("Put aside…"))
        lead = alarm.lead
        lines, acts = [lead.evidence], [lead.do]
        with contextlib.suppress(KeyError):  # a site may take a rule away while its alarm stands
            rule = self._context.rows.checkup.triage.rule(lead.rule)
            lines += [rule.meaning, f"{tr('Likely cause:')} {rule.cause}"]
            acts += rule.acts[1:]
        lines += [f"{i}. {act}" for i, act in enumerate(acts, 1)]
        lines.append(f"{tr('Source:')} {lead.source}" + (f"; {lead.differs}" if lead.differs else ""))
        if alarm.shelved_until:
            until = self._context.local(alarm.shelved_until)
            lines.append(f"{tr('Put aside by')} {alarm.shelved_by} {tr('until')} {until:%H:%M}: {alarm.shelved_why}")
        self.guidance.show_lines(lines)


def _state(alarm: Alarm) -> str:
    return {
        "unacknowledged": tr("new"),
        "acknowledged": tr("noted by {who}").format(who=alarm.acked_by),
        "cleared, unacknowledged": tr("over, not noted"),
        "shelved": tr("put aside"),
        "suppressed": tr("out of service"),
    }[alarm.state]
