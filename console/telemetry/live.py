"""The fleet as the window, the CLI and later rooms see it now: names from messages, numbers from shared memory.

`receive` may be called from any thread; everything else belongs to one thread, which calls `pump` some ten times a
second. Nothing here blocks or does I/O beyond mapping a segment when the collector announces one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_COLUMN, CARD_METRIC, HOST_COLUMN, HOST_METRIC, Tier
from console.fleet.state import STALE_PERIODS, ReadingState
from console.telemetry.directory import DEFAULT_PERIOD, Directory, NodeEntry
from console.telemetry.readings import Changes, Column, EntityRow, LinkCounters, NodeRow, Reading, Series
from console.telemetry.rings import CARD_TIER_COLUMNS, F4, F8, HOST_TIER_COLUMNS, HOST_TIERS, TIERS, U1

__all__ = ["Changes", "Column", "EntityRow", "LinkCounters", "LiveFleet", "NodeRow", "Reading", "Series"]


class LiveFleet(Directory):
    """Everything known of a fleet at this moment: the directory, and readings, columns and series over it."""

    def column(self, metric: str) -> Column:
        """One metric of all `entities`.

        Raises:
            KeyError: no such card metric.
        """
        col = CARD_COLUMN[metric]
        tier = TIERS.index(CARD_METRIC[metric].tier)
        if self._board is None or not len(self._rows):
            return _empty_column(len(self._rows))
        rows = self._rows
        values, states, times = (
            self._board.values[rows, col],
            self._board.states[rows, col],
            self._board.times[rows, tier],
        )
        return self._judged(values, states, times, self._limits[:, tier])

    def host_column(self, metric: str) -> Column:
        """One host metric of all `nodes`.

        Raises:
            KeyError: no such host metric.
        """
        col = HOST_COLUMN[metric]
        tier = HOST_TIERS.index(HOST_METRIC[metric].tier)
        if self._board is None or not len(self._slots):
            return _empty_column(len(self._slots))
        b, slots = self._board, self._slots
        return self._judged(
            b.host_values[slots, col], b.host_states[slots, col], b.host_times[slots, tier], self._host_limits[:, tier]
        )

    def _judged(self, values: F8, states: U1, times: F8, limits: F8) -> Column:
        ages = np.where(times > 0.0, np.maximum(0.0, self._mono() - times), np.nan)
        fresh = states == ReadingState.FRESH
        states = states.copy()
        states[fresh & np.isnan(values)] = ReadingState.NONE
        states[fresh & ~np.isnan(values) & (ages > limits)] = ReadingState.STALE
        return Column(values, states, ages)

    def sample_times(self, tier: Tier = Tier.FAST) -> F8:
        """Monotonic second of each entity's newest sample of a tier; 0 before the first."""
        if self._board is None or not len(self._rows):
            return np.zeros(len(self._rows))
        times: F8 = self._board.times[self._rows, TIERS.index(tier)]
        return times

    def reading(self, uuid: str, metric: str) -> Reading:
        """One metric of one entity; state NONE for an entity that is not in the fleet.

        Raises:
            KeyError: no such card metric.
        """
        unit = CARD_METRIC[metric].unit
        row = self.row_of.get(uuid)
        if row is None or self._board is None:
            return Reading(metric, None, unit, ReadingState.NONE, None)
        col, tier = CARD_COLUMN[metric], TIERS.index(CARD_METRIC[metric].tier)
        at = self._rows[row]
        b = self._board
        return self._one(metric, unit, b.values[at, col], b.states[at, col], b.times[at, tier], self._limits[row, tier])

    def host_reading(self, node: str, metric: str) -> Reading:
        """One host metric of one node.

        Raises:
            KeyError: no such host metric.
        """
        unit = HOST_METRIC[metric].unit
        index = self.node_index.get(node)
        if index is None or self._board is None:
            return Reading(metric, None, unit, ReadingState.NONE, None)
        col, tier = HOST_COLUMN[metric], HOST_TIERS.index(HOST_METRIC[metric].tier)
        slot = self._slots[index]
        b = self._board
        limit = self._host_limits[index, tier]
        return self._one(
            metric, unit, b.host_values[slot, col], b.host_states[slot, col], b.host_times[slot, tier], limit
        )

    def _one(self, metric: str, unit: str, value: float, state: int, at: float, limit: float) -> Reading:
        known = ReadingState(int(state))
        age = max(0.0, self._mono() - float(at)) if at > 0.0 else None
        if known is ReadingState.FRESH:
            if np.isnan(value):
                known = ReadingState.NONE
            elif age is None or age > limit:
                known = ReadingState.STALE
        shown = float(value) if known in (ReadingState.FRESH, ReadingState.STALE) else None
        return Reading(metric, shown, unit, known, age)

    def series(self, uuid: str, metric: str, seconds: float) -> Series:
        """The last `seconds` of one metric of one entity, oldest first; gaps hold a NaN.

        Raises:
            KeyError: no such card metric.
        """
        tier, col = CARD_METRIC[metric].tier, CARD_COLUMN[metric]
        row = self.row_of.get(uuid)
        if row is None:
            return _EMPTY_SERIES
        entity = self.entities[row]
        entry = self._entries[self._order[entity.node_index]]
        if entry.block is None:
            return _EMPTY_SERIES
        columns = CARD_TIER_COLUMNS[tier]
        place = (int(self._rows[row]) - entry.row) * len(columns) + int(np.searchsorted(columns, col))
        t, v, s = entry.block.cards[tier].read(slice(place, place + 1), self._mono() - seconds)
        return self._series(t, v[:, 0], s[:, 0], self._period(entry, tier))

    def host_series(self, node: str, metric: str, seconds: float) -> Series:
        """The last `seconds` of one host metric of one node.

        Raises:
            KeyError: no such host metric.
        """
        tier, col = HOST_METRIC[metric].tier, HOST_COLUMN[metric]
        entry = self._entries.get(node)
        if entry is None or entry.block is None:
            return _EMPTY_SERIES
        place = int(np.searchsorted(HOST_TIER_COLUMNS[tier], col))
        t, v, s = entry.block.host[tier].read(slice(place, place + 1), self._mono() - seconds)
        return self._series(t, v[:, 0], s[:, 0], self._period(entry, tier))

    def _period(self, entry: NodeEntry, tier: Tier) -> float:
        period = entry.hello.period.get(tier) if entry.hello is not None else None
        return period if period else DEFAULT_PERIOD[tier]

    def _series(self, t: F8, v: F4, states: U1, period: float) -> Series:
        taken = states != ReadingState.NONE  # a focused neighbour's extra row holds nothing of this card
        t, values, states = t[taken], v[taken].astype(np.float64), states[taken]
        values[states != ReadingState.FRESH] = np.nan
        holes = np.flatnonzero(np.diff(t) > (STALE_PERIODS * period))
        if len(holes):
            t = np.insert(t, holes + 1, t[holes] + period)
            values = np.insert(values, holes + 1, np.nan)
            states = np.insert(states, holes + 1, np.uint8(ReadingState.NONE))
        return Series(t + (self._wall() - self._mono()), values, states)

    def sparks(self, rows: npt.NDArray[np.intp], metric: str, samples: int) -> F4:
        """The newest `samples` of a metric for the entities `rows`, [len(rows), samples], NaN where there is none.

        Raises:
            KeyError: no such card metric.
        """
        tier, col = CARD_METRIC[metric].tier, CARD_COLUMN[metric]
        columns = CARD_TIER_COLUMNS[tier]
        within = int(np.searchsorted(columns, col))
        out = np.full((len(rows), samples), np.nan, dtype=np.float32)
        by_node: dict[int, list[int]] = {}
        for place, row in enumerate(rows):
            by_node.setdefault(self.entities[row].node_index, []).append(place)
        for index, places in by_node.items():
            entry = self._entries[self._order[index]]
            if entry.block is None:
                continue
            wanted = np.array([self._rows[rows[p]] - entry.row for p in places], dtype=np.intp)
            out[places] = entry.block.cards[tier].tail(wanted * len(columns) + within, samples).T
        return out


def _empty_column(n: int) -> Column:
    return Column(np.full(n, np.nan), np.zeros(n, dtype=np.uint8), np.full(n, np.nan))


_EMPTY_SERIES = Series(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.uint8))
