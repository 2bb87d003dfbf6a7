"""What there is in the fleet now: the collector's messages applied, nodes and entities in order."""

from __future__ import annotations

import collections
import itertools
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from console.fleet.metrics import Tier
from console.fleet.model import Entity, Fleet, GpuProcess, Node, NodeEvent
from console.fleet.state import STALE_PERIODS, LinkState, Problem
from console.telemetry.messages import (
    Answered,
    Ask,
    BoardPlace,
    Dropped,
    Happened,
    LinkChange,
    Message,
    NodeDetail,
    NodeLayout,
    NodeProcesses,
    NodeSlot,
    Ready,
    Recording,
    Request,
)
from console.telemetry.readings import Changes, EntityRow, LinkCounters, NodeRow
from console.telemetry.rings import COUNTER, HOST_TIERS, TIERS, Board, RingBlock
from console.telemetry.segments import Segment
from console.telemetry.wire import Detail, Hello

_log = logging.getLogger(__name__)

MAX_EVENTS = 10_000
DEFAULT_PERIOD = {Tier.FAST: 1.0, Tier.MEDIUM: 5.0, Tier.SLOW: 30.0}
GRACE_S = 1.0
"""Added to STALE_PERIODS periods, so that a fast tier is not called stale by one slow network round."""


@dataclass(slots=True)
class NodeEntry:
    """What the messages said of one node so far."""

    node: Node
    slot: int
    link: LinkState = LinkState.WAITING
    problem: Problem | None = None
    since: float = 0.0
    reconnects: int = 0
    hello: Hello | None = None
    entities: tuple[Entity, ...] = ()
    row: int = 0
    block: RingBlock | None = None
    processes: tuple[GpuProcess, ...] = ()
    unreadable: dict[str, str] = field(default_factory=dict)
    detail: Detail | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_newest: str = ""


class Directory:
    """Everything known of a fleet at this moment.

    Attributes:
        fleet: the fleet as configured at the start.
        entities: cards, each followed by its slices, in the order of the fleet file.
        version: grows whenever `nodes` or `entities` have other members.
        processes_version: grows whenever a node told of its processes.
        happened: how many events there were since the start.
        events: the newest MAX_EVENTS, oldest first.
        collector: "" while the collector runs, else what is wrong with it.
        collector_pid: its process id, once known.
        recording: whether history is written: ("on", "off", "busy" or "failed", where or why).
    """

    def __init__(
        self,
        fleet: Fleet,
        send: Callable[[Request], None],
        mono: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.fleet = fleet
        self.send = send
        self._mono = mono
        self._wall = wall
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[Answered]] = {}
        self._mailbox: collections.deque[Message | str] = collections.deque()
        self._entries: dict[str, NodeEntry] = {}
        self._order: list[str] = []
        self._board: Board | None = None
        self._segments: dict[str, Segment] = {}
        self._rows = np.zeros(0, dtype=np.intp)
        self._slots = np.zeros(0, dtype=np.intp)
        self._limits = np.zeros((0, len(TIERS)))
        self._host_limits = np.zeros((0, len(HOST_TIERS)))
        self.entities: list[EntityRow] = []
        self.row_of: dict[str, int] = {}
        self.node_index: dict[str, int] = {}
        self.version = 0
        self.processes_version = 0
        self.happened = 0
        self.events: collections.deque[NodeEvent] = collections.deque(maxlen=MAX_EVENTS)
        self.collector = "starting"
        self.collector_pid: int | None = None
        self.recording: tuple[str, str] = ("off", "")

    def now(self) -> float:
        """The moment this is a picture of, unix seconds."""
        return self._wall()

    # Incoming

    def receive(self, message: Message) -> None:
        """Queue a message of the collector; any thread."""
        if isinstance(message, Answered):
            asked = self._asked.pop(message.id, None)
            if asked is not None:
                asked.set_result(message)
            return
        self._mailbox.append(message)

    def collector_lost(self, text: str) -> None:
        """Queue the news that the collector is gone; any thread."""
        while self._asked:
            number, asked = self._asked.popitem()
            # It may have been sent and done: nobody is left who knows.
            asked.set_result(Answered(number, "", True, None, "the collector ended before the answer"))
        self._mailbox.append(text)

    def ask(self, node: str, request: dict[str, Any], timeout_s: float = 30.0) -> Future[Answered]:
        """Ask a node one question (see console.agent.answer); any thread."""
        number, asked = next(self._numbers), Future[Answered]()
        self._asked[number] = asked
        self.send(Ask(number, node, json.dumps(request).encode(), timeout_s))
        return asked

    def pump(self, budget_s: float = 0.008) -> Changes:
        """Apply queued messages for at most `budget_s`; what is left waits for the next call."""
        changes = Changes()
        deadline = time.perf_counter() + budget_s
        while self._mailbox:
            self._apply(self._mailbox.popleft(), changes)
            if time.perf_counter() > deadline:
                break
        if changes.directory:
            self._rebuild()
        return changes

    def _apply(self, message: Message | str, changes: Changes) -> None:
        match message:
            case str():
                self._lose_collector(message)
                changes.collector, changes.directory = message, True
            case Ready(pid):
                self.collector, self.collector_pid = "", pid
                changes.collector = ""
            case Recording(state, text):
                self.recording = (state, text)
            case BoardPlace():
                self._attach_board(message)
                changes.directory = True
            case NodeSlot(node, slot):
                self._apply_slot(node, slot)
                changes.directory = True
                changes.nodes.add(node.name)
            case Happened(event):
                self.events.append(event)
                self.happened += 1
                changes.events.append(event)
            case _:
                self._apply_node(message, changes)

    def _apply_slot(self, node: Node, slot: int | None) -> None:
        if slot is None:
            self._entries.pop(node.name, None)
            if node.name in self._order:
                self._order.remove(node.name)
            return
        self._entries[node.name] = NodeEntry(node, slot)
        if node.name not in self._order:
            self._order.append(node.name)

    def _apply_node(self, message: Message, changes: Changes) -> None:
        entry = self._entries.get(getattr(message, "name", ""))
        if entry is None:
            return
        changes.nodes.add(entry.node.name)
        match message:
            case LinkChange():
                entry.link, entry.problem = message.state, message.problem
                entry.since, entry.reconnects = message.since, message.reconnects
            case NodeLayout():
                self._apply_layout(entry, message)
                changes.directory = True
            case NodeProcesses():
                entry.processes, entry.unreadable = tuple(message.processes), message.unreadable
                changes.processes.add(entry.node.name)
                self.processes_version += 1
            case NodeDetail():
                entry.detail = message.detail
                changes.details.add(entry.node.name)
            case Dropped():
                entry.dropped, entry.dropped_newest = message.kinds, message.newest

    def _apply_layout(self, entry: NodeEntry, layout: NodeLayout) -> None:
        place = layout.block
        segment = self._attach(place.path, place.size)
        entry.hello, entry.entities, entry.row = layout.hello, tuple(layout.entities), layout.row
        entry.block = None
        if segment is not None:
            view = memoryview(segment.buffer)[place.offset : place.offset + place.length]
            entry.block = RingBlock(place.entities, view)

    def _attach_board(self, place: BoardPlace) -> None:
        segment = self._attach(place.path, place.size)
        self._board = None
        if segment is not None:
            self._board = Board(place.entities, place.nodes, memoryview(segment.buffer))

    def _attach(self, path: str, size: int) -> Segment | None:
        segment = self._segments.get(path)
        if segment is None:
            try:
                segment = self._segments[path] = Segment.attach(path, size)
            except OSError as exc:  # the collector died after announcing it; its restart announces anew
                _log.warning("live data cannot be mapped: %s", exc)
                return None
        return segment

    def _lose_collector(self, text: str) -> None:
        self.collector, self.collector_pid = text, None
        self._board = None
        self._segments.clear()
        for entry in self._entries.values():
            entry.block, entry.entities, entry.hello = None, (), None
            entry.link = LinkState.LOST if entry.link in (LinkState.LIVE, LinkState.STALE) else LinkState.WAITING

    def _rebuild(self) -> None:
        self.version += 1
        entries = [self._entries[name] for name in self._order]
        self.node_index = {e.node.name: i for i, e in enumerate(entries)}
        self.entities, rows, limits, host_limits = [], [], [], []
        for index, entry in enumerate(entries):
            period = dict(DEFAULT_PERIOD)
            period[Tier.FAST] = max(period[Tier.FAST], entry.node.interval_s)
            if entry.hello is not None:
                period |= {Tier(k): v for k, v in entry.hello.period.items() if k in DEFAULT_PERIOD}
            host_limits.append([STALE_PERIODS * period[t] + GRACE_S for t in HOST_TIERS])
            for place, entity in _cards_first(entry.entities):
                self.entities.append(EntityRow(len(self.entities), entity, index))
                rows.append(entry.row + place)
                limits.append([STALE_PERIODS * period[t] + GRACE_S for t in TIERS])
        self._rows = np.array(rows, dtype=np.intp)
        self._slots = np.array([e.slot for e in entries], dtype=np.intp)
        self._limits = np.array(limits, dtype=float).reshape(len(rows), len(TIERS))
        self._host_limits = np.array(host_limits, dtype=float).reshape(len(entries), len(HOST_TIERS))
        self.row_of = {e.entity.uuid: e.row for e in self.entities}

    # What there is

    @property
    def nodes(self) -> list[NodeRow]:
        """All nodes now, with their link counters."""
        return [self._node_row(i, name) for i, name in enumerate(self._order)]

    @property
    def configured(self) -> list[Node]:
        """All nodes as configured, in the order of `nodes`; cheaper than those."""
        return [self._entries[name].node for name in self._order]

    def links(self) -> collections.Counter[LinkState]:
        """How many nodes are in each state of their link."""
        return collections.Counter(self._entries[name].link for name in self._order)

    def node(self, name: str) -> NodeRow | None:
        """One node now, or None when there is none of that name."""
        index = self.node_index.get(name)
        return None if index is None else self._node_row(index, name)

    def entity(self, uuid: str) -> EntityRow | None:
        """The card or slice of that UUID, if it is in the fleet now."""
        row = self.row_of.get(uuid)
        return None if row is None else self.entities[row]

    def entities_of(self, node: str) -> list[EntityRow]:
        """The cards and slices of a node."""
        index = self.node_index.get(node)
        return [e for e in self.entities if e.node_index == index]

    def _node_row(self, index: int, name: str) -> NodeRow:
        e = self._entries[name]
        counters = LinkCounters(dropped=e.dropped, dropped_newest=e.dropped_newest, reconnects=e.reconnects)
        if self._board is not None and e.slot < self._board.nodes:
            row = self._board.counters[e.slot]
            last = float(row[COUNTER["last_line"]])
            if last > 0.0:
                counters = LinkCounters(
                    lines=int(row[COUNTER["lines"]]),
                    bytes=int(row[COUNTER["bytes"]]),
                    delay_s=float(row[COUNTER["delay_s"]]),
                    clock_offset_s=float(row[COUNTER["clock_offset_s"]]),
                    last_line_s=max(0.0, self._mono() - last),
                    dropped=e.dropped,
                    dropped_newest=e.dropped_newest,
                    missed=int(row[COUNTER["missed"]]),
                    reconnects=e.reconnects,
                )
        return NodeRow(index, e.slot, e.node, e.link, e.problem, e.since, e.hello, counters)

    def processes(self, node: str) -> tuple[GpuProcess, ...]:
        """The processes on a node's cards as last told."""
        entry = self._entries.get(node)
        return () if entry is None else entry.processes

    def unreadable_processes(self, node: str) -> dict[str, str]:
        """Cards whose processes could not be read, with their verdict letter."""
        entry = self._entries.get(node)
        return {} if entry is None else entry.unreadable

    def detail(self, node: str) -> Detail | None:
        """Disks and ports of a node as last told."""
        entry = self._entries.get(node)
        return None if entry is None else entry.detail


def _cards_first(entities: tuple[Entity, ...]) -> list[tuple[int, Entity]]:
    """Each card followed by its slices, with their places in the agent's order."""
    places = list(enumerate(entities))
    cards = [(i, e) for i, e in places if not e.parent]
    out: list[tuple[int, Entity]] = []
    for i, card in sorted(cards, key=lambda p: p[1].index):
        out.append((i, card))
        out += sorted(((j, e) for j, e in places if e.parent == card.uuid), key=lambda p: p[1].index)
    known = {i for i, _ in out}
    return out + [p for p in places if p[0] not in known]
