"""When the running work is finished: proven by what the driver and the kernel say, three times over. Pure.

The predicate: no compute, graphics or MPS process (of the card and of each MIG instance) in SAMPLES samples at least
APART_S apart; memory in use at most the idle baseline plus SLACK_BYTES; nobody has the card's device file open. What
could not be looked at is unknown, and unknown is never idle.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

SAMPLES = 3
APART_S = 5.0
SLACK_BYTES = 64 << 20
BASELINE_BYTES = 1 << 30
"""Where no baseline of a card is known: what drivers keep for themselves is well below this."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at a card.

    Attributes:
        at: monotonic second.
        pids: of processes that the driver names.
        is_complete: whether the driver could name all.
        open_pids: of processes with the device file open.
        all_seen: whether every process's open files could be read.
        memory: bytes in use, None where unknown.
        mode: NVML compute mode, None where unknown.
        error: why nothing could be seen, "" otherwise.
    """

    at: float
    pids: tuple[int, ...] = ()
    is_complete: bool = False
    open_pids: tuple[int, ...] = ()
    all_seen: bool = False
    memory: int | None = None
    mode: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a card is idle: True only when proven; None where it cannot be told. `text` says why."""

    is_idle: bool | None
    text: str


def seen_of(reply: Any, at: float) -> Seen:
    """What a node said of one card, with everything malformed as unknown."""
    try:
        if "error" in reply:
            return Seen(at, error=str(reply["error"])[:300])
        return Seen(
            at,
            tuple(int(p) for p in reply["pids"]),
            reply["complete"] is True,
            tuple(int(p) for p in reply["open"]),
            reply["open_complete"] is True,
            int(reply["memory_used"]),
            None if reply.get("mode") is None else int(reply["mode"]),
        )
    except (KeyError, TypeError, ValueError):
        return Seen(at, error="the node's answer is not understood")


def look(seen: Seen, baseline: int | None = None) -> Finding:
    """What one look says."""
    if seen.error:
        return Finding(None, seen.error)
    if seen.pids:
        return Finding(False, f"it still runs {', '.join(map(str, seen.pids[:8]))}")
    if seen.open_pids:
        return Finding(False, f"processes have the card open: {', '.join(map(str, seen.open_pids[:8]))}")
    limit = (BASELINE_BYTES if baseline is None else baseline) + SLACK_BYTES
    if seen.memory is None:
        return Finding(None, "memory in use is not known")
    if seen.memory > limit:
        return Finding(False, f"{seen.memory >> 20} MiB are in use and no process is named: a ghost, not idle")
    if not seen.is_complete:
        return Finding(None, "the driver could not name all processes")
    return Finding(True, "no process, nothing open, memory at rest")


def proven(samples: Sequence[Seen], baseline: int | None = None, needs_fds: bool = True) -> Finding:
    """Whether the newest samples prove that a card is idle. `needs_fds` False: unreadable open files are accepted."""
    if len(samples) < SAMPLES:
        return Finding(None, f"{len(samples)} of {SAMPLES} samples")
    newest = list(samples[-SAMPLES:])
    for one in reversed(newest):
        found = look(one, baseline)
        if found.is_idle is not True:
            return found
        if needs_fds and not one.all_seen:
            return Finding(None, "open files of other users' processes cannot be read by this login")
    if any(b.at - a.at < APART_S for a, b in itertools.pairwise(newest)):
        return Finding(None, f"samples must be {APART_S:.0f} s apart")
    return Finding(True, f"no process in {SAMPLES} samples {APART_S:.0f} s apart, nothing open, memory at rest")
