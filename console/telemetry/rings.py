"""The live numbers in shared memory: the board (latest value of everything) and one ring block a node.

Board: `values float64[cards, metrics]`, `states uint8`, `times float64[cards, tier]`, the same for hosts, and link
counters per node. One row a card or slice, so a heat map is one column.

Ring block of a node: per tier `values float32[rows, entities x columns]`, `states uint8` of the same shape,
`times float64[rows]` and a cursor that counts rows ever written. Time-major, so a frame is one contiguous write
(24,000 series in 0.008 ms against 0.38 ms series-major). All times are seconds of this machine's monotonic clock.

A writer fills a row, then moves the cursor; a reader copies, reads the cursor again and drops what was overwritten
meanwhile. There is one writer a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_METRICS, HOST_METRICS, Tier, tier_columns
from console.fleet.state import ReadingState

F8 = npt.NDArray[np.float64]
F4 = npt.NDArray[np.float32]
U1 = npt.NDArray[np.uint8]
I8 = npt.NDArray[np.int64]

TIERS: tuple[Tier, ...] = (Tier.FAST, Tier.MEDIUM, Tier.SLOW)
HOST_TIERS: tuple[Tier, ...] = (Tier.FAST, Tier.SLOW)
CARD_TIER_COLUMNS = {tier: np.array(tier_columns(CARD_METRICS, tier), dtype=np.intp) for tier in TIERS}
HOST_TIER_COLUMNS = {tier: np.array(tier_columns(HOST_METRICS, tier), dtype=np.intp) for tier in HOST_TIERS}

RING_ROWS = {Tier.FAST: 600, Tier.MEDIUM: 240, Tier.SLOW: 120}
"""Rows kept: 10 min at 1 s, 20 min at 5 s, 1 h at 30 s. Older moments come from the history."""

COUNTERS = ("last_line", "lines", "bytes", "delay_s", "clock_offset_s", "dropped", "missed", "agent_start")
COUNTER = {name: i for i, name in enumerate(COUNTERS)}
_ALIGN = 64


def _aligned(n: int) -> int:
    return (n + _ALIGN - 1) // _ALIGN * _ALIGN


class _Cutter:
    """Hands out consecutive arrays over a buffer; with no buffer it only measures."""

    def __init__(self, buffer: memoryview | None) -> None:
        self._buffer = buffer
        self.offset = 0

    def array(self, dtype: npt.DTypeLike, *shape: int) -> npt.NDArray[np.generic]:
        size = int(np.dtype(dtype).itemsize * np.prod(shape, dtype=np.int64))
        start, self.offset = self.offset, _aligned(self.offset + size)
        if self._buffer is None:
            return np.empty((0,), dtype)
        return np.frombuffer(self._buffer[start : start + size], dtype).reshape(shape)


class Board:
    """The latest value of every metric of every entity and host, over a buffer.

    Attributes:
        values, states: [entities, len(CARD_METRICS)]; NaN and ReadingState.
        times: [entities, tier], monotonic seconds of the last sample, 0 before the first.
        host_values, host_states, host_times: the same a node.
        counters: [nodes, len(COUNTERS)].
    """

    def __init__(self, entities: int, nodes: int, buffer: memoryview | None) -> None:
        self.entities = entities
        self.nodes = nodes
        cut = _Cutter(buffer)
        self.values: F8 = cut.array(np.float64, entities, len(CARD_METRICS))  # type: ignore[assignment]
        self.times: F8 = cut.array(np.float64, entities, len(TIERS))  # type: ignore[assignment]
        self.host_values: F8 = cut.array(np.float64, nodes, len(HOST_METRICS))  # type: ignore[assignment]
        self.host_times: F8 = cut.array(np.float64, nodes, len(HOST_TIERS))  # type: ignore[assignment]
        self.counters: F8 = cut.array(np.float64, nodes, len(COUNTERS))  # type: ignore[assignment]
        self.states: U1 = cut.array(np.uint8, entities, len(CARD_METRICS))  # type: ignore[assignment]
        self.host_states: U1 = cut.array(np.uint8, nodes, len(HOST_METRICS))  # type: ignore[assignment]
        self.size = cut.offset

    @classmethod
    def size_of(cls, entities: int, nodes: int) -> int:
        """Bytes a board of that many rows takes."""
        return cls(entities, nodes, None).size

    def clear_entities(self, start: int, count: int) -> None:
        """Make rows unknown again before they are given to other cards."""
        self.values[start : start + count] = np.nan
        self.states[start : start + count] = ReadingState.NONE
        self.times[start : start + count] = 0.0

    def lose_entities(self, start: int, count: int, now: float) -> None:
        """Mark rows of cards that are reported no more as lost since `now` (monotonic seconds)."""
        self.values[start : start + count] = np.nan
        self.states[start : start + count] = ReadingState.LOST
        self.times[start : start + count] = now

    def clear_node(self, slot: int) -> None:
        """Make a node's host readings and counters unknown again."""
        self.host_values[slot] = np.nan
        self.host_states[slot] = ReadingState.NONE
        self.host_times[slot] = 0.0
        self.counters[slot] = 0.0

    def copy_from(self, other: Board) -> None:
        """Take over the rows of a smaller board."""
        e, n = other.entities, other.nodes
        self.values[:e], self.states[:e], self.times[:e] = other.values, other.states, other.times
        self.host_values[:n], self.host_states[:n], self.host_times[:n] = (
            other.host_values,
            other.host_states,
            other.host_times,
        )
        self.counters[:n] = other.counters


class Ring:
    """One tier of one node, over part of a buffer: `width` values a row."""

    __slots__ = ("cursor", "rows", "states", "times", "values", "width")

    def __init__(self, rows: int, width: int, cut: _Cutter) -> None:
        self.rows = rows
        self.width = width
        self.cursor: I8 = cut.array(np.int64, 1)  # type: ignore[assignment]
        self.times: F8 = cut.array(np.float64, rows)  # type: ignore[assignment]
        self.values: F4 = cut.array(np.float32, rows, width)  # type: ignore[assignment]
        self.states: U1 = cut.array(np.uint8, rows, width)  # type: ignore[assignment]

    def append(self, at: float, values: F8, states: U1 | int) -> None:
        """Write one row: `width` values taken at monotonic second `at`, as many states or one. One writer a block."""
        row = int(self.cursor[0]) % self.rows
        self.times[row] = at
        self.values[row] = values
        self.states[row] = states
        self.cursor[0] += 1

    def read(self, columns: slice | npt.NDArray[np.intp], since: float) -> tuple[F8, F4, U1]:
        """Copies of `times`, `values[:, columns]`, `states[:, columns]` since a monotonic second, oldest first."""
        end = int(self.cursor[0])
        start = max(0, end - self.rows)
        order = np.arange(start, end)
        index = order % self.rows
        times = self.times[index]
        first = int(np.searchsorted(times, since))
        order, index, times = order[first:], index[first:], times[first:]
        values, states = self.values[index][:, columns], self.states[index][:, columns]
        # The row being written now is the one after the cursor, so it too may be torn.
        lost = int(self.cursor[0]) + 1 - self.rows
        keep = order >= lost
        if bool(keep.all()):
            return times, values, states
        return times[keep], values[keep], states[keep]

    def tail(self, columns: npt.NDArray[np.intp], samples: int) -> F4:
        """The newest `samples` rows of `columns`, [samples, columns], NaN in front where there are fewer."""
        end = int(self.cursor[0])
        count = min(end, samples, self.rows - 1)
        out = np.full((samples, len(columns)), np.nan, dtype=np.float32)
        if count:
            index = np.arange(end - count, end) % self.rows
            out[samples - count :] = self.values[index[:, None], columns[None, :]]
        return out


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """Where a node's ring block lies.

    Attributes:
        path, size: the segment file and its whole size in bytes.
        offset, length: the block within it.
        entities: cards and slices it holds.
    """

    path: str
    size: int
    offset: int
    length: int
    entities: int


class RingBlock:
    """The rings of one node over a buffer: `cards[tier]` with `entities x columns` values a row, and `host[tier]`."""

    def __init__(self, entities: int, buffer: memoryview | None) -> None:
        self.entities = entities
        cut = _Cutter(buffer)
        self.cards = {t: Ring(RING_ROWS[t], entities * len(CARD_TIER_COLUMNS[t]), cut) for t in TIERS}
        self.host = {t: Ring(RING_ROWS[t], len(HOST_TIER_COLUMNS[t]), cut) for t in HOST_TIERS}
        self.size = cut.offset

    @classmethod
    def size_of(cls, entities: int) -> int:
        """Bytes a block for that many entities takes."""
        return cls(entities, None).size
