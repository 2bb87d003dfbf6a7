"""What of a pool is free, counted: units (the cards of one type on one node) by kind and by how many of them are free.

Units of one type and size with as many free cards are alike to every rule that prices them, so a decision looks at some dozens
of (kind, free) buckets, however many nodes there are.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.placement.errors import PlacementError

I8 = npt.NDArray[np.int64]
MOST_CARDS = 256
"""Of one unit: no node has more, and a larger number is a fault of the list."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The cards of one type on one node."""

    node: str
    type: str
    cards: int


class Stock:
    """Free cards by unit, and units by (kind, free).

    Attributes:
        kinds: (type, cards) of each kind.
        kind_of: kind of each unit; free: free cards of each unit.
        counts: units by kind and free cards, (kinds, most + 1).
    """

    def __init__(self, units: Sequence[Unit], free: Sequence[int] | None = None) -> None:
        """`free` is all of it without one.

        Raises:
            PlacementError: a unit has no card, more than MOST_CARDS, or more free than it has.
        """
        for unit in units:
            if not 0 < unit.cards <= MOST_CARDS:
                raise PlacementError(f"node {unit.node}: {unit.cards} cards; a node has 1 to {MOST_CARDS}")
        self.units = tuple(units)
        self.kinds = sorted({(u.type, u.cards) for u in units})
        place = {kind: i for i, kind in enumerate(self.kinds)}
        self.kind_of = [place[u.type, u.cards] for u in units]
        self.free = [u.cards for u in units] if free is None else list(free)
        self.most = max((u.cards for u in units), default=0)
        self.counts: I8 = np.zeros((len(self.kinds), self.most + 1), dtype=np.int64)
        self._heaps: dict[tuple[int, int], list[int]] = {}
        for i, (unit, left) in enumerate(zip(units, self.free, strict=True)):
            if not 0 <= left <= unit.cards:
                raise PlacementError(f"node {unit.node}: {left} of {unit.cards} cards free")
            self.counts[self.kind_of[i], left] += 1
            self._heaps.setdefault((self.kind_of[i], left), []).append(i)

    @property
    def cards(self) -> int:
        """All cards."""
        return sum(u.cards for u in self.units)

    def change(self, unit: int, by: int) -> tuple[int, int, int]:
        """Give cards back (`by` > 0) or take them; (kind, free before, free after)."""
        kind, before = self.kind_of[unit], self.free[unit]
        after = before + by
        self.counts[kind, before] -= 1
        self.counts[kind, after] += 1
        self.free[unit] = after
        heapq.heappush(self._heaps.setdefault((kind, after), []), unit)
        return kind, before, after

    def lowest(self, kind: int, free: int) -> int:
        """The first unit of a bucket that is not empty."""
        heap = self._heaps[kind, free]
        while self.free[heap[0]] != free:
            heapq.heappop(heap)
        return heap[0]
