"""The heat map: one cell a card, painted from a lookup table over a map of cell numbers, in one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QToolTip, QWidget

from console.fleet.condition import Condition
from console.fleet.show import plain
from console.ui.marks import draw_condition
from console.ui.text import tip, tr
from console.ui.theme import Theme

LABEL_W = 118
NODE_GAP = 6
ROW_GAP = 4
GROUP_GAP = 12
MARGIN = 16
LARGEST, SMALLEST = 40, 5


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a card is drawn and to what it belongs."""

    row: int
    group: str
    node: str


class HeatMap(QWidget):
    """Cells in groups. `set_cells` gives the layout, `set_values` the colours.

    Signals:
        picked: a cell got the focus: its row.
        opened: a cell was entered: its row.
    """

    picked = Signal(int)
    opened = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(tr("Heat map of cards"))
        self._cells: list[Cell] = []
        self._rects: npt.NDArray[np.int32] = np.zeros((0, 3), dtype=np.int32)
        self._labels: list[tuple[int, str]] = []
        self._ids: npt.NDArray[np.int32] = np.zeros((0, 0), dtype=np.int32)
        self._plain: npt.NDArray[np.intp] = np.zeros((0, 0), dtype=np.intp)
        self._hatched: npt.NDArray[np.intp] = np.zeros((0, 0), dtype=np.intp)
        self._pixels: npt.NDArray[np.uint32] = np.zeros((0, 0), dtype=np.uint32)
        self._shares: npt.NDArray[np.float64] = np.zeros(0)
        self._unknown: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._conditions: npt.NDArray[np.uint8] = np.zeros(0, dtype=np.uint8)
        self._text_of: Callable[[int], str] = lambda _row: ""
        self._size = LARGEST
        self._at = -1

    def set_cells(self, cells: list[Cell]) -> None:
        """Lay out these cells, already in order of group, node and place."""
        row = self._cells[self._at].row if 0 <= self._at < len(self._cells) else -1
        self._cells = cells
        self._at = next((i for i, c in enumerate(cells) if c.row == row), -1)
        self._lay_out()

    def set_values(
        self,
        shares: npt.NDArray[np.float64],
        unknown: npt.NDArray[np.bool_],
        conditions: npt.NDArray[np.uint8],
        text_of: Callable[[int], str],
    ) -> None:
        """Colours by cell: share 0 to 1 of the ramp, hatched where unknown, marked where not well.

        `text_of` gives the tool tip of a row when it is asked for.
        """
        self._shares, self._unknown, self._conditions, self._text_of = shares, unknown, conditions, text_of
        self.update()

    def focus_row(self, row: int) -> None:
        """Put the focus on the cell of a row, if it is shown."""
        self._at = next((i for i, c in enumerate(self._cells) if c.row == row), -1)
        self.update()

    # Layout

    def _lay_out(self) -> None:
        width, height = max(200, self.width()), max(100, self.height())
        for size in range(LARGEST, SMALLEST - 1, -1):
            rects, labels, bottom = self._place(size, width)
            if bottom + MARGIN <= height or size == SMALLEST:
                break
        self._size, self._rects, self._labels = size, rects, labels
        ids = np.full((height, width), -1, dtype=np.int32)
        for number, (x, y, s) in enumerate(rects.tolist()):
            ids[y : y + s, x : x + s] = number
        self._ids = ids
        # The last entry of the colour table is the ground; a hatched pixel reads the table's second half.
        ground = len(rects)
        self._plain = np.where(ids < 0, ground, ids).astype(np.intp)
        rows, columns = np.ogrid[:height, :width]
        self._hatched = self._plain + (ground + 1) * (((rows + columns) % 5) == 0)
        self._pixels = np.empty((height, width), dtype=np.uint32)
        self.update()

    def _place(self, size: int, width: int) -> tuple[npt.NDArray[np.int32], list[tuple[int, str]], int]:
        gap = 2 if size > 9 else 1
        x, y = MARGIN + LABEL_W, MARGIN
        group = node = None
        rects: list[tuple[int, int, int]] = []
        labels: list[tuple[int, str]] = []
        per_node: dict[tuple[str, str], int] = {}
        for cell in self._cells:
            per_node[cell.group, cell.node] = per_node.get((cell.group, cell.node), 0) + 1
        for cell in self._cells:
            if cell.group != group:
                if group is not None:
                    y += size + GROUP_GAP
                group, node, x = cell.group, None, MARGIN + LABEL_W
                labels.append((y, cell.group))
            if cell.node != node:
                if node is not None:
                    x += NODE_GAP
                need = per_node[cell.group, cell.node] * (size + gap)
                if x + need > width - MARGIN and x > MARGIN + LABEL_W:
                    x, y = MARGIN + LABEL_W, y + size + ROW_GAP
                node = cell.node
            if x + size > width - MARGIN:
                x, y = MARGIN + LABEL_W, y + size + ROW_GAP
            rects.append((x, y, size))
            x += size + gap
        return np.array(rects, dtype=np.int32).reshape(-1, 3), labels, y + size

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        t = Theme.now
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(t.ground))
        if len(self._cells) and len(self._shares) == len(self._cells):
            painter.drawImage(0, 0, self._image())
            self._draw_marks(painter)
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(t.quiet))
        height = max(14, self._size)
        for y, text in self._labels:
            box = QRect(MARGIN, y, LABEL_W - 12, height)
            elided = painter.fontMetrics().elidedText(plain(text), Qt.TextElideMode.ElideMiddle, box.width())
            painter.drawText(box, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, elided)
        painter.end()

    def _image(self) -> QImage:
        t = Theme.now
        low, high = QColor(t.ramp[0]), QColor(t.ramp[1])
        shares = np.nan_to_num(np.clip(self._shares, 0.0, 1.0))[:, None]
        a = np.array([low.red(), low.green(), low.blue()])
        b = np.array([high.red(), high.green(), high.blue()])
        rgb = np.rint(a + (b - a) * shares).astype(np.uint32)
        fill = 0xFF000000 | (rgb[:, 0] << 16) | (rgb[:, 1] << 8) | rgb[:, 2]
        fill = np.where(self._unknown, np.uint32(QColor(t.ground).rgba()), fill)
        hatch = np.where(self._unknown, np.uint32(QColor(t.quiet).rgba()), fill)
        table = np.concatenate((fill, [QColor(t.ground).rgba()], hatch, [QColor(t.ground).rgba()])).astype(np.uint32)
        np.take(table, self._hatched if self._unknown.any() else self._plain, out=self._pixels, mode="clip")
        height, width = self._pixels.shape
        return QImage(self._pixels.data, width, height, 4 * width, QImage.Format.Format_RGB32)

    def _draw_marks(self, painter: QPainter) -> None:
        for number in np.flatnonzero(self._conditions > Condition.UNKNOWN):
            x, y, s = (int(v) for v in self._rects[number])
            part = s * 0.62
            box = QRectF(x + (s - part) / 2, y + (s - part) / 2, part, part)
            draw_condition(painter, Condition(int(self._conditions[number])), box)
        if 0 <= self._at < len(self._cells):
            x, y, s = (int(v) for v in self._rects[self._at])
            painter.setPen(QPen(QColor(Theme.now.accent), 2.0))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(x - 2, y - 2, s + 3, s + 3)

    # Acting

    def _cell_at(self, point: QPoint) -> int:
        height, width = self._ids.shape
        if 0 <= point.y() < height and 0 <= point.x() < width:
            return int(self._ids[point.y(), point.x()])
        return -1

    def _focus(self, number: int) -> None:
        if 0 <= number < len(self._cells):
            self._at = number
            self.picked.emit(self._cells[number].row)
            self.setAccessibleDescription(self._text_of(self._cells[number].row))
            self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.setFocus()
        self._focus(self._cell_at(event.position().toPoint()))

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        number = self._cell_at(event.position().toPoint())
        if number >= 0:
            self.opened.emit(self._cells[number].row)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Right:
                self._focus(self._at + 1)
            case Qt.Key.Key_Left:
                self._focus(max(0, self._at - 1))
            case Qt.Key.Key_Down:
                self._focus(self._beside(1))
            case Qt.Key.Key_Up:
                self._focus(self._beside(-1))
            case Qt.Key.Key_Home:
                self._focus(0)
            case Qt.Key.Key_End:
                self._focus(len(self._cells) - 1)
            case _:
                super().keyPressEvent(event)

    def _beside(self, direction: int) -> int:
        """The nearest cell of the next row in a direction."""
        if not 0 <= self._at < len(self._cells):
            return 0
        x, y, _ = self._rects[self._at]
        ahead = self._rects[:, 1] > y if direction > 0 else self._rects[:, 1] < y
        if not ahead.any():
            return self._at
        rows = self._rects[ahead, 1]
        wanted = rows.min() if direction > 0 else rows.max()
        on_it = np.flatnonzero(self._rects[:, 1] == wanted)
        return int(on_it[np.argmin(np.abs(self._rects[on_it, 0] - x))])

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            number = self._cell_at(event.pos())
            if 0 <= number < len(self._cells):
                QToolTip.showText(event.globalPos(), tip(self._text_of(self._cells[number].row)), self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)
