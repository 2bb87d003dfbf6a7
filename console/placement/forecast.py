"""How much will be asked for: seasonal-naive and damped Holt on weekly points, with quantiles and a back-test that is shown.

No model is trusted by its name: each is tried on the past as it would have been used (rolling origin), the one that erred least
forecasts, and the band is the empirical quantiles of its own errors at each distance. A history too short for that gives a
point forecast without a band, and says so.

Damped Holt: Gardner and McKenzie 1985, as in Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 8.2.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.placement.mix import F8

SEASONS = (4, 13, 52)
"""Weeks of seasons that are tried, as far as the history covers two of them."""
LEAST_TRAIN = 6
"""Points before the first origin of the back-test."""
LEAST_ERRORS = 5
"""Origins at a distance below which no band is given."""
LOW, HIGH = 0.1, 0.9
ALPHAS = (0.1, 0.3, 0.5, 0.7, 0.9)
BETAS = (0.05, 0.1, 0.2, 0.4)
PHIS = (0.8, 0.9, 0.98)

Method = Callable[[F8, int], F8]


def seasonal_naive(history: F8, horizon: int, season: int = 1) -> F8:
    """The same as a season ago; with a season of 1 the last point."""
    last = history[-season:]
    return np.array([last[i % season] for i in range(horizon)], dtype=np.float64)


def damped_holt(history: F8, horizon: int) -> F8:
    """Level and a trend that dies away; the smoothing that erred least one step ahead on this history."""
    level, trend, phi = _holt(history)
    return _ahead(level[-1], trend[-1], phi[-1], horizon)


def _holt(history: F8) -> tuple[F8, F8, F8]:
    """(level, trend, damping) after each point, of the smoothing that erred least up to there. One pass for all origins."""
    grid = np.array(list(itertools.product(ALPHAS, BETAS, PHIS)))
    alpha, beta, phi = grid[:, 0], grid[:, 1], grid[:, 2]
    level = np.full(len(grid), history[0])
    trend = np.full(len(grid), history[1] - history[0] if len(history) > 1 else 0.0)
    errors = np.zeros(len(grid))
    out = np.empty((3, len(history)))
    out[:, 0] = history[0], 0.0, phi[0]
    for at, value in enumerate(history[1:], 1):
        ahead = level + phi * trend
        errors += (value - ahead) ** 2
        before, level = level, alpha * value + (1.0 - alpha) * ahead
        trend = beta * (level - before) + (1.0 - beta) * phi * trend
        best = int(errors.argmin())
        out[:, at] = level[best], trend[best], phi[best]
    return out[0], out[1], out[2]


def _ahead(level: float, trend: float, phi: float, horizon: int) -> F8:
    found: F8 = np.maximum(0.0, level + trend * np.cumsum(phi ** np.arange(1, horizon + 1)))
    return found


@dataclass(frozen=True, slots=True)
class Forecast:
    """What will be asked for, a point a week from now on.

    Attributes:
        method: which was used, and why it can be trusted is in the rest.
        likely, low, high: of each week to come; low and high None where the history is too short for a band.
        error: mean absolute error of the back-test, in the unit of the history; naive: that of "as it is now".
        covered: share of past points that lay in the band that would have been given then; of `tried` points.
    """

    method: str
    history: npt.NDArray[np.float64]
    likely: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64] | None
    high: npt.NDArray[np.float64] | None
    error: float | None
    naive: float | None
    covered: float | None
    tried: int


def methods(points: int) -> dict[str, Method]:
    """The methods that a history of so many points is enough for."""
    out: dict[str, Method] = {"as it is now": seasonal_naive}
    for season in SEASONS:
        if points >= 2 * season + LEAST_ERRORS:
            out[f"as {season} weeks before"] = lambda h, n, s=season: seasonal_naive(h, n, s)  # type: ignore[misc]
    if points >= LEAST_TRAIN:
        out["damped trend"] = damped_holt
    return out


def back_test(history: F8, horizon: int, method: Method, least: int) -> F8:
    """Errors (actual less forecast) of every origin and distance, NaN where the history ends: (origins, horizon)."""
    origins = range(least, len(history))
    errors = np.full((len(origins), horizon), np.nan)
    states = _holt(history) if method is damped_holt else None
    for row, origin in enumerate(origins):
        seen = min(horizon, len(history) - origin)
        if states is None:
            made = method(history[:origin], seen)
        else:
            made = _ahead(states[0][origin - 1], states[1][origin - 1], states[2][origin - 1], seen)
        errors[row, :seen] = history[origin : origin + seen] - made
    return errors


def forecast(history: Sequence[float] | F8, horizon: int) -> Forecast:
    """What follows on weekly points, the newest last.

    Raises:
        ValueError: there is no point, or no week to forecast.
    """
    past = np.asarray(history, dtype=np.float64)
    if past.ndim != 1 or not past.size or horizon < 1 or not np.isfinite(past).all():
        raise ValueError("a forecast needs at least one finite point and one week to come")
    usable = methods(len(past))
    if len(past) <= LEAST_TRAIN:
        return Forecast("as it is now", past, seasonal_naive(past, horizon), None, None, None, None, None, 0)
    least = {n: max(LEAST_TRAIN, _season(n)) for n in usable}
    # All methods are judged on the same origins: those that the most demanding one has.
    shared = max(least.values())
    errors = {n: back_test(past, horizon, m, shared) for n, m in usable.items()}
    mean = {n: float(np.nanmean(np.abs(e))) for n, e in errors.items()}
    chosen = min(usable, key=lambda n: (mean[n], list(usable).index(n)))
    mine = back_test(past, horizon, usable[chosen], least[chosen])
    likely = usable[chosen](past, horizon)
    bands = _bands(mine, horizon)
    covered, tried = _coverage(mine)
    low = high = None
    if bands is not None:
        low, high = np.maximum(0.0, likely + bands[0]), np.maximum(0.0, likely + bands[1])
    return Forecast(chosen, past, likely, low, high, mean[chosen], mean["as it is now"], covered, tried)


def _season(name: str) -> int:
    return next((s for s in SEASONS if name == f"as {s} weeks before"), 1)


def _bands(errors: F8, horizon: int) -> tuple[F8, F8] | None:
    """(low, high) errors by distance; where too few origins reached, those of the last known distance grown by root time."""
    low, high = np.zeros(horizon), np.zeros(horizon)
    known = 0
    for ahead in range(horizon):
        column = errors[~np.isnan(errors[:, ahead]), ahead]
        if len(column) >= LEAST_ERRORS:
            low[ahead], high[ahead] = np.quantile(column, LOW), np.quantile(column, HIGH)
            known = ahead + 1
        elif known:
            grow = np.sqrt((ahead + 1) / known)
            low[ahead], high[ahead] = low[known - 1] * grow, high[known - 1] * grow
        else:
            return None
    # What is farther away is not known better.
    return np.minimum.accumulate(np.minimum(low, 0.0)), np.maximum.accumulate(np.maximum(high, 0.0))


def _coverage(errors: F8) -> tuple[float | None, int]:
    """How often a point lay in the band that only the errors known by then would have given: (share, points)."""
    inside = tried = 0
    for ahead in range(errors.shape[1]):
        known: list[float] = []
        for row in range(len(errors)):
            # At an origin, an error so far ahead is known only of origins as far before it.
            if row > ahead and not np.isnan(errors[row - ahead - 1, ahead]):
                bisect.insort(known, float(errors[row - ahead - 1, ahead]))
            if len(known) < LEAST_ERRORS or np.isnan(errors[row, ahead]):
                continue
            inside += min(0.0, _quantile(known, LOW)) <= errors[row, ahead] <= max(0.0, _quantile(known, HIGH))
            tried += 1
    return (inside / tried if tried else None), tried


def _quantile(known: Sequence[float], share: float) -> float:
    """Of sorted numbers, linear between two of them, as numpy's."""
    at = share * (len(known) - 1)
    low = int(at)
    high = min(low + 1, len(known) - 1)
    return known[low] + (known[high] - known[low]) * (at - low)
