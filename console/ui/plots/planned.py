"""Plots of planning: the cards of a pool over the months to come, and revenue by scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyqtgraph as pg
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QVBoxLayout, QWidget

from console.ledger.times import parse_instant
from console.ui.text import PlainLabel, tr
from console.ui.theme import Theme

WEEK_S = 7 * 86_400.0


class PoolPlot(QWidget):
    """A pool's history and what is ahead: rentable, asked, likely with its band."""

    def __init__(self) -> None:
        super().__init__()
        self._pool: Mapping[str, Any] | None = None
        self._at = 0.0
        self._legend = PlainLabel("", "faint").wrapped()
        axis = pg.DateAxisItem(orientation="bottom")
        self._plot = pg.PlotWidget(axisItems={"bottom": axis}, background=None)
        self._plot.setMenuEnabled(False)
        self._plot.setMouseEnabled(False, False)
        self._plot.hideButtons()
        self._plot.setFrameShape(self._plot.Shape.NoFrame)
        self._plot.getAxis("left").setWidth(44)
        self.setAccessibleName(tr("Cards over time"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._legend)
        layout.addWidget(self._plot, 1)
        self.setMinimumHeight(180)
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
        self._draw()

    def show_pool(self, pool: Mapping[str, Any] | None, at: float) -> None:
        """Show a pool of `capacity`; `at` is now, a unix second."""
        self._pool, self._at = pool, at
        self._draw()

    def _draw(self) -> None:
        self._plot.clear()
        pool, t = self._pool, Theme.now
        if pool is None:
            self._legend.setText("")
            return
        ahead = pool["ahead"]
        times = [parse_instant(p["at"], "at") / 1e6 for p in ahead]
        made = pool["forecast"]
        past = made["history"] if made else []
        # A week's mean stands in its middle.
        before = [self._at - (len(past) - i - 0.5) * WEEK_S for i in range(len(past))]
        if ahead and ahead[0]["low"] is not None:
            fill = QColor(t.accent)
            fill.setAlphaF(0.18)
            low = pg.PlotCurveItem(times, [p["low"] for p in ahead], pen=None)
            high = pg.PlotCurveItem(times, [p["high"] for p in ahead], pen=None)
            self._plot.addItem(pg.FillBetweenItem(low, high, brush=fill))
        self._plot.plot(before, past, pen=pg.mkPen(t.quiet, width=1.5), antialias=True)
        self._plot.plot(times, [p["likely"] for p in ahead], pen=pg.mkPen(t.accent, width=2), antialias=True)
        for key, pen in (
            ("asked", pg.mkPen(t.text, width=1, style=Qt.PenStyle.DashLine)), ("rentable", pg.mkPen(t.warning, width=1.5)),
        ):  # fmt: skip
            self._plot.plot(times, [p[key] for p in ahead], pen=pen, stepMode="right")
        now = pg.InfiniteLine(pos=self._at, angle=90, movable=False, pen=pg.mkPen(t.line, width=1))
        self._plot.addItem(now, ignoreBounds=True)
        tops = [p["rentable"] for p in ahead] + [p["high"] or p["likely"] for p in ahead] + list(past)
        self._plot.setYRange(0, max([*tops, 1.0]) * 1.08, padding=0)
        self._plot.setXRange((before or times)[0], times[-1], padding=0.01)
        parts = [
            tr("grey: demand so far"),
            tr("blue: likely demand, 10 to 90 %"),
            tr("dashed: asked"),
            tr("orange: rentable"),
        ]
        self._legend.setText("   ".join(parts))


class RevenuePlot(QWidget):
    """Revenue of the months to come, a line a scenario."""

    def __init__(self) -> None:
        super().__init__()
        self._plot = pg.PlotWidget(background=None)
        self._plot.setMenuEnabled(False)
        self._plot.setMouseEnabled(False, False)
        self._plot.hideButtons()
        self._plot.setFrameShape(self._plot.Shape.NoFrame)
        self._plot.getAxis("left").setWidth(72)
        self._plot.getAxis("left").enableAutoSIPrefix(False)
        self._legend = self._plot.addLegend(offset=(-12, 8))
        self.setAccessibleName(tr("Revenue by month"))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot, 1)
        self.setMinimumHeight(160)
        self.dress()

    def dress(self) -> None:
        """Take over the theme's colours."""
        t = Theme.now
        for side in ("left", "bottom"):
            axis = self._plot.getAxis(side)
            axis.setPen(pg.mkPen(t.line))
            axis.setTextPen(pg.mkPen(t.quiet))
        self._legend.setLabelTextColor(QColor(t.quiet))
        self._plot.showGrid(x=False, y=True, alpha=0.12)

    def show_revenue(self, scenarios: Sequence[Mapping[str, Any]], currency: str) -> None:
        """Draw the months of these scenarios in a currency."""
        self._plot.clear()
        t = Theme.now
        months: list[str] = []
        pens = [pg.mkPen(t.text, width=2), *(
            pg.mkPen(c, width=2, style=s) for c, s in zip(
                (t.warning, t.accent, t.notice, t.critical) * 4, (Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine) * 8, strict=True
            )
        )]  # fmt: skip
        for one, pen in zip(scenarios, pens, strict=False):
            rows = [r for r in one["revenue"] if r["currency"] == currency]
            months = [r["month"] for r in rows] or months
            self._plot.plot(
                range(len(rows)), [float(r["amount"]) for r in rows], pen=pen, name=one["scenario"], antialias=True
            )
        self._plot.getAxis("bottom").setTicks([[(i, m) for i, m in enumerate(months)]])
        self._plot.enableAutoRange()
        self._plot.setLimits(yMin=0)
