"""Moments as people write them."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.history.when import parse_moment

RIYADH = timezone(timedelta(hours=3))
NOW = datetime(2026, 11, 23, 10, 30, tzinfo=RIYADH)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("-2h", NOW - timedelta(hours=2)),
        ("-1d 6h", NOW - timedelta(hours=30)),
        ("-90s", NOW - timedelta(seconds=90)),
        ("-1.5h", NOW - timedelta(minutes=90)),
        ("03:12", datetime(2026, 11, 23, 3, 12, tzinfo=RIYADH)),
        ("23:59", datetime(2026, 11, 22, 23, 59, tzinfo=RIYADH)),
        ("yesterday 03:00", datetime(2026, 11, 22, 3, 0, tzinfo=RIYADH)),
        ("yesterday", datetime(2026, 11, 22, tzinfo=RIYADH)),
        ("today", datetime(2026, 11, 23, tzinfo=RIYADH)),
        ("03:12z", datetime(2026, 11, 23, 3, 12, tzinfo=UTC)),
        ("2026-11-22T03:12:00", datetime(2026, 11, 22, 3, 12, tzinfo=RIYADH)),
        ("2026-11-22 03:12", datetime(2026, 11, 22, 3, 12, tzinfo=RIYADH)),
        ("2026-11-22T03:12:00Z", datetime(2026, 11, 22, 3, 12, tzinfo=UTC)),
        ("2026-11-22T03:12:00+05:30", datetime(2026, 11, 21, 21, 42, tzinfo=UTC)),
    ],
)
def test_what_a_text_means(text, expected):
    assert parse_moment(text, NOW) == expected


def test_two_hours_are_two_hours_across_a_change_of_clocks():
    berlin = ZoneInfo("Europe/Berlin")
    now = datetime(2026, 10, 25, 4, 0, tzinfo=berlin)
    assert now.timestamp() - parse_moment("-2h", now).timestamp() == 7200


@pytest.mark.parametrize(
    "text", ["", "soon", "-2", "25:00", "12:61", "yesterday 24:00", "-h", "2026-13-01", "03:12+99:00", "-99999999w"]
)
def test_nonsense_is_refused_with_examples(text):
    with pytest.raises(ValueError, match=r"not a time|no such time|not a zone|Invalid"):
        parse_moment(text, NOW)


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_a_value_error(text):
    try:
        found = parse_moment(text, NOW)
    except ValueError:
        return
    assert found.tzinfo is not None


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_iso_comes_back(moment):
    assert parse_moment(moment.isoformat(), NOW) == moment


@given(st.integers(0, 10**7), st.sampled_from("smhdw"))
def test_ago_is_exact(count, unit):
    seconds = count * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    if seconds < 50 * 365 * 86400:
        assert NOW - parse_moment(f"-{count}{unit}", NOW) == timedelta(seconds=seconds)
