"""The real agent over one channel of a simulated node."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko

from console.agent import answer
from console.agent import main as agent
from console.demo.bootstrap import Intake, check_program
from console.demo.simulation.host import SimulatedHost
from console.demo.simulation.node import SimulatedNode
from console.demo.simulation.nvml import SimulatedNvml
from console.remote.stream import Fed, acknowledge

_log = logging.getLogger(__name__)
GONE = (OSError, EOFError, paramiko.SSHException)
"""What writing to a channel raises when the console is gone."""

_MOST_EARLY = 64
"""Control lines kept until the agent runs, as a pipe would keep them."""


def finish(channel: Any, status: int, text: str = "") -> None:
    """End a channel as a command does, with its words on standard error. Not on the transport's thread."""
    with contextlib.suppress(*GONE):
        if text:
            channel.sendall_stderr(text.encode())
        channel.send_exit_status(status)
        channel.close()


def in_thread(name: str, call: Callable[[], None]) -> None:
    """Run `call` beside the transport's thread, which must not wait for itself."""
    threading.Thread(target=call, name=name, daemon=True).start()


class AgentRun:
    """Takes the streamed program, checks it, and runs our own agent, which has the same sources, over a simulation.

    With `burst` it emits at the full second instead of at its own phase.
    """

    def __init__(self, node: SimulatedNode, channel: Any, burst: bool, books: Path) -> None:
        self._node = node
        self._channel = channel
        self._burst = burst
        self._books = books
        self._intake = Intake()
        self._control: agent.Control | None = None
        self._early: list[bytes] = []
        self._handover = threading.Lock()
        self._started = False
        self._stop = threading.Event()
        self._fed = Fed(self._take, self._ended)
        channel.in_buffer = self._fed

    def _ended(self) -> None:
        self._stop.set()
        if self._control is not None:
            self._control.wake.set()

    def _take(self, data: bytes) -> None:
        """Bytes of the console, on the transport's thread."""
        if self._stop.is_set():
            return
        try:
            lines = self._intake.take(data)
        except ValueError as exc:
            self._ended()
            reason = f"python3: {exc}\n"
            in_thread("refuse", lambda: finish(self._channel, 1, reason))
            return
        if self._intake.program is not None and not self._started:
            self._started = True
            in_thread(self._node.plan.name, self._run)
        with self._handover:
            if self._control is None:
                self._early += lines[: _MOST_EARLY - len(self._early)]
                return
        for line in lines:
            self._control.take(line)

    def _run(self) -> None:
        assert self._intake.program is not None
        is_question = self._intake.config.get("mode") == "ask"
        try:
            check_program(self._intake.program, self._intake.sha256, not is_question)
        except ValueError as exc:
            finish(self._channel, 1, f"{exc}\n")
            return
        if is_question:
            self._answer(self._intake.config["request"])
            return
        try:
            code, text = self._sample(self._intake.config), ""
        except GONE:
            code, text = 0, ""
        except Exception as exc:  # noqa: BLE001 - as on a node: the traceback's last line goes to the console
            _log.exception("%s: the agent failed", self._node.plan.name)
            code, text = 1, f"{type(exc).__name__}: {exc}\n"
        finish(self._channel, code, text)

    def _answer(self, request: dict[str, Any]) -> None:
        """The card book lies in the demo's own folder, a folder a node; of the helper only the compute mode is played."""
        folder = self._books / self._node.plan.name
        folder.mkdir(parents=True, exist_ok=True)
        if request.get("verb") == "do":
            reply = self._do(request)
        elif request.get("verb") == "evidence":
            reply = self._evidence()
        else:
            reply = answer.answer(request, str(folder), "/nonexistent", SimulatedNvml(self._node))
            if request.get("rights"):
                reply["can"] = self._node.plan.has_driver
        with contextlib.suppress(*GONE):
            self._channel.sendall(json.dumps(reply).encode() + b"\n")
        finish(self._channel, 0)

    def _evidence(self) -> dict[str, Any]:
        """What a simulated node can tell of itself; nothing of the workstation that plays it."""
        lines = [f"[{x.at:12.6f}] NVRM: Xid (card {x.card}): {x.code}, {x.text}" for x in self._node.xids(0.0)]
        texts = {
            "nvidia-smi-q": f"simulated node {self._node.plan.name}: there is no nvidia-smi",
            "kernel-log": "\n".join(lines) or "no line of the driver since boot",
        }
        parts = {name: {"command": "simulated", "status": 0, "text": text} for name, text in texts.items()}
        return {"ok": True, "parts": parts}

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        mode = answer.MODES.get(str(request.get("mode")))
        if request["do"] != "compute-mode" or mode is None:
            return {"ok": True, "status": 64, "output": "a simulated node does not do that"}
        self._node.modes[str(request["uuid"])] = int(mode)
        return {"ok": True, "status": 0, "output": ""}

    def _sample(self, config: dict[str, Any]) -> int:
        config["isolate"] = False  # nothing hangs in here, and threads are dear
        if self._burst:
            config["phase"] = 0.0

        def attach(control: agent.Control) -> None:
            with self._handover:
                self._control, early = control, self._early
                for line in early:
                    control.take(line)

        return int(
            agent.run(
                config,
                None,
                self._write,
                SimulatedNvml(self._node),
                SimulatedHost(self._node),
                wall=self._node.wall,
                stop=self._stop,
                attach=attach,
            )
        )

    def _write(self, line: bytes) -> None:
        while self._node.is_hanging() and not self._stop.is_set():
            time.sleep(0.25)
        self._channel.sendall(line)
        if self._fed.unread > 1 << 16:
            acknowledge(self._channel, self._fed.take_unread())
