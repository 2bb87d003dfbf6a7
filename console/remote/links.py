"""The connections to all nodes: made sixteen at a time, kept with back-off, one a node for telemetry and commands.

Threads: paramiko's own, one a connection, which hand output on; a pool of workers that connect, close and send; one
housekeeper. Nothing that may wait for a peer runs on the housekeeper or on a transport's thread.
"""

from __future__ import annotations

import itertools
import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko

from console.fleet.model import Fleet, Node
from console.fleet.state import LinkSink, LinkState, Problem, ProblemCode
from console.remote import bundle, smi
from console.remote.asking import Outcome, ask
from console.remote.auth import KeyRing, Passphrases
from console.remote.connection import Connector, close_now
from console.remote.endings import agent_failed, internal, is_missing, no_session, nothing_there
from console.remote.errors import LinkProblem, closed, problem
from console.remote.hostkeys import fingerprint, plain_key, record
from console.remote.stream import Fed, Tail, acknowledge
from console.remote.targets import SshOptions, Target, Targets
from console.remote.transport import Transport

__all__ = ["Links", "SshOptions"]
_log = logging.getLogger(__name__)

BACK_OFF_S = (1.0, 60.0)
STEADY_S = 30.0
AGAIN_S = {ProblemCode.AUTH: 300.0, ProblemCode.CONFIG: 300.0}
PERSON_AGAIN_S = 60.0
"""A problem that needs a person is looked at again this seldom: the person may have acted elsewhere."""

PING_S = 10.0
TICK_S = 0.25
SENDERS = 4
ASKERS = 16
PERIODS = {"medium": 5.0, "slow": 30.0}


@dataclass(slots=True)
class _Link:
    node: Node
    generation: int = 0
    busy: bool = False
    due: float = 0.0
    attempts: int = 0
    opened: float = 0.0
    pinged: float = 0.0
    target: Target | None = None
    transport: Transport | None = None
    channel: Any = None
    output: Fed | None = None
    errors: Tail = field(default_factory=Tail)
    translator: smi.SmiTranslator | None = None
    spoke: bool = False
    pending: list[bytes] = field(default_factory=list)
    sending: bool = False


class Links:
    """Fulfils console.fleet.state.NodeLinks for a fleet."""

    def __init__(
        self, fleet: Fleet, sink: LinkSink, options: SshOptions, mono: Callable[[], float] = time.monotonic
    ) -> None:
        self._sink = sink
        self._options = options
        self._mono = mono
        self._passphrases = Passphrases()
        self._connector = Connector(KeyRing(self._passphrases, options.use_agent))
        self._lock = threading.RLock()
        self._links: dict[str, _Link] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._chores: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._questions: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._end = threading.Event()
        self._generations = itertools.count(1)
        self.update(fleet)
        self._threads = [
            threading.Thread(target=self._work, args=(jobs,), name=name, daemon=True)
            for jobs, name, count in (
                (self._jobs, "connect", options.parallel),
                (self._chores, "send", SENDERS),
                (self._questions, "ask", ASKERS),
            )
            for _ in range(count)
        ]
        self._threads.append(threading.Thread(target=self._keep_house, name="links", daemon=True))
        for thread in self._threads:
            thread.start()

    def update(self, fleet: Fleet) -> None:
        """Take over other settings; connections that stand are not touched."""
        with self._lock:
            self._fleet = fleet
            self._targets = Targets(fleet, self._options)
            self._nodes = {n.name: n for n in fleet.nodes}

    # NodeLinks

    def add(self, name: str) -> None:
        """Begin connecting to a node of the fleet."""
        with self._lock:
            self._links[name] = _Link(self._nodes[name])

    def remove(self, name: str) -> None:
        """Disconnect and forget a node."""
        with self._lock:
            link = self._links.pop(name, None)
        if link is not None:
            self._drop(link)

    def send(self, name: str, line: bytes) -> None:
        """Queue one control line; dropped when the node is not connected."""
        with self._lock:
            link = self._links.get(name)
            if link is None or link.channel is None or link.translator is not None:
                return
            link.pending.append(line)
            self._flush(link)

    def restart(self, name: str, problem: Problem) -> None:
        """Drop the connection because of `problem` and reconnect with back-off."""
        with self._lock:
            link = self._links.get(name)
            if link is None:
                return
            self._end_link(link, link.generation, LinkState.LOST, problem)

    def reconnect(self, name: str) -> None:
        """Try again now, whatever the back-off says; a connection that stands is made anew."""
        with self._lock:
            link = self._links.get(name)
            if link is None:
                return
            self._drop(link)
            link.attempts, link.due, link.node = 0, 0.0, self._nodes.get(name, link.node)

    def passphrase(self, identity: str, secret: str) -> None:
        """Unlock a key file and try the nodes that wait."""
        self._passphrases.put(identity, secret)
        with self._lock:
            for link in self._links.values():
                if link.transport is None and not link.busy:
                    link.due = 0.0

    def trust(self, name: str, wanted: str) -> None:
        """Record the host key with fingerprint `wanted` that the node or a jump on its way shows, then connect.

        The outcome is told as a link state. Returns at once.
        """
        self._jobs.put(lambda: self._trust(name, wanted))

    def ask(self, name: str, request: dict[str, Any], timeout_s: float, done: Callable[[Outcome], None]) -> None:
        """Ask one question on the node's connection; `done` hears what came of it, on another thread."""
        self._questions.put(lambda: done(self._ask(name, request, timeout_s)))

    def _ask(self, name: str, request: dict[str, Any], timeout_s: float) -> Outcome:
        with self._lock:
            link = self._links.get(name)
            transport = None if link is None or link.translator is not None else link.transport
        if link is None or transport is None:
            return Outcome(False, None, f"{name} is not connected")
        return ask(transport, link.node.python, name, request, timeout_s)

    def close(self) -> None:
        """Close every connection."""
        self._end.set()
        with self._lock:
            links = list(self._links.values())
            self._links.clear()
        for _ in range(self._options.parallel):
            self._jobs.put(None)
        closers = [threading.Thread(target=self._drop_now, args=(link,), daemon=True) for link in links]
        for thread in closers:
            thread.start()
        deadline = self._mono() + 3.0
        for thread in closers:
            thread.join(max(0.0, deadline - self._mono()))
        self._connector.close()
        for _ in range(SENDERS):
            self._chores.put(None)
        for _ in range(ASKERS):
            self._questions.put(None)

    # Housekeeping

    def _work(self, jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
        while (job := jobs.get()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001 - a worker must outlive any one job
                _log.exception("a job of the links failed")

    def _keep_house(self) -> None:
        while not self._end.wait(TICK_S):
            now = self._mono()
            with self._lock:
                for link in list(self._links.values()):
                    if link.transport is None:
                        if not link.busy and now >= link.due:
                            link.busy = True
                            self._jobs.put(lambda link=link: self._connect(link))  # type: ignore[misc]
                    elif link.channel is not None:
                        self._tend(link, now)

    def _tend(self, link: _Link, now: float) -> None:
        if link.translator is None and now - link.pinged >= PING_S:
            link.pinged = now
            link.pending.append(b'{"c":"ping"}\n')
        if link.pending or (link.output is not None and link.output.unread > 1 << 16):
            self._flush(link)

    def _flush(self, link: _Link) -> None:
        if not link.sending:
            link.sending = True
            self._chores.put(lambda: self._send(link, link.generation))

    def _send(self, link: _Link, generation: int) -> None:
        with self._lock:
            channel, output = link.channel, link.output
            data, link.pending = b"".join(link.pending), []
        try:
            if channel is not None and link.generation == generation:
                if data:
                    channel.sendall(data)
                if output is not None:
                    acknowledge(channel, output.take_unread())
        except (OSError, EOFError, paramiko.SSHException) as exc:
            _log.info("%s: cannot send: %s", link.node.name, exc)
        finally:
            with self._lock:
                link.sending = False

    # Connecting

    def _connect(self, link: _Link) -> None:
        name = link.node.name
        with self._lock:
            if self._links.get(name) is not link:
                return
            generation = link.generation = next(self._generations)
            targets = self._targets
        self._sink.link_state(name, LinkState.CONNECTING, None)
        try:
            target = targets.of(name)
            transport = self._connector.connect(target)
        except LinkProblem as exc:
            self._failed(link, generation, exc.problem)
            return
        except Exception as exc:  # noqa: BLE001 - shown to the person as a fault of ours
            _log.exception("%s: connecting failed", name)
            self._failed(link, generation, internal(name, exc))
            return
        with self._lock:
            if self._links.get(name) is not link or link.generation != generation:
                self._chores.put(lambda: self._close(transport, target))
                return
            link.target, link.transport = target, transport
            link.attempts += 1
        self._start_agent(link, generation, transport)

    def _start_agent(self, link: _Link, generation: int, transport: Transport) -> None:
        node = link.node
        config = {
            "mode": "stream",
            "node": node.name,
            "period": {"fast": node.interval_s, **PERIODS},
            "phase": _phase(node.name),
            "ttl_s": 120,
        }
        program = bundle.agent_bundle()
        first = program.header(config) + program.data
        try:
            self._open(link, generation, transport, bundle.command(node.python), first)
        except (OSError, EOFError, paramiko.SSHException) as exc:
            self._end_link(link, generation, LinkState.FAILED, no_session(node.name, exc))
        with self._lock:
            link.busy = False

    def _open(self, link: _Link, generation: int, transport: Transport, command: str, first: bytes) -> None:
        channel = transport.open_session(timeout=10.0)
        channel.settimeout(20.0)
        name = link.node.name
        translator = link.translator

        def take(data: bytes) -> None:
            if link.generation != generation:
                return
            link.spoke = True
            self._sink.link_bytes(name, data if translator is None else translator.feed(data))

        link.errors = Tail()
        output = Fed(take, lambda: self._ended(link, generation, channel))
        channel.in_buffer = output
        channel.in_stderr_buffer = Fed(link.errors.take)
        with self._lock:
            link.spoke, link.opened, link.pinged = False, self._mono(), self._mono()
            link.output = output
        self._sink.link_state(name, LinkState.LIVE, None)
        channel.exec_command(command)
        try:
            channel.sendall(first)
        except OSError:
            if not channel.closed:
                raise
            return  # it ended before it read its program: `_ended` tells why
        with self._lock:
            link.channel = channel

    def _ended(self, link: _Link, generation: int, channel: Any) -> None:
        """The agent's channel closed; called on the transport's thread."""
        self._jobs.put(lambda: self._after_end(link, generation, channel))

    def _after_end(self, link: _Link, generation: int, channel: Any) -> None:
        if link.generation != generation:
            return
        channel.status_event.wait(2.0)  # the exit status comes just after the end of output
        status, name = channel.exit_status, link.node.name
        text = link.errors.text
        if is_missing(status, text) and link.translator is None and not link.spoke:
            self._fall_back(link, generation)
        elif is_missing(status, text):
            self._end_link(link, generation, LinkState.FAILED, nothing_there(link.node))
        elif status not in (-1, 0) and not link.spoke:
            self._end_link(link, generation, LinkState.FAILED, agent_failed(link.node, status, text))
        else:
            why = text.splitlines()[-1] if text else "the node closed it"
            self._end_link(link, generation, LinkState.LOST, closed(name, why))

    def _fall_back(self, link: _Link, generation: int) -> None:
        with self._lock:
            transport = link.transport
            if transport is None or link.generation != generation:
                return
            link.channel = None
            link.translator = smi.SmiTranslator(link.node.interval_s)
        _log.info("%s: no python3; reading nvidia-smi", link.node.name)
        try:
            self._open(link, generation, transport, smi.command(link.node.interval_s), b"")
        except (OSError, EOFError, paramiko.SSHException) as exc:
            self._end_link(link, generation, LinkState.FAILED, no_session(link.node.name, exc))

    # Ends

    def _failed(self, link: _Link, generation: int, found: Problem) -> None:
        with self._lock:
            if link.generation != generation or self._links.get(link.node.name) is not link:
                return
            link.attempts += 1
            link.due = self._mono() + self._pause(link, found)
            link.busy = False
        self._sink.link_state(link.node.name, LinkState.FAILED, found)

    def _pause(self, link: _Link, found: Problem) -> float:
        if found.needs_person:
            return AGAIN_S.get(found.code, PERSON_AGAIN_S)
        least, most = BACK_OFF_S
        return float(min(most, least * 2 ** min(link.attempts, 10))) * random.uniform(0.5, 1.0)

    def _end_link(self, link: _Link, generation: int, state: LinkState, found: Problem) -> None:
        with self._lock:
            if link.generation != generation or link.transport is None:
                return
            if self._mono() - link.opened > STEADY_S:
                link.attempts = 0
            self._drop(link)
            link.due = self._mono() + self._pause(link, found)
        self._sink.link_state(link.node.name, state, found)

    def _drop(self, link: _Link) -> None:
        """Forget the connection of a link and have it closed elsewhere."""
        with self._lock:
            transport, target = link.transport, link.target
            link.generation = next(self._generations)
            link.transport = link.channel = link.output = link.translator = None
            link.pending, link.busy = [], False
        if transport is not None and target is not None:
            self._chores.put(lambda: self._close(transport, target))

    def _close(self, transport: Transport, target: Target) -> None:
        close_now(transport)
        self._connector.release(target)

    def _drop_now(self, link: _Link) -> None:
        if link.transport is not None:
            close_now(link.transport)

    # Host keys

    def _trust(self, name: str, wanted: str) -> None:
        try:
            record_shown_key(self._connector, self._targets.of(name), wanted)
        except LinkProblem as exc:
            self._sink.link_state(name, LinkState.FAILED, exc.problem)
            return
        with self._lock:
            for link in self._links.values():
                if link.transport is None and not link.busy:
                    link.due, link.attempts = 0.0, 0


def record_shown_key(connector: Connector, target: Target, wanted: str) -> str:
    """Record the unknown key that `target` or a jump on its way shows, if its fingerprint is `wanted`.

    Returns what was recorded, for a person; "" when every key was known already. An empty `wanted` records nothing.

    Raises:
        LinkProblem: another key is shown, the host cannot be reached, or the file cannot be written.
    """
    try:
        close_now(connector.shake(target))
        connector.release(target)
    except LinkProblem as exc:
        if exc.problem.code is not ProblemCode.KEY_UNKNOWN:
            raise
        facts = exc.problem.facts
        shown = {fingerprint(exc.key), fingerprint(plain_key(exc.key))}
        if wanted not in shown:
            raise
        file = Path(facts["file"])
        try:
            record(file, facts["host"], int(facts["port"]), plain_key(exc.key))
        except OSError as error:
            raise problem(
                ProblemCode.CONFIG, f"{target.name}: {file} cannot be written", str(error), "check its permissions"
            ) from error
        return f"{facts['host']}:{facts['port']} {facts['key_type']} {wanted} in {file}"
    return ""


def _phase(name: str) -> float:
    """A place in the period that stays the same for a name."""
    return random.Random(name).random()
