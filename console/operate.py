"""Operations over the running console: how nodes are reached, who acts, and the verbs from plan to outcome. Blocks; no Qt."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from console.app import person
from console.extend import scheduler
from console.operations import recovery
from console.operations.door import Declined, NotSent, Unsure
from console.operations.execute import Executor
from console.operations.journal import Journal, JournalError, Operation, OpState, StepState
from console.operations.plan import Action, Asked, Plan, Pool, View, make, refusal, too_many
from console.operations.scheduler import SchedulerState
from console.operations.states import NODE, Book, Refusal
from console.operations.steps import Progress, Steps
from console.operations.verification import SECONDS, Check, failed, judge
from console.rows import Rows
from console.sight import Sight, Target
from console.telemetry.live import LiveFleet
from console.telemetry.messages import Answered

_log = logging.getLogger(__name__)
T = TypeVar("T")
SLACK_S = 15.0
"""Beyond a question's own time: opening its session, and a busy workstation."""

AGAIN_S = 5.0
FORGETS = ("reset", "reboot")
"""Verbs after which the driver no longer knows what was wrong."""

KEPT_S = 7200.0
ASK_EVIDENCE_S = 170.0
"""Eight commands of 20 s each at most, on a node whose driver may hang."""

LOOK_S, CLOSING_S = 0.2, 5.0
LOOKS = ("book.read", "idle", "devices", "alive", "evidence")
"""Questions that change nothing on a node."""

SCHEDULER_ERRORS = (NotSent, Unsure, Declined, Refusal, ValueError, RuntimeError)


class LiveDoor:
    """Fulfils console.operations.door.Door over the collector's standing connections."""

    def __init__(self, live: LiveFleet, closing: threading.Event | None = None) -> None:
        """`closing`, once set, ends waiting: at once for what only looks, after CLOSING_S for what may have changed
        something, which the next start looks at.
        """
        self._live = live
        self._closing = closing or threading.Event()

    def ask(self, node: str, request: dict[str, Any], timeout_s: float = 30.0) -> dict[str, Any]:
        """The node's reply.

        Raises:
            NotSent, Unsure, Declined: there is none, or it says no.
        """
        waiting: Future[Answered] = self._live.ask(node, request, timeout_s)
        answer = self._answer(waiting, node, timeout_s, 0.0 if request.get("verb") in LOOKS else CLOSING_S)
        if answer.reply is None:
            raise (Unsure if answer.was_sent else NotSent)(answer.text)
        try:
            reply = msgspec.json.decode(answer.reply, type=dict[str, Any])
        except msgspec.DecodeError as exc:
            raise Unsure(f"{node}: the answer is not understood: {exc}") from exc
        if reply.get("ok") is not True:
            raise Declined(str(reply.get("code") or "failed")[:40], f"{node}: {str(reply.get('text'))[:400]}")
        return reply

    def _answer(self, waiting: Future[Answered], node: str, timeout_s: float, patience_s: float) -> Answered:
        end = time.monotonic() + timeout_s + SLACK_S
        while True:
            try:
                return waiting.result(LOOK_S)
            except Late:
                if self._closing.is_set():
                    end = min(end, time.monotonic() + patience_s)
                if time.monotonic() > end:
                    raise Unsure(f"{node}: no answer within {timeout_s:.0f} s") from None


def _here(call: Callable[[], T]) -> T:
    return call()


def _sound(journal: Journal) -> Journal:
    """The journal, unless somebody changed what was written."""
    fault = journal.verify().fault
    if fault:
        journal.close()
        raise JournalError(
            f"{journal.path}: the audit log does not hold together: {fault}. Nothing is done to nodes with it\n"
            f"next: keep it for whoever asks (cardkeeper audit export), then move it away; a new one is begun"
        )
    return journal


class Operations:
    """Plans and acts on a fleet for one person.

    Attributes:
        session: fencing token of this process: its holds obey only it.
        by: who acts: login@workstation.
        sight: what is seen; used only within `on_live`.
    """

    def __init__(
        self,
        live: LiveFleet,
        folder: Path,
        rows: Rows | None = None,
        on_live: Callable[[Callable[[], Any]], Any] = _here,
        told: Callable[[Progress], None] = lambda _: None,
        closing: threading.Event | None = None,
    ) -> None:
        """Open the journal. `on_live` runs a call where the live fleet may be read, and returns what it returned.

        With `closing` somebody else reads what the fleet tells, and ends this by setting it.

        Raises:
            JournalError: it cannot be written, or its audit log was changed: nothing may be done then.
        """
        self.live = live
        self.folder = folder
        self.journal = _sound(Journal(folder))
        self._closing = closing
        self.steps = Steps(self.journal, LiveDoor(live, closing), scheduler, told, sleep=self.pause)
        self.executor = Executor(self.steps)
        self.session = uuid.uuid4().hex[:12]
        self.by = person()
        self.sight = Sight(live, rows)
        self.on_live = on_live

    def close(self) -> None:
        """Close the journal."""
        self.journal.close()

    def asked(self, verb: str, reason: str, **more: Any) -> Asked:
        """A request of this person in this session."""
        return Asked(verb, uuid.uuid4().hex[:16], self.session, self.by, reason, time.time(), **more)

    # Looking

    def read_books(self, nodes: Sequence[str]) -> dict[str, Book | str]:
        """The card books of nodes, read at once; a text where one cannot be had."""

        def read(node: str) -> Book | str:
            try:
                return self.steps.read_book(node, rights=True)
            except (NotSent, Unsure, Declined, ValueError) as exc:
                return str(exc)

        return self._at_once(nodes, read)

    def read_schedulers(self, nodes: Sequence[str]) -> dict[str, SchedulerState | str | None]:
        """What the nodes' schedulers say; None for a node without one, a text where it could not be had."""

        def read(node: str) -> SchedulerState | str | None:
            place = self.on_live(lambda: self.sight.place(node))
            if place is None:
                return None
            try:
                return self.steps.scheduler_state(place.scheduler, place.via, place.name)
            except SCHEDULER_ERRORS as exc:
                return str(exc)

        return self._at_once(nodes, read)

    @staticmethod
    def _at_once(nodes: Sequence[str], read: Callable[[str], T]) -> dict[str, T]:
        names = list(dict.fromkeys(nodes))
        if not names:
            return {}
        with ThreadPoolExecutor(max_workers=min(16, len(names)), thread_name_prefix="books") as pool:
            return dict(zip(names, pool.map(read, names), strict=True))

    def views(self, targets: Sequence[Target]) -> tuple[list[View], list[tuple[str, str]]]:
        """What is known of each target, and (label, why) of those of which nothing may be said."""
        nodes = [t.node for t in targets]
        books = self.read_books(nodes)
        schedulers = self.read_schedulers(nodes)

        def see() -> tuple[list[View], list[tuple[str, str]]]:
            found: list[View] = []
            unknown: list[tuple[str, str]] = []
            for one in targets:
                book, said = books[one.node], schedulers[one.node]
                if isinstance(book, str):
                    unknown.append((self.sight.label(one), book))
                    continue
                seen, trouble = (None, said) if isinstance(said, str) else (said, "")
                found.append(self.sight.view(one, book, seen, trouble))
            return found, unknown

        return self.on_live(see)  # type: ignore[no-any-return]

    def evidence(self, node: str) -> tuple[dict[str, dict[str, Any]], str]:
        """(what a node says of itself: {name: {"command", "status", "text"}}, why it could not, "" otherwise)."""
        try:
            parts = self.steps.door.ask(node, {"verb": "evidence"}, ASK_EVIDENCE_S)["parts"]
            return {str(n): dict(p) for n, p in parts.items()}, ""
        except (NotSent, Unsure, Declined, KeyError, TypeError, ValueError, AttributeError) as exc:
            return {}, str(exc)

    # Planning and acting

    def plan(self, asked: Asked, words: Sequence[str]) -> Plan:
        """The plan for what words name, on what is seen now.

        Raises:
            Refusal: a word names nothing.
        """
        targets = self.on_live(lambda: self.sight.resolve(words))
        if asked.verb == "kill" and not asked.started and targets:
            reply = self.steps.door.ask(targets[0].node, {"verb": "alive", "pids": [asked.pid]})
            asked = replace(asked, started=int(reply["started"].get(str(asked.pid)) or 0))
        return self._plan(asked, targets)

    def _plan(self, asked: Asked, targets: Sequence[Target]) -> Plan:
        text = too_many(asked, {t.node for t in targets})
        if text:
            return refusal(asked, self.on_live(lambda: [(self.sight.label(t), text) for t in targets]))
        views, unknown = self.views(targets)
        pool: Pool | None = None
        if asked.verb in ("drain", "assign"):
            pool = self.on_live(lambda: self.sight.pool(targets))
        return make(asked, views, pool, unknown)

    def carry_out(self, plan: Plan) -> Operation:
        """Plan again on what is seen now, and carry it out if nothing changed. A return verifies first.

        Raises:
            Refusal, JournalError: it was not begun.
        """
        targets = [Target(c.view.node, c.view.target) for c in plan.changes]
        fresh = self._plan(plan.asked, targets)
        if plan.asked.verb == "return" and fresh.digest == plan.digest:
            plan = fresh = self._verified(fresh, targets)
        if plan.asked.verb in FORGETS and fresh.digest == plan.digest:
            self._keep_evidence(targets)
        return self.executor.run(plan, fresh)

    def _keep_evidence(self, targets: Sequence[Target]) -> None:
        """What a reset wipes is kept first. Where it cannot be kept the act goes on: somebody decided on it."""
        from console.evidence import keep

        for one in targets:
            try:
                keep(self, one.node if one.target == NODE else one.target, time.time() - KEPT_S)
            except (OSError, KeyError) as exc:
                _log.warning("%s: the evidence could not be kept before the reset: %s", one.node, exc)

    def _verified(self, plan: Plan, targets: Sequence[Target]) -> Plan:
        found = self.verify(targets)
        passed = {f"{t.node} {t.target}": failed(found[t]) for t in targets}
        for one, checks in found.items():
            self.journal.note({
                "by": plan.asked.by, "what": "verified", "op": plan.asked.op, "node": one.node, "target": one.target,
                "level": "V0", "passed": not failed(checks), "checks": [[c.name, c.passed, c.text] for c in checks],
            })  # fmt: skip
        return self._plan(replace(plan.asked, passed=passed), targets)

    def verify(
        self, targets: Sequence[Target], sleep: Callable[[float], None] | None = None
    ) -> dict[Target, tuple[Check, ...]]:
        """Level V0 of each target: two looks a minute apart. A drain's block does not hinder it: no program is started."""
        began = time.time()

        def see(since: float) -> dict[Target, Any]:
            return {t: self.sight.facts(t.node, self.sight.uuids_of(t.node, t.target), since) for t in targets}

        first = self.on_live(lambda: see(0.0))
        (sleep or self.pause)(SECONDS)
        took = time.time() - began
        last = self.on_live(lambda: see(began))
        expected = self.on_live(lambda: {t: self.sight.expected(t.node, t.target) for t in targets})
        return {t: judge(first[t], last[t], took, expected[t]) for t in targets}

    def pause(self, seconds: float) -> None:
        """Wait while the fleet goes on being read.

        Raises:
            Unsure: the console closes; whoever waited must look again.
        """
        if self._closing is not None:
            if self._closing.wait(seconds):
                raise Unsure("the console closes")
            return
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0.0:
            self.live.pump()
            time.sleep(min(left, 0.2))

    # Waiting for the work to end

    def prove(self, operation: Operation) -> str:
        """Look whether the work on a drain's targets is over; why not yet, or ""."""
        return self.executor.prove(
            operation,
            lambda n, t: self.on_live(lambda: self.sight.uuids_of(n, t)),
            needs_fds=False,
            place_of=lambda n: self.on_live(lambda: self.sight.place(n)),
        )

    def wait(
        self, operation: Operation, seconds: float, on_deadline: str, is_over: Callable[[], bool] = lambda: False
    ) -> str:
        """Prove again and again until the deadline; what is still waited for, "" when drained.

        The deadline is of the monotonic clock. At it, "force" ends what still runs, as the confirmed plan said.
        """
        end = time.monotonic() + seconds
        while True:
            waiting = self.prove(operation)
            if not waiting or is_over():
                return waiting
            if time.monotonic() > end:
                break
            self.pause(AGAIN_S)
        self.journal.note({
            "what": "deadline passed", "by": operation.by, "op": operation.id, "waiting": waiting, "then": on_deadline
        })  # fmt: skip
        if on_deadline == "force" and operation.params.get("on_deadline") == "force":
            self._force(operation)
            return self.prove(operation)
        return waiting + ("; the deadline passed: the hold stays, decide what to do" if on_deadline == "ask" else "")

    def _force(self, operation: Operation) -> None:
        """End what still runs, process by process, each known by its start time."""
        for node, targets in operation.targets.items():
            uuids = self._uuids(node, targets)
            looked = self.steps.look(node, uuids)
            pids = sorted({p for s in looked.values() for p in s.pids})
            started = self.steps.door.ask(node, {"verb": "alive", "pids": pids})["started"]
            for pid in pids:
                begun = started.get(str(pid))
                if begun is None:
                    continue
                request = {"verb": "do", "do": "kill", "pid": pid, "started": begun}
                text = f"cardkeeper-node kill {pid} {begun}"
                self.steps.act(operation.id, node, Action("kill", text, node, request, {"pid": pid, "started": begun}))

    def _uuids(self, node: str, targets: Sequence[str]) -> list[str]:
        return list(self.on_live(lambda: [u for t in targets for u in self.sight.uuids_of(node, t)]))

    # After a crash

    def resume(self, operation: Operation) -> Operation:
        """Look at what became of an operation's steps, then do what is left of it.

        Raises:
            Refusal: a step can neither be seen nor done again.
        """
        state = recovery.reconcile(self.steps, operation)
        operation = self.journal.operation(operation.id)
        if state is OpState.AMBIGUOUS:
            raise Refusal("some steps could not be looked at; try again when their nodes answer")
        why = recovery.may_go_on(operation, self.journal.steps(operation.id))
        if why:
            raise Refusal(why)
        if state in (OpState.PARTIAL, OpState.FAILED, OpState.RUNNING) or self._is_open_again(operation):
            was = operation.session
            self.journal.take_over(operation.id, self.session, self.by)
            operation = self.journal.operation(operation.id)
            targets = self._left(operation)
            operation = self.executor.go_on(operation, self._plan(self._asked_again(operation, was), targets))
        return operation

    def _left(self, operation: Operation) -> list[Target]:
        """Targets on which something may be left to do: where the book is written last of all, a written one is done."""
        written: set[str] = set()
        if operation.verb not in ("drain", "assign"):
            steps = self.journal.steps(operation.id)
            written = {s.node for s in steps if s.verb == "book.change" and s.state is StepState.CONFIRMED}
        return [Target(n, t) for n, found in operation.targets.items() if n not in written for t in found]

    def _is_open_again(self, operation: Operation) -> bool:
        """Whether a drain's block was lifted by a reboot."""
        if operation.verb != "drain" or operation.state not in (OpState.WAITING, OpState.DONE):
            return False
        for node, targets in operation.targets.items():
            book = self.steps.read_book(node)
            entries = [book.entry(t) for t in targets]
            if any(e.hold_of(operation.id) and e.modes and e.boot_id != book.boot_id for e in entries):
                return True
        return False

    def _asked_again(self, operation: Operation, was: str) -> Asked:
        p = operation.params
        return Asked(
            operation.verb, operation.id, self.session, operation.by, operation.reason, time.time(),
            tenant=p.get("tenant") or "", users=tuple(p.get("users") or ()), until=p.get("until"),
            lifts=p.get("lifts") or "", force=bool(p.get("force")), acknowledged=bool(p.get("acknowledged")),
            enforce=bool(p.get("enforce", True)), mode=p.get("mode") or "", pid=int(p.get("pid") or 0),
            started=int(p.get("started") or 0), takes_from=was, deadline_s=p.get("deadline_s"),
            on_deadline=p.get("on_deadline") or "wait",
        )  # fmt: skip

    def undo(self, operation: Operation) -> dict[str, str]:
        """Put back what it changed; {node: why} of nodes where that was not possible."""
        return recovery.undo(self.steps, operation, self.session, self.by)

    def adopt(self, op: str) -> list[str]:
        """Take over the holds of an operation whose console is gone.

        Raises:
            Refusal: no card book has one.
        """
        names = self.on_live(lambda: [n.node.name for n in self.live.nodes])
        books = {n: b for n, b in self.read_books(names).items() if not isinstance(b, str)}
        nodes = [n for n, b in books.items() if any(e.hold_of(op) for e in b.entries.values())]
        if not nodes:
            raise Refusal(f"no card book has a hold of {op}; see: cardkeeper holds")
        self._remember(op, books, nodes)
        return recovery.adopt(self.steps, op, nodes, self.session, self.by)

    def _remember(self, op: str, books: dict[str, Book], nodes: Sequence[str]) -> None:
        """Write a stranger's drain into this journal, as its own from now on."""
        try:
            self.journal.operation(op)
            self.journal.take_over(op, self.session, self.by)
            return
        except KeyError:
            pass
        targets = {n: tuple(e.target for e in books[n].entries.values() if e.hold_of(op)) for n in nodes}
        hold = next(h for e in books[nodes[0]].entries.values() if (h := e.hold_of(op)) is not None)
        made = Operation(
            op, self.session, "drain", self.by, hold.reason, {"adopted_from": hold.owner}, "", targets,
            OpState.WAITING, hold.since, time.time(),
        )  # fmt: skip
        about = {"verb": "adopt", "from": hold.owner, "targets": {n: list(t) for n, t in targets.items()}}
        self.journal.begin(made, about)


__all__ = ["NODE", "LiveDoor", "Operations", "Target"]
