"""How long the cards will last: what is rentable, what is booked and asked for, and when the one meets the other. Pure.

Shortage index = (rejected + queued card-hours) / (rentable card-hours) within a window; below EASE the market is at ease, above
SHORT there is a shortage (definitions of the business, see docs/business.md).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.placement.forecast import Forecast, forecast
from console.placement.mix import F8

I8 = npt.NDArray[np.int64]
FOREVER = 2**63 - 1
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
WEEK_US = 7 * DAY_US
EASE, SHORT = 0.02, 0.10
WINDOW_DAYS = 30
HORIZON_DAYS = 180
MOST_WEEKS = 104


class Kind(enum.StrEnum):
    """What a booking is."""

    HELD = "held"
    RESERVED = "reserved"
    QUEUED = "queued"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Booking:
    """Cards of a SKU in a region that somebody has, will have, or wanted: [begin, end) in UTC microseconds.

    Attributes:
        cards: a part of them where a request would have taken several regions.
    """

    sku: str
    region: str
    cards: float
    begin: int
    end: int
    lease: str
    tenant: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Supply:
    """Cards that can be rented in [begin, end). `delivery` names one that is still to come, `supplier` who brings it."""

    sku: str
    region: str
    cards: float
    begin: int
    end: int = FOREVER
    delivery: str = ""
    supplier: str = ""


Row = Booking | Supply


def _arrays(rows: Iterable[Row]) -> tuple[F8, I8, I8]:
    found = list(rows)
    return (
        np.array([r.cards for r in found], dtype=np.float64),
        np.array([r.begin for r in found], dtype=np.int64),
        np.array([r.end for r in found], dtype=np.int64),
    )


def level(rows: Iterable[Row], times: I8) -> F8:
    """Cards at each of these times."""
    cards, begin, end = _arrays(rows)
    out: F8 = np.zeros(len(times))
    for edge, sign in ((begin, 1.0), (end, -1.0)):
        order = np.argsort(edge, kind="stable")
        summed = np.concatenate(([0.0], np.cumsum(cards[order])))
        out += sign * summed[np.searchsorted(edge[order], times, side="right")]
    # Sums of parts leave dust.
    return np.round(out, 9) + 0.0


def mean_level(rows: Iterable[Row], edges: I8) -> F8:
    """Mean cards between each two edges."""
    cards, begin, end = _arrays(rows)
    if not len(cards):
        return np.zeros(len(edges) - 1)
    upto = np.minimum(edges[:, None], end[None, :]) - begin[None, :]
    area = (np.maximum(upto, 0) * cards[None, :]).sum(axis=1)
    means: F8 = np.diff(area) / np.diff(edges)
    return np.round(means, 9) + 0.0


def card_hours(rows: Iterable[Row], begin: int, end: int) -> float:
    """Card-hours within a time."""
    return float(mean_level(rows, np.array([begin, end], dtype=np.int64))[0] * (end - begin) / HOUR_US)


def shortage(bookings: Iterable[Booking], supply: Iterable[Supply], now: int, days: int = WINDOW_DAYS) -> float | None:
    """The shortage index of the days before now; None where nothing could be rented then."""
    begin = now - days * DAY_US
    rentable = card_hours(supply, begin, now)
    wanted = card_hours((b for b in bookings if b.kind in (Kind.REJECTED, Kind.QUEUED)), begin, now)
    return wanted / rentable if rentable > 0 else None


def balance(index: float | None) -> str:
    """What an index means in a word; "unknown" for None."""
    if index is None:
        return "unknown"
    return "ease" if index < EASE else "shortage" if index > SHORT else "balanced"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Cards of a SKU in a region from now on.

    Attributes:
        times: now and each day to come; rentable, booked, asked: cards at those times; asked is booked and queued together.
        demand: likely demand at those times, never below what is asked; low, high: its band, None without one.
        full: when what is asked takes all that is rentable; full_early, full_likely, full_late: when the band's high, likely
            and low demand do. None for not within the horizon.
        index: shortage index; forecast: what the demand comes from, None where there is no past at all.
    """

    sku: str
    region: str
    times: I8
    rentable: F8
    booked: F8
    asked: F8
    demand: F8
    low: F8 | None
    high: F8 | None
    full: int | None
    full_early: int | None
    full_likely: int | None
    full_late: int | None
    index: float | None
    forecast: Forecast | None

    @property
    def short_card_hours(self) -> float:
        """Card-hours of likely demand within the horizon that find no card."""
        short = np.maximum(0.0, self.demand - self.rentable)
        return float(short[:-1].sum() * 24)

    @property
    def utilisation(self) -> float | None:
        """Share of the rentable cards that likely demand takes over the horizon; None where there are none."""
        rentable = float(self.rentable.sum())
        return float(np.minimum(self.demand, self.rentable).sum()) / rentable if rentable > 0 else None


def history(bookings: Sequence[Booking], supply: Sequence[Supply], now: int) -> F8:
    """Mean demand of each whole week until now, the newest last: held, waited for and refused; since the pool or the first
    booking began."""
    rows: list[Row] = [*bookings, *supply]
    known = [r.begin for r in rows if r.begin < now]
    weeks = min(MOST_WEEKS, (now - min(known)) // WEEK_US) if known else 0
    if weeks < 1:
        return np.zeros(0)
    edges = now - WEEK_US * np.arange(weeks, -1, -1, dtype=np.int64)
    past = (b for b in bookings if b.begin < now)
    return mean_level(past, edges)


def outlook(
    sku: str, region: str, bookings: Sequence[Booking], supply: Sequence[Supply], now: int, days: int = HORIZON_DAYS
) -> Outlook:
    """What is ahead of a SKU in a region; only its rows are given.

    Args:
        days: so far ahead.
    """
    times = now + DAY_US * np.arange(days + 1, dtype=np.int64)
    taken = [b for b in bookings if b.kind in (Kind.HELD, Kind.RESERVED)]
    queued = [b for b in bookings if b.kind is Kind.QUEUED and b.end > now]
    rentable, booked = level(supply, times), level(taken, times)
    asked = booked + level(queued, times)
    past = history(bookings, supply, now)
    made = forecast(past, -(-days // 7)) if past.size else None
    demand, low, high = asked, None, None
    if made is not None:
        demand = np.maximum(asked, _daily(past[-1], made.likely, days))
        if made.low is not None and made.high is not None:
            low = np.maximum(asked, _daily(past[-1], made.low, days))
            high = np.maximum(asked, _daily(past[-1], made.high, days))
    return Outlook(
        sku, region, times, rentable, booked, asked, demand, low, high, _full_asked([*taken, *queued], supply, now, days),
        None if high is None else _full(times, high, rentable), _full(times, demand, rentable),
        None if low is None else _full(times, low, rentable), shortage(bookings, supply, now), made,
    )  # fmt: skip


def _daily(first: float, weekly: F8, days: int) -> F8:
    """A line through weekly points, a value a day; the point of a week stands at its end."""
    at = np.arange(len(weekly) + 1) * 7.0
    found: F8 = np.interp(np.arange(days + 1, dtype=np.float64), at, np.concatenate(([first], weekly)))
    return found


def _full(times: I8, demand: F8, rentable: F8) -> int | None:
    hit = np.flatnonzero((demand >= rentable - 1e-9) & (demand > 0))
    return int(times[hit[0]]) if hit.size else None


def _full_asked(bookings: Sequence[Booking], supply: Sequence[Supply], now: int, days: int) -> int | None:
    """To the microsecond: what is asked changes only where a row begins or ends."""
    rows: list[Row] = [*bookings, *supply]
    marks = {now} | {e for r in rows for e in (r.begin, r.end) if now < e < now + days * DAY_US}
    times = np.array(sorted(marks), dtype=np.int64)
    return _full(times, level(bookings, times), level(supply, times))
