"""Capacity: levels, shortage, when the pool is full; fragments, and moves that mend them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.placement.capacity import (
    DAY_US,
    FOREVER,
    HOUR_US,
    Booking,
    Kind,
    Supply,
    balance,
    card_hours,
    history,
    level,
    mean_level,
    outlook,
    shortage,
)  # fmt: skip
from console.placement.fragments import Gauge, defragment, fragments
from console.placement.inventory import Card, Held, Inventory, Place, Sku
from console.placement.mix import Mix, RequestClass

NOW = 2000 * DAY_US


def booking(cards, begin, end=None, kind=Kind.HELD, lease="L"):
    """Days from now; None for no end."""
    return Booking(
        "h100",
        "east",
        cards,
        NOW + int(begin * DAY_US),
        FOREVER if end is None else NOW + int(end * DAY_US),
        lease,
        "t",
        kind,
    )


def supply(cards, begin=-1000, end=None):
    return Supply("h100", "east", cards, NOW + int(begin * DAY_US), FOREVER if end is None else NOW + int(end * DAY_US))


rows = st.lists(st.tuples(st.integers(0, 9), st.integers(-40, 40), st.integers(1, 40)), max_size=12)


@given(rows)
def test_levels_are_what_counting_gives(spans):
    made = [booking(n, a, a + d) for n, a, d in spans]
    days = np.array([NOW + d * DAY_US for d in range(-50, 90)], dtype=np.int64)
    want = [sum(b.cards for b in made if b.begin <= t < b.end) for t in days.tolist()]
    assert level(made, days).tolist() == want
    assert mean_level(made, days).tolist() == want[:-1], "all begin and end at midnight"
    assert card_hours(made, int(days[0]), int(days[-1])) == pytest.approx(sum(want[:-1]) * 24)


def test_the_shortage_index_is_unmet_over_rentable():
    pool = [supply(100)]
    assert shortage([booking(90, -60)], pool, NOW) == 0
    unmet = [booking(10, -15, 0, Kind.REJECTED), booking(4, -30, None, Kind.QUEUED)]
    # 10 cards for 15 of 30 days and 4 for all of them, of 100.
    assert shortage(unmet, pool, NOW) == pytest.approx(0.09)
    assert shortage([], [], NOW) is None
    assert [balance(x) for x in (None, 0, 0.0199, 0.02, 0.1, 0.1001)] == [
        "unknown", "ease", "ease", "balanced", "balanced", "shortage",
    ]  # fmt: skip


def test_it_is_full_where_what_is_asked_meets_what_there_is():
    pool = [supply(16)]
    ahead = outlook("h100", "east", [booking(8, -400, 10), booking(4, 3.5, 60, Kind.RESERVED)], pool, NOW)
    assert ahead.full is None
    assert (ahead.booked[0], ahead.booked[5], ahead.booked[12], ahead.booked[61]) == (8, 12, 4, 0)
    more = [booking(8, -400, 10), booking(4, 3.5, 60, Kind.RESERVED), booking(4, 5.25, None, Kind.QUEUED)]
    assert outlook("h100", "east", more, pool, NOW).full == NOW + int(5.25 * DAY_US)
    # A delivery before that keeps it open; a supplier who is late does not.
    soon = [*pool, supply(8, 5)]
    late = [*pool, supply(8, 7)]
    assert outlook("h100", "east", more, soon, NOW).full is None
    assert outlook("h100", "east", more, late, NOW).full == NOW + int(5.25 * DAY_US)
    gone = [supply(8), supply(8, -1000, 2)]
    assert outlook("h100", "east", [booking(8, -10)], gone, NOW).full == NOW + 2 * DAY_US


def test_growing_demand_fills_the_pool_within_its_band():
    rng = np.random.default_rng(3)
    grown = [booking(5, -7 * w + float(rng.uniform(-3, 3)), None, lease=f"L{w}") for w in range(1, 31)]
    ahead = outlook("h100", "east", grown, [supply(200)], NOW)
    assert len(history(grown, [supply(200)], NOW)) == 104
    assert ahead.forecast.method == "damped trend"
    assert ahead.forecast.error < ahead.forecast.naive
    assert ahead.full is None, "nothing that is booked fills it"
    assert NOW + 30 * DAY_US < ahead.full_likely < NOW + 120 * DAY_US
    assert ahead.full_early <= ahead.full_likely
    assert ahead.full_late is None or ahead.full_late >= ahead.full_likely
    assert (ahead.low <= ahead.demand + 1e-9).all()
    assert (ahead.demand <= ahead.high + 1e-9).all()
    assert ahead.short_card_hours > 0
    assert 0.7 < ahead.utilisation <= 1


def test_a_pool_of_today_says_that_nothing_is_known():
    ahead = outlook("h100", "east", [], [supply(8, -0.5)], NOW)
    assert (ahead.forecast, ahead.full, ahead.full_likely, ahead.high) == (None, None, None, None)
    assert ahead.utilisation == 0
    assert outlook("h100", "east", [], [], NOW).utilisation is None


@given(rows, st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_more_supply_never_fills_sooner_and_more_demand_never_later(spans, extra):
    asked = [booking(n, a, a + d, Kind.QUEUED) for n, a, d in spans]
    less = outlook("h100", "east", asked, [supply(10)], NOW, 60).full
    more = outlook("h100", "east", asked, [supply(10), supply(1 + extra, 2)], NOW, 60).full
    longer = outlook("h100", "east", [*asked, booking(1, 0)], [supply(10)], NOW, 60).full
    last = NOW + 10**6 * DAY_US
    assert (more or last) >= (less or last) >= (longer or last)


# Fragments


def pool_of(nodes, held=(), barred=()):
    """Nodes of a name and a number of cards, in one region; held: (node, card, lease, movable)."""
    cards = [
        Card(f"{n}-{i}", n, "h100", "sick" if f"{n}-{i}" in barred else "")
        for n, size in nodes.items()
        for i in range(size)
    ]
    holds = [Held(f"{n}-{i}", lease, "t", 0, None, movable) for n, i, lease, movable in held]
    return Inventory(cards, [Place(n, "east") for n in nodes], [Sku("h100")], held=holds)


def mix(**demand):
    """mix(c8=2.0): two requests of eight at once."""
    return Mix(tuple(RequestClass(int(k[1:]), frozenset({"h100@east"}), d) for k, d in sorted(demand.items())))


def test_the_gauge_counts_what_cannot_be_used_where_it_lies():
    pool = pool_of({"a": 8, "b": 8}, [("a", 0, "x", False), ("b", 0, "y", False), ("b", 1, "y", False)])
    whole = fragments(pool, mix(c8=1.0), NOW)
    assert (whole.free, whole.wasted, whole.stranded_cards) == (13, 1.0, 13)
    ones = fragments(pool, mix(c1=1.0), NOW)
    assert (ones.wasted, ones.stranded_cards, dict(ones.slots)) == (0.0, 0, {"1 x h100@east": 13})
    fours = fragments(pool, mix(c4=1.0), NOW)
    assert fours.wasted == pytest.approx(5 / 13)
    assert fours.stranded == (("a", "h100", 3), ("b", "h100", 2))
    assert fragments(pool, Mix(()), NOW).wasted is None


@given(st.lists(st.integers(0, 8), min_size=2, max_size=5), st.data())
@settings(max_examples=60, deadline=None)
def test_the_gauge_after_a_take_is_the_gauge_of_what_is_left(frees, data):
    pool = pool_of({f"n{i}": 8 for i in range(len(frees))})
    wanted, free = mix(c8=1.0, c3=2.0, c1=0.5), np.array(frees, dtype=np.int64)
    units = data.draw(st.lists(st.sampled_from([i for i, f in enumerate(frees) if f] or [0]), max_size=4))
    left = free.copy()
    np.subtract.at(left, units, 1)
    left = np.maximum(left, 0)
    found = Gauge(pool, wanted, free).after(np.array(units, dtype=np.int64))
    assert found == (None if not left.any() else pytest.approx(Gauge(pool, wanted, left).share, abs=1e-9))


def test_a_move_opens_a_whole_node():
    held = [("a", 0, "small", True), *(("b", i, "big", False) for i in range(7))]
    pool = pool_of({"a": 8, "b": 8}, held)
    (move,) = defragment(pool, mix(c8=1.0, c1=0.5), NOW)
    assert (move.lease, move.source, move.target, move.leaves, move.takes) == ("small", "a", "b", ("a-0",), ("b-7",))
    assert dict(move.gain)["8 x h100@east"] == 1
    assert defragment(pool_of({"a": 8, "b": 8}, [(n, i, x, False) for n, i, x, _ in held]), mix(c8=1.0), NOW) == ()
    idle = defragment(pool_of({"a": 8, "b": 8}, [(n, i, x, False) for n, i, x, _ in held]), mix(c8=1.0), NOW, {"small"})
    assert [m.lease for m in idle] == ["small"]
    sick = pool_of({"a": 8, "b": 8}, held, barred={"b-7"})
    assert defragment(sick, mix(c8=1.0), NOW) == ()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_moves_take_free_cards_once_and_help(data):
    sizes = {f"n{i}": data.draw(st.sampled_from([4, 8])) for i in range(5)}
    held, used = [], set()
    for k in range(data.draw(st.integers(0, 8))):
        node = data.draw(st.sampled_from(sorted(sizes)))
        free = [i for i in range(sizes[node]) if (node, i) not in used]
        take = free[: data.draw(st.integers(1, 3))]
        used |= {(node, i) for i in take}
        held += [(node, i, f"L{k}", data.draw(st.booleans())) for i in take]
    pool = pool_of(sizes, held)
    wanted = mix(c8=1.0, c4=2.0, c1=3.0)
    moves = defragment(pool, wanted, NOW)
    busy = {f"{n}-{i}" for n, i in used}
    for move in moves:
        assert len(move.leaves) == len(move.takes)
        assert not set(move.takes) & busy
        busy = busy | set(move.takes)
        assert any(n > 0 for _, n in move.gain)
    assert len({m.lease for m in moves}) == len(moves) or all(h[3] for h in held if h[2] in {m.lease for m in moves})


def test_hours_are_hours():
    assert card_hours([booking(2, -1, 1)], NOW, NOW + HOUR_US) == pytest.approx(2)
