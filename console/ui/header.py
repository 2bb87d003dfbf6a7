"""The header: what fleet this is and how it is, in words; and the status line at the foot."""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QToolButton

from console.fleet.condition import Condition
from console.fleet.state import LinkState
from console.ui.bar import Bar
from console.ui.context import Context
from console.ui.icons import icon
from console.ui.text import PlainLabel, left_to_right, plain, set_tip, tr

HEADER_H, STATUS_H = 40, 24
SAID_MS = 6000


class Header(Bar):
    """The state of the fleet. A demo changes its words and its edge."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setObjectName("header")
        self.setFixedHeight(HEADER_H)
        self._context = context
        self.fleet = PlainLabel("", "heading")
        self.mode = PlainLabel("", "badge")
        self.live = PlainLabel("", "quiet")
        self.counts = PlainLabel("", "quiet")
        self.sick = QToolButton()
        self.sick.setProperty("chip", "flat")
        self.sick.setProperty("tone", "critical")
        self.sick.clicked.connect(lambda: context.asked.emit("filter.faults"))
        set_tip(self.sick, tr("Show only these"))
        self.lock = QToolButton()
        self.lock.setProperty("chip", "flat")
        self.lock.clicked.connect(lambda: context.asked.emit("acts.arm"))
        self._palette = QToolButton()
        self._palette.setProperty("field", True)
        self._palette.setText(tr("Find a command, a node or a card") + "    Ctrl+K")
        self._palette.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._palette.setIconSize(QSize(16, 16))
        self._palette.setAccessibleName(tr("Command palette"))
        self._palette.clicked.connect(lambda: context.asked.emit("palette.open"))
        self._keys = QToolButton()
        self._keys.setProperty("chip", "flat")
        self._keys.setIconSize(QSize(20, 20))
        self._keys.setAccessibleName(tr("Keys of this view"))
        set_tip(self._keys, tr("Keys of this view") + "  (?)")
        self._keys.clicked.connect(lambda: context.asked.emit("keys.show"))
        layout = self.row
        layout.setContentsMargins(16, 0, 8, 0)
        layout.setSpacing(16)
        for label in (self.fleet, self.mode, self.live, self.counts, self.sick):
            layout.addWidget(label)
        layout.addStretch(1)
        layout.addWidget(self.lock)
        layout.addWidget(self._palette)
        layout.addWidget(self._keys)
        self.mode.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.give_way((self.counts, self.live, self._palette))
        self.dress()

    def dress(self) -> None:
        """Take over another theme."""
        self._palette.setIcon(icon("search"))
        self._keys.setIcon(icon("keys"))

    def set_narrow(self, narrow: bool) -> None:
        """Give way where the window is narrow."""
        words = "Ctrl+K" if narrow else tr("Find a command, a node or a card") + "    Ctrl+K"
        self._palette.setText(words)

    def refresh(self) -> None:
        """Show the present state."""
        live = self._context.live
        links = live.links()
        up = links[LinkState.LIVE]
        sick = int((self._context.rows.judged.conditions >= Condition.WARNING).sum())
        self.fleet.set_foreign(live.fleet.name, 40)
        if live.collector:
            self.live.setText("◌ " + (tr("starting") if live.collector == "starting" else plain(live.collector, 80)))
        else:
            self.live.setText("● " + tr("live") if up else "○ " + tr("not connected"))
        nodes = tr("{up} of {all} nodes").format(up=up, all=links.total())
        out = len(self._context.rows.out)
        more = f"   {tr('%n out of service', out)}" if out else ""
        self.counts.setText(f"{nodes}   {tr('%n cards', self._context.rows.cards())}{more}")
        self.sick.setText(tr("%n need attention", sick))
        self.set_wanted(self.sick, bool(sick))
        line = self._context.timeline
        if not line.is_live:
            self.live.setText("◷ " + tr("past"))
        armed_s = self._context.desk.armed_s
        minutes = max(1, round(armed_s / 60.0))
        self.lock.setText(("⚠ " + tr("Acts allowed, %n min", minutes)) if armed_s else "▪ " + tr("Read-only"))
        self.lock.setProperty("tone", "warning" if armed_s else "")
        set_tip(self.lock, tr("Lock acts again") + "  (A)" if armed_s else tr("Allow acts for 15 minutes") + "  (A)")
        self.set_wanted(self.lock, self._context.desk.can_act)
        is_past = not line.is_live
        self._set_mode("past" if is_past else "armed" if armed_s else "demo" if live.fleet.demo else "")
        self.mode.setText(
            {"demo": tr("Demo: simulated nodes"), "past": tr("The past, not now")}.get(
                "past" if is_past else "demo" if live.fleet.demo else "", ""
            )
        )
        self.set_wanted(self.mode, is_past or live.fleet.demo)

    def _set_mode(self, mode: str) -> None:
        if (self.property("mode") or "") != mode:
            self.setProperty("mode", mode)
            for widget in (self, self.mode, self.lock):
                self.style().unpolish(widget)
                self.style().polish(widget)


class StatusLine(QFrame):
    """What is under the pointer, what was just done, and what time it is."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setObjectName("status")
        self.setFixedHeight(STATUS_H)
        self._context = context
        self._pointed = ""
        self.text = PlainLabel("", "label").elided()
        self.clock = PlainLabel("", "label").left_to_right()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 0)
        layout.setSpacing(16)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.clock)
        self.clock.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self._said = QTimer(self)
        self._said.setSingleShot(True)
        self._said.timeout.connect(self._show)
        context.pointed.connect(self.point)
        context.said.connect(self.say)
        self.tick()

    def point(self, text: str) -> None:
        """Show what is under the pointer; something just done stays in front for its time."""
        self._pointed = text
        if not self._said.isActive():
            self._show()

    def say(self, text: str) -> None:
        """Show what was done, for some seconds."""
        self.text.set_foreign(text, 300)
        self._said.start(SAID_MS)

    def _show(self) -> None:
        self.text.setText(left_to_right(plain(self._pointed, 300)))

    def tick(self) -> None:
        """Show the time, with its zone."""
        now = datetime.now(UTC)
        shown = now if self._context.utc else now.astimezone()
        zone = "UTC" if self._context.utc else shown.strftime("%Z")
        self.clock.setText(f"{shown:%Y-%m-%d %H:%M:%S} {zone}")
