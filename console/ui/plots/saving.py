"""A plot as a file: PNG and SVG as it stands, CSV of what it draws. Made on the Qt thread, written off it."""

from __future__ import annotations

import csv
import io
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QPoint
from PySide6.QtGui import QColor, QPainter, QRegion
from PySide6.QtSvg import QSvgGenerator
from PySide6.QtWidgets import QFileDialog, QWidget

from console.ui.text import tr
from console.ui.theme import Theme

if TYPE_CHECKING:
    from console.ui.plots.timeplot import Curve

FILTERS = "PNG (*.png);;SVG (*.svg);;CSV (*.csv)"


def as_png(widget: QWidget) -> bytes:
    """The widget as it stands, at the pixels of its screen."""
    picture = widget.grab()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    picture.save(buffer, "PNG")
    return bytes(data.data())


def as_svg(widget: QWidget) -> bytes:
    """The widget as vectors. (pyqtgraph's own exporter fails on curves with gaps.)"""
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    target = QSvgGenerator()
    target.setOutputDevice(buffer)
    target.setSize(widget.size())
    target.setViewBox(widget.rect())
    painter = QPainter(target)
    painter.fillRect(widget.rect(), QColor(Theme.now.raised))
    widget.render(painter, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
    painter.end()
    return bytes(data.data())


def as_csv(curves: Sequence[Curve], unit: str) -> bytes:
    """Rows of (curve, time in UTC, value, least, greatest, unit); a gap has no row."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["curve", "time", "value", "min", "max", "unit"])
    for curve in curves:
        s = curve.series
        low, high = (s.v, s.v) if s.low is None or s.high is None else (s.low, s.high)
        for t, v, least, most in zip(s.t.tolist(), s.v.tolist(), low.tolist(), high.tolist(), strict=True):
            if not np.isnan(v):
                moment = datetime.fromtimestamp(t, tz=UTC).isoformat(timespec="milliseconds")
                writer.writerow([curve.title, moment, v, least, most, unit])
    return out.getvalue().encode()


def ask_path(parent: QWidget, name: str) -> Path | None:
    """Where to write; None when the person thought better of it."""
    chosen, kind = QFileDialog.getSaveFileName(parent, tr("Save the plot"), f"{name}.png", FILTERS)
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix.lower() in (".png", ".svg", ".csv") else path.with_suffix(f".{kind[:3].lower()}")


def write(path: Path, data: bytes, told: Callable[[str], None]) -> threading.Thread:
    """Write off the Qt thread; `told` (a signal's emit) hears how it went."""

    def work() -> None:
        try:
            path.write_bytes(data)
        except OSError as exc:
            told(tr("{path} cannot be written: {why}").format(path=path, why=exc.strerror or exc))
        else:
            told(tr("Saved {path}").format(path=path))

    thread = threading.Thread(target=work, name="save-plot", daemon=True)
    thread.start()
    return thread
