"""One question to a node over its standing connection: a small program on standard input, one line of JSON back."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any

import paramiko

from console.remote import bundle
from console.remote.transport import Transport

MAX_REPLY = 4 << 20
OPEN_S = 10.0
_WITH_NVML = frozenset({"idle", "devices"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a question.

    Attributes:
        was_sent: False when the node surely never got it. True without a reply is a real outcome: unknown.
        reply: what it said, None where nothing came.
        text: why there is no reply.
    """

    was_sent: bool
    reply: dict[str, Any] | None
    text: str = ""


def ask(transport: Transport, python: str, name: str, request: dict[str, Any], timeout_s: float) -> Outcome:
    """Ask and wait at most `timeout_s`. Never raises."""
    verb = request.get("verb")
    program = bundle.answer_bundle(verb in _WITH_NVML or request.get("do") == "devices", verb == "evidence")
    config = {"mode": "ask", "request": {**request, "node": name}}
    try:
        channel = transport.open_session(timeout=OPEN_S)
    except (OSError, EOFError, paramiko.SSHException) as exc:
        return Outcome(False, None, f"{name}: no session for the question: {exc or type(exc).__name__}")
    try:
        channel.settimeout(min(timeout_s, 20.0))
        channel.exec_command(bundle.command(python))
        # The program runs only once it is there whole, so until the last byte nothing has been done.
        try:
            channel.sendall(program.header(config) + program.data)
        except (OSError, EOFError, paramiko.SSHException) as exc:
            return Outcome(False, None, f"{name}: the question was not taken: {_last_words(channel) or exc}")
        channel.shutdown_write()
        return _reply(channel, name, time.monotonic() + timeout_s, timeout_s)
    except (OSError, EOFError, paramiko.SSHException) as exc:
        return Outcome(True, None, f"{name}: the connection ended before the answer: {exc or type(exc).__name__}")
    finally:
        with contextlib.suppress(Exception):
            channel.close()


def _reply(channel: paramiko.Channel, name: str, deadline: float, timeout_s: float) -> Outcome:
    data = b""
    while not data.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0.0:
            return Outcome(True, None, f"{name}: no answer within {timeout_s:.0f} s")
        channel.settimeout(left)
        try:
            more = channel.recv(65536)
        except TimeoutError:
            continue
        if not more:
            break
        data += more
        if len(data) > MAX_REPLY:
            return Outcome(True, None, f"{name}: the answer is longer than {MAX_REPLY >> 20} MiB")
    try:
        reply = json.loads(data)
        if not isinstance(reply, dict):
            raise ValueError("not an object")
    except ValueError:
        words = _last_words(channel) or "it said nothing"
        return Outcome(True, None, f"{name}: the answer is not understood: {words}")
    return Outcome(True, reply)


def _last_words(channel: paramiko.Channel) -> str:
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        channel.settimeout(1.0)
        text = channel.recv_stderr(4096).decode("utf-8", "replace").strip()
        return text.splitlines()[-1][:300] if text else ""
    return ""
