"""What would happen, to whom, and a digest of everything it rests on. Pure: nothing is asked and nothing is changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from console.operations.scheduler import Place, Scheduler, SchedulerState
from console.operations.states import NODE, Book, Entry, Health, Refusal, Use

MOST_NODES = 25
"""More nodes than this in one command are refused: a wider act is several deliberate ones."""

MOST_DESTROYED = 5
"""Reset, reboot and force on more nodes than this want two persons, which this version cannot record."""


@dataclass(frozen=True, slots=True)
class Work:
    """A process on a card."""

    pid: int
    user: str
    command: str
    job: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """What is known of one target when a plan is made.

    Attributes:
        label: for a person: "gpu01 / 3".
        uuids: the cards behind it: one, or all of a node.
        age_s: of the newest readings; None: there are none.
        is_stale: older than three of its periods, or the node is not connected.
        group: what a mass act is measured by: the region, or the fleet.
        place: where its scheduler is asked, None for a node without one; `scheduler` is its plugin.
        seen: the node as its scheduler sees it; None: not asked, or `trouble` says why not.
    """

    node: str
    target: str
    label: str
    uuids: tuple[str, ...]
    book: Book
    work: tuple[Work, ...] = ()
    health: Health = Health.UNKNOWN
    age_s: float | None = None
    is_stale: bool = False
    group: str = ""
    group_cards: int = 0
    place: Place | None = None
    scheduler: Scheduler | None = None
    seen: SchedulerState | None = None
    trouble: str = ""

    @property
    def entry(self) -> Entry:
        """The book's entry of the target."""
        return self.book.entry(self.target)

    @property
    def use(self) -> Use:
        """Who has it, and whether those who run on it are they."""
        if self.is_stale:
            return Use.UNKNOWN
        assignment = self.entry.assignment
        if assignment is None:
            gives = any(e.assignment is not None for e in self.book.entries.values())
            return Use.FREE if not self.work else Use.SQUATTED if gives else Use.IN_USE
        if not self.work:
            return Use.ASSIGNED
        if assignment.users and any(w.user not in assignment.users for w in self.work):
            return Use.SQUATTED
        return Use.IN_USE


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for.

    Attributes:
        verb: one of console.operations.verbs.VERBS.
        op: id of the operation that shall do it.
        lifts: for "undrain" and "return": the operation whose holds are lifted; "" lifts every hold of `by`.
        until, now: unix seconds.
        enforce: also block through the driver, the device files and the scheduler where this login may.
        mode: for "compute-mode".
        pid, started: for "kill": the process and its start time in clock ticks since boot.
        passed: for "return": {target: "" or what failed}; a target that is not in it was not verified.
        takes_from: the session whose operation is gone on with.
        on_deadline: "force" lets what still runs at the deadline be ended; it is approved by confirming the plan.
    """

    verb: str
    op: str
    session: str
    by: str
    reason: str
    now: float
    tenant: str = ""
    users: tuple[str, ...] = ()
    until: float | None = None
    lifts: str = ""
    force: bool = False
    acknowledged: bool = False
    enforce: bool = True
    mode: str = ""
    pid: int = 0
    started: int = 0
    passed: dict[str, str] | None = None
    takes_from: str = ""
    deadline_s: float | None = None
    on_deadline: str = "wait"


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that is done to a node beside its card book.

    Attributes:
        kind: "prove", "mode", "devices", "exec", "kill", "reset", "reboot".
        text: the command, for a person.
        via: the node that is asked; `request` what it is asked.
        check: what must be seen afterwards; see console.operations.steps.
        is_first: before the book is changed; the others follow it.
    """

    kind: str
    text: str
    via: str
    request: dict[str, Any]
    check: dict[str, Any]
    is_first: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One target's part of a plan: entries of the book before and after, what is done beside it, what that blocks."""

    view: View
    entries: tuple[tuple[Entry, Entry], ...]
    actions: tuple[Action, ...]
    effect: str
    notes: tuple[str, ...] = ()

    @property
    def before(self) -> Entry:
        """The target's entry now."""
        return self.view.entry

    @property
    def after(self) -> Entry:
        """The target's entry afterwards."""
        return next((a for b, a in self.entries if b.target == self.view.target), self.before)

    @property
    def commands(self) -> tuple[str, ...]:
        """Everything that is done, in order, for a person."""
        book = [
            f"card book {self.view.book.folder or '(new)'}: {_name(self.view.node, b.target)}: {_told(b, a)}"
            for b, a in self.entries
        ]
        first = [a.text for a in self.actions if a.is_first]
        return (*first, *book, *(a.text for a in self.actions if not a.is_first))


def _name(node: str, target: str) -> str:
    return node if target == NODE else target


def _told(before: Entry, after: Entry) -> str:
    parts = []
    if before.admin is not after.admin:
        parts.append(f"{before.admin} -> {after.admin}")
    gone = [h for h in before.holds if h not in after.holds]
    come = [h for h in after.holds if h not in before.holds]
    parts += [f"- hold of {h.owner}" for h in gone] + [f"+ hold of {h.owner}" for h in come]
    if before.assignment != after.assignment:
        parts.append("assigned to nobody" if after.assignment is None else f"assigned to {after.assignment.tenant}")
    if before.cleared != after.cleared:
        parts.append("marked healthy")
    return ", ".join(parts) or "noted"


@dataclass(frozen=True, slots=True)
class Pool:
    """The other cards of these models that are read now and in service, as far as is known: `free` of `seen` run nothing."""

    free: int
    seen: int
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that would happen.

    Attributes:
        refused: (label, why) of targets that are left out.
        warnings: what the person must know first.
        left: what is left in the pool, in words.
        digest: of what the plan saw of what it changes; another digest later means: plan again.
    """

    asked: Asked
    changes: tuple[Change, ...]
    refused: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = field(default=())
    left: str = ""
    digest: str = ""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes it touches, in order."""
        return tuple(dict.fromkeys(c.view.node for c in self.changes))

    @property
    def blast(self) -> dict[str, int]:
        """How many nodes, cards, processes, jobs and tenants are touched."""
        cards = {u for c in self.changes for u in c.view.uuids}
        work = {(c.view.node, w.pid) for c in self.changes for w in c.view.work}
        jobs = {j.id for c in self.changes if c.view.seen is not None for j in c.view.seen.jobs}
        return {
            "nodes": len(self.nodes), "cards": len(cards), "processes": len(work), "jobs": len(jobs),
            "tenants": len(self.tenants),
        }  # fmt: skip

    @property
    def tenants(self) -> tuple[str, ...]:
        """Whose cards are touched."""
        return tuple(sorted({a.tenant for c in self.changes if (a := c.before.assignment) is not None}))

    @property
    def word(self) -> str:
        """What a person must type to confirm: it grows with what is at stake. "" where nothing would be done."""
        if not self.changes:
            return ""
        name = self.nodes[0] if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        force = self.asked.force or self.asked.on_deadline == "force"
        if self.asked.verb in DESTRUCTIVE or force:
            return f"{'force' if force else self.asked.verb} {name}"
        return name


DESTRUCTIVE = ("kill", "reset", "reboot")
"""What cannot be undone, and is never sent twice without a proof that it was not done."""


def make(
    asked: Asked, views: Sequence[View], pool: Pool | None = None, unknown: Sequence[tuple[str, str]] = ()
) -> Plan:
    """The plan for `views`.

    Args:
        pool: what else there is in the fleet.
        unknown: (label, why) of targets of which nothing may be said; they are left out.
    """
    from console.operations.verbs import change

    changes: list[Change] = []
    refused: list[tuple[str, str]] = list(unknown)
    text = too_many(asked, {v.node for v in views})
    if text:
        return refusal(asked, [(v.label, text) for v in views])
    whole = {v.node for v in views if v.target == NODE}
    for view in views:
        try:
            if view.target != NODE and view.node in whole:
                raise Refusal(f"{view.node} is named as a whole, too: name the node or its cards")
            changes.append(change(asked, view))
        except Refusal as exc:
            refused.append((view.label, str(exc)))
    plan = Plan(asked, tuple(changes), tuple(refused))
    return _with_digest(replace(plan, warnings=tuple(_warnings(plan)), left=_left(plan, pool)))


def too_many(asked: Asked, nodes: Collection[str]) -> str:
    """Why one command may not touch so many nodes, or ""."""
    most = MOST_DESTROYED if asked.verb in DESTRUCTIVE or asked.on_deadline == "force" else MOST_NODES
    if len(nodes) <= most:
        return ""
    why = "act in several deliberate steps" if most == MOST_NODES else "more would want a second person's approval"
    return f"{len(nodes)} nodes in one command; at most {most}: {why}"


def refusal(asked: Asked, refused: Sequence[tuple[str, str]]) -> Plan:
    """A plan in which nothing may be done: (label, why) of every target."""
    return _with_digest(Plan(asked, (), tuple(refused)))


def _warnings(plan: Plan) -> Iterable[str]:
    blast, verb = plan.blast, plan.asked.verb
    if blast["processes"] and verb == "drain":
        users = sorted({w.user or "?" for c in plan.changes for w in c.view.work})
        end = "they go on until they end"
        if plan.asked.on_deadline == "force" and plan.asked.deadline_s is not None:
            end = f"what still runs after {plan.asked.deadline_s / 60:.0f} minutes is ended (SIGTERM)"
        yield f"{blast['processes']} processes of {', '.join(users[:8])} run there now; {end}"
    if blast["jobs"]:
        jobs = sorted({f"{j.id} ({j.user})" for c in plan.changes if c.view.seen is not None for j in c.view.seen.jobs})
        yield f"{blast['jobs']} jobs of the scheduler: {', '.join(jobs[:8])}"
    if plan.tenants and verb not in ("assign", "verify"):
        yield f"assigned to {', '.join(plan.tenants[:8])}; what that is worth is not known: there is no ledger"
    if any(not c.view.book.is_shared for c in plan.changes):
        yield "advisory only: the card book lies in this login's own folder, so other consoles cannot see this hold"
    yield from dict.fromkeys(n for c in plan.changes for n in c.notes)


def _left(plan: Plan, pool: Pool | None) -> str:
    if pool is None:
        return ""
    return (
        f"left in the pool: {pool.free} of the {pool.seen} other cards of this kind ({', '.join(pool.models)}) that are "
        f"seen now run nothing"
    )


def _with_digest(plan: Plan) -> Plan:
    asked = plan.asked
    saw: list[Any] = [
        asked.verb, asked.by, asked.reason, asked.tenant, asked.until is None, asked.lifts, asked.force, asked.mode, asked.pid,
        asked.started, asked.on_deadline,
    ]  # fmt: skip
    for one in plan.changes:
        view = one.view
        saw.append([
            view.node, view.target, view.entry.gen, str(view.entry.admin), sorted(view.uuids), str(view.health),
            sorted(w.pid for w in view.work), view.book.boot_id, view.book.is_shared, view.book.can_enforce,
            sorted(h.op for h in view.entry.holds), view.book.entry(NODE).gen,
            None if view.seen is None else [view.seen.text, view.seen.reason, sorted(j.id for j in view.seen.jobs)],
        ])  # fmt: skip
    return replace(plan, digest=hashlib.sha256(json.dumps(saw).encode()).hexdigest())
