"""Rules that choose a unit for a request: ours, and those it is measured against, in one frame with one way to break ties."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from console.placement.mix import F8, Mix
from console.placement.price import SOON, TIE, SlotPrice, SlotTable
from console.placement.stock import Stock


class Policy(Protocol):
    """Chooses units of a stock that others change, too."""

    def choose(self, request: int) -> int | None:
        """Unit for a request of this class of the mix, or None where there is none."""

    def moved(self, kind: int, before: int, after: int) -> None:
        """A unit has other cards free now."""


class _Priced:
    """Cheapest (kind, free); ties to the fewest free cards, then to the first unit."""

    def __init__(self, stock: Stock, mix: Mix) -> None:
        self._stock = stock
        self._sizes = [c.cards for c in mix.classes]
        self._kinds = [
            np.array([i for i, (kind, _) in enumerate(stock.kinds) if kind in c.types], dtype=np.intp)
            for c in mix.classes
        ]

    def _costs(self, cards: int) -> F8:
        raise NotImplementedError

    def moved(self, kind: int, before: int, after: int) -> None:
        """Nothing is remembered here."""

    def choose(self, request: int) -> int | None:
        """See Policy."""
        cards, kinds, stock = self._sizes[request], self._kinds[request], self._stock
        if cards > stock.most or not kinds.size:
            return None
        there = stock.counts[kinds, cards:] > 0
        if not there.any():
            return None
        cost = np.where(there, self._costs(cards)[kinds], np.inf)
        best = float(cost.min())
        tied = cost <= best + abs(best) * TIE + 1e-12
        fewest = int(tied.any(axis=0).argmax())
        return min(stock.lowest(int(k), cards + fewest) for k in kinds[tied[:, fewest]])


class BestFit(_Priced):
    """The fewest free cards."""

    def _costs(self, cards: int) -> F8:
        return np.zeros((len(self._stock.kinds), self._stock.most + 1 - cards))


class BySlotPrice(_Priced):
    """The lowest slot price, by what is free soon."""

    soon = SOON

    def __init__(self, stock: Stock, mix: Mix) -> None:
        super().__init__(stock, mix)
        self._price = SlotPrice(SlotTable(stock.kinds, stock.most, mix, self.soon), stock.counts)
        self.moved = self._price.moved  # type: ignore[method-assign]
        self._costs = self._price.costs  # type: ignore[method-assign]


class BySlotPriceNow(BySlotPrice):
    """The lowest slot price, by what is free now."""

    soon = 0.0


class Fgd(_Priced):
    """Fragmentation gradient descent (Weng et al., USENIX ATC 2023) on whole cards, its task mix weighted by card demand:
    the least growth of what is free and of no use to a request of the mix; ties to the best fit."""

    def __init__(self, stock: Stock, mix: Mix) -> None:
        super().__init__(stock, mix)
        weight = mix.demand() * np.array(self._sizes)
        weight /= weight.sum() or 1.0
        free = np.arange(stock.most + 1)
        waste = np.zeros((len(stock.kinds), stock.most + 1))
        for c, kinds, share in zip(mix.classes, self._kinds, weight, strict=True):
            fits = np.zeros_like(waste, dtype=bool)
            fits[kinds] = free >= c.cards
            waste += share * np.where(fits, 0, free)
        self._grown = {n: np.round(waste[:, :-n] - waste[:, n:], 9) for n in range(1, stock.most + 1)}

    def _costs(self, cards: int) -> F8:
        found: F8 = self._grown[cards]
        return found


class FirstFit(_Priced):
    """The first unit that has room."""

    def choose(self, request: int) -> int | None:
        """See Policy."""
        cards, stock = self._sizes[request], self._stock
        kinds = self._kinds[request]
        found = [
            stock.lowest(int(k), cards + int(f)) for k in kinds for f in np.flatnonzero(stock.counts[k, cards:] > 0)
        ]
        return min(found, default=None)


class Random(_Priced):
    """Any unit that has room, each as likely; seeded."""

    def __init__(self, stock: Stock, mix: Mix) -> None:
        super().__init__(stock, mix)
        self._random = random.Random(len(stock.units))
        self._of = [np.isin(stock.kind_of, kinds) for kinds in self._kinds]

    def choose(self, request: int) -> int | None:
        """See Policy."""
        room = np.flatnonzero(self._of[request] & (np.array(self._stock.free) >= self._sizes[request]))
        return int(room[self._random.randrange(room.size)]) if room.size else None


POLICIES: Mapping[str, Callable[[Stock, Mix], Policy]] = {
    "slot-price": BySlotPrice,
    "slot-price-now": BySlotPriceNow,
    "best-fit": BestFit,
    "first-fit": FirstFit,
    "random": Random,
    "fgd": Fgd,
}
