"""Seconds to minutes and minutes to hours: minimum, mean, maximum, last, count, share of time fresh. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.fleet.state import ReadingState

F8 = npt.NDArray[np.float64]
U1 = npt.NDArray[np.uint8]
I8 = npt.NDArray[np.int64]

_FRESH = int(ReadingState.FRESH)


@dataclass(slots=True)
class Rollup:
    """Statistics of any number of series over one span; arrays of one shape. NaN where `count` is 0.

    Attributes:
        fresh: share of the samples due that came and were fresh, 0 to 1.
        state: the last state seen, NONE where no sample came.
    """

    mean: F8
    low: F8
    high: F8
    last: F8
    count: I8
    fresh: F8
    state: U1


def roll_up(values: F8, states: U1, expected: float) -> Rollup:
    """Statistics along the first axis of `values` [rows, ...]; `expected` samples are due in the span.

    A mean is of the fresh samples alone: what is missing is neither 0 nor the value before.
    """
    fresh = states == _FRESH
    count = fresh.sum(axis=0).astype(np.int64)
    shape = values.shape[1:]
    if not len(values):
        nothing = np.full(shape, np.nan)
        return Rollup(nothing, nothing, nothing, nothing, count, np.zeros(shape), np.zeros(shape, dtype=np.uint8))
    known = np.where(fresh, values, 0.0)
    none = count == 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = known.sum(axis=0) / count
    low = np.where(fresh, values, np.inf).min(axis=0)
    high = np.where(fresh, values, -np.inf).max(axis=0)
    # The mean of equal values must be that value, whatever the sum's rounding did.
    mean = np.clip(mean, low, high)
    for array in (mean, low, high):
        array[none] = np.nan
    return Rollup(
        mean, low, high, _last(values, fresh), count,
        np.minimum(1.0, count / max(expected, 1.0)), _last_state(states),
    )  # fmt: skip


def union(masks: F8, axis: int = 0) -> F8:
    """The bits that were set at any time, along an axis; NaN counts as no bit, all NaN stays NaN."""
    found: F8 = np.bitwise_or.reduce(np.nan_to_num(masks).astype(np.int64), axis=axis).astype(np.float64)
    found[np.isnan(masks).all(axis=axis)] = np.nan
    return found


def without_means(rollup: Rollup, means: F8, masks: Sequence[int], codes: Sequence[int]) -> None:
    """Where a mean says nothing it becomes what does: of a mask the bits that were set at any time, of a code the last.

    Args:
        means: [rows, entities, metrics], what the roll-up was made of, NaN where not fresh.
        masks, codes: columns of such metrics.
    """
    for column in masks:
        rollup.mean[:, column] = union(means[:, :, column])
    for column in codes:
        rollup.mean[:, column] = rollup.last[:, column]


def _last(values: F8, fresh: npt.NDArray[np.bool_]) -> F8:
    place = len(values) - 1 - np.argmax(fresh[::-1], axis=0)
    found: F8 = np.take_along_axis(values, place[None], axis=0)[0]
    return np.where(fresh.any(axis=0), found, np.nan)


def _last_state(states: U1) -> U1:
    seen = states != int(ReadingState.NONE)
    place = len(states) - 1 - np.argmax(seen[::-1], axis=0)
    found: U1 = np.take_along_axis(states, place[None], axis=0)[0]
    return np.where(seen.any(axis=0), found, np.uint8(ReadingState.NONE)).astype(np.uint8)


def join(parts: list[Rollup], expected: int) -> Rollup:
    """One roll-up of consecutive ones of the same series; `expected` parts are due in the span."""
    count = np.stack([p.count for p in parts])
    weight = count.astype(np.float64)
    total = weight.sum(axis=0)
    means = np.nan_to_num(np.stack([p.mean for p in parts]))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (means * weight).sum(axis=0) / total
    low = np.fmin.reduce(np.stack([p.low for p in parts]))
    high = np.fmax.reduce(np.stack([p.high for p in parts]))
    last = np.stack([p.last for p in parts])
    return Rollup(
        np.clip(mean, low, high), low, high, _last(last, ~np.isnan(last)), count.sum(axis=0),
        np.stack([p.fresh for p in parts]).sum(axis=0) / max(expected, 1), _last_state(np.stack([p.state for p in parts])),
    )  # fmt: skip
