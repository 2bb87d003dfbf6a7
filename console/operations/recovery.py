"""After a crash, a lost link or a change of mind: look first, then go on, undo, or take over. Never guess, never send twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from console.operations import machine
from console.operations.execute import FAILURES
from console.operations.journal import Operation, OpState, Step, StepState
from console.operations.plan import DESTRUCTIVE, Action
from console.operations.states import Book, Entry, Refusal
from console.operations.steps import Steps

UNDOABLE = ("drain", "assign", "compute-mode", "mark-healthy")


def reconcile(steps: Steps, operation: Operation) -> OpState:
    """Look at every step that was not finished when somebody stopped; nothing is sent that changes anything."""
    journal = steps.journal
    for step in journal.steps(operation.id):
        if step.state is StepState.PLANNED:
            steps.note(step, StepState.FAILED, "it was never sent")
        elif step.state in (StepState.SENT, StepState.AMBIGUOUS):
            steps.settle(step)
    state = _state(operation, journal.steps(operation.id))
    if state is not operation.state:
        journal.set_state(operation.id, state, {"what": "reconciled", "state": str(state)})
    return state


def _state(operation: Operation, steps: Sequence[Step]) -> OpState:
    if any(s.state in (StepState.AMBIGUOUS, StepState.SENT) for s in steps):
        return OpState.AMBIGUOUS
    if operation.state is not OpState.RUNNING and operation.state is not OpState.AMBIGUOUS:
        return operation.state
    # Whether all of it was done only a fresh plan can tell; until then it counts as done in part.
    return OpState.PARTIAL if any(s.state is StepState.CONFIRMED for s in steps) else OpState.FAILED


def may_go_on(operation: Operation, steps: Sequence[Step]) -> str:
    """Why an operation cannot be gone on with, or "".

    A destructive step is done again only where it was seen that it had not been done.
    """
    if operation.state in (OpState.UNDONE,):
        return "it was undone"
    if operation.verb in DESTRUCTIVE and any(
        s.verb in DESTRUCTIVE and s.state in (StepState.AMBIGUOUS, StepState.CONFIRMED) for s in steps
    ):
        return f"its {operation.verb} may have been done, and is never sent twice: look at the node"
    return ""


def undo(steps: Steps, operation: Operation, session: str, by: str) -> dict[str, str]:
    """Put back what an operation changed; {node: why} of nodes where that was not possible.

    Raises:
        Refusal: it is of a kind that cannot be undone.
    """
    if operation.verb not in UNDOABLE:
        raise Refusal(f"a {operation.verb} cannot be undone: drain, assign or release again instead")
    failures: dict[str, str] = {}
    for node, targets in operation.targets.items():
        try:
            _undo_node(steps, operation, node, targets)
        except FAILURES as exc:
            failures[node] = str(exc)
    state = OpState.PARTIAL if failures else OpState.UNDONE
    steps.journal.set_state(operation.id, state, {"what": "undone", "by": by, "session": session, "failures": failures})
    return failures


def _undo_node(steps: Steps, operation: Operation, node: str, targets: Sequence[str]) -> None:
    book = steps.read_book(node)
    done = [s for s in steps.journal.steps(operation.id) if s.node == node and s.state is StepState.CONFIRMED]
    changed = [pair for t in targets if (pair := _undone(operation, book, book.entry(t))) is not None]
    left = {a.target: a for _, a in changed}
    for step in done:
        action = _inverse(step, operation, left)
        if action is not None:
            steps.act(operation.id, node, action)
    if changed:
        steps.change_book(operation.id, book, changed, about={"about": "undo"})


def _undone(operation: Operation, book: Book, entry: Entry) -> tuple[Entry, Entry] | None:
    """The entry and what it is without what the operation did; None where there is nothing of it."""
    if operation.verb == "drain":
        hold = entry.hold_of(operation.id)
        if hold is None:
            return None
        if hold.owner != operation.by:
            raise Refusal(f"{book.node}: the hold was taken over by {hold.owner}; it is theirs to lift")
        return entry, machine.after(entry, machine.Undrain(hold.op, hold.session))
    if operation.verb == "assign":
        mine = entry.assignment is not None and entry.assignment.op == operation.id
        return (entry, replace(entry, assignment=None, closed=())) if mine else None
    if operation.verb == "mark-healthy" and entry.cleared is not None and entry.cleared.at == operation.made_at:
        return entry, replace(entry, cleared=None)
    return None


def _inverse(step: Step, operation: Operation, left: dict[str, Entry]) -> Action | None:
    """What puts back what a confirmed step did; None where nothing has to be, or others still want it."""
    check = step.prior.get("check") or {}
    via = str(step.prior.get("via") or step.node)
    still_held = any(e.holds for e in left.values())
    if step.verb == "mode" and step.prior.get("mode") and not still_held:
        number = {"default": 0, "prohibited": 2, "exclusive_process": 3}[step.prior["mode"]]
        request = {"verb": "do", "do": "compute-mode", "uuid": check["uuid"], "mode": step.prior["mode"]}
        text = f"cardkeeper-node compute-mode {check['uuid']} {number}"
        return Action("mode", text, via, request, {"uuid": check["uuid"], "mode": number})
    if step.verb == "devices" and check.get("users"):
        request = {"verb": "do", "do": "devices", "uuid": check["uuid"], "users": []}
        return Action("devices", "open the device file to all", via, request, {"uuid": check["uuid"], "users": []})
    if step.verb == "exec" and check.get("see") in ("drained", "reserved") and not still_held:
        opposite = "undrained" if check["see"] == "drained" else "unreserved"
        argv = check["back"]
        return Action("exec", " ".join(argv), via, {"verb": "exec", "calls": [argv]}, {**check, "see": opposite})
    return None


def adopt(steps: Steps, operation_id: str, nodes: Sequence[str], session: str, by: str) -> list[str]:
    """Take over the holds of an operation whose console is gone; returns the targets ("node target")."""
    adopted = []
    for node in nodes:
        book = steps.read_book(node)
        changed = []
        for entry in book.entries.values():
            hold = entry.hold_of(operation_id)
            if hold is not None:
                taken = replace(hold, session=session, owner=by)
                holds = tuple(taken if h.op == operation_id else h for h in entry.holds)
                changed.append((entry, replace(entry, holds=holds)))
        if changed:
            steps.change_book(operation_id, book, changed, about={"about": "adopt"})
            adopted += [f"{node} {b.target}" for b, _ in changed]
    return adopted
