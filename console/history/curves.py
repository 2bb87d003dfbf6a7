"""A series for the eye: seconds where they are dense enough to see, else buckets with their least and greatest value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.history.points import Points
from console.history.reader import Reader

F8 = npt.NDArray[np.float64]

_PERIOD = {"fast": 1.0, "medium": 5.0, "slow": 30.0}
GAP_PERIODS = 3.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """A series ready to draw; NaN leaves a gap.

    Attributes:
        t: unix seconds, rising.
        mean: the value, or the mean of each bucket.
        low, high: least and greatest of each bucket; None where `mean` are the samples themselves.
        step_s: width of a bucket in seconds, 0 for samples.
    """

    t: F8
    mean: F8
    low: F8 | None
    high: F8 | None
    step_s: float


NOTHING = Drawn(np.zeros(0), np.zeros(0), None, None, 0.0)


def draw(reader: Reader, uuid: str, metric: str, since_s: float, until_s: float, points: int) -> Drawn:
    """The series between two moments in at most some `points`, from the finest tier that still holds the span.

    Nothing recorded of the entity or metric is an empty series.

    Raises:
        HistoryError: the file cannot be read.
    """
    seen = reader.entity(uuid)
    scope = "host" if uuid.startswith("host:") else "card"
    if seen is None or not reader.knows(scope, metric):
        return NOTHING
    period = _PERIOD.get(reader.metric(scope, metric)[1], 1.0)
    step = (until_s - since_s) / max(1, points)
    oldest = reader.oldest()
    has_seconds = oldest["seconds"] <= max(since_s, oldest["minutes"])
    if has_seconds and step < 60.0:
        if step < 2.0 * period:
            return _with_gaps(*reader.seconds(uuid, metric, since_s, until_s)[:2], period)
        if reader.is_mask(scope, metric):
            return _unions(*reader.seconds(uuid, metric, since_s, until_s)[:2], since_s, step)
        return _bucketed(reader.points(uuid, metric, since_s, until_s, points))
    rolled = reader.hours
    if step < 3600.0 and oldest["minutes"] <= max(since_s, oldest["hours"]):
        rolled = reader.minutes
    found = rolled(uuid, metric, since_s, until_s)
    if reader.is_mask(scope, metric):
        return _unions(found.t, found.mean, since_s, max(step, found.step_s))
    return _bucketed(_coarser(found, points))


def _unions(t: F8, masks: F8, since_s: float, step: float) -> Drawn:
    """Buckets of a mask: the bits that were set at any time."""
    if not len(t):
        return NOTHING
    place = ((t - since_s) / step).astype(np.intp)
    starts = np.flatnonzero(np.concatenate(([True], np.diff(place) != 0)))
    found = np.bitwise_or.reduceat(np.nan_to_num(masks).astype(np.int64), starts).astype(np.float64)
    found[np.add.reduceat((~np.isnan(masks)).astype(np.int64), starts) == 0] = np.nan
    edges: F8 = since_s + place[starts].astype(np.float64) * step
    return Drawn(edges, found, None, None, step)


def _with_gaps(t: F8, v: F8, period: float) -> Drawn:
    if len(t) > 1:
        steps = np.diff(t)
        # A card in focus is sampled faster, a slow fleet slower: what is usual here decides what a gap is.
        usual = max(period, float(np.median(steps)))
        holes = np.flatnonzero(steps > GAP_PERIODS * usual)
        t, v = np.insert(t, holes + 1, t[holes] + usual), np.insert(v, holes + 1, np.nan)
    return Drawn(t, v, None, None, 0.0)


def _bucketed(found: Points) -> Drawn:
    return Drawn(found.t + found.step_s / 2.0, found.mean, found.low, found.high, found.step_s)


def _coarser(found: Points, points: int) -> Points:
    """Neighbours joined until there are at most `points`."""
    width = -(-len(found.t) // max(1, points))
    if width <= 1:
        return found
    lengths = np.arange(0, len(found.t), width)
    known = ~np.isnan(found.mean)
    counts = np.add.reduceat(known.astype(float), lengths)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.add.reduceat(np.where(known, found.mean, 0.0), lengths) / counts
    low, high = np.fmin.reduceat(found.low, lengths), np.fmax.reduceat(found.high, lengths)
    return Points(found.t[lengths], mean, low, high, found.step_s * width)
