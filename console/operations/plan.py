"""What would happen, to whom, and a digest of everything it rests on. Pure: nothing is asked and nothing is changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from console.operations import machine
from console.operations.states import NODE, Admin, Assignment, Book, Entry, Health, Hold, Refusal, Use

MOST_NODES = 25
"""More nodes than this in one command are refused: a wider act is several deliberate ones."""


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
        verb: "drain", "undrain", "assign", "release".
        op: id of the operation that shall do it.
        lifts: for "undrain": the operation whose holds are lifted; "" lifts every hold of `by`.
        until, now: unix seconds.
        enforce: also block new work through the driver where this login may.
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


@dataclass(frozen=True, slots=True)
class Change:
    """One target's part of a plan: its entry before and after, and what that blocks."""

    view: View
    after: Entry
    commands: tuple[str, ...]
    effect: str

    @property
    def before(self) -> Entry:
        """The entry now."""
        return self.view.entry


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that would happen.

    Attributes:
        refused: (label, why) of targets that are left out.
        warnings: what the person must know first.
        digest: of what the plan saw; another digest later means: plan again.
    """

    asked: Asked
    changes: tuple[Change, ...]
    refused: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = field(default=())
    digest: str = ""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes it touches, in order."""
        return tuple(dict.fromkeys(c.view.node for c in self.changes))

    @property
    def blast(self) -> dict[str, int]:
        """How many nodes, cards, processes and tenants are touched."""
        cards = {u for c in self.changes for u in c.view.uuids}
        work = {(c.view.node, w.pid) for c in self.changes for w in c.view.work}
        tenants = {c.before.assignment.tenant for c in self.changes if c.before.assignment is not None}
        return {"nodes": len(self.nodes), "cards": len(cards), "processes": len(work), "tenants": len(tenants)}


def make(
    asked: Asked, views: Sequence[View], pool: Sequence[View] = (), unknown: Sequence[tuple[str, str]] = ()
) -> Plan:
    """The plan for `views`.

    Args:
        pool: everything else in the fleet, for what is left afterwards.
        unknown: (label, why) of targets of which nothing may be said; they are left out.
    """
    changes: list[Change] = []
    refused: list[tuple[str, str]] = list(unknown)
    if len({v.node for v in views}) > MOST_NODES:
        text = f"{len({v.node for v in views})} nodes in one command; at most {MOST_NODES}: act in several deliberate steps"
        return _with_digest(Plan(asked, (), tuple((v.label, text) for v in views)))
    for view in views:
        try:
            changes.append(_change(asked, view))
        except Refusal as exc:
            refused.append((view.label, str(exc)))
    plan = Plan(asked, tuple(changes), tuple(refused))
    return _with_digest(replace(plan, warnings=tuple(_warnings(plan, pool))))


def _change(asked: Asked, view: View) -> Change:
    if view.is_stale:
        raise Refusal(f"{view.node}: its readings are not fresh; look at the connection first")
    before = view.entry
    match asked.verb:
        case "drain":
            hold = Hold(asked.op, asked.by, asked.reason, asked.session, asked.now, asked.until)
            done = machine.after(before, machine.Drain(hold))
        case "undrain":
            done = _lifted(asked, before)
        case "assign":
            _need_free_node(view)
            given = Assignment(asked.tenant, asked.op, asked.now, asked.until, asked.users)
            done = machine.after(before, machine.Assign(given, view.health, asked.acknowledged, asked.now))
            if view.work and not asked.force:
                raise Refusal(f"{len(view.work)} processes run on it; whose they are must be settled first")
        case "release":
            done = machine.after(before, machine.Release(bool(view.work), asked.force))
        case _:
            raise Refusal(f"there is no verb {asked.verb}")
    commands, effect = _enforcement(asked, view, before, done)
    return Change(view, done, commands, effect)


def _need_free_node(view: View) -> None:
    node = view.book.entry(NODE)
    if view.target != NODE and (node.holds or node.admin is not Admin.IN_SERVICE):
        why = node.holds[0].reason if node.holds else str(node.admin)
        raise Refusal(f"{view.node} as a whole is held: {why}")


def _lifted(asked: Asked, before: Entry) -> Entry:
    mine = [h for h in before.holds if h.op == asked.lifts] if asked.lifts else [
        h for h in before.holds if h.owner == asked.by
    ]  # fmt: skip
    if not mine:
        whose = ", ".join(sorted({h.owner for h in before.holds}))
        raise Refusal(f"no hold of yours is on it; it is held by {whose}" if whose else "nothing holds it")
    done = before
    for hold in mine:
        done = machine.after(done, machine.Undrain(hold.op, hold.session))
    return done


def _enforcement(asked: Asked, view: View, before: Entry, done: Entry) -> tuple[tuple[str, ...], str]:
    shown = f"card book {view.book.folder or '(new)'}: {view.target} {before.admin} -> {done.admin}"
    commands = [shown]
    if asked.verb == "drain" and asked.enforce and view.book.can_enforce:
        commands += [f"cardkeeper-node compute-mode {u} 2" for u in view.uuids]
        effect = "new work is refused by the driver (compute mode PROHIBITED); what runs goes on"
    elif asked.verb == "drain":
        effect = "advisory: the card book says so, nothing is blocked by the driver (see: cardkeeper sudoers)"
    elif asked.verb == "undrain" and before.mode is not None and done.mode is None:
        commands += [f"cardkeeper-node compute-mode {u} {before.mode}" for u in view.uuids]
        effect = f"the compute mode goes back to {before.mode}"
    elif asked.verb == "assign":
        effect = "a record, with strangers' processes found; it isolates nobody"
    else:
        effect = "the card book says so"
    if not view.book.is_shared:
        effect += "; other logins cannot see this book"
    return tuple(commands), effect


def _warnings(plan: Plan, pool: Iterable[View]) -> Iterable[str]:
    blast = plan.blast
    if blast["processes"] and plan.asked.verb == "drain":
        users = sorted({w.user or "?" for c in plan.changes for w in c.view.work})
        yield f"{blast['processes']} processes of {', '.join(users[:8])} run there now; they go on until they end"
    tenants = sorted({c.before.assignment.tenant for c in plan.changes if c.before.assignment is not None})
    if tenants and plan.asked.verb in ("drain", "release"):
        yield f"assigned to {', '.join(tenants[:8])}"
    if any(not c.view.book.is_shared for c in plan.changes):
        yield "advisory only: the card book lies in this login's own folder, so other consoles cannot see this hold"
    if plan.asked.verb == "drain":
        touched = {u for c in plan.changes for u in c.view.uuids}
        rest = [v for v in pool if v.target not in touched and not v.is_stale]
        free = sum(v.use is Use.FREE and v.entry.admin is Admin.IN_SERVICE for v in rest)
        yield f"{free} of the {len(rest)} other cards that are seen now are free"


def _with_digest(plan: Plan) -> Plan:
    asked = plan.asked
    saw: list[Any] = [asked.verb, asked.by, asked.reason, asked.tenant, asked.until, asked.lifts, asked.force]
    for change in plan.changes:
        view = change.view
        saw.append([
            view.node, view.target, view.entry.gen, str(view.entry.admin), sorted(view.uuids), str(view.health),
            sorted(w.pid for w in view.work), view.book.boot_id, view.book.is_shared, view.book.can_enforce,
            sorted(h.op for h in view.entry.holds),
        ])  # fmt: skip
    saw.append(sorted(plan.refused))
    return replace(plan, digest=hashlib.sha256(json.dumps(saw).encode()).hexdigest())
