"""Free cards that help nobody: how scattered the pool is, which cards are stranded, and which moves would mend it.

A move takes a lease from one node to another, so that what it leaves is worth more to the mix than what it takes. Only leases
that are movable or idle are moved; each move is an assignment and a release that operations carry out (`lease move`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from console.placement.inventory import I8, Inventory
from console.placement.mix import F8, Mix
from console.placement.price import OFFSET, SlotTable

MOST_MOVES = 8


@dataclass(frozen=True, slots=True)
class Fragments:
    """How scattered the free cards are.

    Attributes:
        free: cards that could be given now; wasted: share of them that the requests of the mix cannot use where they lie,
            weighted by demand; None where nothing is free or nothing was ever asked for.
        stranded: free cards that no recent request fits, as (node, SKU, cards).
        slots: (class of requests, how many of it the pool could take now).
    """

    free: int
    wasted: float | None
    stranded: tuple[tuple[str, str, int], ...]
    slots: tuple[tuple[str, int], ...]

    @property
    def stranded_cards(self) -> int:
        """All of them."""
        return sum(n for _, _, n in self.stranded)


@dataclass(frozen=True, slots=True)
class Move:
    """A lease's cards on one node become others on another. `gain`: slots that this opens, by class."""

    lease: str
    tenant: str
    leaves: tuple[str, ...]
    takes: tuple[str, ...]
    source: str
    target: str
    gain: tuple[tuple[str, int], ...]


def _open(pool: Inventory, now: int, end: int | None = None) -> np.ndarray:
    """Cards that nothing bars and nobody holds, from now until `end`; None for one moment."""
    return ~pool.barred & ~pool.taken(now, now + 1 if end is None else end)


def _fits(pool: Inventory, mix: Mix) -> np.ndarray:
    """(units, classes): whether a unit is of a type that a class accepts."""
    types = [kind for kind, _ in pool.kinds]
    of_kind = np.array([[t in c.types for c in mix.classes] for t in types], dtype=bool).reshape(
        len(types), len(mix.classes)
    )
    found: np.ndarray = of_kind[pool.kind_of]
    return found


def fragments(pool: Inventory, mix: Mix, now: int) -> Fragments:
    """How scattered the pool is now, as the mix sees it."""
    free = free_now(pool, now)
    fits, sizes = _fits(pool, mix), np.array([c.cards for c in mix.classes], dtype=np.int64)
    slots = np.where(fits, free[:, None] // np.maximum(sizes, 1)[None, :], 0).sum(axis=0)
    stranded = []
    for unit in np.flatnonzero(free).tolist():
        left = int(free[unit]) - _most(int(free[unit]), sizes[fits[unit]].tolist())
        if left:
            stranded.append((*pool.units[unit], left))
    return Fragments(
        int(free.sum()), Gauge(pool, mix, free).share, tuple(stranded),
        tuple((c.label, int(n)) for c, n in zip(mix.classes, slots, strict=True)),
    )  # fmt: skip


def free_now(pool: Inventory, now: int) -> I8:
    """Cards of each unit that could be given now."""
    found: I8 = np.bincount(pool.unit_of[_open(pool, now)], minlength=len(pool.units))
    return found


class Gauge:
    """How scattered free cards are, and would be after some are taken.

    Attributes:
        share: of free cards that the requests of the mix cannot use where they lie, weighted by demand; None for none.
    """

    def __init__(self, pool: Inventory, mix: Mix, free: I8) -> None:
        """`free` are the free cards of each unit."""
        self._free = free
        self._fits = _fits(pool, mix)
        self._sizes = np.array([c.cards for c in mix.classes], dtype=np.int64)
        self._weight = mix.demand() * self._sizes
        self._rest, self._whole = self._of(np.arange(len(free)), free)
        self.share = self._rest / self._whole if self._whole else None

    def _of(self, units: I8, free: I8) -> tuple[float, float]:
        """(what is left over, all) of units with so many free cards, weighted."""
        fits = self._fits[units]
        rest = np.where(fits, free[:, None] % np.maximum(self._sizes, 1)[None, :], 0)
        whole = np.where(fits, free[:, None], 0)
        return float((rest.sum(axis=0) * self._weight).sum()), float((whole.sum(axis=0) * self._weight).sum())

    def after(self, units: I8) -> float | None:
        """The share with one card less for each mention of a unit."""
        touched, taken = np.unique(units, return_counts=True)
        before = self._of(touched, self._free[touched])
        left = self._of(touched, np.maximum(self._free[touched] - taken, 0))
        whole = self._whole - before[1] + left[1]
        return (self._rest - before[0] + left[0]) / whole if whole > 1e-9 else None


def _most(free: int, sizes: Collection[int]) -> int:
    """The most of `free` cards that requests of these sizes can take together."""
    reached = [True] + [False] * free
    for n in range(1, free + 1):
        reached[n] = any(s <= n and reached[n - s] for s in sizes)
    return max(n for n, yes in enumerate(reached) if yes)


def defragment(
    pool: Inventory, mix: Mix, now: int, idle: Collection[str] = (), most: int = MOST_MOVES
) -> tuple[Move, ...]:
    """A few moves, each the one that helps the mix most of those that are left; none where none helps.

    Args:
        idle: leases that nobody uses, which may be moved beside those that are movable by contract.
    """
    if not mix.classes or not pool.cards:
        return ()
    return _Mover(pool, mix, now, set(idle)).run(most)


class _Mover:
    """The pool while moves are tried: free cards of units, and who holds what."""

    def __init__(self, pool: Inventory, mix: Mix, now: int, idle: set[str]) -> None:
        self.pool, self.mix, self.now = pool, mix, now
        # Slots of now, not of soon: a move must open something that can be seen.
        kinds = [(t, int(n)) for t, n in pool.kinds]
        self.value = SlotTable(kinds, pool.most, mix, soon=0.0).value
        self.weight = mix.demand() * np.array([c.cards for c in mix.classes], dtype=np.float64)
        self.open = _open(pool, now)
        self.parts: dict[tuple[str, int], list[int]] = {}
        self.ends: dict[str, int | None] = {}
        self.tenants: dict[str, str] = {}
        moved_only = {pool.at[c.parent] for c in pool.cards if c.parent in pool.at}
        for hold in pool.held:
            at = pool.at.get(hold.uuid)
            is_now = hold.begin <= now and (hold.end is None or hold.end > now)
            may = hold.is_movable or hold.lease in idle
            if at is None or not is_now or not may or pool.cards[at].parent or at in moved_only:
                continue
            self.parts.setdefault((hold.lease, int(pool.unit_of[at])), []).append(at)
            self.ends[hold.lease], self.tenants[hold.lease] = hold.end, hold.tenant

    def run(self, most: int) -> tuple[Move, ...]:
        out: list[Move] = []
        while len(out) < most:
            best = self._best()
            if best is None:
                break
            out.append(self._done(*best))
        return tuple(out)

    def _free(self, cards: np.ndarray) -> I8:
        return np.bincount(self.pool.unit_of[cards], minlength=len(self.pool.units))

    def _slots(self, free: I8) -> F8:
        found: F8 = self.value[self.pool.kind_of, free].sum(axis=0)
        return found

    def _worth(self, slots: F8) -> F8:
        """What slots are worth to the mix: the sum whose steps the slot price is."""
        worth: F8 = -(self.weight / (slots + OFFSET)).sum(axis=-1)
        return worth

    def _best(self) -> tuple[str, int, int] | None:
        pool, free = self.pool, self._free(self.open)
        slots = self._slots(free)
        now, found, best = float(self._worth(slots)), None, 0.0
        region, sku = pool.code("region")[0], pool.code("sku")[0]
        for (lease, unit), cards in sorted(self.parts.items()):
            k = len(cards)
            end = self.ends[lease]
            lasting = self._free(
                self.open & _open(pool, self.now, end) if end else self.open & _lasting(pool, self.now)
            )
            alike = (region == region[unit]) & (sku == sku[unit]) & (lasting >= k)
            alike[unit] = False
            targets = np.flatnonzero(alike)
            if not targets.size:
                continue
            kind = pool.kind_of[targets]
            here = self.value[pool.kind_of[unit], free[unit] + k] - self.value[pool.kind_of[unit], free[unit]]
            there = self.value[kind, free[targets] - k] - self.value[kind, free[targets]]
            after = slots[None, :] + here[None, :] + there
            gain = (self._worth(after) - now) / max(k, 1)
            # A move must open a slot of some class and close none that is worth as much.
            gain[~(after > slots + 0.5).any(axis=1)] = 0.0
            at = int(gain.argmax())
            if gain[at] > best * (1 + 1e-9) + 1e-12:
                best, found = float(gain[at]), (lease, unit, int(targets[at]))
        return found

    def _done(self, lease: str, unit: int, target: int) -> Move:
        pool, before = self.pool, self._slots(self._free(self.open))
        leaves = self.parts.pop((lease, unit))
        end = self.ends[lease]
        lasting = self.open & (_open(pool, self.now, end) if end else _lasting(pool, self.now))
        takes = [int(i) for i in pool.cards_of(target) if lasting[i]][: len(leaves)]
        self.open[leaves], self.open[takes] = True, False
        after = self._slots(self._free(self.open))
        gain = tuple((c.label, round(n)) for c, n in zip(self.mix.classes, after - before, strict=True) if round(n))
        return Move(
            lease, self.tenants[lease], tuple(pool.cards[i].uuid for i in leaves), tuple(pool.cards[i].uuid for i in takes),
            pool.units[unit][0], pool.units[target][0], gain,
        )  # fmt: skip


def _lasting(pool: Inventory, now: int) -> np.ndarray:
    """Cards that nobody holds from now on for ever."""
    return ~pool.barred & ~pool.taken(now, None)
