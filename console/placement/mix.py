"""The mix of requests that a pool serves: classes of size and accepted card types, and how many of each stand at once.

A class is worth protecting as much as it is asked for, so the mix is learned from what was asked for, not from what was given.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F8 = npt.NDArray[np.float64]
DAY_S = 86_400.0
LEARN_DAYS = 30.0
"""Requests of so many days make the mix."""
FLOOR = 0.1
"""Least concurrent number of a class that was seen at all, so that none is free to destroy."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as the mix counts it: cards on one node, accepted types, and how long they were or will be held (s)."""

    cards: int
    types: frozenset[str]
    lasts_s: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class RequestClass:
    """Requests alike. `demand` is how many of them stand at once, on average."""

    cards: int
    types: frozenset[str]
    demand: float

    @property
    def label(self) -> str:
        """Like "8 x H100|H200"."""
        return f"{self.cards} x {'|'.join(sorted(self.types))}"


@dataclass(frozen=True, slots=True)
class Mix:
    """Classes, in the order of size and types, so that sums are the same in every run."""

    classes: tuple[RequestClass, ...]

    @property
    def cards(self) -> int:
        """Cards that all of it holds at once, on average, rounded."""
        return round(sum(c.cards * c.demand for c in self.classes))

    def demand(self) -> F8:
        """Concurrent number of each class."""
        return np.array([c.demand for c in self.classes], dtype=np.float64)


def mix_of(counts: Mapping[tuple[int, frozenset[str]], float], held_cards: float) -> Mix:
    """The mix of a list of requests whose kinds last equally long, scaled so that it holds `held_cards` cards at once."""
    total = sum(n * k for (n, _), k in counts.items())
    scale = held_cards / total if total else 0.0
    return _made({key: k * scale for key, k in counts.items()})


def learned(asked: Iterable[Ask], window_s: float = LEARN_DAYS * DAY_S) -> Mix:
    """The mix of what was asked for within a window: by Little's law a class stands rate x duration times at once.

    Args:
        asked: the requests of the window, rejected ones too.
        window_s: its length in seconds.
    """
    stands: dict[tuple[int, frozenset[str]], float] = defaultdict(float)
    for one in asked:
        stands[one.cards, one.types] += one.weight * max(0.0, one.lasts_s) / window_s
    return _made({key: max(FLOOR, k) for key, k in stands.items()})


def _made(stands: Mapping[tuple[int, frozenset[str]], float]) -> Mix:
    order = sorted(stands, key=lambda key: (key[0], sorted(key[1])))
    return Mix(tuple(RequestClass(n, types, stands[n, types]) for n, types in order if stands[n, types] > 0.0))
