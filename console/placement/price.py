"""Slot price: what taking cards of a unit costs the requests that are yet to come.

For each class c of the mix, slots_c is how many requests of it the pool could take, over all units, soon: a held card is free
again within SOON of a mean lease with that probability, so a unit with one card held is nearly a whole one and is not broken
lightly. Taking n cards of a unit costs

    sum over c of  demand_c x n_c x (slots_c lost) / (slots_c + OFFSET)^2

demand_c being the concurrent number of the class and n_c its cards. Cheapest wins; ties go to the unit with the fewest free
cards, then to the first. Measured on the openb traces beside best-fit, first-fit and FGD (`dev.py bench placement`); counting
only the slots of now (SOON = 0) blocks up to 1.2 points more of card demand where the load is the whole pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
import numpy.typing as npt

from console.placement.mix import F8, Mix, RequestClass

SOON = 0.1
OFFSET = 0.5
TIE = 1e-9
"""Prices that differ by less than this share are equal."""


@dataclass(frozen=True, slots=True)
class Term:
    """Of a price: the class it is for, how many of its slots are lost, how many there are, and what that costs."""

    of: RequestClass
    lost: float
    slots: float
    price: float


def slots_of(cards: int, free: int, size: int, soon: float) -> float:
    """Requests of `size` cards that a unit can take: of what is free, and of what is held with probability `soon`."""
    held = cards - free
    chance = (comb(held, k) * soon**k * (1.0 - soon) ** (held - k) for k in range(held + 1))
    return sum(p * ((free + k) // size) for k, p in enumerate(chance))


class SlotTable:
    """How many slots of each class of a mix the units of each kind are worth, by their free cards. Made once a pool and mix."""

    def __init__(self, kinds: Sequence[tuple[str, int]], most: int, mix: Mix, soon: float = SOON) -> None:
        """`kinds` are (type, cards); `most` the largest number of cards."""
        self.mix, self.most = mix, most
        sizes = sorted({c.cards for c in mix.classes})
        place = [sizes.index(c.cards) for c in mix.classes]
        takes = np.array([[kind in c.types for c in mix.classes] for kind, _ in kinds], dtype=np.float64)
        takes = takes.reshape(len(kinds), len(mix.classes))
        self.value: F8 = np.zeros((len(kinds), most + 1, len(mix.classes)))
        by_size: dict[tuple[int, int], F8] = {}
        for k, (_, cards) in enumerate(kinds):
            for free in range(cards + 1):
                if (cards, free) not in by_size:
                    by_size[cards, free] = np.array([slots_of(cards, free, size, soon) for size in sizes])
                self.value[k, free] = by_size[cards, free][place] * takes[k] if sizes else 0.0
        self.pay: F8 = mix.demand() * np.array([c.cards for c in mix.classes], dtype=np.float64)
        self.lost = {n: self.value[:, n:] - self.value[:, :-n] for n in range(1, most + 1)}


class SlotPrice:
    """The price of every (kind, free) of a pool as it stands.

    Attributes:
        slots: of each class of the mix.
    """

    def __init__(self, table: SlotTable, counts: npt.NDArray[np.int64]) -> None:
        """`counts`: units by kind and free cards, (kinds, most + 1)."""
        self.mix, self._table = table.mix, table
        self.slots: F8 = np.einsum("kf,kfc->c", counts.astype(np.float64), table.value)

    def moved(self, kind: int, before: int, after: int) -> None:
        """A unit has other cards free now."""
        self.slots += self._table.value[kind, after] - self._table.value[kind, before]

    def weights(self) -> F8:
        """What losing one slot of each class costs."""
        return self._table.pay / (np.maximum(self.slots, 0.0) + OFFSET) ** 2

    def costs(self, cards: int) -> F8:
        """Price of taking so many cards, by kind and by free - cards: (kinds, most + 1 - cards)."""
        found: F8 = self._table.lost[cards] @ self.weights()
        return found

    def terms(self, kind: int, free: int, cards: int) -> Sequence[Term]:
        """What a price is made of, dearest first."""
        lost, weights = self._table.lost[cards][kind, free - cards], self.weights()
        found = [
            Term(c, float(lost[i]), float(self.slots[i]), float(lost[i] * weights[i]))
            for i, c in enumerate(self.mix.classes)
            if lost[i] > 0.0
        ]
        return sorted(found, key=lambda t: (-t.price, t.of.label))
