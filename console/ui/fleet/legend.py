"""The legend of the heat map: the ramp with its ends and unit, and what a hatch means."""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QBrush, QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QStyle, QWidget

from console.ui.text import left_to_right, tr
from console.ui.theme import RAMP_STEPS, Theme, ramp

RAMP_W, RAMP_H, GAP = 112, 10, 8


class Legend(QWidget):
    """As wide as its words need."""

    def __init__(self) -> None:
        super().__init__()
        self._low = self._high = ""
        font = self.font()
        font.setPixelSize(11)
        self.setFont(font)

    def set_scale(self, low: str, high: str) -> None:
        """Write the ends."""
        if (low, high) != (self._low, self._high):
            self._low, self._high = low, high
            self.setAccessibleName(tr("Scale from {low} to {high}").format(low=low, high=high))
            self.updateGeometry()
            self.update()

    def _parts(self) -> list[tuple[str, int]]:
        """Name and width of each part, in reading order; the hatch is explained where there is room."""
        advance = self.fontMetrics().horizontalAdvance
        parts = [("low", advance(self._low) + 4), ("ramp", RAMP_W), ("high", advance(self._high) + 4)]
        hatch = [("hatch", RAMP_H + GAP), ("word", advance(self._word()) + 4)]
        return parts + hatch if self._width(parts + hatch) <= self.width() else parts

    @staticmethod
    def _width(parts: list[tuple[str, int]]) -> int:
        return sum(width + GAP for _, width in parts) - GAP

    @staticmethod
    def _word() -> str:
        return tr("unknown or stale")

    def minimumSizeHint(self) -> QSize:
        return QSize(RAMP_W + 110, 24)

    def sizeHint(self) -> QSize:
        return QSize(RAMP_W + 260, 24)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        t = Theme.now
        parts = self._parts()
        x = self.width() - self._width(parts)
        is_mirrored = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        for name, width in parts:
            left = self.width() - x - width if is_mirrored else x
            box = QRect(left, (self.height() - RAMP_H) // 2, width, RAMP_H)
            if name == "ramp":
                picture = QImage(RAMP_STEPS, 1, QImage.Format.Format_RGB32)
                for i, colour in enumerate(ramp(t)):
                    picture.setPixel(RAMP_STEPS - 1 - i if is_mirrored else i, 0, colour)
                painter.drawImage(box, picture)
            elif name == "hatch":
                square = QRect(box.right() - RAMP_H, box.top(), RAMP_H, RAMP_H)
                painter.fillRect(square, QColor(t.ground))
                painter.setPen(QColor(t.faint))
                painter.setBrush(QBrush(QColor(t.faint), Qt.BrushStyle.BDiagPattern))
                painter.drawRect(square)
            else:
                painter.setPen(QColor(t.quiet))
                text = {"low": self._low, "high": self._high}.get(name, self._word())
                shown = left_to_right(text) if name != "word" else text
                start = QStyle.visualAlignment(self.layoutDirection(), Qt.AlignmentFlag.AlignLeft)
                whole = QRect(left, 0, width, self.height())
                painter.drawText(whole, int(start | Qt.AlignmentFlag.AlignVCenter), shown)
            x += width + GAP
        painter.end()
