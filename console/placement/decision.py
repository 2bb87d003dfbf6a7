"""Which cards a request should get, and why these: hard filters, then an order that is the same every time.

The order: how much they span where the request is larger than a node, then the slot price, then the fewest cards left on the
node (best fit), then what the region costs (round trip, egress, power), then the first name. No solver: arrays over units, in a
millisecond or two for a thousand nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.placement import filters
from console.placement.errors import PlacementError
from console.placement.filters import BIT, RELAX
from console.placement.inventory import Inventory, Link
from console.placement.mix import F8, Mix
from console.placement.price import SlotPrice, Term
from console.placement.request import Request, Together

I8 = npt.NDArray[np.int64]
SHOWN = 20
LEVELS = ("island", "rack", "region", "all")
UNKNOWN_US = 10**12
"""A round trip that is not known sorts behind all that are."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Cards that could be given, best first.

    Attributes:
        nodes: (node, cards of it) in order; cards: their UUIDs.
        spans: regions, racks, islands and nodes that they lie in.
        price: slot price; terms: what it is made of.
        left: cards that stay free on these nodes.
        rtt_us, mbit_s, egress_nano: of the link to the region that was asked for, None where unknown or not asked.
        power: price of a kWh, "" unknown.
        divides: whole cards that must be divided into slices first.
    """

    nodes: tuple[tuple[str, int], ...]
    cards: tuple[str, ...]
    sku: str
    region: str
    spans: tuple[int, int, int, int]
    price: float
    terms: tuple[Term, ...]
    left: int
    rtt_us: int | None
    mbit_s: int | None
    egress_nano: int | None
    power: str
    divides: bool = False


@dataclass(frozen=True, slots=True)
class Miss:
    """What would help: another answer to one filter, a wider span, a later time, fewer cards."""

    relax: str
    cards: int
    enough: bool
    where: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `refused` is (filter, cards it refused first), `possible` how many candidates there are in all."""

    request: Request
    begin: int
    candidates: tuple[Candidate, ...]
    possible: int
    refused: tuple[tuple[str, int], ...]
    misses: tuple[Miss, ...]
    free: int
    masks: I8


class _Pool:
    """The pool at the request's time: what is free, what a unit's cards cost, what fits."""

    def __init__(self, pool: Inventory, asked: Request, mix: Mix, begin: int) -> None:
        self.pool, self.asked, self.begin = pool, asked, begin
        self.masks = filters.masks(pool, asked, begin)
        units = len(pool.units)
        open_to_all = (self.masks & (BIT["health"] | BIT["lease"])) == 0
        self.open: I8 = np.bincount(pool.unit_of[open_to_all], minlength=units)
        self.free = self.fitting(self.masks == 0)
        flat = np.bincount(pool.kind_of * (pool.most + 1) + self.open, minlength=len(pool.kinds) * (pool.most + 1))
        self.price = SlotPrice(pool.table(mix), flat.reshape(len(pool.kinds), pool.most + 1))

    def fitting(self, cards: npt.NDArray[np.bool_]) -> I8:
        """Such cards of each unit."""
        return np.bincount(self.pool.unit_of[cards], minlength=len(self.pool.units))

    def costs(self, units: I8, take: int) -> F8:
        """Slot price of so many cards of each of these units."""
        found: F8 = self.price.costs(take)[self.pool.kind_of[units], self.open[units] - take]
        return found

    def region_cost(self, units: I8) -> tuple[I8, I8, F8]:
        """(round trip to the region asked for in microseconds, price of a GiB sent there in nano-units, price of power) of
        units; unknown is behind the rest."""
        code, regions = self.pool.code("region")
        near = filters.real_region(self.pool, self.asked.near or self.asked.to_region)
        rtt, egress, power = [], [], []
        for name in regions:
            link = self.pool.link(name, near) if near else None
            rtt.append(UNKNOWN_US if near and link is None else link.rtt_us if link else 0)
            egress.append(UNKNOWN_US if near and link is None else link.egress_nano if link else 0)
            known = self.pool.regions.get(name)
            power.append(float(known.power) if known and known.power else np.inf)
        found = (np.array(rtt, dtype=np.int64), np.array(egress, dtype=np.int64), np.array(power))
        return found[0][code[units]], found[1][code[units]], found[2][code[units]]


def decide(
    pool: Inventory, asked: Request, mix: Mix, now: int, shown: int = SHOWN, allowed: int | None = None
) -> Decision:
    """Candidates for a request, best first, with what refused the others.

    Args:
        now: the time now, UTC microseconds; the request's own begin goes before it.
        shown: so many candidates at most.
        allowed: cards that the tenant's quota leaves; None for no quota.

    Raises:
        PlacementError: the pool is empty, a region of the request is none of the pool's, or its time is over.
    """
    if not pool.cards:
        raise PlacementError("the pool has no cards; take the fleet's with: cardkeeper pool bind")
    for name in (*asked.regions, *asked.not_regions, *filter(None, (asked.near, asked.to_region))):
        if filters.real_region(pool, name) not in pool.regions:
            raise PlacementError(f"there is no region {name!r}; there are {', '.join(sorted(pool.regions))}")
    begin = now if asked.begin is None else asked.begin
    if asked.end is not None and asked.end <= begin:
        raise PlacementError("it ends before it begins")
    seen = _Pool(pool, asked, mix, begin)
    over = allowed is not None and asked.cards > allowed
    found: list[Candidate] = []
    possible = 0
    if not over:
        made = _on_one_node(seen, shown) if _is_of_a_node(seen) else _on_several(seen, shown)
        found, possible = made
    refused = [(name, int(n)) for name, n in zip(RELAX, _first_bits(seen.masks), strict=True) if n]
    misses = [] if found else _misses(seen, over, allowed)
    return Decision(
        asked, begin, tuple(found), possible, tuple(refused), tuple(misses), int((seen.masks == 0).sum()), seen.masks
    )


def _first_bits(masks: I8) -> list[int]:
    lowest = masks & -masks
    return [int((lowest == bit).sum()) for bit in BIT.values()]


def _is_of_a_node(seen: _Pool) -> bool:
    asked = seen.asked
    if asked.together is Together.NODE:
        return True
    whole = asked.per_node in (0, asked.cards)
    return whole and asked.cards <= seen.pool.most and bool((seen.free >= asked.cards).any())


def _on_one_node(seen: _Pool, shown: int) -> tuple[list[Candidate], int]:
    take = seen.asked.cards
    units = np.flatnonzero(seen.free >= take)
    if not units.size or take > seen.pool.most:
        return [], 0
    order = _ordered(seen, units, take)
    return [_candidate(seen, [(int(u), take)]) for u in units[order[:shown]]], int(units.size)


def _ordered(seen: _Pool, units: I8, take: int) -> npt.NDArray[np.intp]:
    cost = seen.costs(units, take)
    scale = float(cost.min()) or 1.0
    rtt, egress, power = seen.region_cost(units)
    # Units are in the order of their nodes' names, so the last tie is the first name.
    found: npt.NDArray[np.intp] = np.lexsort((units, power, egress, rtt, seen.open[units], np.round(cost / scale, 9)))
    return found


def _on_several(seen: _Pool, shown: int) -> tuple[list[Candidate], int]:
    asked = seen.asked
    if asked.together is None:
        levels: Sequence[str] = LEVELS if asked.split else LEVELS[:3]
    else:
        levels = ("all",) if asked.together is Together.ANYWHERE else (str(asked.together),)
        if asked.split and "all" not in levels:
            levels = (*levels, "all")
    found: list[Candidate] = []
    known: set[tuple[tuple[str, int], ...]] = set()
    for level in levels:
        here = []
        for taken in _spread(seen, level):
            one = _candidate(seen, taken)
            if one.nodes not in known:
                known.add(one.nodes)
                here.append(one)
        far = UNKNOWN_US
        here.sort(key=lambda c: (
            c.spans, round(c.price, 9), c.left, far if c.rtt_us is None else c.rtt_us,
            far if c.egress_nano is None else c.egress_nano,
            float(c.power) if c.power else math.inf, c.nodes,
        ))  # fmt: skip
        found += here
        if len(found) >= shown:
            break
    return found[:shown], len(found)


def _spread(seen: _Pool, level: str) -> list[list[tuple[int, int]]]:
    """For each domain of a level that has room: (unit, cards of it)."""
    asked = seen.asked
    each = asked.per_node or min(asked.cards, _usual(seen))
    nodes, rest = divmod(asked.cards, each)
    code = seen.pool.code(level)[0]
    fits = np.flatnonzero(seen.free >= each)
    out = []
    taken_domains = set()
    need = nodes + (rest > 0)
    if fits.size:
        order = fits[_ordered(seen, fits, each)]
        enough = np.flatnonzero(np.bincount(code[order]) >= need)
        for domain in enough.tolist():
            mine = order[code[order] == domain][:need].tolist()
            out.append([(u, each if i < nodes else rest) for i, u in enumerate(mine)])
            taken_domains.add(domain)
    if asked.per_node:
        return out
    for domain in np.flatnonzero(np.bincount(code, weights=seen.free) >= asked.cards).tolist():
        if domain not in taken_domains:
            out.append(_fewest(seen, np.flatnonzero(code == domain)))
    return out


def _usual(seen: _Pool) -> int:
    """Cards of the largest unit that passes: a gang takes whole nodes where it can."""
    return int(seen.pool.size[seen.free > 0].max(initial=1))


def _fewest(seen: _Pool, units: I8) -> list[tuple[int, int]]:
    """The fewest nodes that have enough together: those with most free first."""
    left, out = seen.asked.cards, []
    for unit in units[np.lexsort((units, -seen.free[units]))].tolist():
        take = min(left, int(seen.free[unit]))
        if take:
            out.append((unit, take))
            left -= take
        if not left:
            break
    return out


def _candidate(seen: _Pool, taken: Sequence[tuple[int, int]]) -> Candidate:
    pool = seen.pool
    units = np.array([u for u, _ in taken], dtype=np.int64)
    cards: list[str] = []
    for unit, take in taken:
        mine = pool.cards_of(unit)
        cards += [pool.cards[int(i)].uuid for i in mine[seen.masks[mine] == 0][:take]]
    price, terms = _priced(seen, taken)
    region_code, regions = pool.code("region")
    where = sorted({regions[int(region_code[u])] for u in units})
    skus = sorted({pool.units[int(u)][1] for u in units})
    spans = tuple(len(set(pool.code(what)[0][units].tolist())) for what in ("region", "rack", "island", "node"))
    link = _worst_link(seen, where)
    powers = {pool.regions[r].power if r in pool.regions else "" for r in where}
    return Candidate(
        tuple((pool.units[u][0], n) for u, n in taken), tuple(cards), "|".join(skus), "|".join(where),
        spans,  # type: ignore[arg-type]
        price, terms, int(sum(seen.open[u] - n for u, n in taken)),
        None if link is None else link.rtt_us, None if link is None else link.mbit_s,
        None if link is None else link.egress_nano, powers.pop() if len(powers) == 1 else "",
        bool(seen.asked.mig) and any(s in pool.skus and not pool.skus[s].profile for s in skus),
    )  # fmt: skip


def _worst_link(seen: _Pool, where: Sequence[str]) -> Link | None:
    """The slowest way from these regions to the one that was asked for; None where one is unknown, or none was asked for."""
    near = filters.real_region(seen.pool, seen.asked.near or seen.asked.to_region)
    links = [seen.pool.link(region, near) for region in where] if near else []
    known = [link for link in links if link is not None]
    return max(known, key=lambda link: link.rtt_us) if known and len(known) == len(links) else None


def _priced(seen: _Pool, taken: Sequence[tuple[int, int]]) -> tuple[float, tuple[Term, ...]]:
    total: dict[str, Term] = {}
    for unit, take in taken:
        for t in seen.price.terms(int(seen.pool.kind_of[unit]), int(seen.open[unit]), take):
            was = total.get(t.of.label)
            total[t.of.label] = t if was is None else Term(t.of, was.lost + t.lost, t.slots, was.price + t.price)
    terms = sorted(total.values(), key=lambda t: (-t.price, t.of.label))
    return sum(t.price for t in terms), tuple(terms)


# What would help


def _misses(seen: _Pool, over: bool, allowed: int | None) -> list[Miss]:
    asked, out = seen.asked, []
    if over:
        out.append(Miss(f"raise the tenant's quota, or ask for {max(0, allowed or 0)} cards or fewer", 0, True))
    for name, bit in BIT.items():
        if not (seen.masks & bit).any():
            continue
        cards = (seen.masks & ~np.int64(bit)) == 0
        more = int(cards.sum()) - int((seen.masks == 0).sum())
        if more:
            free = seen.fitting(cards)
            best = int(free.argmax())
            enough = bool(free.max() >= asked.cards) or (
                asked.together is not Together.NODE and int(free.sum()) >= asked.cards
            )
            where = f"{int(free[best])} on {seen.pool.units[best][0]}"
            out.append(Miss(f"{name}: {RELAX[name]}", more, enough, where))
    total = int(seen.free.sum())
    if not over and total >= asked.cards:
        out.append(Miss("together: let them lie farther apart, or say: may be split", total, True))
    largest = int(seen.free.max(initial=0))
    if 0 < largest < asked.cards:
        out.append(Miss(f"cards: {largest} fit on one node now, {total} in all", largest, False))
    later = _later(seen)
    if later is not None:
        out.append(later)
    return sorted(out, key=lambda m: not m.enough)


def _later(seen: _Pool) -> Miss | None:
    """The first end of a lease after which the cards are free on one node, for as long as they are asked for."""
    asked, pool = seen.asked, seen.pool
    if asked.cards > pool.most:
        return None
    held = seen.masks == BIT["lease"]
    ends = sorted({h.end for h in pool.held if h.end is not None and h.end > seen.begin})
    span = None if asked.end is None else asked.end - seen.begin
    for end in ends[:64]:
        taken = pool.taken(end, None if span is None else end + span)
        free = seen.fitting((held | (seen.masks == 0)) & ~taken)
        if free.max(initial=0) >= asked.cards:
            return Miss("time: begin later", int(free.max()), True, f"{pool.units[int(free.argmax())][0]} from @{end}")
    return None
