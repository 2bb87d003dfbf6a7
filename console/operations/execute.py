"""Carrying a plan out: journalled before each step, node by node behind a canary, confirmed only by reading back.

A step is PLANNED before it is sent, SENT while it is on its way, CONFIRMED when the node shows it, FAILED when the node
declined or surely never got it, AMBIGUOUS when nobody knows. An ambiguous step is looked at, never guessed about and,
where sending twice could harm, never sent twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from console.operations import machine
from console.operations.door import Declined, Door, NotSent, Unsure
from console.operations.fanout import Breaker, batches
from console.operations.idle import Seen, proven, seen_of
from console.operations.journal import OPEN, Journal, Operation, OpState, Step, StepState
from console.operations.plan import Change, Plan
from console.operations.states import NODE, Admin, Book, Entry, Refusal, book_of

MODES = {0: "default", 2: "prohibited", 3: "exclusive_process"}
"""NVML's compute modes (nvmlComputeMode_t); 1 is obsolete."""

ASK_S = 30.0
_MODE_NUMBER = {name: number for number, name in MODES.items()}


@dataclass(frozen=True, slots=True)
class Progress:
    """What happened on a node while an operation runs."""

    op: str
    node: str
    state: StepState
    text: str


class Executor:
    """Carries plans out through a door. One at a time a thread; blocks."""

    def __init__(
        self,
        journal: Journal,
        door: Door,
        told: Callable[[Progress], None] = lambda _: None,
        wall: Callable[[], float] = time.time,
        mono: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.journal = journal
        self.door = door
        self.breaker = Breaker(mono)
        self._told = told
        self._wall = wall
        self._mono = mono
        self._sleep = sleep

    def read_book(self, node: str, rights: bool = False) -> Book:
        """The node's card book now.

        Raises:
            NotSent, Unsure, Declined, ValueError: it cannot be had.
        """
        return book_of(node, self.door.ask(node, {"verb": "book.read", "rights": rights}, ASK_S))

    # Carrying out

    def run(self, plan: Plan, fresh: Plan) -> Operation:
        """Carry `plan` out, if `fresh` (made a moment ago) saw the same.

        Raises:
            Refusal: it did not, or there is nothing to do.
            JournalError: nothing may be done because it cannot be written down.
        """
        if not plan.changes:
            raise Refusal("; ".join(f"{label}: {why}" for label, why in plan.refused) or "there is nothing to do")
        if fresh.digest != plan.digest:
            raise Refusal(
                "things have changed since this was planned; look at the new plan: " + _difference(plan, fresh)
            )
        asked = fresh.asked
        targets: dict[str, tuple[str, ...]] = {}
        for change in fresh.changes:
            targets[change.view.node] = (*targets.get(change.view.node, ()), change.view.target)
        params = {
            "tenant": asked.tenant, "users": list(asked.users), "until": asked.until, "lifts": asked.lifts,
            "force": asked.force, "acknowledged": asked.acknowledged, "enforce": asked.enforce,
        }  # fmt: skip
        operation = Operation(
            asked.op, asked.session, asked.verb, asked.by, asked.reason, params, fresh.digest, targets,
            OpState.RUNNING, asked.now, asked.now,
        )  # fmt: skip
        commands = {c.view.label: list(c.commands) for c in fresh.changes}
        self.journal.begin(operation, {
            "verb": asked.verb, "reason": asked.reason, "targets": {n: list(t) for n, t in targets.items()},
            "digest": fresh.digest, "commands": commands, "blast": fresh.blast,
        })  # fmt: skip
        failures = self._fan_out(fresh)
        return self._conclude(operation, failures)

    def _fan_out(self, plan: Plan) -> dict[str, str]:
        """{node: why} of nodes that were not done; stops after the batch in which the first one failed."""
        by_node: dict[str, list[Change]] = {}
        for change in plan.changes:
            by_node.setdefault(change.view.node, []).append(change)
        groups = {c.view.node: c.view.group for c in plan.changes}
        sizes: dict[str, int] = {}
        for group in groups.values():
            sizes[group] = sizes.get(group, 0) + 1
        failures: dict[str, str] = {}
        for batch in batches(tuple(by_node)):
            with ThreadPoolExecutor(max_workers=len(batch), thread_name_prefix="operation") as pool:
                found = list(pool.map(lambda n: self._node(plan, by_node[n]), batch))
            failures |= {n: why for n, why in zip(batch, found, strict=True) if why}
            if failures:
                break
        reached = {s.node for s in self.journal.steps(plan.asked.op)}
        for node in by_node:
            if node not in reached and node not in failures:
                failures[node] = "not begun: an earlier node failed"
        return failures

    def _node(self, plan: Plan, changes: Sequence[Change]) -> str:
        """All steps of one node; why they ended early, or ""."""
        asked, book = plan.asked, changes[0].view.book
        try:
            modes = self._modes(changes) if self._blocks(plan, book) else {}
            done = [replace(c, after=replace(c.after, mode=_kept_mode(c, modes))) for c in changes]
            if asked.verb == "undrain":
                self._restore_modes(asked.op, changes)
            self._change_book(asked.op, asked.lifts, book, done)
            for uuid in modes:
                self._set_mode(asked.op, changes[0].view.node, uuid, "prohibited", modes[uuid])
        except (NotSent, Unsure, Declined, Refusal, ValueError) as exc:
            return str(exc)
        return ""

    @staticmethod
    def _blocks(plan: Plan, book: Book) -> bool:
        return plan.asked.verb == "drain" and plan.asked.enforce and book.can_enforce

    def _modes(self, changes: Sequence[Change]) -> dict[str, str]:
        """The compute mode of each card now, for putting it back."""
        uuids = [u for c in changes for u in c.view.uuids if c.before.mode is None]
        if not uuids:
            return {}
        seen = self._look(changes[0].view.node, uuids)
        return {u: MODES[s.mode] for u, s in seen.items() if s.mode in MODES and s.mode != 2}

    def _restore_modes(self, op: str, changes: Sequence[Change]) -> None:
        for change in changes:
            if change.before.mode is not None and change.after.mode is None:
                ops = [h.op for h in change.before.holds]
                prior = self._prior_modes(ops, change.view.node)
                for uuid in change.view.uuids:
                    mode = prior.get(uuid, change.before.mode)
                    self._set_mode(op, change.view.node, uuid, mode, "prohibited")

    def _prior_modes(self, ops: Sequence[str], node: str) -> dict[str, str]:
        """The compute mode of each card of a node before the first of these operations changed it."""
        found: dict[str, str] = {}
        for op in ops:
            for step in self.journal.steps(op):
                if step.node == node and step.verb == "compute-mode" and step.prior["mode"] != "prohibited":
                    found.setdefault(str(step.prior["uuid"]), str(step.prior["mode"]))
        return found

    # Steps

    def _change_book(self, op: str, lifts: str, book: Book, changes: Sequence[Change]) -> None:
        ours = sorted({op, lifts, *(h.op for c in changes for h in c.before.holds if c.after.hold_of(h.op) is None)})
        request = {
            "verb": "book.change", "ops": [o for o in ours if o],
            "changes": [{"target": c.view.target, "gen": c.before.gen, "entry": c.after.to_json()} for c in changes],
        }  # fmt: skip
        prior = {c.view.target: c.before.to_json() for c in changes}
        step = self.journal.plan_step(op, book.node, "book.change", request, prior)
        self._send(step, {**request, "key": step.key, "head": self.journal.head()})

    def _set_mode(self, op: str, node: str, uuid: str, mode: str, prior: str) -> None:
        request = {"verb": "do", "do": "compute-mode", "uuid": uuid, "mode": mode}
        step = self.journal.plan_step(op, node, "compute-mode", request, {"uuid": uuid, "mode": prior})
        reply = self._send(step, request, confirm=False)
        if reply.get("status") != 0:
            text = f"{node}: the compute mode of {uuid} was not changed: {reply.get('output') or reply.get('status')}"
            self._note(step, StepState.FAILED, text)
            raise Refusal(text)
        # An exit status alone confirms nothing.
        if self._look(node, [uuid])[uuid].mode != _MODE_NUMBER[mode]:
            text = f"{node}: the compute mode of {uuid} does not read back as {mode}"
            self._note(step, StepState.FAILED, text)
            raise Refusal(text)
        self._note(step, StepState.CONFIRMED, f"reads back as {mode}")

    def _send(self, step: Step, request: dict[str, Any], confirm: bool = True) -> dict[str, Any]:
        self.journal.set_step(step, StepState.SENT)
        try:
            reply = self.door.ask(step.node, request, ASK_S)
        except NotSent as exc:
            self._note(step, StepState.FAILED, str(exc))
            raise
        except Declined as exc:
            self._note(step, StepState.FAILED, str(exc))
            raise
        except Unsure as exc:
            self._note(step, StepState.AMBIGUOUS, str(exc))
            if self.settle(step) is not StepState.CONFIRMED:
                raise
            return {}
        if confirm:
            self._note(step, StepState.CONFIRMED, f"generation {reply['book']['generation']}")
        return reply

    def settle(self, step: Step) -> StepState:
        """Look what became of a step of which nobody knows; sends nothing that changes anything."""
        try:
            if step.verb == "book.change":
                is_there = step.key in self.read_book(step.node).applied
            elif step.verb == "compute-mode":
                uuid = str(step.request["uuid"])
                is_there = self._look(step.node, [uuid])[uuid].mode == _MODE_NUMBER[str(step.request["mode"])]
            else:
                return StepState.AMBIGUOUS
        except (NotSent, Unsure, Declined, ValueError):
            return StepState.AMBIGUOUS
        state = StepState.CONFIRMED if is_there else StepState.FAILED
        self._note(step, state, "looked again: it was done" if is_there else "looked again: it was not done")
        return state

    def _note(self, step: Step, state: StepState, text: str) -> None:
        about = {"what": str(state), "verb": step.verb, "evidence": text}
        self.journal.set_step(step, state, text, about)
        self._told(Progress(step.op, step.node, state, text))

    def _conclude(self, operation: Operation, failures: dict[str, str]) -> Operation:
        steps = self.journal.steps(operation.id)
        if any(s.state is StepState.AMBIGUOUS for s in steps):
            state = OpState.AMBIGUOUS
        elif failures:
            state = OpState.PARTIAL if any(s.state is StepState.CONFIRMED for s in steps) else OpState.FAILED
        else:
            state = OpState.WAITING if operation.verb == "drain" else OpState.DONE
        if operation.verb == "undrain" and state is OpState.DONE:
            self._close_lifted(operation)
        about = {"what": str(state), "by": operation.by, "failures": failures}
        self.journal.set_state(operation.id, state, about)
        return self.journal.operation(operation.id)

    def _close_lifted(self, operation: Operation) -> None:
        """Drains whose every hold was lifted by this one wait for nobody any more."""
        lifted = {op for s in self.journal.steps(operation.id) for op in s.request.get("ops", ()) if op != operation.id}
        for other in self.journal.operations(OPEN):
            within = all(set(t) <= set(operation.targets.get(n, ())) for n, t in other.targets.items())
            if other.id in lifted and within:
                self.journal.set_state(other.id, OpState.UNDONE, {"what": "lifted", "by": operation.by})

    # Proving that the work is finished

    def _look(self, node: str, uuids: Sequence[str]) -> dict[str, Seen]:
        reply = self.door.ask(node, {"verb": "idle", "uuids": list(uuids)}, ASK_S)
        at, cards = self._mono(), reply.get("cards")
        found = cards if isinstance(cards, dict) else {}
        return {u: seen_of(found.get(u), at) for u in uuids}

    def prove(self, operation: Operation, uuids_of: Callable[[str, str], Sequence[str]], needs_fds: bool = True) -> str:
        """Look whether the work on a drained operation's targets is finished; why not yet, or "" when all are drained.

        Takes SAMPLES looks, APART_S apart, at every node at once.
        """
        waiting = ""
        with ThreadPoolExecutor(max_workers=min(16, max(1, len(operation.targets)))) as pool:
            jobs = [
                pool.submit(self._prove_node, operation, node, targets, uuids_of, needs_fds)
                for node, targets in operation.targets.items()
            ]
            for job in jobs:
                try:
                    waiting = job.result() or waiting
                except (NotSent, Unsure, Declined, Refusal, ValueError) as exc:
                    waiting = str(exc)
        if not waiting:
            self.journal.set_state(operation.id, OpState.DONE, {"what": "drained", "by": operation.by})
        return waiting

    def _prove_node(
        self,
        operation: Operation,
        node: str,
        targets: Sequence[str],
        uuids_of: Callable[[str, str], Sequence[str]],
        needs_fds: bool,
    ) -> str:
        from console.operations.idle import APART_S, SAMPLES

        uuids = {t: list(uuids_of(node, t)) for t in targets}
        everything = sorted({u for found in uuids.values() for u in found})
        if not everything:
            return f"{node}: no card of it is known; an unreachable node is never idle"
        looks: dict[str, list[Seen]] = {u: [] for u in everything}
        for number in range(SAMPLES):
            if number:
                self._sleep(APART_S + 0.05)
            for uuid, seen in self._look(node, everything).items():
                looks[uuid].append(seen)
        found = {u: proven(looks[u], needs_fds=needs_fds) for u in everything}
        waiting = next((f"{node} {u}: {f.text}" for u, f in found.items() if f.is_idle is not True), "")
        book = self.read_book(node)
        changed = []
        for target in targets:
            entry = book.entry(target)
            if entry.hold_of(operation.id) is None or entry.admin is not Admin.DRAINING:
                continue
            if all(found[u].is_idle is True for u in uuids[target]):
                changed.append((entry, machine.after(entry, machine.ProvenIdle(self._wall()))))
        if changed:
            evidence = {u: f.text for u, f in found.items()}
            self._write_entries(operation.id, node, changed, {"verb": "drained", "looks": evidence})
        return waiting

    def _write_entries(self, op: str, node: str, changed: Sequence[tuple[Entry, Entry]], about: dict[str, Any]) -> None:
        request = {
            "verb": "book.change", "ops": [op],
            "changes": [{"target": b.target, "gen": b.gen, "entry": a.to_json()} for b, a in changed],
        }  # fmt: skip
        prior = {b.target: b.to_json() for b, _ in changed} | {"about": about}
        step = self.journal.plan_step(op, node, "book.change", request, prior)
        self._send(step, {**request, "key": step.key, "head": self.journal.head()})

    # After a crash

    def reconcile(self, operation: Operation) -> OpState:
        """Look at every step that was not finished when somebody stopped; nothing is sent that changes anything."""
        for step in self.journal.steps(operation.id):
            if step.state is StepState.PLANNED:
                self._note(step, StepState.FAILED, "it was never sent")
            elif step.state in (StepState.SENT, StepState.AMBIGUOUS):
                self.settle(step)
        steps = self.journal.steps(operation.id)
        reached = {s.node for s in steps if s.verb == "book.change" and s.state is StepState.CONFIRMED}
        if any(s.state in (StepState.AMBIGUOUS, StepState.SENT) for s in steps):
            state = OpState.AMBIGUOUS
        elif set(operation.targets) - reached:
            state = OpState.PARTIAL if reached else OpState.FAILED
        elif operation.verb == "drain" and operation.state is not OpState.DONE:
            state = OpState.WAITING
        else:
            state = OpState.DONE
        if state is not operation.state:
            self.journal.set_state(operation.id, state, {"what": "reconciled", "state": str(state)})
        return state

    def undo(self, operation: Operation, session: str, by: str) -> dict[str, str]:
        """Put back what an operation changed; {node: why} of nodes where that was not possible."""
        if operation.session != session:
            self.journal.take_over(operation.id, session, by)
        failures: dict[str, str] = {}
        for node, targets in operation.targets.items():
            try:
                self._undo_node(operation, node, targets)
            except (NotSent, Unsure, Declined, Refusal, ValueError) as exc:
                failures[node] = str(exc)
        state = OpState.PARTIAL if failures else OpState.UNDONE
        self.journal.set_state(operation.id, state, {"what": "undone", "by": by, "failures": failures})
        return failures

    def _undo_node(self, operation: Operation, node: str, targets: Sequence[str]) -> None:
        book = self.read_book(node)
        changed = []
        for target in targets:
            entry = book.entry(target)
            after = self._undone(operation, entry)
            if after is None:
                continue
            if entry.mode is not None and after.mode is None:
                prior = self._prior_modes([operation.id], node)
                for uuid in [target] if target != NODE else sorted(prior):
                    self._set_mode(operation.id, node, uuid, prior.get(uuid, entry.mode), "prohibited")
            changed.append((entry, after))
        if changed:
            self._write_entries(operation.id, node, changed, {"verb": "undo"})

    @staticmethod
    def _undone(operation: Operation, entry: Entry) -> Entry | None:
        """The entry without what the operation did; None where there is nothing of it."""
        if operation.verb == "drain":
            hold = entry.hold_of(operation.id)
            return None if hold is None else machine.after(entry, machine.Undrain(hold.op, hold.session))
        if operation.verb == "assign":
            mine = entry.assignment is not None and entry.assignment.op == operation.id
            return replace(entry, assignment=None) if mine else None
        raise Refusal(f"a {operation.verb} cannot be undone: drain or assign again instead")

    def adopt(self, operation_id: str, nodes: Sequence[str], session: str, by: str) -> list[str]:
        """Take over the holds of an operation whose console is gone; returns the targets ("node target")."""
        adopted = []
        for node in nodes:
            book = self.read_book(node)
            changed = []
            for entry in book.entries.values():
                hold = entry.hold_of(operation_id)
                if hold is not None:
                    taken = replace(hold, session=session, owner=by)
                    holds = tuple(taken if h.op == operation_id else h for h in entry.holds)
                    changed.append((entry, replace(entry, holds=holds)))
            if changed:
                self._write_entries(operation_id, node, changed, {"verb": "adopt"})
                adopted += [f"{node} {b.target}" for b, _ in changed]
        return adopted


def _kept_mode(change: Change, modes: dict[str, str]) -> str | None:
    """The mode to put back: of a node's cards the first one's; a card whose mode was unknown gets none."""
    if change.before.mode is not None:
        return change.after.mode if change.after.mode is None else change.before.mode
    return next((modes[u] for u in change.view.uuids if u in modes), None) if change.after.holds else None


def _difference(plan: Plan, fresh: Plan) -> str:
    before = {c.view.label: c for c in plan.changes}
    after = {c.view.label: c for c in fresh.changes}
    told = []
    for label in sorted(before.keys() | after.keys()):
        if label not in after:
            why = dict(fresh.refused).get(label, "it is gone")
            told.append(f"{label}: {why}")
        elif label not in before:
            told.append(f"{label} came")
        elif {w.pid for w in before[label].view.work} != {w.pid for w in after[label].view.work}:
            told.append(f"{label} runs other processes")
        elif before[label].before != after[label].before:
            told.append(f"{label} is another in the card book")
    return "; ".join(told[:6]) or "rights or health"
