"""One node's stream: lines in, numbers into shared memory, everything else out as messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_COLUMN, CARD_METRICS, HOST_COLUMN, HOST_METRICS, Metric, Tier
from console.fleet.state import STATE_LETTERS, ReadingState
from console.telemetry.clock import NodeClock, Stamp
from console.telemetry.rings import (
    CARD_TIER_COLUMNS,
    COUNTER,
    F8,
    HOST_TIER_COLUMNS,
    HOST_TIERS,
    TIERS,
    U1,
    Board,
    RingBlock,
)
from console.telemetry.tape import Sampled, Tape
from console.telemetry.wire import FrameError, Hello, Line, LineSplitter, Sample, decode

_log = logging.getLogger(__name__)

_LETTERS = np.full(256, ReadingState.ERROR, dtype=np.uint8)
for _letter, _state in STATE_LETTERS.items():
    _LETTERS[ord(_letter)] = _state

_FRESH = int(ReadingState.FRESH)
_TIER = {t.value: t for t in TIERS}
_TIER_NUMBER = {t: i for i, t in enumerate(TIERS)}
_COUNTERS = slice(COUNTER["last_line"], COUNTER["missed"] + 1)

_Index = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Tier:
    """Where one tier's wire columns go: `ring` within the tier's ring row, `board` in the board; `wire` picks them.

    `whole` is the board's slice when the wire carries exactly the tier's columns in the catalogue's order, as our own
    agent does: then a sample is written by slices, at a third of the cost.
    """

    width: int
    whole: slice | None
    wire: _Index
    ring: _Index
    board: _Index
    low: F8
    high: F8


def _plan(ids: list[str], catalogue: tuple[Metric, ...], column: dict[str, int], own: _Index) -> _Tier:
    place = {int(c): i for i, c in enumerate(own)}
    known = [(w, column[m]) for w, m in enumerate(ids) if m in column and column[m] in place]
    board = np.array([b for _, b in known], dtype=np.intp)
    is_whole = [b for _, b in known] == own.tolist() and len(ids) == len(own) > 0
    is_run = is_whole and int(own[-1] - own[0]) == len(own) - 1
    return _Tier(
        width=len(ids),
        whole=slice(int(own[0]), int(own[-1]) + 1) if is_run else None,
        wire=np.array([w for w, _ in known], dtype=np.intp),
        ring=np.array([place[b] for _, b in known], dtype=np.intp),
        board=board,
        low=np.array([catalogue[b].low for b in board]),
        high=np.array([catalogue[b].high for b in board]),
    )


@dataclass(slots=True)
class Place:
    """What the storage gave a node: its board slot and first entity row, its entities and its ring block.

    Attributes:
        gone: rows after those of `uuids`, for cards that the node reported once and reports no more.
    """

    slot: int
    row: int
    uuids: tuple[str, ...]
    block: RingBlock
    gone: int = 0


@dataclass(slots=True)
class FeedCounts:
    """What was refused on this node since the console started."""

    kinds: dict[str, int] = field(default_factory=dict)
    newest: str = ""

    def add(self, kind: str, text: str, count: int = 1) -> None:
        """Count a refusal of `kind` and keep its text, shortened."""
        self.kinds[kind] = self.kinds.get(kind, 0) + count
        self.newest = text[:300]

    @property
    def total(self) -> int:
        """All refusals."""
        return sum(self.kinds.values())


class Feed:
    """Decodes a node's stream and writes its samples. One thread at a time; the collector guards it with a lock.

    Attributes:
        place: where this node writes, or None before its first hello.
        counts: refused lines and values, by kind.
    """

    def __init__(self, name: str, on_line: Callable[[Feed, Line, Stamp], None], tape: Tape | None = None) -> None:
        self.name = name
        self._tape = tape
        self.place: Place | None = None
        self.counts = FeedCounts()
        self.hello: Hello | None = None
        self._on_line = on_line
        self._cards: dict[Tier, _Tier] = {}
        self._host: dict[Tier, _Tier] = {}
        self.lines = 0
        self.bytes = 0
        self.missed = 0
        self.begin_stream()

    def begin_stream(self) -> None:
        """A new connection: a new sequence and clock; nothing counts before its hello."""
        self._splitter = LineSplitter()
        self._clock = NodeClock()
        self._sequence = -1
        self._awaiting_hello = True

    @property
    def is_greeted(self) -> bool:
        """The present stream has said hello."""
        return not self._awaiting_hello

    def take(self, data: bytes, board: Callable[[], Board], now_mono: float, now_wall: float) -> None:
        """Feed raw bytes received at (now_mono, now_wall). Never raises on what a node may send."""
        self.bytes += len(data)
        before = self._splitter.overlong
        for line in self._splitter.feed(data):
            self._take_line(line, board, now_mono, now_wall)
        if self._splitter.overlong > before:
            self.counts.add("long", "a line over 1 MiB", self._splitter.overlong - before)

    def _take_line(self, line: bytes, board: Callable[[], Board], now_mono: float, now_wall: float) -> None:
        if self._awaiting_hello and not line.startswith(b'{"t":"'):
            return  # login banners come before the first frame
        try:
            frame = decode(line)
        except FrameError as exc:
            self.counts.add(exc.kind, str(exc))
            return
        if self._awaiting_hello and not isinstance(frame, Hello):
            self.counts.add("order", "a frame before the hello")
            return
        if not self._is_next(frame):
            return
        stamp = self._clock.stamp(frame.w, frame.m, now_mono, now_wall)
        self.lines += 1
        if isinstance(frame, Hello):
            self._awaiting_hello = False
        elif isinstance(frame, Sample):
            self._write(frame, stamp, board())
        self._on_line(self, frame, stamp)
        if self.place is not None:
            self._write_counters(board(), stamp, now_mono)

    def _is_next(self, frame: Line) -> bool:
        if frame.n <= self._sequence:
            self.counts.add("sequence", f"sequence {frame.n} after {self._sequence}")
            return False
        if self._sequence >= 0:
            self.missed += frame.n - self._sequence - 1
        self._sequence = frame.n
        return True

    def adopt(self, hello: Hello, place: Place) -> None:
        """Write to `place` from now on, with the columns of `hello`."""
        self.hello = hello
        self.place = place
        self._cards = {
            t: _plan(hello.columns.get(t, []), CARD_METRICS, dict(CARD_COLUMN), CARD_TIER_COLUMNS[t]) for t in TIERS
        }
        self._host = {
            t: _plan(hello.host_columns.get(t, []), HOST_METRICS, dict(HOST_COLUMN), HOST_TIER_COLUMNS[t])
            for t in HOST_TIERS
        }

    def _write_counters(self, board: Board, stamp: Stamp, now: float) -> None:
        assert self.place is not None
        board.counters[self.place.slot, _COUNTERS] = (
            now,
            self.lines,
            self.bytes,
            stamp.delay_s,
            stamp.clock_offset_s,
            self.counts.total,
            self.missed,
        )

    def _write(self, sample: Sample, stamp: Stamp, board: Board) -> None:
        place, at = self.place, stamp.at
        if place is None or not place.uuids:
            # A node whose driver went away has nothing to say of its cards; they stay lost.
            self._write_host(sample, stamp, board)
            return
        tier = _TIER[sample.k]
        plan = self._cards[tier]
        entities = len(place.uuids)
        index = range(entities) if sample.i is None else sample.i
        if not self._fits(sample, index, plan.width, entities):
            return
        values, states = self._checked(sample.c, sample.q, plan)
        if self._tape is not None and len(index):
            places = None if sample.i is None else tuple(sample.i)
            ring = None if plan.whole is not None else plan.ring
            self._tape.sampled(
                Sampled(self.name, place.uuids, tier, at, stamp.clock_offset_s, values, states, places, ring)
            )
        if plan.whole is not None and sample.i is None and not place.gone:
            rows = slice(place.row, place.row + entities)
            board.values[rows, plan.whole] = values
            board.states[rows, plan.whole] = states
            board.times[rows, _TIER_NUMBER[tier]] = at
            place.block.cards[tier].append(at, values.ravel(), _FRESH if isinstance(states, int) else states.ravel())
            self._write_host(sample, stamp, board)
            return
        columns = len(CARD_TIER_COLUMNS[tier])
        row_values = np.full((entities + place.gone, columns), np.nan)
        row_states = np.zeros((entities + place.gone, columns), dtype=np.uint8)
        row_states[entities:] = ReadingState.LOST
        if len(index):
            chosen = np.array(index, dtype=np.intp)
            cells = np.ix_(chosen, plan.ring)
            row_values[cells], row_states[cells] = values, states
            board_rows = chosen + place.row
            cells = np.ix_(board_rows, plan.board)
            board.values[cells], board.states[cells] = values, states
            board.times[board_rows, _TIER_NUMBER[tier]] = at
        place.block.cards[tier].append(at, row_values.ravel(), row_states.ravel())
        self._write_host(sample, stamp, board)

    def _fits(self, sample: Sample, index: Sequence[int], width: int, entities: int) -> bool:
        shape_ok = len(sample.c) == len(index) and all(len(row) == width for row in sample.c)
        index_ok = sample.i is None or (len(set(index)) == len(index) and all(0 <= i < entities for i in index))
        letters_ok = sample.q is None or (
            len(sample.q) == len(index) and all(q is None or len(q) == width for q in sample.q)
        )
        if shape_ok and index_ok and letters_ok:
            return True
        self.counts.add("shape", f"a {sample.k} sample that does not fit its hello")
        return False

    def _checked(
        self, rows: list[list[float | None]], letters: list[str | None] | None, plan: _Tier
    ) -> tuple[F8, U1 | int]:
        """Values and states of the known columns (one state where all share it).

        Out of range is an error; no value without a verdict is unknown.
        """
        values = np.array(rows, dtype=np.float64)
        if plan.whole is None:
            values = values.reshape(len(rows), plan.width)[:, plan.wire]
        inside = (values >= plan.low) & (values <= plan.high)
        if letters is None and inside.all():
            return values, _FRESH
        states = np.full(values.shape, _FRESH, dtype=np.uint8)
        for i, text in enumerate(letters or ()):
            if text is not None:
                codes = np.frombuffer(text.encode("latin-1", "replace"), dtype=np.uint8)
                states[i] = _LETTERS[codes][plan.wire]
        missing = np.isnan(values)
        outside = ~missing & ~inside
        if outside.any():
            self.counts.add("range", f"{int(outside.sum())} values out of range", int(outside.sum()))
            states[outside] = ReadingState.ERROR
        states[missing & (states == _FRESH)] = ReadingState.NONE
        values[states != _FRESH] = np.nan
        return values, states

    def _write_host(self, sample: Sample, stamp: Stamp, board: Board) -> None:
        place, at = self.place, stamp.at
        if sample.h is None or place is None or sample.k == "medium":
            return
        tier = _TIER[sample.k]
        plan = self._host[tier]
        if len(sample.h) != plan.width or (sample.hq is not None and len(sample.hq) != plan.width):
            self.counts.add("shape", f"host values of a {sample.k} sample that do not fit the hello")
            return
        values, states = self._checked([sample.h], None if sample.hq is None else [sample.hq], plan)
        if self._tape is not None:
            ring = None if plan.whole is not None else plan.ring
            self._tape.sampled(Sampled(self.name, (), tier, at, stamp.clock_offset_s, values, states, None, ring))
        columns = len(HOST_TIER_COLUMNS[tier])
        row_values = np.full(columns, np.nan)
        row_states = np.zeros(columns, dtype=np.uint8)
        one = states if isinstance(states, int) else states[0]
        row_values[plan.ring], row_states[plan.ring] = values[0], one
        board.host_values[place.slot, plan.board] = values[0]
        board.host_states[place.slot, plan.board] = one
        board.host_times[place.slot, 0 if tier is Tier.FAST else 1] = at
        place.block.host[tier].append(at, row_values, row_states)
