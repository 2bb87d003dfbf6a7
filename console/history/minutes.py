"""The roll-ups under way: rows wait here until their minute is over, minutes until their hour and ten-minute block are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_METRICS, HOST_METRICS, Kind, Tier, tier_columns
from console.fleet.state import ReadingState
from console.history.blocks import Block
from console.history.rollup import Rollup, join, roll_up, without_means

MINUTE_MS = 60_000
BLOCK_MINUTES = 10
LATE_MS = 4_000
"""A minute is closed this long after its end: a row may wait for its flush."""

I4 = npt.NDArray[np.int32]
Key = tuple[str, str, str]
"""(node, tier, scope)."""


@dataclass(slots=True)
class _Place:
    entities: I4
    blocks: list[Block] = field(default_factory=list)
    hour: int = -1
    minutes: list[Rollup] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Closed:
    """A roll-up that is finished: `span` is the minute or hour number, arrays are [entities, metrics]."""

    key: Key
    span: int
    entities: I4
    rollup: Rollup


@lru_cache(maxsize=16)
def _columns_without_means(tier: str, scope: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    catalogue = CARD_METRICS if scope == "card" else HOST_METRICS
    kinds = [catalogue[i].kind for i in tier_columns(catalogue, Tier(tier))]
    masks = tuple(i for i, kind in enumerate(kinds) if kind is Kind.MASK)
    return masks, tuple(i for i, kind in enumerate(kinds) if kind is Kind.CODE)


def _without_means(key: Key) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(masks, codes): the columns of which a mean says nothing."""
    return _columns_without_means(key[1], key[2])


class Minutes:
    """Gathers rows and gives back finished minutes and hours. One thread."""

    def __init__(self) -> None:
        self._places: dict[Key, _Place] = {}
        self._period_s: dict[Key, float] = {}
        self._ended: list[Closed] = []

    def set_period(self, key: Key, seconds: float) -> None:
        """How often a row of that place is due."""
        self._period_s[key] = seconds

    def add(self, key: Key, entities: I4, block: Block) -> None:
        """Take rows, times rising. Other entities than before end the place's hour early."""
        place = self._places.get(key)
        if place is None or not np.array_equal(place.entities, entities):
            if place is not None and place.minutes:
                self._end_hour(key, place)
            place = self._places[key] = _Place(entities)
        place.blocks.append(block)

    def close_minutes(self, now_ms: int) -> Iterator[Closed]:
        """Every minute that is over, place by place; `take_hours` gives the hours that ended with them."""
        newest = (now_ms - LATE_MS) // MINUTE_MS - 1
        for key, place in list(self._places.items()):
            while place.blocks:
                minute = int(place.blocks[0].times_ms[0]) // MINUTE_MS
                if minute > newest:
                    break
                values, states = self._take(place, minute)
                expected = 60.0 / self._period_s.get(key, 1.0)
                rollup = roll_up(values, states, expected)
                masks, codes = _without_means(key)
                without_means(rollup, np.where(states == int(ReadingState.FRESH), values, np.nan), masks, codes)
                if place.hour != minute // 60 and place.minutes:
                    self._end_hour(key, place)
                place.hour = minute // 60
                place.minutes.append(rollup)
                yield Closed(key, minute, place.entities, rollup)
            if place.minutes and place.hour < (newest + 1) // 60:
                self._end_hour(key, place)

    def _end_hour(self, key: Key, place: _Place) -> None:
        rollup = join(place.minutes, 60)
        without_means(rollup, np.stack([m.mean for m in place.minutes]), *_without_means(key))
        self._ended.append(Closed(key, place.hour, place.entities, rollup))
        place.minutes = []

    def take_hours(self) -> list[Closed]:
        """The hours that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    @staticmethod
    def _take(place: _Place, minute: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
        """The rows of that minute, taken out of the place; rows of earlier minutes that came late are left out."""
        end = (minute + 1) * MINUTE_MS
        values, states, rest = [], [], []
        for block in place.blocks:
            within = block.times_ms < end
            if within.any():
                values.append(block.values[within])
                states.append(block.states[within])
            if not within.all():
                later = ~within
                rest.append(Block(block.times_ms[later], block.values[later], block.states[later]))
        place.blocks = rest
        return np.concatenate(values), np.concatenate(states)
