"""Records a fleet: notes what the collector decodes, and writes it in a thread of its own.

Samples wait in memory for at most FLUSH_S; then one transaction holds them all. Sealing, joining, rolling up and pruning
happen between flushes, a little at a time. When the disk refuses, recording stops with a reason, the live view goes on,
and writing is tried again every RETRY_S.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_METRIC, CARD_METRICS, Kind, Tier
from console.fleet.model import NodeEvent
from console.history.blocks import Block
from console.history.errors import HistoryError
from console.history.lock import WriterLock
from console.history.minutes import BLOCK_MINUTES, Closed, Minutes
from console.history.retention import Limits, Pruner
from console.history.store import HOUR_US, SEAL_US, Store, tier_metrics
from console.history.wide import WideBlock

_log = logging.getLogger(__name__)

FLUSH_S = 4.0
RETRY_S = 30.0
SEAL_BUDGET_S = 0.5
DETAIL_EVERY_US = 600_000_000
_ROLLED_TIERS = ("fast", "medium")
_ERROR_COUNTERS = frozenset(
    m.id for m in CARD_METRICS if m.kind is Kind.COUNTER and m.tier is Tier.SLOW and m.unit == ""
)

Described = tuple[str, str, int, str, str, dict[str, str]]
"""(uuid, kind, place, name, parent, facts)."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over a node's cards or its host, as `sampled` takes it (see console.telemetry.tape.Sampled)."""

    node: str
    uuids: tuple[str, ...]
    tier: str
    at_us: int
    offset_us: int
    values: npt.NDArray[np.float64]
    states: npt.NDArray[np.uint8] | int
    places: tuple[int, ...] | None
    columns: npt.NDArray[np.intp] | None


class Recorder:
    """Writes one fleet's history into a folder. `sampled`, `stated` and `happened` may come from any thread.

    Attributes:
        flushes: finished flushes.
        failure: why nothing is written now, "" while all is well.
    """

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        told: Callable[[str, str], None],
        on_event: Callable[[NodeEvent], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Take the folder and open the file.

        Raises:
            HistoryError: it is held by another process, damaged, newer, or cannot be written.
        """
        self._told = told
        self._on_event = on_event
        self._wall = wall
        self._folder = folder
        self._limits = limits
        self._lock = WriterLock(folder)
        try:
            self._store = Store(folder)
        except HistoryError:
            self._lock.release()
            raise
        self._pruner = Pruner(self._store, limits)
        self._passes: deque[Pass] = deque()
        self._states: deque[tuple[str, str, int, bytes]] = deque()
        self._events: deque[NodeEvent] = deque()
        self._described: deque[tuple[str, list[Described]]] = deque()
        self._minutes = Minutes()
        self._wide: WideBlock | None = None
        self._offsets: dict[str, int] = {}
        self._counted: dict[tuple[str, str], float] = {}
        self._detailed: dict[str, int] = {}
        self._last: dict[tuple[str, str], bytes] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._work, name="history", daemon=True)
        self.flushes = 0
        self.failure = ""
        self._resume()

    @property
    def store(self) -> Store:
        """The file behind."""
        return self._store

    def start(self) -> Recorder:
        """Begin writing; returns itself."""
        self._thread.start()
        self._told("on", str(self._store.path))
        return self

    def close(self) -> None:
        """Write what waits and close. Blocks until done."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(30.0)
        self._store.close()
        self._lock.release()

    # What the collector tells

    def sampled(self, one: Pass) -> None:
        """Note a pass."""
        self._passes.append(one)

    def stated(self, node: str, kind: str, data: bytes) -> None:
        """Note that a state of the node is another ("hello", "procs", "detail", "link")."""
        self._states.append((node, kind, int(self._wall() * 1e6), data))

    def happened(self, event: NodeEvent) -> None:
        """Note an event."""
        self._events.append(event)

    def describe(self, node: str, entities: list[Described]) -> None:
        """Note what a node has."""
        self._described.append((node, entities))

    def set_periods(self, node: str, periods: dict[str, float]) -> None:
        """Note how often the tiers of a node are due, seconds."""
        for tier, seconds in periods.items():
            for scope in ("card", "host"):
                self._minutes.set_period((node, tier, scope), seconds)

    # Writing

    def _resume(self) -> None:
        """Rows that were written but not rolled up before the last end go into the minutes again."""
        last = self._store.last_minute()
        since = 0 if last is None else (last + 1) * 60_000_000
        for node, tier, scope, ids, block in self._store.unrolled(since):
            self._minutes.add((node, tier, scope), ids, block)

    def _work(self) -> None:
        due = time.monotonic() + FLUSH_S
        while True:
            is_last = self._end.wait(max(0.0, due - time.monotonic()))
            due = time.monotonic() + FLUSH_S
            try:
                self.flush()
                self.tidy(is_last)
                if self.failure:
                    self.failure = ""
                    self._told("on", str(self._store.path))
            except HistoryError as exc:
                if str(exc) != self.failure:
                    self.failure = str(exc)
                    self._told("failed", self.failure)
                due = time.monotonic() + RETRY_S
            except Exception:  # noqa: BLE001 - a writer that dies silently would lose everything after
                _log.exception("the history's writer met what it did not expect; it goes on")
            if is_last:
                return

    def flush(self) -> None:
        """Write everything noted so far in one transaction.

        Raises:
            HistoryError: the disk refused. What was noted is dropped then: memory is finite, and live view goes on.
        """
        now_us = int(self._wall() * 1e6)
        while self._described:
            node, entities = self._described.popleft()
            self._store.describe(node, entities, now_us)
        passes = [self._passes.popleft() for _ in range(len(self._passes))]
        events = [self._events.popleft() for _ in range(len(self._events))]
        states = [self._states.popleft() for _ in range(len(self._states))]
        blocks = self._blocks(passes, now_us)
        events += self._counted_events(blocks)
        self._store.write_recent(
            [(self._store.node_id(n, now_us), t, s, ids, self._offsets.get(n, 0), b) for (n, t, s), ids, b in blocks],
            [self._event_row(e) for e in events],
            [
                (self._store.node_id(n, at), kind, at, data)
                for n, kind, at, data in states
                if self._is_news(n, kind, at, data)
            ],
        )
        for key, ids, block in blocks:
            self._minutes.add(key, ids, block)
        self.flushes += 1

    def _blocks(
        self, passes: list[Pass], now_us: int
    ) -> list[tuple[tuple[str, str, str], npt.NDArray[np.int32], Block]]:
        groups: dict[tuple[str, str, tuple[str, ...]], list[Pass]] = {}
        for one in passes:
            groups.setdefault((one.node, one.tier, one.uuids), []).append(one)
            self._offsets[one.node] = one.offset_us
        out = []
        for (node, tier, uuids), group in groups.items():
            scope = "card" if uuids else "host"
            names = uuids or (f"host:{node}",)
            ids = np.array([self._store.entity_id(u, node, now_us) for u in names], dtype=np.int32)
            width = len(tier_metrics(scope, tier))
            values = np.full((len(group), len(names), width), np.nan)
            states = np.zeros(values.shape, dtype=np.uint8)
            group.sort(key=lambda p: p.at_us)
            for row, one in enumerate(group):
                if one.places is None and one.columns is None:
                    values[row], states[row] = one.values, one.states
                else:
                    places = np.arange(len(names)) if one.places is None else np.array(one.places)
                    columns = np.arange(width) if one.columns is None else one.columns
                    cells = np.ix_(places, columns)
                    values[row][cells] = one.values
                    states[row][cells] = one.states
            times = np.array([p.at_us // 1000 for p in group], dtype=np.int64)
            out.append(((node, tier, scope), ids, Block(times, values, states)))
        return out

    def _is_news(self, node: str, kind: str, at_us: int, data: bytes) -> bool:
        if kind == "detail":
            if at_us - self._detailed.get(node, 0) < DETAIL_EVERY_US:
                return False
            self._detailed[node] = at_us
        if self._last.get((node, kind)) == data:
            return False
        self._last[node, kind] = data
        return True

    def _event_row(self, event: NodeEvent) -> tuple[object, ...]:
        seen = int(event.received_s * 1e6)
        node_us = int(event.wall_s * 1e6)
        # The console's own events carry the console's clock.
        at = node_us if event.source == "console" else node_us - self._offsets.get(event.node, 0)
        node = self._store.node_id(event.node, seen)
        entity = self._store.entity_id(event.uuid, event.node, seen) if event.uuid else None
        return node, entity, at, node_us, seen, event.kind, event.code, event.source, event.text

    def _counted_events(
        self, blocks: list[tuple[tuple[str, str, str], npt.NDArray[np.int32], Block]]
    ) -> list[NodeEvent]:
        """Counters of errors that rose or began anew since the pass before."""
        out: list[NodeEvent] = []
        for (node, tier, scope), ids, block in blocks:
            if tier != "slow" or scope != "card":
                continue
            for at, metric in enumerate(tier_metrics(scope, tier)):
                if metric in _ERROR_COUNTERS:
                    out += self._jumps(node, ids, metric, block.times_ms, block.values[:, :, at])
        for event in out:
            self._on_event(event)
        return out

    def _jumps(
        self,
        node: str,
        ids: npt.NDArray[np.int32],
        metric: str,
        times_ms: npt.NDArray[np.int64],
        values: npt.NDArray[np.float64],
    ) -> list[NodeEvent]:
        out = []
        for place, number in enumerate(ids.tolist()):
            uuid = self._store.uuid_of(number)
            for row, value in enumerate(values[:, place].tolist()):
                if np.isnan(value):
                    continue
                before = self._counted.get((uuid, metric))
                self._counted[uuid, metric] = value
                if before is None or value == before:
                    continue
                kind = "counter" if value > before else "counter_reset"
                verb = "rose" if value > before else "began anew: it went"
                text = f"{CARD_METRIC[metric].title.lower()} {verb} from {before:.0f} to {value:.0f}"
                at = float(times_ms[row]) / 1000.0
                out.append(NodeEvent(node, uuid, at, self._wall(), kind, None, "console", text))
        return out

    def tidy(self, is_last: bool = False) -> None:
        """Close what minutes and hours are over, seal and join some of the rest, take away what is over the limits.

        Raises:
            HistoryError: the disk refused.
        """
        now_us = int(self._wall() * 1e6)
        closed: dict[int, list[Closed]] = {}
        for one in self._minutes.close_minutes(now_us // 1000):
            closed.setdefault(one.span, []).append(one)
        for minute, found in sorted(closed.items()):
            self._write_wide(minute, found)
            self._write("minute", minute, [c for c in found if c.key[1] in _ROLLED_TIERS])
        hours: dict[int, list[Closed]] = {}
        for one in self._minutes.take_hours():
            hours.setdefault(one.span, []).append(one)
        for hour, found in hours.items():
            self._write("hour", hour, found)
        if not is_last:
            self._seal(now_us)
            self._pruner.step(now_us)

    def _write(self, table: str, span: int, found: list[Closed]) -> None:
        ids = self._store.metric_ids
        entries = [(c.entities, [ids[c.key[2], m] for m in tier_metrics(c.key[2], c.key[1])], c.rollup) for c in found]
        self._store.write_rollups(table, span, entries)

    def _write_wide(self, minute: int, found: list[Closed]) -> None:
        number = minute // BLOCK_MINUTES
        if self._wide is None or self._wide.block != number:
            self._wide = WideBlock(number)
            self._wide.resume(self._store)
        for one in found:
            for at, metric in enumerate(tier_metrics(one.key[2], one.key[1])):
                number = self._store.metric_ids[one.key[2], metric]
                values = one.rollup.last if number in self._store.counters else one.rollup.mean
                self._wide.put(number, minute, one.entities, values[:, at], one.rollup.state[:, at])
        self._wide.write(self._store)

    def _seal(self, now_us: int) -> None:
        """Some of what is due, within a budget: a seal is CPU, and the next flush must be in time."""
        deadline = time.monotonic() + SEAL_BUDGET_S
        for node, tier, scope in self._store.due_for_sealing(now_us - SEAL_US):
            self._store.seal(node, tier, scope, now_us - 2_000_000)
            if time.monotonic() > deadline:
                return
        hour_us = now_us // HOUR_US * HOUR_US
        for node, tier, scope, hour, entities in self._store.due_for_joining(hour_us):
            if self._store.has_recent(node, tier, scope, (hour + 1) * HOUR_US):
                continue  # its last minutes are not sealed yet
            self._store.join_hour(node, tier, scope, hour, entities)
            if time.monotonic() > deadline:
                return
