"""The bar of time under every view: where we are, what was recorded, what happened; drag it to look back."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import numpy as np
from PySide6.QtCore import QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF, QWheelEvent
from PySide6.QtWidgets import QFrame, QSizePolicy, QToolButton, QWidget

from console.fleet.model import NodeEvent
from console.fleet.show import duration
from console.ui.bar import Bar as Row
from console.ui.context import Context
from console.ui.icons import icon
from console.ui.text import PlainLabel, plain, set_tip, show_tip, tr
from console.ui.theme import Theme
from console.ui.timeline import BARS, Timeline

BAR_H = 46
TRACK_H = 44
EDGE = 8
NEAR_PX = 4
SNAP_PX = 6
_HOURS = (1 / 12, 1 / 6, 0.25, 0.5, 1, 2, 3, 6, 12, 24, 48, 120, 240)
_GRAVE = frozenset({"xid", "card_lost", "card_hung", "reboot"})
_WARN = frozenset({"link", "counter", "driver", "clock_step", "agent"})


def when_text(at: float, utc: bool, is_long: bool = True) -> str:
    """A moment with its zone."""
    shown = datetime.fromtimestamp(at, tz=UTC)
    shown = shown if utc else shown.astimezone()
    zone = "UTC" if utc else shown.strftime("%Z")
    return f"{shown:%Y-%m-%d %H:%M:%S} {zone}" if is_long else f"{shown:%H:%M:%S}"


class Track(QWidget):
    """The line of time itself.

    Signals:
        picked: a moment, while it is dragged and when it is let go.
    """

    picked = Signal(float)

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._pointer: float | None = None
        self.setMouseTracking(True)
        self.setMinimumSize(QSize(160, TRACK_H))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName(tr("Time bar"))

    def point(self, at: float | None) -> None:
        """Show the cursor of the plots."""
        if at != self._pointer:
            self._pointer = at
            self.update()

    @property
    def _timeline(self) -> Timeline:
        return self._context.timeline

    def x_of(self, at: float) -> float:
        """Where a moment stands, px."""
        low, high = self._timeline.bar_range()
        return EDGE + (at - low) / (high - low) * (self.width() - 2 * EDGE)

    def at_of(self, x: float) -> float:
        """The moment at `x`; an event or the present that is near is met."""
        low, high = self._timeline.bar_range()
        at = low + (x - EDGE) / max(1, self.width() - 2 * EDGE) * (high - low)
        return min(max(at, low), high)

    def paintEvent(self, event: QPaintEvent) -> None:
        t, line = Theme.now, self._timeline
        painter = QPainter(self)
        font = painter.font()
        font.setPixelSize(10)
        painter.setFont(font)
        middle = 17
        painter.fillRect(QRectF(EDGE, middle - 2, self.width() - 2 * EDGE, 4), QColor(t.line))
        bar = line.bar
        if bar is not None:
            for first, last in bar.runs:
                left = max(float(EDGE), self.x_of(first))
                right = min(float(self.width() - EDGE), self.x_of(last))
                if right > left:
                    painter.fillRect(QRectF(left, middle - 2, max(1.0, right - left), 4), QColor(t.faint))
        self._ticks(painter)
        if bar is not None:
            self._events(painter, bar.events, middle)
        if self._pointer is not None and EDGE <= self.x_of(self._pointer) <= self.width() - EDGE:
            painter.setPen(QPen(QColor(t.accent), 1, Qt.PenStyle.DotLine))
            painter.drawLine(int(self.x_of(self._pointer)), 3, int(self.x_of(self._pointer)), 30)
        self._head(painter, middle)
        if self.hasFocus():
            painter.setPen(QPen(QColor(t.accent), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        painter.end()

    def _ticks(self, painter: QPainter) -> None:
        t = Theme.now
        low, high = self._timeline.bar_range()
        hours = next((h for h in _HOURS if (high - low) / 3600 / h <= max(2, self.width() // 90)), _HOURS[-1])
        utc = self._context.utc
        shift = 0.0
        if not utc:
            offset = datetime.fromtimestamp(high, tz=UTC).astimezone().utcoffset()
            shift = offset.total_seconds() if offset is not None else 0.0
        step = hours * 3600.0
        at = ((low + shift) // step + 1) * step - shift
        while at < high:
            x = self.x_of(at)
            painter.setPen(QColor(t.line))
            painter.drawLine(int(x), 22, int(x), 27)
            shown = datetime.fromtimestamp(at, tz=UTC)
            shown = shown if utc else shown.astimezone()
            is_day = shown.hour == 0 and shown.minute == 0
            painter.setPen(QColor(t.text if is_day else t.quiet))
            text = f"{shown:%d %b}" if is_day else f"{shown:%H:%M}"
            if 24 < x < self.width() - 24:
                painter.drawText(QRectF(x - 30, 27, 60, 14), Qt.AlignmentFlag.AlignCenter, text)
            at += step

    def _events(self, painter: QPainter, events: tuple[NodeEvent, ...], middle: int) -> None:
        t = Theme.now
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        drawn: set[tuple[int, str]] = set()
        for event in sorted(events, key=lambda e: e.kind in _GRAVE):
            colour = t.critical if event.kind in _GRAVE else t.warning if event.kind in _WARN else t.quiet
            x = int(self.x_of(event.wall_s))
            if (x, colour) in drawn or not EDGE <= x <= self.width() - EDGE:
                continue
            drawn.add((x, colour))
            height = 8 if event.kind in _GRAVE else 5
            painter.fillRect(x, middle - 3 - height, 2, height, QColor(colour))

    def _head(self, painter: QPainter, middle: int) -> None:
        t, line = Theme.now, self._timeline
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        at = line.wanted if line.wanted is not None else time.time()
        x = min(max(self.x_of(at), EDGE), self.width() - EDGE)
        colour = QColor(t.accent if line.wanted is None else t.notice)
        painter.setPen(QPen(colour, 2))
        painter.drawLine(int(x), 8, int(x), 27)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colour)
        painter.drawPolygon(QPolygonF([QPoint(int(x) - 5, 2), QPoint(int(x) + 5, 2), QPoint(int(x), 10)]))

    def _near(self, x: float) -> list[NodeEvent]:
        bar = self._timeline.bar
        return [] if bar is None else [e for e in bar.events if abs(self.x_of(e.wall_s) - x) <= NEAR_PX]

    def _drag(self, x: float) -> None:
        near = self._near(x)
        self.picked.emit(near[-1].wall_s if near else self.at_of(x))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._drag(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        x = event.position().x()
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._drag(x)
        text = when_text(self.at_of(x), self._context.utc)
        near = self._near(x)
        for one in near[-6:]:
            code = f" {one.code}" if one.code is not None else ""
            text += f"\n{when_text(one.wall_s, self._context.utc, False)}  {one.node}  {one.kind}{code}  {one.text}"[
                :160
            ]
        if len(near) > 6:
            text += "\n" + tr("and %n more", len(near) - 6)
        show_tip(self, event.globalPosition().toPoint() + QPoint(0, -24 - 16 * text.count("\n")), text)

    def wheelEvent(self, event: QWheelEvent) -> None:
        place = min(range(len(BARS)), key=lambda i: abs(BARS[i] - self._timeline.bar_s))
        place += 1 if event.angleDelta().y() < 0 else -1
        self._timeline.set_bar(BARS[min(max(place, 0), len(BARS) - 1)])
        self.update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {
            Qt.Key.Key_Left: -60.0,
            Qt.Key.Key_Right: 60.0,
            Qt.Key.Key_PageUp: -3600.0,
            Qt.Key.Key_PageDown: 3600.0,
        }
        if event.key() in steps:
            self._timeline.step(steps[Qt.Key(event.key())])
        else:
            super().keyPressEvent(event)


class TimeBar(Row):
    """Live or past in words, the track, and the steps."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.setObjectName("timebar")
        self.setFixedHeight(BAR_H)
        self._context = context
        self.state = QToolButton()
        self.state.setProperty("chip", "flat")
        self.state.setIconSize(QSize(16, 16))
        self.state.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.state.clicked.connect(
            lambda: context.asked.emit("time.live" if not context.timeline.is_live else "time.go")
        )
        self.recording = PlainLabel("", "faint").elided()
        self.recording.setMaximumWidth(280)
        self.track = Track(context)
        self.track.picked.connect(context.timeline.look)
        self._buttons: list[tuple[QToolButton, str]] = []
        layout = self.row
        layout.setContentsMargins(8, 0, 8, 0)
        layout.setSpacing(4)
        layout.addWidget(self.state)
        layout.addWidget(self.recording)
        layout.addWidget(self._button("step-back", "time.back", tr("A minute back") + "  ([)"))
        layout.addWidget(self.track, 1)
        layout.addWidget(self._button("step-on", "time.on", tr("A minute on") + "  (])"))
        layout.addWidget(_divider())
        layout.addWidget(self._button("event-back", "time.event_before", tr("Event before") + "  (,)"))
        layout.addWidget(self._button("event-on", "time.event_after", tr("Event after") + "  (.)"))
        self.give_way((self.recording,))
        context.timeline.moved.connect(self.refresh)
        context.timeline.loaded.connect(self.track.update)
        context.timed.connect(lambda at: self.track.point(None if np.isnan(at) else at))
        context.ticked.connect(self.tick)
        self.dress()
        self.refresh()

    def _button(self, picture: str, command: str, about: str) -> QToolButton:
        button = QToolButton()
        button.setProperty("chip", "flat")
        button.setIconSize(QSize(16, 16))
        button.setAccessibleName(about)
        set_tip(button, about)
        button.clicked.connect(lambda: self._context.asked.emit(command))
        self._buttons.append((button, picture))
        return button

    def dress(self) -> None:
        """Take over another theme."""
        for button, picture in self._buttons:
            button.setIcon(icon(picture))
        self.state.setIcon(icon("clock"))

    def tick(self) -> None:
        """Time has passed."""
        self._context.timeline.refresh_bar()
        self.refresh()

    def refresh(self) -> None:
        """Show where we are."""
        line = self._context.timeline
        if line.wanted is None:
            self.state.setText(tr("Live"))
            set_tip(self.state, tr("Go to a time") + "  (J)")
        else:
            ago = duration(max(0.0, time.time() - line.wanted))
            text = when_text(line.wanted, self._context.utc)
            self.state.setText(f"{text}   {tr('{ago} ago').format(ago=ago)}")
            set_tip(self.state, tr("Back to live") + "  (L)")
        self._show_recording()
        self.track.update()

    def _show_recording(self) -> None:
        line = self._context.timeline
        state, text = self._context.console.live.recording
        role, shown = "faint", ""
        if line.problem and state != "off":
            role, shown = "error", line.problem
        elif state == "failed":
            role, shown = "error", tr("Not recording: {why}").format(why=text)
        elif state == "busy":
            shown = tr("Recorded by another console")
        elif state == "off" and line.can_be_live:
            shown = tr("Not recording")
        self.recording.set_role(role)
        self.recording.setText(plain(shown, 200))
        set_tip(self.recording, text or shown)
        self.set_wanted(self.recording, bool(shown))


def _divider() -> QFrame:
    line = QFrame()
    line.setFrameShape(QFrame.Shape.VLine)
    line.setObjectName("divider")
    line.setFixedHeight(20)
    return line
