"""The collector as a child process: started, spoken to, restarted when it dies. Lives in the window's process."""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, BinaryIO, cast

from console.fleet.model import Fleet
from console.telemetry.live import LiveFleet
from console.telemetry.messages import (
    AddNode,
    Focus,
    Passphrase,
    RemoveNode,
    Request,
    Start,
    Stop,
    message_decoder,
    pack,
    read_frame,
)
from console.telemetry.segments import SegmentFolder

_log = logging.getLogger(__name__)

RESTART_AFTER_S = (0.2, 1.0, 5.0)
"""Pause before the first, second and every further restart within STEADY_S."""

STEADY_S = 60.0
STOP_WITHIN_S = 6.0


class CollectorProcess:
    """Keeps one collector running for a fleet and feeds `live` with what it says.

    `command` starts a process that speaks console.telemetry.messages on its standard input and output. Threads: one
    supervises and reads, one writes; both end with `close`. `start` and `close` block for file work, so not on the Qt
    thread.

    Attributes:
        live: the reader for this process; `live.send` comes back here.
    """

    def __init__(
        self, fleet: Fleet, command: Sequence[str], ssh: dict[str, Any] | None = None, history: str = ""
    ) -> None:
        self._fleet = fleet
        self._history = history
        self._command = list(command)
        self._ssh = ssh or {}
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: SegmentFolder | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._focus = Focus([])
        self._secrets: dict[str, str] = {}
        self._threads: list[threading.Thread] = []
        self.live = LiveFleet(fleet, self.send)

    @property
    def pid(self) -> int | None:
        """Process id of the running collector."""
        return None if self._process is None else self._process.pid

    def start(self) -> CollectorProcess:
        """Start the collector and the two threads; returns once the process exists.

        Raises:
            OSError: the program cannot be started.
        """
        self._spawn()
        for target, name in ((self._supervise, "collector-read"), (self._write, "collector-write")):
            thread = threading.Thread(target=target, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def send(self, request: Request) -> None:
        """Queue a request; any thread, never blocks. What must outlive a crashed collector is remembered."""
        with self._lock:
            match request:
                case Focus():
                    self._focus = request
                case AddNode(node):
                    others = tuple(n for n in self._fleet.nodes if n.name != node.name)
                    self._fleet = replace(self._fleet, nodes=(*others, node))
                case RemoveNode(name):
                    self._fleet = replace(self._fleet, nodes=tuple(n for n in self._fleet.nodes if n.name != name))
                case Passphrase(identity, secret):
                    self._secrets[identity] = secret
        self._requests.put(request)

    def close(self) -> None:
        """Stop the collector, kill it if it does not, and remove its shared memory. Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._requests.put(Stop())
        self._requests.put(None)
        process = self._process
        if process is not None:
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                _log.warning("the collector (process %d) did not stop; killing it", process.pid)
                process.kill()
                process.wait()
        for thread in self._threads:
            thread.join(STOP_WITHIN_S)
        if process is not None:
            _close_pipes(process)
        if self._folder is not None:
            self._folder.close()

    def _spawn(self) -> None:
        if self._folder is not None:
            self._folder.close()
        self._folder = SegmentFolder.make()
        # A session of its own: Ctrl-C in a terminal is for us, and the end of the pipe is its end.
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        with self._lock:
            first: list[Request] = [Start(self._fleet, str(self._folder.path), self._ssh, self._history), self._focus]
            first += [Passphrase(identity, secret) for identity, secret in self._secrets.items()]
        self._send_now(self._process, first)

    def _send_now(self, process: subprocess.Popen[bytes], requests: Sequence[Request]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # the reader sees the same end and restarts
            process.stdin.write(b"".join(pack(r) for r in requests))
            process.stdin.flush()

    def _write(self) -> None:
        while (request := self._requests.get()) is not None:
            if self._process is not None:
                self._send_now(self._process, [request])

    def _supervise(self) -> None:
        fast_deaths = 0
        while True:
            started = time.monotonic()
            process = self._process
            assert process is not None
            self._read(process)
            code = process.wait()
            if self._closing.is_set():
                return
            _close_pipes(process)
            fast_deaths = fast_deaths + 1 if time.monotonic() - started < STEADY_S else 0
            pause = RESTART_AFTER_S[min(fast_deaths, len(RESTART_AFTER_S) - 1)]
            _log.error("the collector ended with code %s; starting it again in %.1f s", code, pause)
            self.live.collector_lost(f"the collector ended with code {code}; starting it again")
            if self._closing.wait(pause):
                return
            try:
                self._spawn()
            except OSError as exc:
                _log.error("the collector cannot be started: %s", exc)
                self.live.collector_lost(f"the collector cannot be started: {exc}")
                if self._closing.wait(RESTART_AFTER_S[-1]):
                    return

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        stream = cast(BinaryIO, process.stdout)
        try:
            while (body := read_frame(stream)) is not None:
                self.live.receive(message_decoder.decode(body))
        except (ValueError, OSError) as exc:
            _log.error("the collector's messages cannot be read: %s", exc)
            process.kill()


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
