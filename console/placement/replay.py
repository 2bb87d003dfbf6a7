"""A pool under a load: whole-card leases that come and go, placed by a policy, and what of the demand it had to refuse.

Requests arrive as a Poisson process, last exponentially long (a mean lease is the unit of time), their kinds drawn from a
list; what finds no room is refused, not queued. The load is the cards asked for at once over the cards there are. By default
the pool begins empty and all requests of 8 mean leases count; `warm_up` leaves the first ones out, for the steady state.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from console.placement.errors import PlacementError
from console.placement.mix import Mix, mix_of
from console.placement.policies import POLICIES, Policy
from console.placement.stock import Stock, Unit

LIVES = 8.0
BIG = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run: percent of card demand that was refused, of 8-card requests' too, of all cards leased on average over the
    time that counts; requests that counted, and mean microseconds of a decision."""

    blocked_card_demand_pct: float
    blocked_8card_demand_pct: float
    allocated_pct: float
    requests: int
    us_per_decision: float


def replay(
    units: Sequence[Unit], counts: Mapping[tuple[int, frozenset[str]], float], load: float, policy: str = "slot-price",
    seed: int = 0, lives: float = LIVES, warm_up: float = 0.0,
) -> Outcome:  # fmt: skip
    """Run a load against a pool.

    Args:
        units: the pool, empty at first.
        counts: requests of each (cards, types) in the list that the mix is drawn from.
        load: cards asked for at once over cards there are.
        policy: a name of POLICIES.
        seed: of arrivals, kinds and lives; the same for every policy.
        lives, warm_up: how long, and how much of it does not count, in mean leases.

    Raises:
        PlacementError: no such policy, or a number out of range.
    """
    if policy not in POLICIES:
        raise PlacementError(f"there is no policy {policy!r}; there are {', '.join(POLICIES)}")
    if not 0.0 < load <= 10.0 or not 0.0 <= warm_up < lives <= 1000.0:
        raise PlacementError("load is above 0 and at most 10, warm-up below lives, and lives at most 1000")
    stock = Stock(units)
    mix = mix_of(counts, load * stock.cards)
    return _run(stock, mix, POLICIES[policy](stock, mix), np.random.default_rng(seed), lives, warm_up)


def _run(stock: Stock, mix: Mix, policy: Policy, rng: np.random.Generator, lives: float, warm_up: float) -> Outcome:
    demand = mix.demand()
    rate = float(demand.sum())
    number = max(1, int(rate * lives))
    at = np.cumsum(rng.exponential(1.0 / rate, number)).tolist()
    kinds = rng.choice(len(demand), number, p=demand / rate).tolist()
    lasts = rng.exponential(1.0, number).tolist()
    sizes = [c.cards for c in mix.classes]
    asked, refused = np.zeros(len(sizes)), np.zeros(len(sizes))
    ends: list[tuple[float, int, int]] = []
    held, area, since, spent, counted = 0, 0.0, warm_up, 0, 0
    change = _changing(stock, policy)
    for now, kind, life in zip(at, kinds, lasts, strict=True):
        while ends and ends[0][0] <= now:
            end, unit, cards = heapq.heappop(ends)
            if end > since:
                area, since = area + held * (end - since), end
            change(unit, cards)
            held -= cards
        cards = sizes[kind]
        if now > since:
            area, since = area + held * (now - since), now
        begun = time.perf_counter_ns()
        found = policy.choose(kind)
        spent += time.perf_counter_ns() - begun
        if now >= warm_up:
            counted += 1
            asked[kind] += cards
            refused[kind] += cards if found is None else 0
        if found is not None:
            change(found, -cards)
            held += cards
            heapq.heappush(ends, (now + life, found, cards))
    big = np.array(sizes) == BIG
    seen = max(since - warm_up, 1e-12)
    return Outcome(
        _percent(refused.sum(), asked.sum()), _percent(refused[big].sum(), asked[big].sum()),
        _percent(area / seen, stock.cards), counted, spent / number / 1000.0,
    )  # fmt: skip


def _changing(stock: Stock, policy: Policy) -> Callable[[int, int], None]:
    def change(unit: int, by: int) -> None:
        policy.moved(*stock.change(unit, by))

    return change


def _percent(part: float, whole: float) -> float:
    return 100.0 * float(part) / float(whole) if whole else 0.0
