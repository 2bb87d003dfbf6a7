"""The calendar of leases: a row a card, time to the right. Dragging over free time reserves; what is held refuses."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from PySide6.QtCore import QPoint, QRect, Qt, Signal
from PySide6.QtGui import QColor, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractScrollArea, QWidget

from console.standing import Bar
from console.ui.text import left_to_right, set_tip, tr
from console.ui.theme import Theme

ROW, HEAD, LABEL = 20, 28, 132
BACK_DAYS, AHEAD_DAYS = 3, 28
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """A card of the calendar."""

    uuid: str
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """What is dragged: rows from first to last, microseconds."""

    first: int
    last: int
    begin: int
    end: int


class Calendar(QAbstractScrollArea):
    """Cards by days.

    Signals:
        asked: free time was dragged over: (list of UUIDs, begin, end) in microseconds.
        chosen: a lease was clicked.
        pointed: what is under the pointer, in a line.
    """

    asked = Signal(list, object, object)
    chosen = Signal(str)
    pointed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[Row] = []
        self.lease = ""
        self._zone: tzinfo | None = None
        self._begin = self._now = 0
        self._drag: Span | None = None
        self._from: QPoint | None = None
        self.setAccessibleName(tr("Calendar of leases"))
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_bars(
        self,
        cards: Sequence[dict[str, Any]],
        bars: Sequence[Bar],
        indices: Mapping[str, int],
        now: int,
        zone: tzinfo | None,
    ) -> None:
        """Show these cards (rows of `pool.listing`) with their holds; `indices` of those that are seen now."""
        of: dict[str, list[Bar]] = {}
        for bar in bars:
            of.setdefault(bar.card, []).append(bar)
        ordered = sorted(cards, key=lambda c: (c["node"], indices.get(c["uuid"], 1 << 30), c["uuid"]))
        self.rows = [
            Row(c["uuid"], f"{c['node']} / {indices.get(c['uuid'], c['uuid'][-6:])}", tuple(of.get(c["uuid"], ())))
            for c in ordered
        ]
        self._now, self._zone = now, zone
        local = datetime.fromtimestamp(now / 1e6, tz=UTC).astimezone(zone) - timedelta(days=BACK_DAYS)
        self._begin = int(local.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1e6)
        self._fit()
        self.viewport().update()

    def _fit(self) -> None:
        over = HEAD + ROW * len(self.rows) - self.viewport().height()
        self.verticalScrollBar().setRange(0, max(0, over))
        self.verticalScrollBar().setPageStep(max(1, self.viewport().height() - HEAD))
        self.verticalScrollBar().setSingleStep(ROW)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    # Where things are

    def _width_us(self) -> int:
        return (BACK_DAYS + AHEAD_DAYS) * DAY_US

    def x_of(self, at: int) -> int:
        """The pixel of an instant."""
        room = max(1, self.viewport().width() - LABEL)
        return LABEL + int((at - self._begin) * room / self._width_us())

    def at_of(self, x: int) -> int:
        """The instant of a pixel, to the hour."""
        room = max(1, self.viewport().width() - LABEL)
        hour = 3_600_000_000
        return self._begin + round((x - LABEL) * self._width_us() / room / hour) * hour

    def y_of(self, row: int) -> int:
        """The pixel at which a row begins."""
        return HEAD + row * ROW - self.verticalScrollBar().value()

    def row_of(self, y: int) -> int:
        """The row at a pixel; may be beyond the last."""
        return (y - HEAD + self.verticalScrollBar().value()) // ROW

    def bar_at(self, point: QPoint) -> Bar | None:
        """The hold under a point."""
        row = self.row_of(point.y())
        if point.y() < HEAD or not 0 <= row < len(self.rows) or point.x() < LABEL:
            return None
        for bar in self.rows[row].bars:
            if self.x_of(bar.begin) <= point.x() < (self.viewport().width() if bar.end is None else self.x_of(bar.end)):
                return bar
        return None

    def conflict(self, span: Span) -> Bar | None:
        """The first hold that a span meets."""
        for row in self.rows[span.first : span.last + 1]:
            for bar in row.bars:
                if bar.begin < span.end and (bar.end is None or bar.end > span.begin):
                    return bar
        return None

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        t = Theme.now
        painter = QPainter(self.viewport())
        painter.fillRect(self.viewport().rect(), QColor(t.ground))
        first = max(0, self.row_of(HEAD))
        last = min(len(self.rows) - 1, self.row_of(self.viewport().height()))
        self._paint_days(painter)
        painter.setClipRect(0, HEAD, self.viewport().width(), self.viewport().height() - HEAD)
        for i in range(first, last + 1):
            self._paint_row(painter, i)
        if self._drag is not None:
            self._paint_drag(painter, self._drag)
        painter.setPen(QPen(QColor(t.accent), 1))
        x = self.x_of(self._now)
        painter.drawLine(x, HEAD, x, self.viewport().height())
        painter.end()

    def _paint_days(self, painter: QPainter) -> None:
        t = Theme.now
        day = datetime.fromtimestamp(self._begin / 1e6, tz=UTC).astimezone(self._zone)
        for i in range(BACK_DAYS + AHEAD_DAYS):
            here = day + timedelta(days=i)
            x = self.x_of(int(here.timestamp() * 1e6))
            painter.setPen(QColor(t.line))
            painter.drawLine(x, HEAD - 6, x, self.viewport().height())
            if (here.weekday() == 0 or i == 0) and x + 44 < self.viewport().width():
                painter.setPen(QColor(t.quiet))
                painter.drawText(QRect(x + 4, 0, 90, HEAD - 4), Qt.AlignmentFlag.AlignVCenter, here.strftime("%d %b"))
        painter.setPen(QColor(t.line))
        painter.drawLine(0, HEAD, self.viewport().width(), HEAD)

    def _paint_row(self, painter: QPainter, i: int) -> None:
        t, row, y = Theme.now, self.rows[i], self.y_of(i)
        painter.setPen(QColor(t.quiet))
        painter.drawText(
            QRect(8, y, LABEL - 12, ROW), Qt.AlignmentFlag.AlignVCenter,
            painter.fontMetrics().elidedText(left_to_right(row.label), Qt.TextElideMode.ElideMiddle, LABEL - 12),
        )  # fmt: skip
        for bar in row.bars:
            left = max(LABEL, self.x_of(bar.begin))
            right = self.viewport().width() if bar.end is None else self.x_of(bar.end)
            box = QRect(left, y + 2, max(3, right - left - 1), ROW - 4)
            fill = colour_of(bar.tenant)
            painter.fillRect(box.x(), box.y(), 3, box.height(), fill)
            fill.setAlphaF(0.18 if bar.state in ("reserved", "returned") else 0.42)
            painter.fillRect(box, fill)
            if bar.lease == self.lease:
                painter.setPen(QPen(QColor(t.text), 1))
                painter.drawRect(box.adjusted(0, 0, -1, -1))
            if box.width() > 30:
                painter.setPen(QColor(t.text))
                text = painter.fontMetrics().elidedText(
                    left_to_right(f"{bar.tenant}  {bar.lease}"), Qt.TextElideMode.ElideRight, box.width() - 8
                )
                painter.drawText(box.adjusted(4, 0, -4, 0), Qt.AlignmentFlag.AlignVCenter, text)

    def _paint_drag(self, painter: QPainter, span: Span) -> None:
        colour = QColor(Theme.now.critical if self.conflict(span) is not None else Theme.now.accent)
        box = QRect(
            self.x_of(span.begin), self.y_of(span.first), self.x_of(span.end) - self.x_of(span.begin),
            ROW * (span.last - span.first + 1),
        )  # fmt: skip
        painter.setPen(QPen(colour, 1))
        colour.setAlphaF(0.25)
        painter.fillRect(box, colour)
        painter.drawRect(box.adjusted(0, 0, -1, -1))

    # The pointer

    def mousePressEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        if event.button() is not Qt.MouseButton.LeftButton:
            return
        bar = self.bar_at(point)
        if bar is not None:
            self.lease = bar.lease
            self.chosen.emit(bar.lease)
            self.viewport().update()
        elif point.y() >= HEAD and point.x() >= LABEL and 0 <= self.row_of(point.y()) < len(self.rows):
            self._from = point

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        point = event.position().toPoint()
        if self._from is None:
            bar = self.bar_at(point)
            self.pointed.emit("" if bar is None else self._words(bar))
            return
        rows = sorted((self.row_of(self._from.y()), min(max(0, self.row_of(point.y())), len(self.rows) - 1)))
        begin, end = sorted((self.at_of(self._from.x()), self.at_of(max(LABEL, point.x()))))
        self._drag = Span(rows[0], rows[1], max(begin, self._now), end) if end > max(begin, self._now) else None
        if self._drag is not None:
            meets = self.conflict(self._drag)
            text = (
                tr("Refused: held by {lease} of {tenant}") if meets is not None else tr("{cards} cards, {from} to {to}")
            )
            self.pointed.emit(text.format(
                lease=meets.lease if meets else "", tenant=meets.tenant if meets else "", cards=rows[1] - rows[0] + 1,
                **{"from": self._time(self._drag.begin), "to": self._time(self._drag.end)},
            ))  # fmt: skip
        self.viewport().update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        span, self._drag, self._from = self._drag, None, None
        self.viewport().update()
        if span is not None and self.conflict(span) is None:
            self.asked.emit([r.uuid for r in self.rows[span.first : span.last + 1]], span.begin, span.end)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape and self._from is not None:
            self._drag = self._from = None
            self.viewport().update()
            return
        super().keyPressEvent(event)

    def _time(self, us: int) -> str:
        return datetime.fromtimestamp(us / 1e6, tz=UTC).astimezone(self._zone).strftime("%Y-%m-%d %H:%M")

    def _words(self, bar: Bar) -> str:
        until = tr("no end") if bar.end is None else self._time(bar.end)
        text = f"{bar.lease}: {bar.tenant}, {bar.state}, {self._time(bar.begin)} – {until}"
        set_tip(self.viewport(), text)
        return text


def colour_of(tenant: str) -> QColor:
    """A tenant's colour: the same everywhere and every day."""
    # The first is nearly the text's own.
    curves = Theme.now.curves[1:]
    return QColor(curves[zlib.crc32(tenant.encode()) % len(curves)])
