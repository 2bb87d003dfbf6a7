"""What rules must remember between two looks: how often something held, and what counters showed. Arrays over rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Held:
    """Whether something held in n of the last m looks, one every `every_s`; then until `off_s` after it last did."""

    def __init__(self, n: int, m: int, every_s: float, off_s: float) -> None:
        self._n, self._mask, self._every, self._off = n, np.uint64((1 << m) - 1), every_s, off_s
        self._looks = np.zeros(0, dtype=np.uint64)
        self._pending = np.zeros(0, dtype=bool)
        self._last = np.zeros(0)
        self._since = np.full(0, np.nan)
        self._looked_at = -np.inf

    def resize(self, place: npt.NDArray[np.intp]) -> None:
        """Rows are others now: `place` is each row's old place, -1 for a new one."""
        self._looks = _moved(self._looks, place, 0)
        self._pending = _moved(self._pending, place, False)
        self._last = _moved(self._last, place, -np.inf)
        self._since = _moved(self._since, place, np.nan)

    def look(self, now: float, is_so: Bools) -> tuple[Bools, F8]:
        """(rows for which it holds, since when)."""
        self._pending |= is_so
        if now - self._looked_at >= self._every:
            self._looked_at = now
            self._looks = ((self._looks << np.uint64(1)) | self._pending.astype(np.uint64)) & self._mask
            self._pending = is_so.copy()
        self._last[is_so] = now
        enough = np.bitwise_count(self._looks) >= self._n
        if self._n == 1:
            # What needs no second look need not wait for the next one.
            enough |= is_so
        was = ~np.isnan(self._since)
        holds = (enough & ~was & is_so) | (was & (enough | (now - self._last < self._off)))
        self._since[holds & ~was] = now
        self._since[~holds] = np.nan
        return holds, self._since


class Beyond:
    """Whether readings are beyond a limit, and stay so until they came back to `clear`: a deadband against chatter."""

    def __init__(self, limit: float, clear: float) -> None:
        self._limit, self._clear = limit, clear
        self._was = np.zeros(0, dtype=bool)

    def resize(self, place: npt.NDArray[np.intp]) -> None:
        """See Held.resize."""
        self._was = _moved(self._was, place, False)

    def above(self, values: F8) -> Bools:
        """Rows above the limit, or above `clear` once they were; unknown readings change nothing by being unknown."""
        with np.errstate(invalid="ignore"):
            is_so = (values > self._limit) | (self._was & (values > self._clear))
        self._was = is_so | (self._was & np.isnan(values))
        return is_so

    def below(self, values: F8) -> Bools:
        """Rows below the limit, or below `clear` once they were."""
        with np.errstate(invalid="ignore"):
            is_so = (values < self._limit) | (self._was & (values < self._clear))
        self._was = is_so | (self._was & np.isnan(values))
        return is_so


class Rise:
    """How much a counter rose within a window, and since when. A counter that falls was reset and begins anew."""

    LOOKS = 24

    def __init__(self, window_s: float) -> None:
        self._window = window_s
        self._every = window_s / self.LOOKS
        self._past: deque[tuple[float, F8]] = deque()
        self._top = np.zeros(0)
        self._lost = np.zeros(0)

    def resize(self, place: npt.NDArray[np.intp]) -> None:
        """See Held.resize."""
        self._past = deque((at, _moved(v, place, np.nan)) for at, v in self._past)
        self._top = _moved(self._top, place, np.nan)
        self._lost = _moved(self._lost, place, 0.0)

    def look(self, now: float, values: F8) -> F8:
        """Rise of each row within the window; NaN where unknown. `values` NaN where not fresh."""
        known = ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            fell = known & (values < self._top)
        # What was counted before a reset stays counted, so that a rise never turns negative.
        self._lost[fell] += self._top[fell]
        self._top[known] = values[known]
        whole = np.where(known, values + self._lost, np.nan)
        while self._past and now - self._past[0][0] > self._window:
            self._past.popleft()
        if not self._past or now - self._past[-1][0] >= self._every:
            self._past.append((now, whole))
        oldest = np.full(len(values), np.nan)
        for _, before in reversed(self._past):
            oldest = np.where(np.isnan(before), oldest, before)
        rise: F8 = whole - oldest
        return rise


def places(old: Sequence[str], new: Sequence[str]) -> npt.NDArray[np.intp]:
    """The old place of each new name, -1 where it is new."""
    at = {name: i for i, name in enumerate(old)}
    return np.array([at.get(name, -1) for name in new], dtype=np.intp)


def _moved(values: npt.NDArray[np.generic], place: npt.NDArray[np.intp], fresh: object) -> npt.NDArray:  # type: ignore[type-arg]
    out = np.full(len(place), fresh, dtype=values.dtype)
    known = place >= 0
    if len(values):
        out[known] = values[place[known]]
    return out
