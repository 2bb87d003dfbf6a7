"""One live plot over time: up to eight curves, a shared cursor, event marks, gaps that stay gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyqtgraph as pg
from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QWidget

from console.fleet.show import number
from console.telemetry.live import Series
from console.ui.plots import saving
from console.ui.plots.decimate import decimate
from console.ui.text import PlainLabel, tr
from console.ui.theme import Theme

MAX_CURVES = 8
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def nice_top(value: float) -> float:
    """The least round number at or above `value`, so that the scale does not jump with every sample."""
    if value <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in _STEPS if step * power >= value * 0.999999))


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: its legend text and its data. One that only compares is drawn in a dotted line."""

    title: str
    series: Series
    is_compared: bool = False


class _Axis(pg.AxisItem):
    """A value axis that writes units as the rest of the window does."""

    def __init__(self, unit: str) -> None:
        super().__init__("left")
        self._unit = unit
        self.enableAutoSIPrefix(False)

    def tickSpacing(self, minVal: float, maxVal: float, size: float) -> list[tuple[float, float]]:
        if self._unit != "B":
            return super().tickSpacing(minVal, maxVal, size)
        # Bytes are read in powers of 1024, so their ticks are too.
        return [(nice_top((maxVal - minVal) / 4.0 / 2**30) * 2**30, 0.0)]

    def tickStrings(self, values: Sequence[float], scale: float, spacing: float) -> list[str]:
        return [number(v, self._unit) for v in values]


class TimePlot(QWidget):
    """A titled plot. `show_curves` is called by its page when it is visible.

    Signals:
        pointed: the cursor is at this unix second (NaN when it left).
        picked: a double click asked for this unix second.
    """

    pointed = Signal(float)
    picked = Signal(float)

    def __init__(self, title: str, unit: str, top: float | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._unit = unit
        self._top = top
        self._title = title
        self._range = 0.0
        self._items: list[pg.PlotDataItem] = []
        self._bands: list[pg.PlotDataItem] = []
        self._curves: list[Curve] = []
        self._marks: list[pg.InfiniteLine] = []
        self._head = PlainLabel(title, "label")
        self._readout = PlainLabel("", "label")
        self._readout.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._readout.elided()
        axis = pg.DateAxisItem(orientation="bottom")
        self._plot = pg.PlotWidget(axisItems={"bottom": axis, "left": _Axis(unit)}, background=None)
        self._plot.setMenuEnabled(False)
        self._plot.setMouseEnabled(False, False)
        self._plot.hideButtons()
        self._plot.setFrameShape(self._plot.Shape.NoFrame)
        self._plot.getPlotItem().disableAutoRange()
        self._plot.getAxis("left").setWidth(64)
        self._plot.scene().sigMouseMoved.connect(self._moved)
        self._cursor = pg.InfiniteLine(angle=90, movable=False)
        self._cursor.hide()
        self._moment = pg.InfiniteLine(angle=90, movable=False)
        self._moment.hide()
        for line in (self._cursor, self._moment):
            self._plot.addItem(line, ignoreBounds=True)
        self._plot.scene().sigMouseClicked.connect(self._clicked)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setVerticalSpacing(0)
        layout.setHorizontalSpacing(12)
        layout.addWidget(self._head, 0, 0)
        layout.addWidget(self._readout, 0, 1)
        layout.addWidget(self._plot, 1, 0, 1, 2)
        layout.setColumnStretch(1, 1)
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName(title)
        self.dress()

    def dress(self) -> None:
        """Take over the theme's colours."""
        t = Theme.now
        for side in ("left", "bottom"):
            axis = self._plot.getAxis(side)
            axis.setPen(pg.mkPen(t.line))
            axis.setTextPen(pg.mkPen(t.quiet))
            font = self.font()
            font.setPixelSize(11)
            axis.setStyle(tickFont=font, tickLength=-4)
        self._plot.showGrid(x=False, y=True, alpha=0.12)
        self._cursor.setPen(pg.mkPen(t.accent, width=1))
        self._moment.setPen(pg.mkPen(t.notice, width=1))
        for i in range(len(self._items)):
            self._pen(i)

    def set_utc(self, utc: bool) -> None:
        """Write times in UTC or in the workstation's zone."""
        axis = self._plot.getAxis("bottom")
        axis.utcOffset = 0 if utc else None
        axis.picture = None
        axis.update()

    def show_curves(self, curves: Sequence[Curve], since: float, until: float) -> None:
        """Draw at most MAX_CURVES curves between two unix seconds."""
        self._curves = list(curves)[:MAX_CURVES]
        width = max(50, self._plot.width() - 70)
        while len(self._items) < len(self._curves):
            for items in (self._bands, self._items):
                item = pg.PlotDataItem(antialias=False, connect="finite")
                items.append(item)
                self._plot.addItem(item)
        highest = 0.0
        for i, (item, band) in enumerate(zip(self._items, self._bands, strict=True)):
            if i >= len(self._curves):
                item.setData([], [])
                band.setData([], [])
                continue
            self._pen(i)
            series = self._curves[i].series
            item.setData(*decimate(series.t, series.v, width))
            low, high = series.low, series.high
            if low is None or high is None:
                band.setData([], [])
                high = series.v
            else:
                # From least to greatest and back, bucket by bucket: at a pixel each this is a filled band.
                band.setData(np.repeat(series.t, 2), np.stack([low, high], axis=1).reshape(-1))
            if len(high) and not np.isnan(high).all():
                highest = max(highest, float(np.nanmax(high)))
        self._set_range(since, until, highest)
        self._tell(None)

    def _pen(self, place: int) -> None:
        curve = self._curves[place] if place < len(self._curves) else None
        colour = QColor(Theme.now.curves[place])
        style = Qt.PenStyle.DotLine if curve is not None and curve.is_compared else Qt.PenStyle.SolidLine
        self._items[place].setPen(pg.mkPen(colour, width=1, style=style))
        faded = QColor(colour)
        faded.setAlpha(70)
        self._bands[place].setPen(pg.mkPen(faded, width=1))

    def show_moment(self, at: float | None) -> None:
        """A line at the moment that the window shows; None for none."""
        self._moment.setVisible(at is not None)
        if at is not None:
            self._moment.setValue(at)

    @property
    def title(self) -> str:
        """What the plot is of."""
        return self._title

    def as_file(self, kind: str) -> bytes:
        """The plot as "png", "svg" or "csv"."""
        if kind == "csv":
            return saving.as_csv(self._curves, self._unit)
        return saving.as_svg(self) if kind == "svg" else saving.as_png(self)

    def _clicked(self, event: object) -> None:
        view = self._plot.getPlotItem().vb
        if event.double() and view.sceneBoundingRect().contains(event.scenePos()):  # type: ignore[attr-defined]
            self.picked.emit(view.mapSceneToView(event.scenePos()).x())  # type: ignore[attr-defined]

    def _set_range(self, since: float, until: float, highest: float) -> None:
        top = self._top if self._top is not None else nice_top(highest * 1.05)
        # Growing at once, shrinking only when half would do: the scale must not breathe with every sample.
        if self._top is not None or top > self._range or top < 0.5 * self._range:
            self._range = top
        self._plot.setRange(xRange=(since, until), yRange=(0.0, self._range * 1.06), padding=0.0, disableAutoRange=True)

    def mark_events(self, marks: Sequence[tuple[float, str, str]]) -> None:
        """Vertical marks: (unix second, colour, text). The text stands in the mark's accessible summary only."""
        for line in self._marks:
            self._plot.removeItem(line)
        self._marks = []
        for at, colour, _ in list(marks)[-40:]:
            line = pg.InfiniteLine(at, angle=90, pen=pg.mkPen(colour, width=1, style=Qt.PenStyle.DashLine))
            self._marks.append(line)
            self._plot.addItem(line, ignoreBounds=True)

    def point(self, at: float) -> None:
        """Put the cursor at a unix second, or away with NaN."""
        if np.isnan(at):
            self._cursor.hide()
            self._tell(None)
        else:
            self._cursor.setValue(at)
            self._cursor.show()
            self._tell(at)

    def _moved(self, position: object) -> None:
        view = self._plot.getPlotItem().vb
        inside = view.sceneBoundingRect().contains(position)
        self.pointed.emit(view.mapSceneToView(position).x() if inside else float("nan"))

    def _tell(self, at: float | None) -> None:
        parts = []
        for curve in self._curves:
            value = _value_at(curve.series, at)
            prefix = f"{curve.title} " if curve.title and len(self._curves) > 1 else ""
            parts.append(f"{prefix}{number(value, self._unit)}")
        text = "   ".join(parts)
        self._readout.setText(text)
        self.setAccessibleDescription(f"{self._title}: {text}" if text else tr("No data yet"))

    def leaveEvent(self, event: object) -> None:
        self.pointed.emit(float("nan"))
        super().leaveEvent(event)


def _value_at(series: Series, at: float | None) -> float | None:
    """The value nearest before `at` (the newest where None); None in a gap."""
    if not len(series.v):
        return None
    index = len(series.v) - 1 if at is None else int(np.searchsorted(series.t, at, side="right")) - 1
    if index < 0 or np.isnan(series.v[index]):
        return None
    return float(series.v[index])
