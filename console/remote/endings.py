"""How connections end, in words: what failed on which node, and what to do next."""

from __future__ import annotations

from console.fleet.model import Node
from console.fleet.state import Problem, ProblemCode


def is_missing(status: int, text: str) -> bool:
    """Whether the shell said that there is no such program."""
    # 127: POSIX shells; csh and fish say it in words with status 1 or 127; Windows' cmd says 9009.
    return status == 127 or (status not in (0, -1) and "not found" in text.lower())


def internal(name: str, exc: Exception) -> Problem:
    """A fault of ours."""
    return Problem(
        ProblemCode.INTERNAL,
        f"{name}: connecting failed inside the console",
        f"{type(exc).__name__}: {exc}",
        "this is a fault of Cardkeeper; please report it with the log",
    )


def no_session(name: str, exc: Exception) -> Problem:
    """The server gave no session."""
    return Problem(
        ProblemCode.AGENT,
        f"{name}: the SSH server gave no session for the agent",
        str(exc) or type(exc).__name__,
        "check MaxSessions and ForceCommand in the node's sshd_config",
    )


def nothing_there(node: Node) -> Problem:
    """Neither python3 nor nvidia-smi."""
    return Problem(
        ProblemCode.PYTHON,
        f"{node.name}: neither {node.python} nor nvidia-smi was found",
        "both are looked for in the login's PATH",
        "install python3 (3.6 or newer) on the node, or name its path as `python` in the fleet file",
        needs_person=True,
    )


def agent_failed(node: Node, status: int, text: str) -> Problem:
    """The agent ended at once."""
    return Problem(
        ProblemCode.AGENT,
        f"{node.name}: the agent ended at once with status {status}",
        text.splitlines()[-1][:300] if text else "it said nothing",
        f"run: cardkeeper fleet check {node.name}",
    )
