"""The collector: drives the links, feeds every node's stream into shared memory, tells the window what changed.

It knows neither SSH (a `NodeLinks` does that) nor pipes (the process around it does), so it runs the same in a test.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from console.fleet.model import Entity, EntityKind, Fleet, GpuProcess, Node, NodeEvent
from console.fleet.state import LinkState, NodeLinks, Problem, ProblemCode
from console.telemetry.clock import Stamp
from console.telemetry.feed import Feed, Place
from console.telemetry.messages import (
    Answered,
    Dropped,
    Happened,
    LinkChange,
    Message,
    NodeDetail,
    NodeLayout,
    NodeProcesses,
    NodeSlot,
    pack_json,
)
from console.telemetry.rings import BlockPlace, Board
from console.telemetry.segments import SegmentFolder
from console.telemetry.storage import Outbox, Storage
from console.telemetry.tape import Tape
from console.telemetry.wire import WIRE_VERSION, Bye, Detail, Hello, Line, Processes, WireEvent, WireProcess

_log = logging.getLogger(__name__)

MIN_INTERVAL_S = 0.5
STALE_AFTER_S = 4.0
"""No line for this long is stale. The agent sends a beat every 2 s at least, so a slow interval does not matter."""

DEAD_AFTER_S = 12.0
HELLO_WITHIN_S = 20.0
DROPPED_EVERY_S = 2.0


@dataclass(slots=True)
class _NodeState:
    node: Node
    slot: int
    feed: Feed
    lock: threading.Lock = field(default_factory=threading.Lock)
    link: LinkState = LinkState.WAITING
    problem: Problem | None = None
    since: float = 0.0
    opened: float = 0.0
    last_line: float = 0.0
    reconnects: int = -1
    place: BlockPlace | None = None
    focus: tuple[str, ...] = ()
    gone: dict[str, Entity] = field(default_factory=dict)
    dropped_told: int = 0
    dropped_at: float = 0.0


class Collector:
    """All nodes of a fleet, live. Fulfils LinkSink.

    Threads: `link_state` and `link_bytes` come from any thread of the links; `tick` from one timer thread; the rest
    from the request thread; `take` from the pipe's writer.
    """

    def __init__(
        self,
        folder: SegmentFolder,
        wake: Callable[[], None],
        nodes: int = 16,
        mono: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        tape: Tape | None = None,
    ) -> None:
        self._tape = tape
        self._wake = wake
        self._mono = mono
        self._wall = wall
        self._lock = threading.Lock()
        """Guards storage, outbox, owners and the node table; taken after a node's own lock, never before it."""
        self._storage = Storage(folder, nodes)
        self._outbox = Outbox()
        self._nodes: dict[str, _NodeState] = {}
        self._slots: list[str | None] = []
        self._owner: dict[str, str] = {}
        self._links: NodeLinks | None = None
        self._focus: tuple[str, ...] = ()
        self._focus_period = MIN_INTERVAL_S
        self._put("board", "", self._storage.board_place)

    @property
    def board(self) -> Board:
        """The board in force."""
        return self._storage.board

    def begin(self, fleet: Fleet, links: NodeLinks) -> None:
        """Watch `fleet` through `links`."""
        self._links = links
        for node in fleet.nodes:
            self.add(node)

    def add(self, node: Node) -> None:
        """Watch one more node; a name already watched is taken down first."""
        if node.name in self._nodes:
            self.remove(node.name)
        with self._lock:
            slot = self._slots.index(None) if None in self._slots else len(self._slots)
            if slot == len(self._slots):
                self._slots.append(node.name)
            else:
                self._slots[slot] = node.name
            if self._storage.reserve_node(slot):
                self._outbox.put_state("board", "", self._storage.board_place)
            self._storage.board.clear_node(slot)
            state = _NodeState(node, slot, Feed(node.name, self._line, self._tape), since=self._mono())
            self._nodes[node.name] = state
            self._outbox.put_state("slot", node.name, NodeSlot(node, slot))
        # Where a node stands belongs to its history; how it is reached does not.
        known = replace(node, port=None, user=None, identity=None, known_hosts=None, jump=())
        self._note("node", node.name, NodeSlot(known, 0))
        self._tell_link(state)
        self._wake()
        if self._links is not None:
            self._links.add(node.name)

    def remove(self, name: str) -> None:
        """Stop watching a node; unknown names are ignored."""
        state = self._nodes.get(name)
        if state is None:
            return
        if self._links is not None:
            self._links.remove(name)
        with state.lock, self._lock:
            self._release(state)
            self._slots[state.slot] = None
            del self._nodes[name]
            self._outbox.put_state("slot", name, NodeSlot(state.node, None))
        self._wake()

    def focus(self, uuids: list[str], period_s: float) -> None:
        """Sample these cards faster; nodes that had a focus before and are not named lose it."""
        self._focus = tuple(uuids)
        self._focus_period = max(MIN_INTERVAL_S, period_s)
        for state in list(self._nodes.values()):
            self._send_focus(state)

    def _send_focus(self, state: _NodeState) -> None:
        mine = tuple(u for u in self._focus if self._owner.get(u) == state.node.name)
        if mine == state.focus or self._links is None:
            return
        state.focus = mine
        line = json.dumps({"c": "focus", "uuids": list(mine), "period": self._focus_period})
        self._links.send(state.node.name, line.encode() + b"\n")

    # What the links tell

    def link_state(self, node: str, state: LinkState, problem: Problem | None) -> None:
        """Take a change of the link; LIVE from the links means that the agent's stream is open, not that it spoke."""
        entry = self._nodes.get(node)
        if entry is None:
            return
        with entry.lock:
            now = self._mono()
            if state is LinkState.LIVE:
                entry.feed.begin_stream()
                entry.opened, entry.last_line = now, now
                entry.focus = ()
                entry.reconnects += 1
                state = LinkState.CONNECTING
            elif state in (LinkState.LOST, LinkState.FAILED, LinkState.WAITING):
                entry.opened = 0.0
                was_live = entry.link in (LinkState.LIVE, LinkState.STALE, LinkState.LOST)
                if state is LinkState.FAILED and was_live and problem is not None and not problem.needs_person:
                    state = LinkState.LOST
                if state is LinkState.WAITING and problem is None:
                    problem = entry.problem
            self._set_link(entry, state, problem)

    def link_bytes(self, node: str, data: bytes) -> None:
        """Take raw output of a node's agent."""
        entry = self._nodes.get(node)
        if entry is None:
            return
        with entry.lock:
            before = entry.feed.lines
            entry.feed.take(data, self._board, self._mono(), self._wall())
            if entry.feed.lines > before:
                entry.last_line = self._mono()
                if entry.feed.is_greeted and entry.link in (LinkState.CONNECTING, LinkState.STALE) and entry.opened:
                    self._set_link(entry, LinkState.LIVE, entry.problem if _is_standing(entry.problem) else None)

    def _board(self) -> Board:
        return self._storage.board

    # Liveness

    def tick(self) -> None:
        """Look for silent nodes; call at least twice a second."""
        now = self._mono()
        for entry in list(self._nodes.values()):
            with entry.lock:
                problem = self._judge(entry, now)
                if entry.feed.counts.total != entry.dropped_told and now - entry.dropped_at > DROPPED_EVERY_S:
                    entry.dropped_told, entry.dropped_at = entry.feed.counts.total, now
                    counts = entry.feed.counts
                    self._put("dropped", entry.node.name, Dropped(entry.node.name, dict(counts.kinds), counts.newest))
            if problem is not None and self._links is not None:
                self._links.restart(entry.node.name, problem)
        self._wake()

    def _judge(self, entry: _NodeState, now: float) -> Problem | None:
        if not entry.opened:
            return None
        if not entry.feed.is_greeted:
            if now - entry.opened > HELLO_WITHIN_S:
                entry.opened = 0.0
                return _no_hello(entry.node, now - entry.last_line)
            return None
        silent = now - entry.last_line
        if silent > DEAD_AFTER_S:
            entry.opened = 0.0
            problem = _frozen(entry.node, silent)
            self._set_link(entry, LinkState.LOST, problem)
            return problem
        if silent > STALE_AFTER_S and entry.link is LinkState.LIVE:
            self._set_link(entry, LinkState.STALE, entry.problem)
        return None

    def _set_link(self, entry: _NodeState, state: LinkState, problem: Problem | None) -> None:
        if state is entry.link and problem == entry.problem:
            return
        before, entry.link, entry.problem, entry.since = entry.link, state, problem, self._mono()
        self._tell_link(entry)
        if state is not before and (state in _TOLD or before in _TOLD):
            text = (
                problem.what if problem is not None and state is not LinkState.LIVE else f"link is {state.name.lower()}"
            )
            self._event(entry, "", "link", None, "console", text, self._wall())
        self._wake()

    def _tell_link(self, entry: _NodeState) -> None:
        change = LinkChange(entry.node.name, entry.link, entry.problem, entry.since, max(0, entry.reconnects))
        self._note("link", entry.node.name, change)
        self._put("link", entry.node.name, change)

    # What the streams say

    def _line(self, feed: Feed, line: Line, stamp: Stamp) -> None:
        entry = self._nodes.get(feed.name)
        if entry is None:
            return
        if stamp.step_s and not isinstance(line, Hello):
            text = f"the node's clock was stepped by {stamp.step_s:+.1f} s"
            self._event(entry, "", "clock_step", None, "console", text, line.w)
        match line:
            case Hello():
                self._hello(entry, line)
            case Processes():
                found = [_process(p) for p in line.p]
                message = NodeProcesses(feed.name, found, dict(line.q))
                self._note("procs", feed.name, message)
                self._put("procs", feed.name, message)
            case Detail():
                self._note("detail", feed.name, NodeDetail(feed.name, line))
                self._put("detail", feed.name, NodeDetail(feed.name, line))
            case WireEvent():
                self._event(entry, line.uuid, line.kind[:32], line.code, line.source, line.text[:4096], line.at)
            case Bye():
                self._event(entry, "", "agent", None, "agent", f"the agent ended: {line.reason[:300]}", line.w)
            case _:
                return
        self._wake()

    def _hello(self, entry: _NodeState, hello: Hello) -> None:
        if hello.v != WIRE_VERSION:
            entry.feed.counts.add("version", f"wire version {hello.v}; this console reads {WIRE_VERSION}")
        self._compare(entry, hello)
        with self._lock:
            foreign = [e.uuid for e in hello.entities if self._owner.get(e.uuid, entry.node.name) != entry.node.name]
            wanted = [e for e in hello.entities if e.uuid not in foreign and e.parent not in foreign]
            whole = len(wanted) == len(hello.entities)
            entities = hello.entities if whole else []
            uuids = tuple(e.uuid for e in entities)
            known = [
                Entity(e.uuid, entry.node.name, EntityKind(e.kind), e.index, e.name, e.parent, dict(e.facts))
                for e in entities
            ]
            gone = self._still_gone(entry, known)
            place = entry.feed.place
            if place is None or place.uuids != uuids or place.gone != len(gone):
                self._place(entry, uuids, len(gone))
            assert entry.feed.place is not None
            assert entry.place is not None
            entry.feed.adopt(hello, entry.feed.place)
            layout = NodeLayout(
                entry.node.name,
                hello,
                known + gone,
                entry.feed.place.row,
                entry.place,
            )
            self._outbox.put_state("layout", entry.node.name, layout)
        self._note("hello", entry.node.name, layout)
        standing = None if whole else _claimed(entry.node, self._owner.get(foreign[0], "?"), foreign[0])
        self._set_link(entry, LinkState.LIVE, standing)
        self._send_focus(entry)

    def _still_gone(self, entry: _NodeState, known: list[Entity]) -> list[Entity]:
        """Cards this node reported once and nobody reports now: they keep a row, or a lost card would leave the map."""
        now = {e.uuid for e in known}
        for uuid in list(entry.gone):
            if uuid in now or self._owner.get(uuid, entry.node.name) != entry.node.name:
                del entry.gone[uuid]
        return list(entry.gone.values())

    def forget_gone(self, name: str) -> None:
        """Take the cards that a node reports no more off the screen at its next hello; unknown names are ignored."""
        entry = self._nodes.get(name)
        if entry is not None:
            with entry.lock:
                entry.gone.clear()

    def _place(self, entry: _NodeState, uuids: tuple[str, ...], gone: int) -> None:
        now = self._mono()
        self._release(entry)
        row, grown = self._storage.take_rows(len(uuids) + gone, now)
        if grown:
            self._outbox.put_state("board", "", self._storage.board_place)
        entry.place, block = self._storage.take_block(len(uuids) + gone, now)
        entry.feed.place = Place(entry.slot, row, uuids, block, gone)
        self._storage.board.lose_entities(row + len(uuids), gone, now)
        for uuid in uuids:
            self._owner[uuid] = entry.node.name

    def _release(self, entry: _NodeState) -> None:
        place = entry.feed.place
        if place is None:
            return
        now = self._mono()
        self._storage.free_rows(place.row, len(place.uuids) + place.gone, now)
        if entry.place is not None:
            self._storage.free_block(entry.place, now)
        for uuid in place.uuids:
            if self._owner.get(uuid) == entry.node.name:
                del self._owner[uuid]
        entry.feed.place = None
        entry.place = None

    def _compare(self, entry: _NodeState, hello: Hello) -> None:
        """Events for what changed between two hellos of one node."""
        before = entry.feed.hello
        if before is None:
            return
        if before.boot_id and hello.boot_id and before.boot_id != hello.boot_id:
            self._event(entry, "", "reboot", None, "console", "the node was rebooted", hello.w)
        found = {e.uuid for e in hello.entities}
        for card in before.entities:
            if card.kind == "card" and card.uuid not in found:
                name = entry.node.name
                entry.gone[card.uuid] = Entity(
                    card.uuid, name, EntityKind.CARD, card.index, card.name, "", dict(card.facts)
                )
                if hello.mode != "nvml":  # the driver went: its own event says so
                    continue
                text = f"card {card.index} ({card.name}) is no longer reported by the node"
                self._event(entry, card.uuid, "card_lost", None, "console", text, hello.w)
        old, new = before.versions.get("driver", ""), hello.versions.get("driver", "")
        if old and new and old != new:
            self._event(entry, "", "driver", None, "console", f"the driver changed from {old} to {new}", hello.w)

    def _event(
        self, entry: _NodeState, uuid: str, kind: str, code: int | None, source: str, text: str, at: float
    ) -> None:
        event = NodeEvent(entry.node.name, uuid, at, self._wall(), kind, code, source, text)
        if self._tape is not None:
            self._tape.happened(event)
        with self._lock:
            self._outbox.put_event(Happened(event, self._outbox.lost))

    def tell(self, event: NodeEvent) -> None:
        """Tell the window of an event that somebody else found (a recorder's counters)."""
        with self._lock:
            self._outbox.put_event(Happened(event, self._outbox.lost))
        self._wake()

    def answer(self, message: Answered) -> None:
        """Hand the answer to a question on."""
        with self._lock:
            self._outbox.put_state("answered", str(message.id), message)
        self._wake()

    def announce(self, message: Message) -> None:
        """Tell the window something of the whole collector; of each kind only the newest counts."""
        self._put(type(message).__name__, "", message)
        self._wake()

    def _note(self, kind: str, node: str, message: Message) -> None:
        if self._tape is not None:
            self._tape.stated(node, kind, pack_json(message))

    def _put(self, kind: str, name: str, message: Message) -> None:
        with self._lock:
            self._outbox.put_state(kind, name, message)

    def take(self) -> list[Message]:
        """All messages since the last call, in an order in which a reader can apply them."""
        with self._lock:
            return self._outbox.take()


_TOLD = (LinkState.LIVE, LinkState.STALE, LinkState.LOST)


def _is_standing(problem: Problem | None) -> bool:
    """A problem that a live link does not end."""
    return problem is not None and problem.code is ProblemCode.CONFIG


def _process(p: WireProcess) -> GpuProcess:
    return GpuProcess(
        p.uuid, p.pid, p.kind, p.memory, p.user, p.command, p.started, p.container, p.slurm_job, p.pod, p.util
    )


def _frozen(node: Node, silent: float) -> Problem:
    return Problem(
        ProblemCode.FROZEN,
        f"{node.name} stopped answering {silent:.0f} s ago",
        "the connection is open but nothing arrives: the node may be hung, suspended or cut off",
        "reconnecting by itself; if it stays so, look at the node's console or BMC",
    )


def _no_hello(node: Node, silent: float) -> Problem:
    return Problem(
        ProblemCode.AGENT,
        f"the agent on {node.name} did not start within {HELLO_WITHIN_S:.0f} s",
        f"python3 was started but sent nothing for {silent:.0f} s: a slow login shell, a slow disk or a hung driver",
        f"run: cardkeeper fleet check {node.name}",
    )


def _claimed(node: Node, other: str, uuid: str) -> Problem:
    return Problem(
        ProblemCode.CONFIG,
        f"{node.name} reports card {uuid}, which {other} reports too",
        "one host is listed under two names, or a node sends another node's identity",
        f"remove one of {node.name} and {other} from the fleet file",
        needs_person=True,
    )
