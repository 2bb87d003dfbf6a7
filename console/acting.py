"""Commands that act on nodes: drain, undrain, assign, release; and the holds that stand there."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from console.app import Console, ConsoleError
from console.fleet.metrics import Tier
from console.fleet.state import LinkState
from console.history.when import parse_end, parse_span
from console.operate import Operations
from console.operations.door import Declined, NotSent, Unsure
from console.operations.journal import Journal, JournalError, Operation, OpState
from console.operations.plan import Plan
from console.operations.states import NODE, Refusal
from console.registry import Danger, registry
from console.telemetry.live import LiveFleet

ON_DEADLINE = ("wait", "ask", "force")
READY_S, PATIENCE_S, LATE_S = 20.0, 3.0, 8.0


def seconds_of(text: str, name: str) -> float:
    """The seconds of a span like 30m.

    Raises:
        ConsoleError: it is none.
    """
    try:
        return parse_span(text)
    except ValueError as exc:
        raise ConsoleError(f"--{name}: {exc}") from exc


def _until(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        at = parse_end(text, datetime.now().astimezone())
    except ValueError as exc:
        raise ConsoleError(f"--until: {exc}, or a span like 8h") from exc
    if at <= time.time():
        raise ConsoleError(f"--until {text} is past")
    return at


def _ready(operations: Operations, words: list[str]) -> None:
    """Wait until the nodes were read once, processes included; for those that are not named, not longer than PATIENCE_S.

    A node that hangs must not keep a person from acting on another one.
    """
    live = operations.live
    begun = time.monotonic()
    while time.monotonic() - begun < READY_S:
        live.pump()
        missing = _unread(live)
        named = _named(live, words)
        waited = time.monotonic() - begun
        is_enough = waited > PATIENCE_S and named is not None and not named & missing
        is_late = waited > LATE_S and not words
        if live.nodes and (not missing or is_enough or is_late):
            return
        time.sleep(0.1)


def _unread(live: LiveFleet) -> set[str]:
    """Nodes of which something may still come."""
    medium = {e.node_index for e, t in zip(live.entities, live.sample_times(Tier.MEDIUM), strict=True) if t > 0.0}
    with_cards = {e.node_index for e in live.entities}
    return {
        n.node.name
        for n in live.nodes
        if (n.link is not LinkState.LIVE and n.problem is None)
        or (n.link is LinkState.LIVE and n.index in with_cards and n.index not in medium)
    }


def _named(live: LiveFleet, words: list[str]) -> set[str] | None:
    """The nodes that `words` name, None where one is no name of a node or card that is known yet."""
    found = set()
    for word in words:
        row = live.entity(word)
        if row is None and live.node(word) is None:
            return None
        found.add(word if row is None else row.entity.node)
    return found or None


def open_operations(console: Console, words: list[str]) -> Operations:
    """Operations over a started console, once the nodes that `words` name were read.

    Raises:
        ConsoleError: the journal cannot be had.
    """
    try:
        operations = Operations(console.live, console.config.history_folder)
    except JournalError as exc:
        raise ConsoleError(str(exc)) from exc
    try:
        _ready(operations, words)
    except BaseException:
        operations.close()
        raise
    return operations


def told_plan(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "verb": plan.asked.verb,
        "reason": plan.asked.reason,
        "by": plan.asked.by,
        "digest": plan.digest,
        "blast": plan.blast,
        "money": None,
        "confirm": plan.word,
        "warnings": list(plan.warnings),
        "left": plan.left,
        "refused": [{"target": label, "why": why} for label, why in plan.refused],
        "targets": [
            {
                "target": c.view.label, "node": c.view.node, "card": None if c.view.target == NODE else c.view.target,
                "before": str(c.before.admin), "after": str(c.after.admin), "use": str(c.view.use),
                "health": str(c.view.health),
                "tenant": c.before.assignment.tenant if c.before.assignment is not None else None,
                "processes": [
                    {"pid": w.pid, "user": w.user, "command": w.command, "job": w.job} for w in c.view.work
                ],
                "commands": list(c.commands), "effect": c.effect, "notes": list(c.notes),
                "scheduler": None if c.view.seen is None else {
                    "name": c.view.place.scheduler if c.view.place is not None else "", "state": c.view.seen.text,
                    "reason": c.view.seen.reason,
                    "jobs": [{"id": j.id, "user": j.user, "account": j.account, "cards": j.cards} for j in
                             c.view.seen.jobs],
                },
            }
            for c in plan.changes
        ],
    }  # fmt: skip


def told_operation(operation: Operation, journal: Journal) -> dict[str, Any]:
    """An operation with its steps as JSON."""
    return {
        "id": operation.id,
        "verb": operation.verb,
        "state": str(operation.state),
        "by": operation.by,
        "reason": operation.reason,
        "made": operation.made_at,
        "changed": operation.changed_at,
        "targets": {n: list(t) for n, t in operation.targets.items()},
        "params": operation.params,
        "steps": [
            {"n": s.n, "node": s.node, "verb": s.verb, "state": str(s.state), "evidence": s.evidence, "at": s.at}
            for s in journal.steps(operation.id)
        ],
    }


def act(
    console: Console, verb: str, words: list[str], reason: str, plan: bool, yes: bool, digest: str | None, **more: Any
) -> dict[str, Any]:
    """Plan, and carry out where `yes` says so. Without it the answer names the word that confirms.

    With `digest`, of a plan that somebody looked at, nothing is done where things have changed since.
    """
    if not reason.strip():
        raise ConsoleError("--reason: say why, for whoever comes next")
    operations = open_operations(console, words)
    try:
        asked = operations.asked(verb, reason.strip(), **more)
        made = operations.plan(asked, words)
        if plan or not yes or not made.changes:
            if not plan and not made.changes:
                raise ConsoleError("nothing can be done: " + "; ".join(f"{t}: {why}" for t, why in made.refused))
            return {"plan": told_plan(made), "done": False, "confirm": None if plan else made.word}
        if digest is not None and digest != made.digest:
            raise ConsoleError("things have changed since that plan was made; look at a new one: add --plan")
        operation = operations.carry_out(made)
        waiting = ""
        if asked.deadline_s is not None and operation.state is OpState.WAITING:
            waiting = operations.wait(operation, asked.deadline_s, asked.on_deadline)
        found = told_operation(operations.journal.operation(operation.id), operations.journal)
        if operation.state in (OpState.FAILED, OpState.PARTIAL, OpState.AMBIGUOUS):
            why = "; ".join(s["evidence"] for s in found["steps"] if s["state"] in ("failed", "ambiguous"))
            raise ConsoleError(
                f"{verb} {operation.state}: {why or 'see its steps'}\nnext: cardkeeper operations show {operation.id}"
            )
        return {"plan": told_plan(made), "done": True, "operation": found, "waiting": waiting or None}
    except (Refusal, JournalError, NotSent, Unsure, Declined) as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        operations.close()


@registry.command("drain", "Drain cards or nodes", danger=Danger.NODE, connects=True)
def drain(
    console: Console,
    targets: list[str],
    *,
    reason: str,
    until: str | None = None,
    deadline: str | None = None,
    on_deadline: str = "wait",
    advisory: bool = False,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Let the running work end and take no new: a hold in the node's card book, and a block where this login may.

    Without --deadline it returns as soon as the hold is in force; `operations resume` proves later that the work is over.

    Args:
        targets: nodes, card UUIDs, or filters
        reason: why; the next person reads it
        until: the hold expires then (8h, or a time)
        deadline: wait so long for the work to end, like 30m
        on_deadline: wait; ask; or force, which ends what still runs then, and is approved by confirming
        advisory: write the hold, block nothing
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    if on_deadline not in ON_DEADLINE:
        raise ConsoleError(f"--on-deadline is one of {', '.join(ON_DEADLINE)}")
    if on_deadline == "force" and deadline is None:
        raise ConsoleError("--on-deadline force needs a --deadline")
    patience = None if deadline is None else seconds_of(deadline, "deadline")
    return act(
        console, "drain", targets, reason, plan, yes, digest, until=_until(until), enforce=not advisory, deadline_s=patience,
        on_deadline=on_deadline,
    )  # fmt: skip


@registry.command("undrain", "Put back into service", danger=Danger.NODE, connects=True)
def undrain(
    console: Console,
    targets: list[str],
    *,
    reason: str,
    operation: str | None = None,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Lift your own holds, or those of one operation. Others' holds are never lifted.

    Args:
        targets: nodes, card UUIDs, or filters
        reason: why
        operation: lift only the holds of this operation
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "undrain", targets, reason, plan, yes, digest, lifts=operation or "")


@registry.command("assign", "Give cards to a tenant", danger=Danger.NODE, connects=True)
def assign(
    console: Console,
    targets: list[str],
    *,
    tenant: str,
    reason: str,
    until: str | None = None,
    user: list[str] | None = None,
    acknowledge: bool = False,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Record in the nodes' card books that free cards in service are a tenant's. Two consoles cannot both do it.

    Args:
        targets: nodes, card UUIDs, or filters
        tenant: whose they are from now on
        reason: why
        until: for how long (60d, or a time)
        user: a login that may run there; others are then told as squatters
        acknowledge: give away cards that are not well, too
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(
        console, "assign", targets, reason, plan, yes, digest, tenant=tenant.strip(), until=_until(until),
        users=tuple(user or ()), acknowledged=acknowledge,
    )  # fmt: skip


@registry.command("release", "Take cards back from their tenant", danger=Danger.NODE, connects=True)
def release(
    console: Console,
    targets: list[str],
    *,
    reason: str,
    force: bool = False,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """End the assignment of cards that nobody uses.

    Args:
        targets: nodes, card UUIDs, or filters
        reason: why
        force: although processes run there, which go on
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "release", targets, reason, plan, yes, digest, force=force)
