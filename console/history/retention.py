"""How long each kind of history is kept, and taking away what is over, a little at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from console.history.store import Store

DAY_S = 86_400
GIB = 1 << 30
STEP_CHUNKS, STEP_PAGES = 16, 512


class Rows(Protocol):
    """Whatever can be asked in SQL: the store or a reader."""

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        """All rows of a query."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Ages in seconds and sizes in bytes, a tier each; whichever is reached first.

    The defaults keep the seconds of two days, minutes of two months, hours of three years, events of three years.
    """

    raw_s: float = 48 * 3600
    minutes_s: float = 60 * DAY_S
    hours_s: float = 3 * 365 * DAY_S
    raw_bytes: int = 32 * GIB
    minutes_bytes: int = 32 * GIB
    hours_bytes: int = 16 * GIB


@dataclass(frozen=True, slots=True)
class Cut:
    """What one tier would lose: everything older than `before_s` (unix seconds), about `bytes` of it."""

    tier: str
    before_s: float
    reason: str
    spans: int
    bytes: int


_SCALE = {"raw": 1e6, "minutes": 1 / 60, "hours": 1 / 3600}
"""From unix seconds to the number each tier's spans count in."""

_SIZES = {
    "raw": "SELECT to_us, bytes FROM chunks ORDER BY to_us DESC",
    "minutes": "SELECT minute, bytes FROM minute_sizes ORDER BY minute DESC",
    "hours": "SELECT hour, bytes FROM hour_sizes ORDER BY hour DESC",
}
_WEIGHTS = {
    "raw": "SELECT count(*), coalesce(sum(bytes), 0) FROM chunks WHERE to_us < ?",
    "minutes": "SELECT count(*), coalesce(sum(bytes), 0) FROM minute_sizes WHERE minute < ?",
    "hours": "SELECT count(*), coalesce(sum(bytes), 0) FROM hour_sizes WHERE hour < ?",
}


def cuts(store: Rows, limits: Limits, now_s: float) -> list[Cut]:
    """What is over the limits now; nothing is changed."""
    out = []
    for tier, age, size in (
        ("raw", limits.raw_s, limits.raw_bytes),
        ("minutes", limits.minutes_s, limits.minutes_bytes),
        ("hours", limits.hours_s, limits.hours_bytes),
    ):
        before, reason = now_s - age, f"older than {age / 3600:.0f} h"
        by_size = _size_cut(store, tier, size)
        if by_size is not None and by_size > before:
            before, reason = by_size, f"more than {size / GIB:.2f} GiB"
        spans, weight = store.rows(_WEIGHTS[tier], (int(before * _SCALE[tier]),))[0]
        if spans:
            out.append(Cut(tier, before, reason, spans, weight))
    return out


def _size_cut(store: Rows, tier: str, limit: int) -> float | None:
    """The unix second before which a tier must go to fit `limit` bytes, None when it fits."""
    total = 0
    for span, size in store.rows(_SIZES[tier]):
        total += size
        if total > limit:
            return float((span + 1) / _SCALE[tier])
    return None


def _prune(store: Store, cut: Cut, at_most: int) -> int:
    """Take away the oldest `at_most` spans of a cut in one transaction; returns how many there were."""
    before = int(cut.before_s * _SCALE[cut.tier])
    if cut.tier == "raw":
        chunks = store.rows("SELECT id FROM chunks WHERE to_us < ? ORDER BY to_us LIMIT ?", (before, at_most))
        with store.transaction() as c:
            for (chunk,) in chunks:
                store.delete_chunk(c, chunk)
        return len(chunks)
    name = cut.tier.removesuffix("s")
    spans = store.rows(f"SELECT {name} FROM {name}_sizes WHERE {name} < ? ORDER BY {name} LIMIT 1", (before,))
    for (span,) in spans:
        # A minute of a large fleet is many rows: metric by metric, so that no transaction is long.
        for (metric,) in store.rows("SELECT id FROM metrics"):
            with store.transaction() as c:
                c.execute(f"DELETE FROM {name}_rows WHERE {name} = ? AND metric_id = ?", (span, metric))
        with store.transaction() as c:
            c.execute(f"DELETE FROM {name}_sizes WHERE {name} = ?", (span,))
            if name == "minute":
                c.execute("DELETE FROM fleet_rows WHERE minute = ?", (span,))
                c.execute("DELETE FROM wide WHERE block < ?", (span // 10,))
    return len(spans)


def _prune_events(store: Store, before_s: float) -> None:
    before = int(before_s * 1e6)
    if store.rows("SELECT 1 FROM events WHERE at_us < ? LIMIT 1", (before,)):
        with store.transaction() as c:
            c.execute("DELETE FROM events WHERE at_us < ?", (before,))
    # Of each state the last one before the limit still holds, so it stays.
    with store.transaction() as c:
        c.execute(
            "DELETE FROM states WHERE id IN (SELECT id FROM (SELECT id, at_us, lead(at_us) OVER "
            "(PARTITION BY node_id, kind ORDER BY at_us) AS next FROM states) WHERE next < ? LIMIT 500)",
            (before,),
        )


def _give_back(store: Store, pages: int) -> int:
    """Hand freed pages back to the file system; returns how many are left."""
    free = int(store.rows("PRAGMA freelist_count")[0][0])
    if free:
        store.rows(f"PRAGMA incremental_vacuum({pages})")
    return max(0, free - pages)


class Pruner:
    """Takes away what is over the limits in small steps between flushes."""

    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._looked_us = 0

    def step(self, now_us: int) -> None:
        """Some of what is due; looks once a minute while nothing is.

        Raises:
            HistoryError: the disk refused.
        """
        if now_us - self._looked_us < 60_000_000:
            return
        found = cuts(self._store, self._limits, now_us / 1e6)
        for cut in found:
            _prune(self._store, cut, STEP_CHUNKS)
        if not found:
            self._looked_us = now_us
            _prune_events(self._store, now_us / 1e6 - self._limits.hours_s)
        _give_back(self._store, STEP_PAGES)

    def all(self, now_s: float) -> list[Cut]:
        """Everything that is over, at once; returns what it was.

        Raises:
            HistoryError: the disk refused.
        """
        found = cuts(self._store, self._limits, now_s)
        for cut in found:
            while _prune(self._store, cut, STEP_CHUNKS):
                pass
        _prune_events(self._store, now_s - self._limits.hours_s)
        while _give_back(self._store, STEP_PAGES):
            pass
        return found
