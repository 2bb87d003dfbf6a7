"""How large the history is, how fast it grows, and what its limits will hold."""

from __future__ import annotations

from typing import Any

from console.history.reader import Reader
from console.history.retention import DAY_S, Limits

_TIERS = {
    "seconds": ("SELECT coalesce(sum(bytes), 0), min(from_us) / 1e6, max(to_us) / 1e6 FROM chunks", 1.0),
    "minutes": ("SELECT coalesce(sum(bytes), 0), min(minute) * 60.0, max(minute) * 60.0 FROM minute_sizes", 60.0),
    "hours": ("SELECT coalesce(sum(bytes), 0), min(hour) * 3600.0, max(hour) * 3600.0 FROM hour_sizes", 3600.0),
}
_LONG_ENOUGH_S = 600.0


def stats(reader: Reader, now_s: float, limits: Limits | None = None) -> dict[str, Any]:
    """Sizes in bytes, times in unix seconds, growth in bytes a day (None before ten minutes were recorded).

    Raises:
        HistoryError: the file cannot be read.
    """
    limits = limits or Limits()
    ages = {"seconds": limits.raw_s, "minutes": limits.minutes_s, "hours": limits.hours_s}
    sizes = {"seconds": limits.raw_bytes, "minutes": limits.minutes_bytes, "hours": limits.hours_bytes}
    tiers: dict[str, Any] = {}
    for name, (query, step) in _TIERS.items():
        size, first, last = reader.rows(query)[0]
        if name == "seconds":
            extra, low, high = reader.rows(
                "SELECT coalesce(sum(length(data)), 0), min(from_us), max(to_us) FROM recent"
            )[0]
            size += extra
            first = first if first is not None else (low / 1e6 if low is not None else None)
            last = high / 1e6 if high is not None else last
        span = (last - first + step) if first is not None else 0.0
        growth = size / span * DAY_S if span >= _LONG_ENOUGH_S else None
        holds = None if not growth else min(ages[name], sizes[name] / growth * DAY_S)
        tiers[name] = {
            "bytes": size, "since": first, "until": last, "bytes_a_day": growth and round(growth),
            "limit_s": ages[name], "limit_bytes": sizes[name], "will_hold_s": holds and round(holds),
        }  # fmt: skip
    kinds = dict(reader.rows("SELECT kind, count(*) FROM entities GROUP BY kind"))
    pages, size = reader.rows("PRAGMA page_count")[0][0], reader.rows("PRAGMA page_size")[0][0]
    return {
        "path": str(reader.path),
        "bytes": pages * size,
        "nodes": reader.rows("SELECT count(*) FROM nodes")[0][0],
        "cards": kinds.get("card", 0),
        "slices": kinds.get("slice", 0),
        "events": reader.rows("SELECT count(*) FROM events")[0][0],
        "tiers": tiers,
        "now": now_s,
    }
