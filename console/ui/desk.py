"""Where acts of the window are done: threads that may wait for nodes, so that the Qt thread never does.

Whatever needs the live fleet is carried back to the Qt thread; whatever asks nodes or the disk stays here.
"""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from console.checkup import Checkup
from console.evidence import keep
from console.operate import KEPT_S, Operations
from console.operations.door import Declined, NotSent, Unsure
from console.operations.journal import OPEN, JournalError, Operation, OpState, Step
from console.operations.plan import Asked, Plan, make
from console.operations.scheduler import SchedulerState
from console.operations.states import Book, Refusal
from console.operations.steps import Progress
from console.rows import Rows
from console.telemetry.live import LiveFleet
from console.ui.pdf import pdf_of

_log = logging.getLogger(__name__)

ARMED_S = 900.0
"""Acts are allowed for so long after arming; the threat model's action lock."""

LOOK_S = 15.0
PROVE_S = 20.0
WAIT_S = 60.0
SLEPT_S = 30.0
"""A jump of the wall clock against the monotonic one by more than this: the workstation slept."""

WORKERS = 6
FAILURES = (Refusal, JournalError, NotSent, Unsure, Declined, ValueError, KeyError, RuntimeError, OSError)


class _Closing(RuntimeError):
    """The window is going away."""


@dataclass(frozen=True, slots=True)
class Told:
    """An operation and its steps as they stood when they were read."""

    operation: Operation
    steps: tuple[Step, ...]

    @property
    def is_open(self) -> bool:
        """Whether it wants somebody's attention."""
        return self.operation.state in OPEN


class Desk(QObject):
    """Plans, acts and looks for the window. GUI thread only, but for what it does in its threads.

    Attributes:
        books: card book of each node as read last, or why it could not be had.
        schedulers: what each node's scheduler said last.
        told: this workstation's operations, newest first.
        running: ids of operations that a thread of this window works on now.

    Signals:
        looked: books or operations are others.
        stepped: a step of a running operation (a Progress).
        armed: acts became allowed, or are not any more.
        failed: something went wrong, in a line.
        woke: the workstation slept, and what that means, in a line.
    """

    looked = Signal()
    stepped = Signal(object)
    armed = Signal()
    failed = Signal(str)
    woke = Signal(str)

    def __init__(self, live: LiveFleet, folder: Path | None, checkup: Checkup | None = None) -> None:
        """`folder` None: nothing can be done here, as in a recording; `checkup`: what judges the live fleet."""
        super().__init__()
        self.books: dict[str, Book | str] = {}
        self.schedulers: dict[str, SchedulerState | str | None] = {}
        self.told: tuple[Told, ...] = ()
        self.running: set[str] = set()
        self.problem = ""
        self._live = live
        # Its own rows: the pages' may show the past.
        self._rows = Rows(live, checkup) if folder is not None else None
        self._folder = folder
        self._operations: Operations | None = None
        self._opening = threading.Lock()
        self._calls: collections.deque[Callable[[], None]] = collections.deque()
        self._pool: ThreadPoolExecutor | None = None
        self._closing = threading.Event()
        self._armed_until = 0.0
        self._was_armed = False
        self._looking = False
        self._again = False
        self._looked_at = 0.0
        self._proving = False
        self._proved_at = 0.0
        self._gap = time.time() - time.monotonic()

    # Arming

    @property
    def can_act(self) -> bool:
        """Whether there is a present to act on."""
        return self._folder is not None

    @property
    def armed_s(self) -> float:
        """Seconds for which acts are still allowed; 0 when they are not."""
        return max(0.0, self._armed_until - time.monotonic())

    def arm(self) -> None:
        """Allow acts for ARMED_S."""
        if self.can_act:
            self._armed_until = time.monotonic() + ARMED_S
            self._tell_armed()

    def disarm(self) -> None:
        """Allow none any more."""
        self._armed_until = 0.0
        self._tell_armed()

    def _tell_armed(self) -> None:
        self._was_armed = self.armed_s > 0.0
        self.armed.emit()

    # The clock

    def pump(self) -> None:
        """Do what the threads want done here; every 100 ms."""
        for _ in range(len(self._calls)):
            self._calls.popleft()()
        if self._was_armed and self.armed_s == 0.0:
            self._tell_armed()
        gap = time.time() - time.monotonic()
        if gap - self._gap > SLEPT_S:
            self._wake_up(gap - self._gap)
        self._gap = gap

    def _wake_up(self, seconds: float) -> None:
        """After sleep nothing that was known counts: look again before anything may be done."""
        self.books, self.schedulers = {}, {}
        self._looked_at = self._proved_at = 0.0
        self.disarm()
        self.looked.emit()
        self.woke.emit(f"the workstation slept for {seconds:.0f} s: card books are read again, acts are locked")

    def tick(self, wanted: bool) -> None:
        """Look again when it is time: `wanted` while a page shows it; always while a drain waits for its work to end."""
        now = time.monotonic()
        waiting = [t.operation for t in self.told if t.operation.state is OpState.WAITING]
        if not self.can_act:
            return
        if (wanted or waiting or not self._looked_at) and now - self._looked_at > LOOK_S:
            self.look()
        mine = [o for o in waiting if o.id not in self.running and o.by == self._by()]
        if mine and not self._proving and now - self._proved_at > PROVE_S:
            self._prove(mine)

    def _by(self) -> str:
        return "" if self._operations is None else self._operations.by

    # Work

    def look(self) -> None:
        """Read the operations and the books of the connected nodes."""
        if self._looking or not self.can_act or self._closing.is_set():
            return
        self._looking, self._looked_at = True, time.monotonic()
        names = [n.node.name for n in self._live.nodes if n.hello is not None]

        def work(operations: Operations) -> tuple[Any, Any, Any]:
            told = _told(operations)
            return told, operations.read_books(names), operations.read_schedulers(names)

        def done(found: tuple[Any, Any, Any]) -> None:
            self.problem = ""
            self.told, self.books, self.schedulers = found
            self._has_looked()

        def failed(why: str) -> None:
            self.problem = why
            self._has_looked()

        self._do(work, done, failed)

    def _has_looked(self) -> None:
        self._looking = False
        self.looked.emit()
        if self._again:
            self.look_now()

    def plan(
        self,
        verb: str,
        words: Sequence[str],
        reason: str,
        done: Callable[[Plan], None],
        failed: Callable[[str], None],
        **more: Any,
    ) -> None:
        """Plan; `done` or `failed` is called on the Qt thread."""
        self._do(lambda ops: ops.plan(ops.asked(verb, reason, **more), list(words)), done, failed)

    def carry_out(self, plan: Plan, done: Callable[[Operation], None], failed: Callable[[str], None]) -> None:
        """Carry out what was confirmed, then wait for the running work's end where a deadline was given."""
        op = plan.asked.op
        self.running.add(op)

        def work(operations: Operations) -> Operation:
            made = operations.carry_out(plan)
            self._post(lambda: done(made))
            self._post(self.look_now)
            if plan.asked.deadline_s is not None and made.state is OpState.WAITING:
                operations.wait(made, plan.asked.deadline_s, plan.asked.on_deadline, self._closing.is_set)
            return made

        self._do(work, lambda _: self._ended(op), lambda why: self._ended(op, failed, why))

    def resume(self, op: str, failed: Callable[[str], None]) -> None:
        """Look at what became of an operation, and do what is left of it."""
        self._on_operation(op, lambda ops: ops.resume(ops.journal.operation(op)), failed)

    def undo(self, op: str, failed: Callable[[str], None]) -> None:
        """Put back what an operation changed."""

        def work(operations: Operations) -> None:
            failures = operations.undo(operations.journal.operation(op))
            if failures:
                raise Refusal("; ".join(f"{n}: {w}" for n, w in failures.items()))

        self._on_operation(op, work, failed)

    def adopt(self, op: str, failed: Callable[[str], None]) -> None:
        """Take over a hold whose console is gone."""
        self._on_operation(op, lambda ops: ops.adopt(op), failed)

    def keep_evidence(self, target: str, done: Callable[[str], None], failed: Callable[[str], None]) -> None:
        """Write the evidence of a card or node; `done` hears where it is."""

        def work(operations: Operations) -> str:
            path, _, trouble = keep(operations, target, time.time() - KEPT_S, printer=pdf_of)
            return f"{path}" + (f" ({trouble})" if trouble else "")

        self._do(work, done, failed)

    def reset_breaker(self, failed: Callable[[str], None]) -> None:
        """A person has looked."""
        self._do(lambda ops: ops.journal.reset_breaker(ops.by), lambda _: self.look_now(), failed)

    def _on_operation(self, op: str, work: Callable[[Operations], Any], failed: Callable[[str], None]) -> None:
        self.running.add(op)
        self._do(work, lambda _: self._ended(op), lambda why: self._ended(op, failed, why))

    def _ended(self, op: str, failed: Callable[[str], None] | None = None, why: str = "") -> None:
        self.running.discard(op)
        if failed is not None:
            failed(why)
        self.look_now()

    def look_now(self) -> None:
        """Look again at once; after the look that is under way, which may have seen the time before."""
        self._looked_at = 0.0
        self._again = self._looking
        self.look()

    def _prove(self, waiting: Sequence[Operation]) -> None:
        self._proving, self._proved_at = True, time.monotonic()

        def work(operations: Operations) -> None:
            for one in waiting:
                operations.prove(one)

        def done(_: Any) -> None:
            self._proving, self._proved_at = False, time.monotonic()
            self.look_now()

        self._do(work, done, done)

    # Threads

    def _do(self, work: Callable[[Operations], Any], done: Callable[[Any], None], failed: Callable[[str], Any]) -> None:
        if self._closing.is_set() or not self.can_act:
            failed("nothing can be done here: this is a recording")
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="desk")

        def run() -> None:
            try:
                found = work(self._open())
            except _Closing:
                return
            except FAILURES as exc:
                why = str(exc)
                self._post(lambda: failed(why))
            except Exception as exc:  # noqa: BLE001 - the person must hear of it
                _log.exception("an act failed inside the console")
                why = f"{type(exc).__name__}: {exc}"
                self._post(lambda: failed(why))
            else:
                self._post(lambda: done(found))

        self._pool.submit(run)

    def _open(self) -> Operations:
        with self._opening:
            if self._operations is None:
                assert self._folder is not None
                self._operations = Operations(
                    self._live, self._folder, self._rows, self._on_live, self._told_step, self._closing
                )
            return self._operations

    def _post(self, call: Callable[[], Any]) -> None:
        self._calls.append(call)

    def _told_step(self, progress: Progress) -> None:
        self._post(lambda: self.stepped.emit(progress))

    def _on_live(self, call: Callable[[], Any]) -> Any:
        """Run `call` on the Qt thread and wait for what it returns."""
        answer: Future[Any] = Future()

        def run() -> None:
            try:
                answer.set_result(call())
            except BaseException as exc:  # noqa: BLE001 - it belongs to the thread that asked
                answer.set_exception(exc)

        self._post(run)
        end = time.monotonic() + WAIT_S
        while True:
            try:
                return answer.result(0.2)
            except Late:
                if self._closing.is_set():
                    raise _Closing from None
                if time.monotonic() > end:
                    raise RuntimeError("the window did not answer") from None

    def in_force(self) -> list[str]:
        """What stays in force when the window closes, in lines; for the person who closes it."""
        return [
            f"{t.operation.verb} of {', '.join(t.operation.targets)}: {t.operation.reason}"
            for t in self.told
            if t.operation.state is OpState.WAITING or t.operation.id in self.running
        ]

    def close(self) -> None:
        """End the threads; what is on its way to a node is finished first."""
        self._closing.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        if self._operations is not None:
            self._operations.close()


def _told(operations: Operations) -> tuple[Told, ...]:
    return tuple(Told(o, tuple(operations.journal.steps(o.id))) for o in operations.journal.operations()[:200])


def with_reason(plan: Plan, asked: Asked) -> Plan:
    """The plan for another reason, tenant or date, on what was seen already."""
    return make(replace(asked, op=plan.asked.op), [c.view for c in plan.changes], unknown=plan.refused)
