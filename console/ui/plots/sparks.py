"""Many small curves as one image: numpy writes the pixels, Qt draws it once. No pyqtgraph."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtGui import QColor, QImage


def raster(
    series: npt.NDArray[np.float32], low: float, high: float, width: int, height: int, colour: str
) -> npt.NDArray[np.uint32]:
    """Premultiplied ARGB pixels [len(series) * height, width]; NaN leaves a gap. `low`..`high` is the value range.

    Each column is filled between its value and the one before, so that steep curves stay connected.
    """
    count, samples = series.shape
    out = np.zeros((count, height, width), dtype=np.uint32)
    if not count or not samples:
        return out.reshape(count * height, width)
    at = np.minimum(np.arange(width) * samples // width, samples - 1)
    values = series[:, at]
    span = high - low if high > low else 1.0
    with np.errstate(invalid="ignore"):
        y = np.clip((1.0 - (values - low) / span) * (height - 1), 0, height - 1)
    known = ~np.isnan(values)
    y = np.where(known, np.rint(np.nan_to_num(y)), -9).astype(np.int16)
    before = np.concatenate((y[:, :1], y[:, :-1]), axis=1)
    before = np.where(before < 0, y, before)
    top, bottom = np.minimum(y, before), np.maximum(y, before)
    rows = np.arange(height, dtype=np.int16)[None, :, None]
    lit = (rows >= top[:, None, :]) & (rows <= bottom[:, None, :]) & known[:, None, :]
    out[lit] = QColor(colour).rgba()
    return out.reshape(count * height, width)


def image(pixels: npt.NDArray[np.uint32]) -> QImage:
    """A QImage that owns a copy of the pixels."""
    height, width = pixels.shape
    flat = np.ascontiguousarray(pixels)
    return QImage(flat.data, width, height, 4 * width, QImage.Format.Format_ARGB32_Premultiplied).copy()
