"""Operations over the running console: what is seen of targets, how nodes are reached, who acts. Blocks; no Qt."""

from __future__ import annotations

import getpass
import socket
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from console.fleet.condition import Condition
from console.fleet.model import EntityKind
from console.fleet.query import QueryError, parse
from console.fleet.state import LinkState, ReadingState
from console.operations.door import Declined, NotSent, Unsure
from console.operations.execute import Executor
from console.operations.journal import Journal
from console.operations.plan import Asked, Plan, View, Work, make
from console.operations.states import NODE, Book, Health, Refusal, book_of
from console.rows import Rows
from console.telemetry.live import EntityRow, LiveFleet
from console.telemetry.messages import Answered

SLACK_S = 15.0
"""Beyond a question's own time: opening its session, and a busy workstation."""

_HEALTH = {
    Condition.WELL: Health.OK,
    Condition.NOTICE: Health.OK,
    Condition.WARNING: Health.SUSPECT,
    Condition.CRITICAL: Health.FAULT,
    Condition.UNKNOWN: Health.UNKNOWN,
}


class LiveDoor:
    """Fulfils console.operations.door.Door over the collector's standing connections."""

    def __init__(self, live: LiveFleet) -> None:
        self._live = live

    def ask(self, node: str, request: dict[str, Any], timeout_s: float = 30.0) -> dict[str, Any]:
        """The node's reply.

        Raises:
            NotSent, Unsure, Declined: there is none, or it says no.
        """
        waiting: Future[Answered] = self._live.ask(node, request, timeout_s)
        try:
            answer = waiting.result(timeout_s + SLACK_S)
        except Late:
            raise Unsure(f"{node}: no answer within {timeout_s:.0f} s") from None
        if answer.reply is None:
            raise (Unsure if answer.was_sent else NotSent)(answer.text)
        try:
            reply = msgspec.json.decode(answer.reply, type=dict[str, Any])
        except msgspec.DecodeError as exc:
            raise Unsure(f"{node}: the answer is not understood: {exc}") from exc
        if reply.get("ok") is not True:
            raise Declined(str(reply.get("code") or "failed")[:40], f"{node}: {str(reply.get('text'))[:400]}")
        return reply


@dataclass(frozen=True, slots=True)
class Target:
    """What a word of the command line named: a node as a whole, or one card."""

    node: str
    target: str


class Operations:
    """Plans and acts on a fleet for one person.

    Attributes:
        session: fencing token of this process: its holds obey only it.
        by: who acts: login@workstation.
    """

    def __init__(self, live: LiveFleet, folder: Path) -> None:
        """Open the journal.

        Raises:
            JournalError: it cannot be written: nothing may be done then.
        """
        self.live = live
        self.journal = Journal(folder)
        self.executor = Executor(self.journal, LiveDoor(live))
        self.session = uuid.uuid4().hex[:12]
        self.by = f"{getpass.getuser()}@{socket.gethostname()}"
        self.rows = Rows(live)

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    # What is seen

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

    def read_books(self, nodes: Sequence[str]) -> dict[str, Book | str]:
        """The card books of nodes, read at once; a text where one cannot be had."""

        def read(node: str) -> Book | str:
            try:
                reply = self.executor.door.ask(node, {"verb": "book.read", "rights": True})
                return book_of(node, reply)
            except (NotSent, Unsure, Declined, ValueError) as exc:
                return str(exc)

        names = list(dict.fromkeys(nodes))
        if not names:
            return {}
        with ThreadPoolExecutor(max_workers=min(16, len(names)), thread_name_prefix="books") as pool:
            return dict(zip(names, pool.map(read, names), strict=True))

    def views(
        self, targets: Sequence[Target], books: dict[str, Book | str]
    ) -> tuple[list[View], list[tuple[str, str]]]:
        """What is known of each target, and (label, why) of those of which nothing may be said."""
        found, unknown = [], []
        for one in targets:
            label = self.label(one)
            book = books.get(one.node, f"{one.node} was not asked")
            if isinstance(book, str):
                unknown.append((label, book))
            else:
                found.append(self._view(one, label, book))
        return found, unknown

    def label(self, target: Target) -> str:
        """The target for a person."""
        row = self.live.entity(target.target)
        return target.node if row is None else f"{target.node} / {row.entity.index}"

    def uuids_of(self, node: str, target: str) -> list[str]:
        """The cards behind a target."""
        if target != NODE:
            return [target]
        return [e.entity.uuid for e in self.live.entities_of(node) if e.entity.kind is EntityKind.CARD]

    def _view(self, one: Target, label: str, book: Book) -> View:
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
        group = "" if node is None else node.node.rack or node.node.region
        health = max((self._health(r) for r in rows), key=list(Health).index, default=Health.UNKNOWN)
        return View(one.node, one.target, label, uuids, book, work, health, max(ages, default=None), is_stale, group)

    def _health(self, row: EntityRow) -> Health:
        if self.live.reading(row.entity.uuid, "memory_used").state is ReadingState.LOST:
            return Health.LOST
        return _HEALTH[self.rows.condition(row.row)]

    # Planning and acting

    def plan(self, asked: Asked, words: Sequence[str]) -> Plan:
        """The plan for what words name, on what is seen now.

        Raises:
            Refusal: a word names nothing.
        """
        targets = self.resolve(words)
        views, unknown = self.views(targets, self.read_books([t.node for t in targets]))
        rest = [
            Target(e.entity.node, e.entity.uuid)
            for e in self.live.entities
            if e.entity.kind is EntityKind.CARD and e.entity.node not in {t.node for t in targets}
        ]
        pool = [self._view(t, self.label(t), Book(t.node, 0)) for t in rest]
        return make(asked, views, pool, unknown)

    def asked(self, verb: str, reason: str, **more: Any) -> Asked:
        """A request of this person in this session."""
        return Asked(verb, uuid.uuid4().hex[:16], self.session, self.by, reason, time.time(), **more)
