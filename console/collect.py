"""The collector process: joins `remote` and `telemetry` behind a pair of pipes.

Standard input carries console.telemetry.messages requests, standard output its messages. The end of standard input
means that the window is gone, so the process ends too.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from console import logs
from console.fleet.model import Fleet, Node
from console.remote.asking import Outcome
from console.remote.links import Links, SshOptions
from console.telemetry.collector import Collector
from console.telemetry.messages import (
    AddNode,
    Answered,
    Ask,
    Focus,
    Message,
    Passphrase,
    Ready,
    Reconnect,
    RemoveNode,
    Request,
    Start,
    Stop,
    Trust,
    pack,
    read_frame,
    request_decoder,
)
from console.telemetry.segments import SegmentFolder

if TYPE_CHECKING:
    from console.record import RecordingTape

_log = logging.getLogger(__name__)
TICK_S = 0.25
FLUSH_S = 0.05


class CollectorServer:
    """Runs one Collector for the process at the other end of the pipes."""

    def __init__(self, requests: BinaryIO, messages: BinaryIO) -> None:
        self._requests = requests
        self._messages = messages
        self._wake = threading.Event()
        self._end = threading.Event()
        self._nodes: dict[str, Node] = {}

    def serve(self) -> int:
        """Serve until the other end closes or says stop; returns an exit code."""
        body = read_frame(self._requests)
        if body is None:
            return 0
        start = request_decoder.decode(body)
        if not isinstance(start, Start):
            _log.error("the first request must be Start, not %s", type(start).__name__)
            return 2
        self._fleet = start.fleet
        tape = _tape(start.history)
        folder = SegmentFolder(Path(start.folder))
        self._collector = Collector(folder, self._wake.set, len(start.fleet.nodes), tape=tape)
        self._links = Links(start.fleet, self._collector, SshOptions(**start.ssh))
        self._send([Ready(os.getpid())])
        writer = threading.Thread(target=self._write, name="messages", daemon=True)
        ticker = threading.Thread(target=self._tick, name="liveness", daemon=True)
        writer.start()
        ticker.start()
        self._collector.begin(start.fleet, self._links)
        if tape is not None:
            tape.start(self._collector)
        try:
            self._read()
        finally:
            self._end.set()
            self._wake.set()
            self._links.close()
            if tape is not None:
                tape.close()
        return 0

    def _read(self) -> None:
        while (body := read_frame(self._requests)) is not None:
            request = request_decoder.decode(body)
            if isinstance(request, Stop):
                return
            self._handle(request)

    def _handle(self, request: Request) -> None:
        match request:
            case Focus(uuids, period_s):
                self._collector.focus(uuids, period_s)
            case AddNode(node):
                self._refit((*(n for n in self._fleet.nodes if n.name != node.name), node))
                self._collector.add(node)
            case RemoveNode(name):
                self._collector.remove(name)
                self._refit(tuple(n for n in self._fleet.nodes if n.name != name))
            case Reconnect(name):
                self._collector.forget_gone(name)
                self._links.reconnect(name)
            case Trust(name, fingerprint):
                self._links.trust(name, fingerprint)
            case Ask(number, name, body, timeout_s):
                self._links.ask(name, json.loads(body), timeout_s, lambda o: self._answer(number, name, o))
            case Passphrase(identity, secret):
                self._links.passphrase(identity, secret)
            case Start() | Stop():
                pass

    def _answer(self, number: int, name: str, outcome: Outcome) -> None:
        reply = None if outcome.reply is None else json.dumps(outcome.reply).encode()
        self._collector.answer(Answered(number, name, outcome.was_sent, reply, outcome.text))

    def _refit(self, nodes: tuple[Node, ...]) -> None:
        old = self._fleet
        self._fleet = Fleet(old.name, old.path, nodes, old.jumps, old.demo)
        self._links.update(self._fleet)

    def _tick(self) -> None:
        while not self._end.wait(TICK_S):
            self._collector.tick()

    def _write(self) -> None:
        while not self._end.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                self._send(self._collector.take())
            except (OSError, ValueError):  # the window is gone; the reader sees the same
                return
            self._end.wait(FLUSH_S)

    def _send(self, messages: Sequence[Message]) -> None:
        if messages:
            self._messages.write(b"".join(pack(m) for m in messages))
            self._messages.flush()


def _tape(folder: str) -> RecordingTape | None:
    if not folder:
        return None
    # Imported only by those who record: SQLite's packages cost a seventh of a second.
    from console.record import RecordingTape

    return RecordingTape(Path(folder))


def main() -> int:
    """Entry of the collector process."""
    logs.configure("collector")
    requests, messages = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr  # a stray print must not break the frames
    code = CollectorServer(requests, messages).serve()
    logging.shutdown()
    # Transport threads of frozen peers may linger; nothing is left to save.
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
