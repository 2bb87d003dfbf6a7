"""Conditions and link states as shape, colour and word."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from console.fleet.condition import Condition
from console.fleet.state import LinkState
from console.ui.text import tr
from console.ui.theme import Theme


def condition_colour(condition: Condition) -> str:
    """The colour of a condition; well and unknown have none of their own."""
    t = Theme.now
    return {
        Condition.CRITICAL: t.critical,
        Condition.WARNING: t.warning,
        Condition.NOTICE: t.notice,
        Condition.UNKNOWN: t.quiet,
    }.get(condition, t.faint)


def condition_word(condition: Condition) -> str:
    """The word of a condition."""
    return {
        Condition.CRITICAL: tr("Critical"),
        Condition.WARNING: tr("Warning"),
        Condition.NOTICE: tr("Notice"),
        Condition.UNKNOWN: tr("Unknown"),
        Condition.WELL: tr("Well"),
    }[condition]


def draw_condition(painter: QPainter, condition: Condition, box: QRectF) -> None:
    """Filled diamond, triangle, ring; a hatched square for unknown; nothing for well."""
    if condition is Condition.WELL:
        return
    colour = QColor(condition_colour(condition))
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    # A dark edge keeps the shape readable on any cell colour.
    painter.setPen(QPen(QColor(Theme.now.ground), 1.0))
    painter.setBrush(colour)
    c = box.center()
    r = min(box.width(), box.height()) / 2.0
    if condition is Condition.CRITICAL:
        painter.drawPolygon(
            QPolygonF(
                [
                    QPointF(c.x(), c.y() - r),
                    QPointF(c.x() + r, c.y()),
                    QPointF(c.x(), c.y() + r),
                    QPointF(c.x() - r, c.y()),
                ]
            )
        )
    elif condition is Condition.WARNING:
        painter.drawPolygon(
            QPolygonF([QPointF(c.x(), c.y() - r), QPointF(c.x() + r, c.y() + r), QPointF(c.x() - r, c.y() + r)])
        )
    elif condition is Condition.NOTICE:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(colour, 2.0))
        painter.drawEllipse(c, r - 1.0, r - 1.0)
    else:
        painter.setPen(QPen(colour, 1.0))
        painter.setBrush(Qt.BrushStyle.BDiagPattern)
        painter.drawRect(box.adjusted(1, 1, -1, -1))
    painter.restore()


_SHAPES = {
    LinkState.LIVE: "●",
    LinkState.STALE: "◐",
    LinkState.LOST: "◇",
    LinkState.FAILED: "◆",
    LinkState.CONNECTING: "◌",
    LinkState.WAITING: "○",
    LinkState.OFF: "–",
}


def link_text(link: LinkState) -> str:
    """Shape and word of a link state."""
    words = {
        LinkState.LIVE: tr("live"),
        LinkState.STALE: tr("stale"),
        LinkState.LOST: tr("lost"),
        LinkState.FAILED: tr("failed"),
        LinkState.CONNECTING: tr("connecting"),
        LinkState.WAITING: tr("waiting"),
        LinkState.OFF: tr("off"),
    }
    return f"{_SHAPES[link]} {words[link]}"


def link_role(link: LinkState) -> str:
    """The style sheet's role for a link state."""
    return {LinkState.FAILED: "critical", LinkState.LOST: "warning", LinkState.STALE: "warning"}.get(link, "quiet")
