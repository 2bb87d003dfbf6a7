"""The fleet as it was: a snapshot of one recorded minute behind the same face as the live fleet."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_COLUMN, CARD_METRIC, CARD_METRICS, HOST_COLUMN, HOST_METRIC, HOST_METRICS, Tier
from console.fleet.model import Fleet, Node, NodeEvent
from console.fleet.state import LinkState, Problem, ProblemCode, ReadingState
from console.telemetry.directory import Directory, NodeEntry
from console.telemetry.messages import LinkChange, Message, NodeDetail, NodeLayout, NodeProcesses, NodeSlot, unpack_json
from console.telemetry.readings import Changes, Column, Reading, Series

if TYPE_CHECKING:
    from console.history.reader import Reader
    from console.telemetry.messages import Request

F8 = npt.NDArray[np.float64]
U1 = npt.NDArray[np.uint8]

MINUTE_S = 60.0
EVENTS_SHOWN = 2000
EVENTS_BEFORE_S = 86_400.0
FALLBACK_MINUTES = 3
"""A minute is written some seconds after its end, so the newest moments show the last one that is."""

_KINDS = ("node", "hello", "procs", "detail", "link")
_CARDS = [("card", m.id) for m in CARD_METRICS]
_HOSTS = [("host", m.id) for m in HOST_METRICS]
_versions = itertools.count(1 << 40)
"""Versions of snapshots: never those of a live fleet."""


@dataclass(frozen=True, slots=True)
class Table:
    """All metrics of all entities of a scope in one minute: [entities, metrics], and where each entity stands."""

    values: F8
    states: U1
    place_of: dict[str, int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One recorded minute of the fleet.

    Attributes:
        at: the moment asked for, unix seconds.
        minute_s: begin of the minute that is shown, None where nothing was recorded near.
        told: what the messages in force said, a node each.
        events: those of the day before `at`, oldest first.
    """

    at: float
    minute_s: float | None
    cards: Table
    hosts: Table
    told: dict[str, list[Message]]
    events: list[NodeEvent]


@dataclass(slots=True)
class SnapshotSource:
    """Loads snapshots; what did not change between two of them is decoded once. One thread."""

    _messages: dict[int, Message] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)

    def load(self, reader: Reader, at: float) -> Snapshot:
        """The fleet at a moment.

        Raises:
            HistoryError: the file cannot be read.
        """
        minute = reader.last_minute(at)
        if minute is not None and minute < at // MINUTE_S - FALLBACK_MINUTES:
            minute = None
        found = reader.moment(minute, _CARDS + _HOSTS) if minute is not None else {}
        cards, hosts = self._table(reader, found, _CARDS), self._table(reader, found, _HOSTS)
        told: dict[str, list[Message]] = {}
        numbers = {kind: reader.states_at(at, kind) for kind in _KINDS}
        wanted = {number for states in numbers.values() for _, number in states.values()}
        self._messages = {n: m for n, m in self._messages.items() if n in wanted}
        for states in numbers.values():
            for node, (_, number) in states.items():
                message = self._message(reader, number)
                if message is not None:
                    told.setdefault(node, []).append(message)
        events = reader.events(at - EVENTS_BEFORE_S, at, limit=EVENTS_SHOWN)
        return Snapshot(at, None if minute is None else minute * MINUTE_S, cards, hosts, told, events)

    def _message(self, reader: Reader, number: int) -> Message | None:
        if number not in self._messages:
            try:
                self._messages[number] = unpack_json(reader.state(number))
            except (KeyError, ValueError):  # pruned meanwhile, or of a kind that only another version knows
                return None
        return self._messages[number]

    def _table(self, reader: Reader, found: dict, metrics: list[tuple[str, str]]) -> Table:  # type: ignore[type-arg]
        parts = [(at, *found[m]) for at, m in enumerate(metrics) if m in found]
        ids = np.unique(np.concatenate([p[1] for p in parts])) if parts else np.zeros(0, dtype=np.int32)
        values = np.full((len(ids), len(metrics)), np.nan)
        states = np.zeros(values.shape, dtype=np.uint8)
        for at, who, column, quality in parts:
            places = np.searchsorted(ids, who)
            values[places, at], states[places, at] = column, quality
        values[states != int(ReadingState.FRESH)] = np.nan
        numbers = ids.tolist()
        if any(n not in self._names for n in numbers):
            self._names = {n: seen.uuid for n, seen in reader.entities().items()}
        return Table(values, states, {self._names[n]: i for i, n in enumerate(numbers) if n in self._names})


class PastFleet(Directory):
    """A LiveFleet's face over a snapshot. GUI thread only.

    Attributes:
        snapshot: what is shown, None before the first.
        series_of: gives (uuid or "host:NODE", metric, seconds) as a series around the moment; set by its owner.
        sparks_of: gives (metric, samples) as ({uuid: place}, [places, samples]); set by its owner.
    """

    def __init__(self, fleet: Fleet, send: Callable[[Request], None]) -> None:
        super().__init__(fleet, send, time.monotonic, lambda: self.at)
        self.snapshot: Snapshot | None = None
        self.at = time.time()
        self.collector = ""
        self.series_of: Callable[[str, str, float], Series] = lambda *_: EMPTY
        self.sparks_of: Callable[[str, int], tuple[dict[str, int], npt.NDArray[np.float32]] | None] = lambda *_: None
        self._places = np.zeros(0, dtype=np.intp)
        self._host_places = np.zeros(0, dtype=np.intp)

    def show(self, snapshot: Snapshot) -> None:
        """Show this snapshot from now on."""
        self.snapshot, self.at = snapshot, snapshot.at
        configured = {n.name: n for n in self.fleet.nodes}
        names = [n for n in configured if n in snapshot.told] + sorted(n for n in snapshot.told if n not in configured)
        self._order = names
        self._entries = {name: self._entry(name, configured.get(name), snapshot) for name in names}
        self._rebuild()
        self.version = self.processes_version = self.happened = next(_versions)
        self._places = _places(snapshot.cards, [e.entity.uuid for e in self.entities])
        self._host_places = _places(snapshot.hosts, [f"host:{n}" for n in names])
        self.events.clear()
        self.events.extend(snapshot.events)

    @staticmethod
    def _entry(name: str, configured: Node | None, snapshot: Snapshot) -> NodeEntry:
        entry = NodeEntry(configured or Node(name, ""), 0)
        for message in snapshot.told[name]:
            match message:
                case NodeSlot(node, _):
                    entry.node = node
                case NodeLayout():
                    entry.hello, entry.entities = message.hello, tuple(message.entities)
                case NodeProcesses():
                    entry.processes, entry.unreadable = tuple(message.processes), message.unreadable
                case NodeDetail():
                    entry.detail = message.detail
                case LinkChange():
                    entry.link, entry.problem = message.state, message.problem
        is_there = f"host:{name}" in snapshot.hosts.place_of or any(
            e.uuid in snapshot.cards.place_of for e in entry.entities
        )
        if not is_there and entry.link in (LinkState.LIVE, LinkState.STALE):
            # The last word was "live", and then nobody listened.
            entry.link = LinkState.WAITING
            what = f"Nothing was recorded of {name} at this moment"
            entry.problem = Problem(
                ProblemCode.CLOSED, what, "no console was recording then", "Look at another moment.", {}, False
            )
        return entry

    def pump(self, budget_s: float = 0.008) -> Changes:
        """Nothing comes by itself from the past."""
        return Changes()

    @property
    def age_s(self) -> float:
        """How much older than the moment asked for the shown minute's end is."""
        if self.snapshot is None or self.snapshot.minute_s is None:
            return 0.0
        return max(0.0, self.at - self.snapshot.minute_s - MINUTE_S)

    # Readings

    def column(self, metric: str) -> Column:
        """One metric of all `entities`: a gauge's mean over the minute, a mask's bits, the last of all else.

        Raises:
            KeyError: no such card metric.
        """
        table = None if self.snapshot is None else self.snapshot.cards
        return self._column(table, self._places, CARD_COLUMN[metric])

    def host_column(self, metric: str) -> Column:
        """One host metric of all `nodes`.

        Raises:
            KeyError: no such host metric.
        """
        table = None if self.snapshot is None else self.snapshot.hosts
        return self._column(table, self._host_places, HOST_COLUMN[metric])

    def _column(self, table: Table | None, places: npt.NDArray[np.intp], column: int) -> Column:
        count = len(places)
        values, states = np.full(count, np.nan), np.zeros(count, dtype=np.uint8)
        known = places >= 0
        if table is not None and known.any():
            values[known] = table.values[places[known], column]
            states[known] = table.states[places[known], column]
        return Column(values, states, np.where(states > 0, self.age_s, np.nan))

    def sample_times(self, tier: Tier = Tier.FAST) -> F8:
        """Nothing is sampled in the past."""
        return np.zeros(len(self.entities))

    def reading(self, uuid: str, metric: str) -> Reading:
        """One metric of one entity.

        Raises:
            KeyError: no such card metric.
        """
        place = -1 if self.snapshot is None else self.snapshot.cards.place_of.get(uuid, -1)
        table = None if self.snapshot is None else self.snapshot.cards
        return self._reading(table, place, metric, CARD_METRIC[metric].unit, CARD_COLUMN[metric])

    def host_reading(self, node: str, metric: str) -> Reading:
        """One host metric of one node.

        Raises:
            KeyError: no such host metric.
        """
        place = -1 if self.snapshot is None else self.snapshot.hosts.place_of.get(f"host:{node}", -1)
        table = None if self.snapshot is None else self.snapshot.hosts
        return self._reading(table, place, metric, HOST_METRIC[metric].unit, HOST_COLUMN[metric])

    def _reading(self, table: Table | None, place: int, metric: str, unit: str, column: int) -> Reading:
        if table is None or place < 0:
            return Reading(metric, None, unit, ReadingState.NONE, None)
        state = ReadingState(int(table.states[place, column]))
        value = float(table.values[place, column])
        if state is not ReadingState.FRESH or np.isnan(value):
            return Reading(metric, None, unit, state if state is not ReadingState.FRESH else ReadingState.NONE, None)
        return Reading(metric, value, unit, state, self.age_s)

    # Series

    def series(self, uuid: str, metric: str, seconds: float) -> Series:
        """A metric of an entity around the moment; empty until it is loaded."""
        return self.series_of(uuid, metric, seconds)

    def host_series(self, node: str, metric: str, seconds: float) -> Series:
        """A metric of a node's host around the moment; empty until it is loaded."""
        return self.series_of(f"host:{node}", metric, seconds)

    def sparks(self, rows: npt.NDArray[np.intp], metric: str, samples: int) -> npt.NDArray[np.float32]:
        """Minute by minute up to the moment, [len(rows), samples]; NaN until it is loaded."""
        out = np.full((len(rows), samples), np.nan, dtype=np.float32)
        found = self.sparks_of(metric, samples)
        if found is not None:
            place_of, table = found
            for place, row in enumerate(rows):
                at = place_of.get(self.entities[row].entity.uuid)
                if at is not None:
                    out[place] = table[at]
        return out


def _places(table: Table, uuids: list[str]) -> npt.NDArray[np.intp]:
    return np.array([table.place_of.get(u, -1) for u in uuids], dtype=np.intp)


EMPTY = Series(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.uint8))
