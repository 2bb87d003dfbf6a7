"""Small pieces of pages: panels, facts, values with their age, tables of processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QGridLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from console.fleet.condition import Condition
from console.fleet.model import GpuProcess
from console.fleet.show import DASH, duration, middle, number, plain
from console.fleet.show import reading as reading_text
from console.fleet.state import ReadingState
from console.telemetry.live import Reading
from console.ui.marks import draw_condition
from console.ui.plots import sparks
from console.ui.text import PlainLabel, tip, tr
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


def value_text(reading: Reading) -> str:
    """A reading as text: its value, or the word why there is none; a stale value says so."""
    if reading.value is None:
        return f"{DASH} {state_word(reading.state)}"
    text = reading_text(reading.metric, reading.value, reading.unit)
    return f"{text} ({state_word(reading.state)})" if reading.state is ReadingState.STALE else text


def age_text(age_s: float | None) -> str:
    """An age in the faint style: "0.4 s"."""
    return "" if age_s is None else duration(age_s)


class Panel(QFrame):
    """A titled box. Add widgets to `body`."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.setObjectName("panel")
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(12, 10, 12, 12)
        self.body.setSpacing(8)
        if title:
            self.body.addWidget(PlainLabel(title.upper(), "section"))


class Facts(QWidget):
    """Names and values in two columns; kept widgets are reused, so that updating does not flicker."""

    def __init__(self) -> None:
        super().__init__()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(12)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        self._rows: list[tuple[PlainLabel, PlainLabel, PlainLabel]] = []

    def show_rows(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """(name, value, age or note) a row; values may be foreign."""
        while len(self._rows) < len(rows):
            place = len(self._rows)
            made = (PlainLabel("", "quiet"), PlainLabel().selectable(), PlainLabel("", "faint"))
            for column, label in enumerate(made):
                self._grid.addWidget(label, place, column)
            made[2].setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
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
        centre = Qt.AlignmentFlag.AlignVCenter
        painter.setPen(QColor(t.quiet))
        painter.drawText(0, 0, 88, height, centre, self._title)
        text_w, age_w = 104, 44
        curve_w = width - 96 - text_w - age_w
        if curve_w > 20 and self._values.shape[1]:
            pixels = sparks.raster(self._values, *self._range, curve_w, height - 6, t.curves[0])
            painter.drawImage(92, 3, sparks.image(pixels))
        painter.setPen(QColor(t.text if self._is_fresh else t.faint))
        right = centre | Qt.AlignmentFlag.AlignRight
        elided = painter.fontMetrics().elidedText(self._text, Qt.TextElideMode.ElideRight, text_w)
        painter.drawText(width - text_w - age_w, 0, text_w, height, right, elided)
        font = painter.font()
        font.setPixelSize(11)
        painter.setFont(font)
        painter.setPen(QColor(t.faint))
        painter.drawText(width - age_w, 0, age_w, height, right, self._age)
        painter.end()


class TextTable(QTableWidget):
    """A small table of foreign texts that keeps its rows when it is updated."""

    def __init__(self, titles: Sequence[str], name: str, stretch: int) -> None:
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

    def show_rows(self, rows: Iterable[Sequence[Any]]) -> None:
        """Show these rows of texts."""
        found = [list(r) for r in rows]
        if self.rowCount() != len(found):
            self.setRowCount(len(found))
        for i, row in enumerate(found):
            for j, value in enumerate(row):
                text = plain(str(value), 300)
                item = self.item(i, j)
                if item is None:
                    item = QTableWidgetItem(text)
                    if j == self._stretch:
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
