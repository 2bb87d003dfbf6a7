"""Carrying a plan out: node by node behind a canary, stopping at the first failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from console.operations import machine
from console.operations.door import Declined, NotSent, Unsure
from console.operations.fanout import batches, breaker_text
from console.operations.journal import OPEN, Journal, Operation, OpState, StepState
from console.operations.plan import Change, Plan
from console.operations.scheduler import Place
from console.operations.states import NODE, Admin, Entry, Refusal
from console.operations.steps import MODES, Steps

FAILURES = (NotSent, Unsure, Declined, Refusal, ValueError)
BREAKS = ("drain", "maintenance-begin", "reset", "reboot")
"""Verbs that take capacity away, and so count for the breaker."""


class Executor:
    """Carries plans out. One at a time a thread; blocks."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.journal: Journal = steps.journal

    def run(self, plan: Plan, fresh: Plan) -> Operation:
        """Carry `plan` out, if `fresh` (made a moment ago) saw the same.

        Raises:
            Refusal: it did not, a guard says no, or there is nothing to do.
            JournalError: nothing may be done because it cannot be written down.
        """
        if not plan.changes:
            raise Refusal("; ".join(f"{label}: {why}" for label, why in plan.refused) or "there is nothing to do")
        if fresh.digest != plan.digest:
            raise Refusal(
                "things have changed since this was planned; look at the new plan: " + _difference(plan, fresh)
            )
        self._need_breaker(fresh)
        operation = self._begin(fresh)
        return self.conclude(operation, self._fan_out(fresh))

    def go_on(self, operation: Operation, fresh: Plan) -> Operation:
        """Do what is left of an operation that was interrupted; `fresh` is its plan on what is seen now.

        Raises:
            Refusal: a step of it can neither be seen nor done again.
        """
        failures = self._fan_out(fresh) if fresh.changes else {}
        failures |= {label: why for label, why in fresh.refused}
        return self.conclude(operation, failures)

    def _begin(self, plan: Plan) -> Operation:
        asked = plan.asked
        targets: dict[str, tuple[str, ...]] = {}
        cards: dict[str, list[str]] = {}
        for change in plan.changes:
            targets[change.view.node] = (*targets.get(change.view.node, ()), change.view.target)
            cards.setdefault(change.view.node, []).extend(change.view.uuids)
        params = {
            "tenant": asked.tenant, "users": list(asked.users), "until": asked.until, "lifts": asked.lifts,
            "force": asked.force, "acknowledged": asked.acknowledged, "enforce": asked.enforce, "mode": asked.mode,
            "pid": asked.pid, "started": asked.started, "deadline_s": asked.deadline_s,
            "on_deadline": asked.on_deadline, "group": {c.view.node: c.view.group for c in plan.changes},
            "cards": cards,
        }  # fmt: skip
        operation = Operation(
            asked.op, asked.session, asked.verb, asked.by, asked.reason, params, plan.digest, targets,
            OpState.RUNNING, asked.now, asked.now,
        )  # fmt: skip
        self.journal.begin(operation, {
            "verb": asked.verb, "reason": asked.reason, "targets": {n: list(t) for n, t in targets.items()},
            "digest": plan.digest, "commands": {c.view.label: list(c.commands) for c in plan.changes},
            "blast": plan.blast, "confirmed": plan.word,
        })  # fmt: skip
        return operation

    def _need_breaker(self, plan: Plan) -> None:
        if plan.asked.verb not in BREAKS:
            return
        groups: dict[str, list[Change]] = {}
        for change in plan.changes:
            groups.setdefault(change.view.group, []).append(change)
        for group, changes in groups.items():
            adding = {u for c in changes for u in c.view.uuids}
            touched = self.journal.cards_touched(group, self.steps.wall(), BREAKS) - adding
            largest = max(len(c.view.uuids) for c in changes)
            text = self.journal.tripped(group) or breaker_text(
                group, len(touched), len(adding), max(c.view.group_cards for c in changes), largest
            )
            if text:
                self.journal.trip(group, text)
                raise Refusal(f"{text}\nnext: look at what happens there, then: cardkeeper operations reset-breaker")

    def _fan_out(self, plan: Plan) -> dict[str, str]:
        """{node: why} of nodes that were not done; stops after the batch in which the first one failed."""
        by_node: dict[str, list[Change]] = {}
        for change in plan.changes:
            by_node.setdefault(change.view.node, []).append(change)
        failures: dict[str, str] = {}
        begun: set[str] = set()
        for batch in batches(tuple(by_node)):
            with ThreadPoolExecutor(max_workers=len(batch), thread_name_prefix="operation") as pool:
                found = list(pool.map(lambda n: self._node(plan, by_node[n]), batch))
            begun |= set(batch)
            failures |= {n: why for n, why in zip(batch, found, strict=True) if why}
            if failures:
                break
        return failures | {n: "not begun: an earlier node failed" for n in by_node if n not in begun}

    def _node(self, plan: Plan, changes: Sequence[Change]) -> str:
        """All steps of one node; why they ended early, or ""."""
        op, book = plan.asked.op, changes[0].view.book
        try:
            if plan.asked.verb == "drain":
                changes = self._with_modes(changes)
            for action in (a for c in changes for a in c.actions if a.is_first):
                self.steps.act(op, book.node, action)
            entries = [pair for c in changes for pair in c.entries]
            if any(a.kind == "prove" for c in changes for a in c.actions):
                now = self.steps.wall()
                entries = [(b, replace(a, proven_at=now)) for b, a in entries]
            if entries:
                self.steps.change_book(op, book, entries, (plan.asked.lifts,))
            for action in (a for c in changes for a in c.actions if not a.is_first):
                self.steps.act(op, book.node, action)
        except FAILURES as exc:
            return str(exc)
        return ""

    def _with_modes(self, changes: Sequence[Change]) -> list[Change]:
        """With each card's compute mode of now kept in the book, so that any console can put it back."""
        uuids = [a.check["uuid"] for c in changes for a in c.actions if a.kind == "mode"]
        if not uuids:
            return list(changes)
        view = changes[0].view
        seen = self.steps.look(view.node, uuids)
        out = []
        for change in changes:
            mine = {a.check["uuid"] for a in change.actions if a.kind == "mode"}
            kept = dict(change.before.modes)
            kept |= {u: MODES[s.mode] for u, s in seen.items() if u in mine and s.mode in MODES and s.mode != 2}
            done = replace(change.after, modes=tuple(sorted(kept.items())), boot_id=view.book.boot_id)
            others = tuple(p for p in change.entries if p[0].target != view.target)
            pairs = (*others, (change.before, done)) if done != change.before else others
            out.append(replace(change, entries=pairs))
        return out

    def conclude(self, operation: Operation, failures: dict[str, str]) -> Operation:
        """Write down how an operation ended."""
        steps = self.journal.steps(operation.id)
        if any(s.state is StepState.AMBIGUOUS for s in steps):
            state = OpState.AMBIGUOUS
        elif failures:
            state = OpState.PARTIAL if any(s.state is StepState.CONFIRMED for s in steps) else OpState.FAILED
        else:
            state = OpState.WAITING if operation.verb == "drain" else OpState.DONE
        if operation.verb in ("undrain", "return") and state is OpState.DONE:
            self._close_lifted(operation)
        about = {"what": str(state), "by": operation.by, "failures": failures}
        self.journal.set_state(operation.id, state, about)
        return self.journal.operation(operation.id)

    def _close_lifted(self, operation: Operation) -> None:
        """Drains whose every hold was lifted by this one wait for nobody any more."""
        lifted = {op for s in self.journal.steps(operation.id) for op in s.request.get("ops", ()) if op != operation.id}
        for other in self.journal.operations((*OPEN, OpState.DONE)):
            within = all(set(t) <= set(operation.targets.get(n, ())) for n, t in other.targets.items())
            if other.verb == "drain" and other.id in lifted and within:
                self.journal.set_state(other.id, OpState.UNDONE, {"what": "lifted", "by": operation.by})

    # Proving that the work is finished

    def prove(
        self,
        operation: Operation,
        uuids_of: Callable[[str, str], Sequence[str]],
        needs_fds: bool = True,
        place_of: Callable[[str], Place | None] = lambda _: None,
    ) -> str:
        """Look whether the work on a drained operation's targets is finished; why not yet, or "" when all are drained.

        Takes SAMPLES looks, APART_S apart, at every node at once.
        """
        waiting = ""
        with ThreadPoolExecutor(max_workers=min(16, max(1, len(operation.targets)))) as pool:
            jobs = [
                pool.submit(self._prove_node, operation, node, targets, uuids_of, needs_fds, place_of(node))
                for node, targets in operation.targets.items()
            ]
            for job in jobs:
                try:
                    waiting = job.result() or waiting
                except FAILURES as exc:
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
        place: Place | None,
    ) -> str:
        uuids = {t: list(uuids_of(node, t)) for t in targets}
        everything = sorted({u for found in uuids.values() for u in found})
        if not everything:
            return f"{node}: no card of it is known; an unreachable node is never idle"
        if place is not None and NODE in targets:
            # Slurm and NVML disagree after "Kill task failed": both must say so.
            seen = self.steps.scheduler_state(place.scheduler, place.via, place.name)
            if not (seen.is_blocked and seen.is_empty):
                jobs = ", ".join(f"{j.id} ({j.user})" for j in seen.jobs[:8])
                return f"{node}: {place.scheduler} says {seen.text}" + (f", jobs {jobs}" if jobs else "")
        found = self.steps.prove(node, everything, needs_fds)
        waiting = next((f"{node} {u}: {f.text}" for u, f in found.items() if f.is_idle is not True), "")
        book = self.steps.read_book(node)
        changed: list[tuple[Entry, Entry]] = []
        for target in targets:
            entry = book.entry(target)
            if entry.hold_of(operation.id) is None or entry.admin is not Admin.DRAINING:
                continue
            if all(found[u].is_idle is True for u in uuids[target]):
                event = machine.ProvenIdle(self.steps.wall(), operation.id, operation.session)
                changed.append((entry, machine.after(entry, event)))
        if changed:
            evidence = {u: f.text for u, f in found.items()}
            self.steps.change_book(operation.id, book, changed, about={"about": "drained", "looks": evidence})
        return waiting


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
        elif before[label].view.seen != after[label].view.seen:
            told.append(f"{label} is another to its scheduler")
    return "; ".join(told[:6]) or "rights or health"
