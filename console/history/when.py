"""Moments as people write them: ISO 8601, `-2h`, `yesterday 03:00`, `03:12`, `now`, with or without a zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGO = re.compile(r"-\s*((?:\d+(?:\.\d+)?\s*(?:s|min|m|h|d|w)\s*)+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")
_CLOCK = re.compile(
    r"^(?:(today|yesterday)\s*)?(?:T?(\d{1,2}):(\d{2})(?::(\d{2}(?:\.\d+)?))?)?\s*(z|utc|[+-]\d{2}:?\d{2})?$"
)
_EXAMPLES = '"-2h", "-1d 6h", "03:12", "yesterday 03:00", "2026-11-22T03:12:00+03:00"'


_SPAN = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)")


def parse_span(text: str) -> float:
    """The seconds of a span like 30m.

    Raises:
        ValueError: it is none; the text says what would be.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a span of time; write 90s, 30m, 8h or 60d")
    return float(found[1]) * _UNITS[found[2]]


def parse_end(text: str, now: datetime) -> float:
    """The unix second of an end: a span from `now` on, like 60d, or a moment.

    Raises:
        ValueError: it is neither.
    """
    if _SPAN.fullmatch(text.strip()):
        return now.timestamp() + parse_span(text)
    return parse_moment(text, now).timestamp()


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment that `text` names, with a zone. `now` has a zone: the one for times that name none.

    A bare time of day is the last such time that is past.

    Raises:
        ValueError: it is no moment; the text says what would be.
    """
    said = text.strip()
    lower = said.lower()
    if lower == "now":
        return now
    ago = _AGO.fullmatch(lower)
    if ago:
        seconds = sum(float(n) * _UNITS[u] for n, u in _PART.findall(ago[1]))
        try:
            # In UTC, so that two hours are two hours across a change to summer time.
            return (now.astimezone(UTC) - timedelta(seconds=seconds)).astimezone(now.tzinfo)
        except OverflowError:
            raise ValueError(f"{text!r} is not a time that anything was recorded at") from None
    clock = _CLOCK.fullmatch(lower)
    if clock and lower:
        return _of_clock(clock, now)
    if re.fullmatch(r"\d{9,11}(\.\d+)?", said):
        return datetime.fromtimestamp(float(said), tz=now.tzinfo)
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise ValueError(f"{text!r} is not a time; write {_EXAMPLES}") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=now.tzinfo)


def _of_clock(clock: re.Match[str], now: datetime) -> datetime:
    word, hour, minute, second, zone = clock.groups()
    if word is None and hour is None:
        raise ValueError(f"{clock.string!r} is not a time; write {_EXAMPLES}")
    here = now.astimezone(_zone(zone) or now.tzinfo)
    h, m, s = int(hour or 0), int(minute or 0), float(second or 0)
    if h > 23 or m > 59 or s >= 60:
        raise ValueError(f"{clock.string!r}: a day has no such time")
    day = here.date() - timedelta(days=1 if word == "yesterday" else 0)
    found = datetime(day.year, day.month, day.day, h, m, int(s), int(s % 1 * 1e6), tzinfo=here.tzinfo)
    if word is None and found > here:
        found -= timedelta(days=1)
    return found


def _zone(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in ("z", "utc"):
        return UTC
    sign = -1 if text[0] == "-" else 1
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 14 or minutes > 59:
        raise ValueError(f"{text!r} is not a zone; write +03:00")
    return datetime.strptime(f"{'+' if sign > 0 else '-'}{hours:02d}{minutes:02d}", "%z").tzinfo
