"""One step on one node: journalled before it is sent, confirmed only by what is seen afterwards.

A step is PLANNED before it is sent, SENT while it is on its way, CONFIRMED when the node shows it, FAILED when the node
declined or surely never got it, AMBIGUOUS when nobody knows. An ambiguous step is looked at, never guessed about and,
where sending twice could harm, never sent twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from console.operations.door import Declined, Door, NotSent, Unsure
from console.operations.idle import APART_S, SAMPLES, Finding, Seen, proven, seen_of
from console.operations.journal import Journal, Step, StepState
from console.operations.plan import Action
from console.operations.scheduler import Scheduler, SchedulerState
from console.operations.states import Book, Entry, Refusal, book_of

MODES = {0: "default", 2: "prohibited", 3: "exclusive_process"}
"""NVML's compute modes (nvmlComputeMode_t); 1 is obsolete."""

ASK_S = 30.0
DO_S = 90.0
GONE_WITHIN_S = 20.0
"""So long a process has to end after SIGTERM before the step counts as not done."""

BACK_WITHIN_S = 900.0
"""So long a node has to come back from a reboot before somebody must look."""

AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """What happened on a node while an operation runs."""

    op: str
    node: str
    state: StepState
    text: str


def no_plugins(name: str) -> Scheduler:
    """Where no scheduler is known.

    Raises:
        Refusal: always.
    """
    raise Refusal(f"there is no scheduler {name} here")


class Steps:
    """Sends, confirms and settles steps. Blocks; thread-safe."""

    def __init__(
        self,
        journal: Journal,
        door: Door,
        plugins: Callable[[str], Scheduler] = no_plugins,
        told: Callable[[Progress], None] = lambda _: None,
        wall: Callable[[], float] = time.time,
        mono: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.journal = journal
        self.door = door
        self.told = told
        self.wall = wall
        self.mono = mono
        self.sleep = sleep
        self._plugins = plugins

    # Looking

    def read_book(self, node: str, rights: bool = False) -> Book:
        """The node's card book now.

        Raises:
            NotSent, Unsure, Declined, ValueError: it cannot be had.
        """
        return book_of(node, self.door.ask(node, {"verb": "book.read", "rights": rights}, ASK_S))

    def look(self, node: str, uuids: Sequence[str]) -> dict[str, Seen]:
        """What runs on cards now."""
        reply = self.door.ask(node, {"verb": "idle", "uuids": list(uuids)}, ASK_S)
        at, cards = self.mono(), reply.get("cards")
        found = cards if isinstance(cards, dict) else {}
        return {u: seen_of(found.get(u), at) for u in uuids}

    def prove(self, node: str, uuids: Sequence[str], needs_fds: bool) -> dict[str, Finding]:
        """Whether cards are idle: SAMPLES looks, APART_S apart."""
        looks: dict[str, list[Seen]] = {u: [] for u in uuids}
        for number in range(SAMPLES):
            if number:
                self.sleep(APART_S + 0.05)
            for uuid, seen in self.look(node, uuids).items():
                looks[uuid].append(seen)
        return {u: proven(looks[u], needs_fds=needs_fds) for u in uuids}

    def scheduler_state(self, name: str, via: str, node: str) -> SchedulerState:
        """A node as its scheduler sees it now.

        Raises:
            NotSent, Unsure, Declined, ValueError: it cannot be had.
        """
        plugin = self._plugins(name)
        calls = [list(c) for c in plugin.looks(node)]
        reply = self.door.ask(via, {"verb": "exec", "calls": calls}, ASK_S)
        results = reply.get("calls")
        if not isinstance(results, list) or len(results) != len(calls):
            raise ValueError(f"{via}: the answer is not understood")
        for call, result in zip(calls, results, strict=True):
            if result.get("status") != 0:
                raise ValueError(f"{via}: {call[0]} failed: {str(result.get('output'))[:300]}")
        return plugin.state(node, [str(r.get("output")) for r in results])

    # Doing

    def change_book(
        self,
        op: str,
        book: Book,
        entries: Sequence[tuple[Entry, Entry]],
        ends: Sequence[str] = (),
        about: dict[str, Any] | None = None,
    ) -> None:
        """Replace entries by compare-and-set. `ends`: operations whose holds may go with it.

        Raises:
            NotSent, Unsure, Declined: it was not, or nobody knows.
        """
        gone = {h.op for b, a in entries for h in b.holds if a.hold_of(h.op) is None}
        request = {
            "verb": "book.change", "ops": sorted(({op, *ends} | gone) - {""}),
            "changes": [{"target": b.target, "gen": b.gen, "entry": a.to_json()} for b, a in entries],
        }  # fmt: skip
        told = ", ".join(f"{b.target} {b.admin} -> {a.admin}" for b, a in entries[:4])
        prior: dict[str, Any] = {
            "entries": {b.target: b.to_json() for b, _ in entries}, "text": f"card book: {told}", **(about or {})
        }  # fmt: skip
        step = self.journal.plan_step(op, book.node, "book.change", request, prior)
        self._send(step, {**request, "key": step.key, "head": self.journal.head()}, ASK_S)

    def act(self, op: str, node: str, action: Action) -> None:
        """Do one thing and look at it. `node`: whose step it is.

        Raises:
            NotSent, Unsure, Declined, Refusal: it was not done, or nobody knows.
        """
        if action.kind == "prove":
            self._proof(op, node, action)
            return
        prior: dict[str, Any] = {"via": action.via, "check": action.check, "text": action.text}
        if action.kind == "mode":
            seen = self.look(node, [action.check["uuid"]])[action.check["uuid"]]
            if seen.mode == action.check["mode"]:
                return
            prior["mode"] = MODES.get(-1 if seen.mode is None else seen.mode)
        if action.kind == "exec" and action.check["see"] == "undrained":
            name, via, place = action.check["place"]
            if not self.scheduler_state(name, via, place).is_of(action.check["op"]):
                raise Refusal(f"{node}: the drain in {name} is not ours any more; it was left alone")
        step = self.journal.plan_step(op, node, action.kind, action.request, prior)
        reply = self._send(step, action.request, DO_S)
        if not reply:
            return  # it was settled by looking
        status, output = _outcome(reply)
        if status != 0:
            text = f"{node}: {action.text.split(' (')[0]} failed: {output or status}"
            self.note(step, StepState.FAILED, text)
            raise Refusal(text)
        # An exit status alone confirms nothing.
        if self.settle(step, patiently=True) is not StepState.CONFIRMED:
            raise Refusal(f"{node}: {action.text} does not show: {self._evidence(step)}")

    def _proof(self, op: str, node: str, action: Action) -> None:
        found = self.prove(node, action.check["uuids"], needs_fds=False)
        step = self.journal.plan_step(op, node, "prove", {}, {"uuids": action.check["uuids"], "text": action.text})
        text = "; ".join(f"{u}: {f.text}" for u, f in found.items())
        if not found or any(f.is_idle is not True for f in found.values()):
            self.note(step, StepState.FAILED, text or "no card is known")
            raise Refusal(f"{node}: {text or 'no card of it is known'}")
        self.note(step, StepState.CONFIRMED, text)

    def _evidence(self, step: Step) -> str:
        return next((s.evidence for s in self.journal.steps(step.op) if s.n == step.n), "")

    def _send(self, step: Step, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        self.journal.set_step(step, StepState.SENT)
        self.told(Progress(step.op, step.node, StepState.SENT, step.verb))
        try:
            reply = self.door.ask(str(step.prior.get("via") or step.node), request, timeout_s)
        except (NotSent, Declined) as exc:
            self.note(step, StepState.FAILED, str(exc))
            raise
        except Unsure as exc:
            self.note(step, StepState.AMBIGUOUS, str(exc))
            if self.settle(step, patiently=step.verb == "reboot") is not StepState.CONFIRMED:
                raise
            return {}
        if step.verb == "book.change":
            self.note(step, StepState.CONFIRMED, f"generation {reply['book']['generation']}")
        return reply

    def settle(self, step: Step, patiently: bool = False) -> StepState:
        """Look what became of a step; sends nothing that changes anything. `patiently`: what takes time may take it."""
        try:
            is_there = self._is_there(step, patiently)
        except (NotSent, Unsure, Declined, Refusal, ValueError) as exc:
            self.note(step, StepState.AMBIGUOUS, f"it could not be looked at: {exc}")
            return StepState.AMBIGUOUS
        if is_there is None:
            self.note(step, StepState.AMBIGUOUS, "whether it was done cannot be seen; look at the node")
            return StepState.AMBIGUOUS
        state = StepState.CONFIRMED if is_there else StepState.FAILED
        self.note(step, state, "seen on the node" if is_there else "looked: it was not done")
        return state

    def _is_there(self, step: Step, patiently: bool) -> bool | None:
        check: dict[str, Any] = step.prior.get("check") or {}
        match step.verb:
            case "book.change":
                return step.key in self.read_book(step.node).applied
            case "mode":
                return bool(self.look(step.node, [check["uuid"]])[check["uuid"]].mode == check["mode"])
            case "devices":
                reply = self.door.ask(step.node, {"verb": "devices", "uuid": check["uuid"]}, ASK_S)
                return bool(reply.get("users") == check["users"])
            case "exec":
                return self._scheduler_shows(check)
            case "kill":
                return self._within(GONE_WITHIN_S if patiently else 0.0, lambda: self._is_gone(step.node, check))
            case "reset":
                # An answered reset that left the card readable is as much as can be seen.
                return True if patiently and not self.look(step.node, [check["uuid"]])[check["uuid"]].error else None
            case "reboot":
                return self._rebooted(check, patiently)
        return None

    def _scheduler_shows(self, check: dict[str, Any]) -> bool:
        name, via, node = check["place"]
        state = self.scheduler_state(name, via, node)
        reservation = self._plugins(name).reservation(check["op"]) in state.reservations
        shows = {
            "drained": state.is_blocked and state.is_of(check["op"]),
            "undrained": not state.is_of(check["op"]) or not state.is_blocked,
            "reserved": reservation,
            "unreserved": not reservation,
        }
        return bool(shows[check["see"]])

    def _is_gone(self, node: str, check: dict[str, Any]) -> bool:
        reply = self.door.ask(node, {"verb": "alive", "pids": [check["pid"]]}, ASK_S)
        return bool(reply["started"].get(str(check["pid"])) != check["started"])

    def _rebooted(self, check: dict[str, Any], patiently: bool) -> bool | None:
        def is_other() -> bool:
            try:
                return bool(self.read_book(check["node"]).boot_id != check["boot_id"])
            except (NotSent, Unsure, Declined, ValueError):
                return False

        # Not yet rebooted is not "was not done": it may still happen.
        return True if self._within(BACK_WITHIN_S if patiently else 0.0, is_other) else None

    def _within(self, seconds: float, is_so: Callable[[], bool]) -> bool:
        end = self.mono() + seconds
        while not is_so():
            if self.mono() >= end:
                return False
            self.sleep(AGAIN_S)
        return True

    def note(self, step: Step, state: StepState, text: str) -> None:
        """Write down what is known of a step, in the journal and the audit log."""
        about = {"what": str(state), "verb": step.verb, "evidence": text}
        self.journal.set_step(step, state, text, about)
        self.told(Progress(step.op, step.node, state, text))


def _outcome(reply: dict[str, Any]) -> tuple[int, str]:
    if "calls" in reply:
        reply = reply["calls"][0]
    return int(reply.get("status", 1)), str(reply.get("output") or "")
