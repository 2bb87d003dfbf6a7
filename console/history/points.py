"""A series cut into buckets. Pure numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """A series cut into buckets of `step_s`; `t` is each bucket's start (unix seconds). NaN where nothing was fresh."""

    t: F8
    mean: F8
    low: F8
    high: F8
    step_s: float


def bucket(t: F8, v: F8, since_s: float, until_s: float, points: int) -> Points:
    """Cut a series into equal buckets; one without a fresh sample is NaN, never bridged."""
    count = max(1, points)
    step = max(1e-3, (until_s - since_s) / count)
    fresh = ~np.isnan(v)
    if not fresh.all():
        t, v = t[fresh], v[fresh]
    edges = since_s + step * np.arange(count, dtype=np.float64)
    table = np.full((3, count), np.nan)
    if len(v):
        # Where each bucket begins in the series, which is in order of time.
        bounds = np.searchsorted(t, edges[1:]) if count > 1 else np.zeros(0, dtype=np.intp)
        bounds = np.concatenate(([0], bounds, [len(t)]))
        where = np.flatnonzero(np.diff(bounds))
        starts = bounds[where]
        low, high = np.minimum.reduceat(v, starts), np.maximum.reduceat(v, starts)
        # The mean of equal values must be that value, whatever the sum's rounding did.
        mean = np.clip(np.add.reduceat(v, starts) / np.diff(bounds)[where], low, high)
        table[:, where] = mean, low, high
    return Points(edges, table[0], table[1], table[2], step)
