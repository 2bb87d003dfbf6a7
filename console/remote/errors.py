"""Failures of a connection as problems for a person: what, where, why, next step."""

from __future__ import annotations

import socket

import paramiko

from console.fleet.state import Problem, ProblemCode


class LinkProblem(Exception):
    """A connection that could not be made or kept; carries the problem to show.

    Attributes:
        problem: for a person.
        key: the host key shown, in wire form, where the problem is about it.
    """

    def __init__(self, problem: Problem, key: bytes = b"") -> None:
        super().__init__(problem.what)
        self.problem = problem
        self.key = key


def problem(
    code: ProblemCode, what: str, why: str = "", next_step: str = "", person: bool = False, **facts: str
) -> LinkProblem:
    """A LinkProblem of those words."""
    return LinkProblem(Problem(code, what, why, next_step, facts, person))


def tcp_problem(name: str, host: str, port: int, exc: OSError) -> LinkProblem:
    """Why no TCP connection could be made."""
    at = f"{host}:{port}"
    if isinstance(exc, socket.gaierror):
        return problem(
            ProblemCode.NAME,
            f"{name}: the host name {host} is not known",
            str(exc.strerror or exc),
            "correct `host` in the fleet file, or add it to DNS, /etc/hosts or your SSH config",
        )
    if isinstance(exc, TimeoutError):
        return problem(
            ProblemCode.TIMEOUT,
            f"{name}: no answer from {at}",
            "the node is off, the address is wrong, or a firewall drops the packets",
            f"try: ping {host}; look at the node's BMC",
        )
    if isinstance(exc, ConnectionRefusedError):
        return problem(
            ProblemCode.PORT,
            f"{name}: {at} refused the connection",
            "the host is up, but no SSH server listens on that port",
            "start sshd on the node, or correct `port` in the fleet file",
        )
    return problem(ProblemCode.PORT, f"{name}: cannot reach {at}", str(exc.strerror or exc), "look at the network path")


def handshake_problem(name: str, exc: Exception) -> LinkProblem:
    """Why the SSH handshake failed."""
    if isinstance(exc, paramiko.ssh_exception.IncompatiblePeer):
        return problem(
            ProblemCode.AUTH,
            f"{name}: no SSH algorithm in common",
            str(exc),
            "update the node's SSH server",
            person=True,
        )
    why = str(exc) or type(exc).__name__
    return problem(
        ProblemCode.CLOSED,
        f"{name}: the SSH server closed the connection during the handshake",
        why,
        "look at sshd's log on the node; MaxStartups may be too low",
    )


def closed(name: str, why: str) -> Problem:
    """The connection ended after it stood."""
    return Problem(ProblemCode.CLOSED, f"{name}: the connection ended", why, "reconnecting by itself")
