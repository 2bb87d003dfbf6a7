"""What is seen of the targets of operations: words to nodes and cards, live readings to views and facts. Blocks never."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from console.extend import PluginError, scheduler
from console.fleet.condition import Condition
from console.fleet.model import EntityKind, Node
from console.fleet.query import QueryError, parse
from console.fleet.state import LinkState, ReadingState
from console.operations.plan import Pool, View, Work
from console.operations.scheduler import Place, SchedulerState
from console.operations.states import NODE, Admin, Book, Health, Refusal
from console.operations.verification import READ, CardFacts, Expected, NodeFacts, expected_of
from console.rows import Rows
from console.telemetry.live import EntityRow, LiveFleet

_HEALTH = {
    Condition.WELL: Health.OK,
    Condition.NOTICE: Health.OK,
    Condition.WARNING: Health.SUSPECT,
    Condition.CRITICAL: Health.FAULT,
    Condition.UNKNOWN: Health.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a word named: a node as a whole, or one card."""

    node: str
    target: str


def out_of_service(book: Book) -> set[str]:
    """The cards of a book that are out of service, and the node's name where the node as a whole is."""
    gone = [e for e in book.entries.values() if e.admin not in (Admin.IN_SERVICE, Admin.PROBATION)]
    return {book.node if e.target == NODE else e.target for e in gone}


class Sight:
    """Looks at a live fleet. Only where the fleet may be read: the thread that pumps it."""

    def __init__(self, live: LiveFleet, rows: Rows | None = None) -> None:
        self.live = live
        self.rows = rows or Rows(live)
        self._groups: tuple[int, dict[str, tuple[str, int]]] = (-1, {})

    def resolve(self, words: Sequence[str]) -> list[Target]:
        """The targets that words name: node names, card UUIDs, or filters.

        Raises:
            Refusal: a word names nothing.
        """
        self.rows.refresh()
        found: dict[Target, None] = {}
        for word in words:
            for target in self._resolve_one(word):
                found[target] = None
        return list(found)

    def _resolve_one(self, word: str) -> list[Target]:
        if self.live.node(word) is not None:
            return [Target(word, NODE)]
        row = self.live.entity(word)
        if row is not None:
            if row.entity.kind is not EntityKind.CARD:
                raise Refusal(f"{word} is a slice; holds and assignments are of whole cards in this version")
            return [Target(row.entity.node, word)]
        if not any(c in word for c in ":<>=*! "):
            raise Refusal(
                f"{word!r} is neither a node nor a card of this fleet; see: cardkeeper nodes, cardkeeper cards"
            )
        try:
            picked = self.rows.select(parse(word))
        except QueryError as exc:
            raise Refusal(f"{word!r}: {exc}") from exc
        chosen = [self.live.entities[int(r)].entity for r in np.atleast_1d(picked)]
        cards = [Target(e.node, e.uuid) for e in chosen if e.kind is EntityKind.CARD]
        if not cards:
            raise Refusal(f"no card matches {word!r}")
        return cards

    def place(self, name: str) -> Place | None:
        """Where a node's scheduler is asked."""
        found = self.live.node(name)
        node: Node | None = None if found is None else found.node
        if node is None or not node.scheduler:
            return None
        return Place(node.scheduler, node.scheduler_via or name, node.scheduler_name or name)

    def label(self, target: Target) -> str:
        """The target for a person."""
        row = self.live.entity(target.target)
        return target.node if row is None else f"{target.node} / {row.entity.index}"

    def uuids_of(self, node: str, target: str) -> list[str]:
        """The cards behind a target."""
        if target != NODE:
            return [target]
        return [e.entity.uuid for e in self.live.entities_of(node) if e.entity.kind is EntityKind.CARD]

    def group(self, node: str) -> tuple[str, int]:
        """(what mass acts on a node are measured by, how many cards that has)."""
        if self._groups[0] != self.live.version:
            regions = {n.node.name: n.node.region for n in self.live.nodes}
            cards = Counter(regions[e.entity.node] for e in self.live.entities if e.entity.kind is EntityKind.CARD)
            self._groups = self.live.version, {n: (r, cards[r]) for n, r in regions.items()}
        return self._groups[1].get(node, ("", 0))

    def view(self, one: Target, book: Book, seen: SchedulerState | None = None, trouble: str = "") -> View:
        """One target as it is now; `seen` and `trouble`: what its scheduler said of the node."""
        uuids = tuple(self.uuids_of(one.node, one.target))
        slices = {e.entity.uuid for e in self.live.entities_of(one.node) if e.entity.parent in uuids}
        work = tuple(
            Work(p.pid, p.user, p.command[:200], p.slurm_job or p.pod)
            for p in self.live.processes(one.node)
            if p.uuid in uuids or p.uuid in slices
        )
        node = self.live.node(one.node)
        rows = [r for r in (self.live.entity(u) for u in uuids) if r is not None]
        readings = [self.live.reading(r.entity.uuid, "memory_used") for r in rows]
        ages = [r.age_s for r in readings if r.age_s is not None]
        is_live = node is not None and node.link is LinkState.LIVE
        is_stale = not is_live or any(r.state is ReadingState.STALE for r in readings) or not ages
        health = max((self._health(r) for r in rows), key=list(Health).index, default=Health.UNKNOWN)
        group, cards = self.group(one.node)
        place, plugin = self.place(one.node), None
        if place is not None:
            try:
                plugin = scheduler(place.scheduler)
            except PluginError as exc:
                seen, trouble = None, str(exc)
        return View(
            one.node, one.target, self.label(one), uuids, book, work, health, max(ages, default=None), is_stale, group,
            cards, place, plugin, seen, trouble,
        )  # fmt: skip

    def pool(self, targets: Sequence[Target]) -> Pool:
        """The other cards of the targets' models that are read now."""
        self.rows.refresh()
        touched = {u for t in targets for u in self.uuids_of(t.node, t.target)}
        models = {r.entity.name for r in (self.live.entity(u) for u in touched) if r is not None}
        parents = {e.entity.uuid: e.entity.parent or e.entity.uuid for e in self.live.entities}
        busy = {parents.get(p.uuid, p.uuid) for n in self.live.nodes for p in self.live.processes(n.node.name)}
        _, states, _ = self.rows.column("memory_used")
        seen = [
            e.entity.uuid
            for e, state in zip(self.live.entities, states, strict=True)
            if e.entity.kind is EntityKind.CARD and e.entity.name in models and state == ReadingState.FRESH
            and e.entity.uuid not in touched and e.entity.uuid not in self.rows.out
        ]  # fmt: skip
        return Pool(sum(u not in busy for u in seen), len(seen), tuple(sorted(models)))

    def _health(self, row: EntityRow) -> Health:
        if self.live.reading(row.entity.uuid, "memory_used").state is ReadingState.LOST:
            return Health.LOST
        return _HEALTH[self.rows.condition(row.row)]

    # For verification

    def facts(self, node: str, uuids: Sequence[str], since: float = 0.0) -> NodeFacts:
        """What a node shows of these cards, and the XIDs since a unix second."""
        found = self.live.node(node)
        driver = "" if found is None or found.hello is None else found.hello.versions.get("driver", "")
        cards = [self._card(r) for u in uuids if (r := self.live.entity(u)) is not None]
        xids = [
            f"{e.uuid or node}: {e.code}" for e in self.live.events
            if e.node == node and e.kind == "xid" and since and e.received_s >= since
        ]  # fmt: skip
        return NodeFacts(driver, tuple(cards), tuple(xids))

    def _card(self, row: EntityRow) -> CardFacts:
        uuid = row.entity.uuid
        values: dict[str, float | None] = {}
        for metric in READ:
            reading = self.live.reading(uuid, metric)
            if reading.state is ReadingState.FRESH:
                values[metric] = reading.value
            elif reading.state is ReadingState.NOT_SUPPORTED:
                values[metric] = None
        return CardFacts(uuid, str(row.entity.index), row.entity.name, "memory_used" in values, values)

    def expected(self, node: str, target: str) -> Expected:
        """What the cards of the other nodes lead one to expect."""
        others = [
            self.facts(n.node.name, self.uuids_of(n.node.name, NODE))
            for n in self.live.nodes
            if n.node.name != node and n.link is LinkState.LIVE
        ]
        return expected_of(others, 1 if target != NODE else None)
