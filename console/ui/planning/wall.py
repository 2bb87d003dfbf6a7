"""Contracts that end, as a wall: a column a month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from PySide6.QtCore import QRect, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from console.ledger.times import shifted
from console.ui.business.calendar import colour_of
from console.ui.planning.words import count
from console.ui.text import left_to_right, set_tip, tr
from console.ui.theme import Theme

MONTHS = 12


class ExpiryWall(QWidget):
    """Contracts that end, a column a month, a block a lease: the higher, the more cards come back at once.

    Signals:
        pointed: what is under the pointer, in a line.
    """

    pointed = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._months: list[str] = []
        self._leases: dict[str, list[Mapping[str, Any]]] = {}
        self._boxes: list[tuple[QRect, str]] = []
        self.setMouseTracking(True)
        self.setMinimumHeight(150)
        self.setAccessibleName(tr("Contracts that end"))

    def show_expiries(self, expiries: Sequence[Mapping[str, Any]], month: str) -> None:
        """Show what ends from a month ("2026-11") on, MONTHS of them."""
        self._months = [shifted(month, i) for i in range(MONTHS)]
        self._leases = {m: [e for e in expiries if e["end"][:7] == m] for m in self._months}
        words = [f"{m}: {count(sum(e['cards'] for e in es))}" for m, es in self._leases.items() if es]
        self.setAccessibleDescription("; ".join(words))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        t = Theme.now
        painter = QPainter(self)
        painter.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        self._boxes = []
        foot, head = 22, 20
        most = max((sum(e["cards"] for e in es) for es in self._leases.values()), default=0.0) or 1.0
        wide = self.width() / max(1, len(self._months))
        room = self.height() - foot - head
        for i, month in enumerate(self._months):
            x, y = int(i * wide), self.height() - foot
            painter.setPen(QColor(t.quiet))
            painter.drawText(QRect(x, y + 2, int(wide), foot - 2), Qt.AlignmentFlag.AlignHCenter, self._month(i))
            for lease in self._leases[month]:
                tall = max(3, int(room * lease["cards"] / most))
                box = QRect(x + 6, y - tall, int(wide) - 12, tall - 1)
                painter.fillRect(box, colour_of(lease["tenant"]))
                said = (
                    f"{lease['lease']}  {lease['tenant']}  {count(lease['cards'])} × {lease['sku']}  {lease['region']}"
                )
                self._boxes.append((box, f"{said}  {lease['end'][:10]}"))
                y -= tall
            total = sum(e["cards"] for e in self._leases[month])
            if total:
                painter.setPen(QColor(t.text))
                painter.drawText(QRect(x, y - 18, int(wide), 16), Qt.AlignmentFlag.AlignHCenter, count(total))
        painter.setPen(QColor(t.line))
        painter.drawLine(0, self.height() - foot, self.width(), self.height() - foot)
        painter.end()

    def _month(self, i: int) -> str:
        """The month's number; the year with the first of it."""
        month = self._months[i]
        return left_to_right(month[2:] if i == 0 or month.endswith("-01") else month[5:])

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        text = next((text for box, text in self._boxes if box.contains(at)), "")
        set_tip(self, text)
        self.pointed.emit(text)
