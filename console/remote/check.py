"""`fleet check`: what works on the way to a node's cards, step by step."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import paramiko

from console.fleet.model import Fleet
from console.fleet.state import Problem, ProblemCode
from console.remote import bundle
from console.remote.auth import KeyRing, Passphrases
from console.remote.connection import Connector, close_now
from console.remote.errors import LinkProblem, tcp_problem
from console.remote.targets import SshOptions, Target, Targets
from console.remote.transport import Transport, log_in

STEPS = ("name", "port", "host_key", "auth", "python", "host", "nvml", "driver", "cards", "persistence", "ntp", "clock")
PROBE_S = 30.0
SKEW_WARN_S, SKEW_FAIL_S = 2.0, 30.0
_MAX_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class Check:
    """One step: `status` is "ok", "warn", "fail" or "unknown" (not reached). `next_step` is "" when all is well."""

    name: str
    status: str
    text: str
    next_step: str = ""


def check_node(
    fleet: Fleet, name: str, options: SshOptions | None = None, passphrases: Passphrases | None = None
) -> Iterator[Check]:
    """The steps of STEPS in order; after a failure the rest are unknown. Blocks up to about a minute."""
    done: set[str] = set()
    for check in _checks(fleet, name, options or SshOptions(), passphrases or Passphrases()):
        done.add(check.name)
        yield check
    for step in STEPS:
        if step not in done:
            yield Check(step, "unknown", "not reached")


def _checks(fleet: Fleet, name: str, options: SshOptions, passphrases: Passphrases) -> Iterator[Check]:
    connector = Connector(KeyRing(passphrases, options.use_agent))
    try:
        target = Targets(fleet, options).of(name)
    except LinkProblem as exc:
        yield _failed("name", exc.problem)
        return
    yield from _reach(target)
    transport: Transport | None = None
    try:
        transport = connector.shake(target)
        if target.jumps:
            yield Check("port", "ok", f"{target.hostname}:{target.port} is open, by way of {target.route}")
        yield Check("host_key", "ok", "the host key is known")
        log_in(target, transport, KeyRing(passphrases, options.use_agent))
        yield Check("auth", "ok", f"logged in as {target.user}")
        node = next(n for n in fleet.nodes if n.name == name)
        yield from _probe(transport, node.python)
    except LinkProblem as exc:
        yield _failed(_STEP_OF.get(exc.problem.code, "auth"), exc.problem)
    finally:
        if transport is not None:
            close_now(transport)
            connector.release(target)
        connector.close()


_STEP_OF = {
    ProblemCode.NAME: "name",
    ProblemCode.PORT: "port",
    ProblemCode.TIMEOUT: "port",
    ProblemCode.CLOSED: "port",
    ProblemCode.JUMP: "port",
    ProblemCode.KEY_UNKNOWN: "host_key",
    ProblemCode.KEY_CHANGED: "host_key",
    ProblemCode.KEY_REVOKED: "host_key",
    ProblemCode.CONFIG: "name",
}


def _failed(step: str, found: Problem) -> Check:
    text = found.what + (f" ({found.why})" if found.why else "")
    return Check(step, "fail", text, found.next_step)


def _reach(target: Target) -> Iterator[Check]:
    """Name and port of the first hop; what lies behind a jump can only be asked there."""
    first = target.jumps[0] if target.jumps else target
    try:
        found = socket.getaddrinfo(first.hostname, first.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        yield _failed("name", tcp_problem(first.name, first.hostname, first.port, exc).problem)
        return
    yield Check("name", "ok", f"{first.hostname} is {found[0][4][0]}")
    if target.jumps:
        return
    try:
        socket.create_connection((first.hostname, first.port), timeout=10.0).close()
    except OSError as exc:
        yield _failed("port", tcp_problem(first.name, first.hostname, first.port, exc).problem)
        return
    yield Check("port", "ok", f"{first.hostname}:{first.port} is open")


def _probe(transport: Transport, python: str) -> Iterator[Check]:
    program = bundle.agent_bundle()
    try:
        channel = transport.open_session(timeout=10.0)
        channel.settimeout(PROBE_S)
        channel.exec_command(bundle.command(python))
        channel.sendall(program.header({"mode": "probe"}) + program.data)
        channel.shutdown_write()
        answer, received = _read(channel), time.time()
    except (OSError, EOFError, paramiko.SSHException) as exc:
        yield Check("python", "fail", f"{python} could not be run: {exc or 'no answer'}", "see sshd's log on the node")
        return
    checks = _parse(answer)
    if checks is None:
        status = channel.recv_exit_status() if channel.exit_status_ready() else -1
        yield _no_python(python, status, answer)
        return
    for check in checks:
        yield _clock(check, received) if check["name"] == "clock" else _told(check)


def _read(channel: paramiko.Channel) -> bytes:
    answer = b""
    deadline = time.monotonic() + PROBE_S
    while len(answer) < _MAX_ANSWER and time.monotonic() < deadline:
        part = channel.recv(65536)
        if not part:
            break
        answer += part
    return answer


def _parse(answer: bytes) -> list[dict[str, str]] | None:
    for line in answer.splitlines():
        if line.startswith(b'{"t":"probe"'):
            try:
                found: dict[str, Any] = msgspec.json.decode(line)
                return msgspec.convert(found["checks"], list[dict[str, str]])
            except (msgspec.MsgspecError, KeyError):
                return None
    return None


def _no_python(python: str, status: int, answer: bytes) -> Check:
    if status == 127:
        return Check(
            "python",
            "warn",
            f"{python} was not found: the console will read nvidia-smi instead, with fewer readings",
            "install python3 (3.6 or newer), or name its path as `python` in the fleet file",
        )
    text = answer.decode("utf-8", "replace").strip()[-200:]
    return Check("python", "fail", f"the agent gave no answer (status {status}) {text}".strip(), "try it by hand")


def _told(check: dict[str, str]) -> Check:
    status = check.get("status", "unknown")
    step = _NEXT.get((check.get("name", ""), status), "")
    return Check(check.get("name", "?"), status, check.get("text", ""), step)


_NEXT = {
    ("nvml", "fail"): "install or load the NVIDIA driver: nvidia-smi on the node must work",
    ("cards", "fail"): "look at dmesg on the node for NVRM: Xid; a card may have fallen off the bus",
    ("persistence", "warn"): "run on the node: sudo nvidia-smi -pm 1, or enable nvidia-persistenced",
    ("ntp", "warn"): "start chrony or systemd-timesyncd on the node",
}


def _clock(check: dict[str, str], received: float) -> Check:
    try:
        skew = float(check.get("text", "")) - received
    except ValueError:
        return Check("clock", "unknown", "the node did not tell its time")
    text = f"the node's clock is {skew:+.2f} s from this one"
    if abs(skew) > SKEW_WARN_S:
        status = "fail" if abs(skew) > SKEW_FAIL_S else "warn"
        return Check("clock", status, text, "set the node's clock: chronyc makestep")
    return Check("clock", "ok", text)
