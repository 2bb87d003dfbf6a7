"""Instants, billing periods and anchors: UTC microseconds everywhere, a tenant's zone only where a calendar is asked.

`zoneinfo` subtracts wall clocks within one zone (24 h across a day of 23), so nothing here subtracts before it is in UTC.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from console.ledger.errors import LedgerError
from console.ledger.spans import Span

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_PERIOD = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
YEARS = (1970, 2200)


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises:
        LedgerError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError):
        raise LedgerError(f"{name!r} is no time zone of the IANA database, like Europe/Berlin") from None


def us_of(moment: datetime) -> int:
    """UTC microseconds of an aware moment."""
    return (moment - EPOCH) // _US if moment.tzinfo is UTC else (moment.astimezone(UTC) - EPOCH) // _US


def moment_of(us: int) -> datetime:
    """The moment of UTC microseconds."""
    return EPOCH + us * _US


def parse_instant(text: object, what: str) -> int:
    """UTC microseconds of an ISO 8601 text with an offset, "2026-03-01T00:00:00+01:00" or "…Z".

    Raises:
        LedgerError: it is none, or says no offset: a wall clock alone happens twice a year or not at all.
    """
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        raise LedgerError(f"{what}: {text!r} is not an ISO 8601 time like 2026-03-01T00:00:00Z") from None
    if found.tzinfo is None:
        raise LedgerError(f"{what}: {text!r} says no offset from UTC; write 2026-03-01T00:00:00Z or …+01:00")
    if not YEARS[0] <= found.year < YEARS[1]:
        raise LedgerError(f"{what}: {text!r} is out of range")
    return us_of(found)


def instant_text(us: int) -> str:
    """ISO 8601 in UTC with a Z; microseconds only where there are some."""
    found = moment_of(us)
    return found.strftime("%Y-%m-%dT%H:%M:%S") + (f".{found.microsecond:06d}" if found.microsecond else "") + "Z"


def midnight(day: date, tz: str) -> int:
    """The instant at which a local day begins.

    Where a change of clocks skips midnight the day begins at the change; where it repeats it, at its first.
    """
    return us_of(datetime(day.year, day.month, day.day, tzinfo=zone(tz)))


def months(period: str) -> tuple[int, int]:
    """(year, month) of "2026-03".

    Raises:
        LedgerError: it is no month.
    """
    found = _PERIOD.fullmatch(str(period))
    if found is None or not YEARS[0] < int(found[1]) < YEARS[1] - 1:
        raise LedgerError(f"{period!r} is no billing period; a period is a month like 2026-03")
    return int(found[1]), int(found[2])


def span_of(period: str, tz: str) -> Span:
    """[local midnight of the 1st, that of the next 1st) in UTC microseconds. The periods of a year tile it."""
    year, month = months(period)
    return midnight(date(year, month, 1), tz), midnight(date(year + month // 12, month % 12 + 1, 1), tz)


def period_of(us: int, tz: str) -> str:
    """The billing period that an instant is in."""
    local = moment_of(us).astimezone(zone(tz))
    found = f"{local.year:04d}-{local.month:02d}"
    begin, end = span_of(found, tz)
    # Where midnight was skipped or repeated, the wall clock may lag behind the boundary.
    return found if begin <= us < end else shifted(found, -1 if us < begin else 1)


def shifted(period: str, by: int) -> str:
    """The period so many months later."""
    year, month = months(period)
    number = year * 12 + month - 1 + by
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def anchored(anchor_us: int, tz: str, every: int, k: int) -> int:
    """The k-th instant after an anchor, `every` months apart, on the anchor's own day where that month has one.

    Always from the original anchor: chained adding drifts (31 Jan, 28 Feb, 28 Mar).
    """
    local = moment_of(anchor_us).astimezone(zone(tz))
    number = local.year * 12 + local.month - 1 + every * k
    year, month = number // 12, number % 12 + 1
    if not YEARS[0] <= year < YEARS[1]:
        raise LedgerError(f"period {k} after {instant_text(anchor_us)} is out of range")
    day = min(local.day, calendar.monthrange(year, month)[1])
    if k == 0:
        return anchor_us
    return us_of(local.replace(year=year, month=month, day=day, fold=0))


def anchored_spans(anchor_us: int, tz: str, every: int, within: Span) -> Iterator[tuple[int, Span]]:
    """(k, span) of the anchored periods that begin within a span."""
    local, first = moment_of(anchor_us).astimezone(zone(tz)), moment_of(within[0]).astimezone(zone(tz))
    k = max(0, ((first.year - local.year) * 12 + first.month - local.month) // every - 1)
    while True:
        begin = anchored(anchor_us, tz, every, k)
        if begin >= within[1]:
            return
        if begin >= within[0]:
            yield k, (begin, anchored(anchor_us, tz, every, k + 1))
        k += 1
