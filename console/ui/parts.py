"""Small pieces of pages: panels, facts, values with their age, tables of processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QGridLayout,
    QHeaderView,
    QStyle,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from console.fleet.condition import Condition
from console.fleet.model import GpuProcess
from console.fleet.show import DASH, THIN, duration, middle, number, plain
from console.fleet.show import reading as reading_text
from console.fleet.state import ReadingState
from console.operations.states import Admin, Use
from console.telemetry.live import Reading
from console.ui.marks import draw_condition
from console.ui.plots import sparks
from console.ui.text import PlainLabel, left_to_right, tip, tr
from console.ui.theme import Theme, mono


def state_word(state: ReadingState) -> str:
    """The word of a reading's state for a person."""
    return {
        ReadingState.NONE: tr("no reading yet"),
        ReadingState.FRESH: "",
        ReadingState.NOT_SUPPORTED: tr("not supported"),
        ReadingState.NO_PERMISSION: tr("no permission"),
        ReadingState.LOST: tr("lost"),
        ReadingState.ERROR: tr("error"),
        ReadingState.STALE: tr("stale"),
    }[state]


def admin_word(admin: Admin) -> str:
    """The word of what people want with a target."""
    return {
        Admin.IN_SERVICE: tr("in service"),
        Admin.DRAINING: tr("draining"),
        Admin.DRAINED: tr("drained"),
        Admin.MAINTENANCE: tr("maintenance"),
        Admin.VERIFYING: tr("verifying"),
        Admin.PROBATION: tr("probation"),
        Admin.RETIRED: tr("retired"),
    }[admin]


def use_word(use: Use) -> str:
    """The word of who has a card."""
    return {
        Use.FREE: tr("free"),
        Use.ASSIGNED: tr("assigned"),
        Use.IN_USE: tr("in use"),
        Use.SQUATTED: tr("squatted"),
        Use.UNKNOWN: tr("unknown"),
    }[use]


def value_text(reading: Reading) -> str:
    """A reading as text: its value, or the word why there is none; a stale value says so."""
    if reading.value is None:
        return f"{DASH} {state_word(reading.state)}"
    text = reading_text(reading.metric, reading.value, reading.unit)
    return f"{text} ({state_word(reading.state)})" if reading.state is ReadingState.STALE else text


def age_text(age_s: float | None) -> str:
    """An age in the faint style: "<1 s", "4 s", "3 min"."""
    if age_s is None or np.isnan(age_s):
        return ""
    return f"<1{THIN}s" if age_s < 1.0 else duration(age_s)


class Panel(QFrame):
    """A titled box. Add widgets to `body`."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(12, 10, 12, 12)
        self.body.setSpacing(8)
        if title:
            self.body.addWidget(PlainLabel(title, "section"))


class Lines(QWidget):
    """Foreign texts below each other, wrapped. `texts` are those shown."""

    def __init__(self, role: str = "quiet") -> None:
        super().__init__()
        self._role = role
        self.texts: tuple[str, ...] = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)

    def show_lines(self, texts: Iterable[str]) -> None:
        """Show these."""
        found = tuple(texts)
        if found == self.texts:
            return
        self.texts = found
        while (item := self._layout.takeAt(0)) is not None:
            if item.widget() is not None:
                # Until it is deleted it would be painted under what comes now.
                item.widget().hide()
                item.widget().deleteLater()
        for text in found:
            label = PlainLabel("", self._role).wrapped().selectable()
            label.set_foreign(text, 600)
            self._layout.addWidget(label)


class Facts(QWidget):
    """Names and values in two columns; kept widgets are reused, so that updating does not flicker."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(0, 4)
        self._grid.setColumnStretch(1, 5)
        self._rows: list[tuple[PlainLabel, PlainLabel, PlainLabel]] = []

    def show_rows(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """(name, value, age or note) a row; values may be foreign."""
        while len(self._rows) < len(rows):
            place = len(self._rows)
            name, value = PlainLabel("", "quiet").elided(), PlainLabel().selectable().left_to_right().elided()
            note = PlainLabel("", "faint").left_to_right()
            made = (name, value, note)
            for column, label in enumerate(made):
                self._grid.addWidget(label, place, column)
            note.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self._rows.append(made)
        for place, labels in enumerate(self._rows):
            is_used = place < len(rows)
            for label in labels:
                label.setVisible(is_used)
            if is_used:
                for label, text in zip(labels, rows[place], strict=True):
                    if label.text() != text:
                        label.set_foreign(text, 120)


class ConditionMark(QWidget):
    """The shape of a condition."""

    def __init__(self) -> None:
        super().__init__()
        self._condition = Condition.WELL
        self.setFixedSize(16, 16)

    def set_condition(self, condition: Condition) -> None:
        """Show another condition."""
        if condition is not self._condition:
            self._condition = condition
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        draw_condition(painter, self._condition, QRectF(2, 2, 12, 12))
        painter.end()


class Spark(QWidget):
    """A title, a small curve and the present value with its age, in one row."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._values = np.zeros((1, 0), dtype=np.float32)
        self._text = self._age = ""
        self._range = (0.0, 100.0)
        self._is_fresh = True
        self.setMinimumHeight(26)
        self.setAccessibleName(title)

    def show_values(self, values: np.ndarray, low: float, high: float, reading: Reading) -> None:
        """Draw these samples [n] and this reading."""
        self._values = values.reshape(1, -1).astype(np.float32)
        self._range = (low, high)
        self._text, self._age = value_text(reading), age_text(reading.age_s)
        self._is_fresh = reading.state is ReadingState.FRESH
        self.setAccessibleDescription(f"{self._title} {self._text}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        t = Theme.now
        painter = QPainter(self)
        width, height = self.width(), self.height()
        name_w, text_w, age_w = min(96, width // 3), 104, 48
        curve_w = width - name_w - text_w - age_w - 8
        metrics = painter.fontMetrics()
        painter.setPen(QColor(t.quiet))
        name = metrics.elidedText(self._title, Qt.TextElideMode.ElideRight, name_w - 4)
        painter.drawText(self._mirrored(0, name_w - 4), self._side(), name)
        if curve_w > 20 and self._values.shape[1]:
            pixels = sparks.raster(self._values, *self._range, curve_w, height - 8, t.curves[0])
            # Time runs from left to right in every language.
            painter.drawImage(self._mirrored(name_w, curve_w).x(), 4, sparks.image(pixels))
        painter.setPen(QColor(t.text if self._is_fresh else t.faint))
        text = metrics.elidedText(self._text, Qt.TextElideMode.ElideRight, text_w)
        painter.drawText(self._mirrored(width - text_w - age_w, text_w), self._side(end=True), left_to_right(text))
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(t.faint))
        painter.drawText(self._mirrored(width - age_w, age_w), self._side(end=True), left_to_right(self._age))
        painter.end()

    def _mirrored(self, x: int, width: int) -> QRect:
        is_right = self.layoutDirection() == Qt.LayoutDirection.RightToLeft
        return QRect(self.width() - x - width if is_right else x, 0, width, self.height())

    def _side(self, end: bool = False) -> int:
        wanted = Qt.AlignmentFlag.AlignRight if end else Qt.AlignmentFlag.AlignLeft
        return int(QStyle.visualAlignment(self.layoutDirection(), wanted) | Qt.AlignmentFlag.AlignVCenter)


def _ordered(text: str) -> str:
    """Amounts, signs and times keep their order right to left; a bare number needs no marks for that, and is compared."""
    return left_to_right(text) if any(c.isdigit() for c in text) and not text.isdigit() else text


class TextTable(QTableWidget):
    """A small table of foreign texts that keeps its rows when it is updated."""

    def __init__(self, titles: Sequence[str], name: str, stretch: int, is_mono: bool = True) -> None:
        super().__init__(0, len(titles))
        self.setHorizontalHeaderLabels(list(titles))
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(24)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.horizontalHeader().setSectionResizeMode(stretch, QHeaderView.ResizeMode.Stretch)
        self._stretch = stretch
        self._is_mono = is_mono

    def selectRow(self, row: int) -> None:
        """Select a row by its first cell: Qt's own looks for a cell at the edge, and right to left there is none."""
        self.setCurrentCell(row, 0)

    def show_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Show these rows of texts."""
        found = [list(r) for r in rows]
        if self.rowCount() != len(found):
            self.setRowCount(len(found))
        for i, row in enumerate(found):
            for j, value in enumerate(row):
                text = _ordered(plain(str(value), 300))
                item = self.item(i, j)
                if item is None:
                    item = QTableWidgetItem(text)
                    if j == self._stretch and self._is_mono:
                        item.setFont(mono())
                    self.setItem(i, j, item)
                elif item.text() != text:
                    item.setText(text)
                if j == self._stretch:
                    item.setToolTip(tip(str(value)))


def process_table() -> TextTable:
    """A table for `process_rows`."""
    titles = (tr("User"), tr("PID"), tr("Card"), tr("Memory"), tr("SM"), tr("Job / pod"), tr("Command"))
    return TextTable(titles, tr("Processes"), 6)


def chosen_pid(table: TextTable) -> int | None:
    """The process of the current row of a process table; where there is one row, that one."""
    row = 0 if table.rowCount() == 1 else table.currentRow()
    item = table.item(row, 1)
    return int(item.text()) if item is not None and item.text().isdigit() else None


def process_rows(processes: Sequence[GpuProcess], index_of: dict[str, int]) -> list[list[str]]:
    """Processes as texts. A process whose facts could not be read is shown all the same."""
    return [
        [
            p.user or DASH,
            str(p.pid),
            str(index_of.get(p.uuid, DASH)),
            number(p.memory, "B"),
            number(p.utilization, "%"),
            (f"slurm {p.slurm_job}" if p.slurm_job else middle(p.pod or p.container, 18)) or DASH,
            p.command or tr("(not visible from here)"),
        ]
        for p in processes
    ]
