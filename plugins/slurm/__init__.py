"""Slurm as the authority over a node: drain, undrain and reservations by scontrol, jobs by squeue.

Sources: scontrol(1), squeue(1) of Slurm 22.05 to 24.11. `UNDRAIN` clears DRAIN alone; `RESUME` would also clear DOWN and
REBOOT. A GPU count of one card cannot be drained at run time, so cards are drained by draining their node.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from console.extend import Argv, Job, SchedulerState

_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_OP = re.compile(r"[A-Za-z0-9]{4,40}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_KEY = re.compile(r"(?:^| )([A-Z][A-Za-z/:]*)=")
_CARDS = re.compile(r"gres[:/]gpu(?:[:/][^=:,]+)?[=:](\d+)")
_RUNNING = frozenset({"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT"})
_BUSY = frozenset({"ALLOCATED", "MIXED", "COMPLETING"})
MOST_REASON = 200


class Slurm:
    """Fulfils console.extend.Scheduler."""

    name = "slurm"

    def looks(self, node: str) -> Sequence[Argv]:
        """`scontrol show node`, `squeue` of the node, and the reservations."""
        good = _node(node)
        return (
            ("scontrol", "-o", "show", "node", good),
            ("squeue", "--noheader", "--all", f"--nodelist={good}", "--format=%i|%u|%a|%T|%b|%j"),
            ("scontrol", "-o", "show", "reservation"),
        )

    def state(self, node: str, outputs: Sequence[str]) -> SchedulerState:
        """What those three said.

        Raises:
            ValueError: the node is not in it.
        """
        facts = fields_of(outputs[0])
        if facts.get("NodeName") != node or "State" not in facts:
            raise ValueError(f"Slurm knows no node {node}: {outputs[0].strip()[:200] or 'it said nothing'}")
        flags = set(re.split(r"[+]", facts["State"].rstrip("*~#!%$@^-")))
        jobs = tuple(_jobs(outputs[1]))
        return SchedulerState(
            text=facts["State"],
            reason=_without_stamp(facts.get("Reason", "")),
            is_blocked=bool(flags & {"DRAIN", "DRAINED", "DRAINING", "DOWN", "FAIL", "FAILING"}),
            is_empty=not jobs and not flags & _BUSY,
            jobs=jobs,
            reservations=tuple(_reservations(outputs[2], facts)),
        )

    def drain(self, node: str, op: str, by: str, reason: str) -> Argv:
        """`scontrol update … State=DRAIN` with our prefix in the reason."""
        text = f"cardkeeper:{_op(op)}:{_plain(by)}: {_plain(reason)}"[:MOST_REASON]
        return ("scontrol", "update", f"NodeName={_node(node)}", "State=DRAIN", f"Reason={text}")

    def undrain(self, node: str) -> Argv:
        """`State=UNDRAIN`, never RESUME."""
        return ("scontrol", "update", f"NodeName={_node(node)}", "State=UNDRAIN")

    def reserve(self, node: str, op: str, users: Sequence[str], seconds: float | None) -> Argv:
        """A reservation for users; running jobs are left alone."""
        bad = [u for u in users if not _USER.fullmatch(u)]
        if bad or not users:
            raise ValueError(f"a Slurm reservation is for logins; {bad[0]!r} is none" if bad else
                             "a Slurm reservation is for logins: name them with --user")  # fmt: skip
        length = "UNLIMITED" if seconds is None else str(max(1, math.ceil(seconds / 60.0)))
        return (
            "scontrol", "create", "reservation", f"ReservationName={self.reservation(op)}", "StartTime=now",
            f"Duration={length}", f"Nodes={_node(node)}", f"Users={','.join(users)}", "Flags=IGNORE_JOBS",
        )  # fmt: skip

    def unreserve(self, op: str) -> Argv:
        """Delete it; Slurm refuses while jobs run in it."""
        return ("scontrol", "delete", f"ReservationName={self.reservation(op)}")

    def reservation(self, op: str) -> str:
        """One name an operation."""
        return f"cardkeeper_{_op(op)}"

    def reboot(self, node: str, op: str, reason: str) -> Argv:
        """`nextstate=DOWN`: with ASAP the default would return an unverified node to service."""
        text = f"cardkeeper:{_op(op)}:reboot: {_plain(reason)}"[:MOST_REASON]
        return ("scontrol", "reboot", "ASAP", "nextstate=DOWN", f"reason={text}", _node(node))


PLUGIN = Slurm()


def fields_of(line: str) -> dict[str, str]:
    """The `Key=value` fields of one line of `scontrol -o`. A value runs to the next key: reasons contain spaces.

    `Reason` is taken last of all, whatever keys a person wrote into it.
    """
    text = " ".join(line.split("\n")[0].split())
    head, mark, reason = text.partition(" Reason=")
    found: dict[str, str] = {}
    keys = list(_KEY.finditer(head))
    for i, key in enumerate(keys):
        end = keys[i + 1].start() if i + 1 < len(keys) else len(head)
        found.setdefault(key[1], head[key.end() : end].strip())
    if mark:
        found["Reason"] = reason.strip()
    return found


def _without_stamp(reason: str) -> str:
    """Without Slurm's own "[root@2026-01-01T00:00:00]" at the end, and what may stand behind it."""
    return re.sub(r"\s*\[[^\[\]]*@\d{4}-\d\d-\d\dT[\d:]+\].*$", "", reason)


def _jobs(text: str) -> list[Job]:
    found = []
    for line in text.splitlines():
        parts = line.split("|", 5)
        if len(parts) < 6:
            if line.strip():
                raise ValueError(f"squeue said what is not understood: {line[:200]}")
            continue
        if parts[3] not in _RUNNING:
            continue  # a pending job that asks for the node has nothing there
        cards = _CARDS.search(parts[4])
        found.append(Job(parts[0], parts[1], parts[2], parts[5], int(cards[1]) if cards else None, parts[3]))
    return found


def _reservations(text: str, facts: dict[str, str]) -> list[str]:
    own = facts.get("ReservationName")
    found = [] if own is None else [own]
    for line in text.splitlines():
        fields = fields_of(line)
        name, nodes = fields.get("ReservationName"), fields.get("Nodes", "")
        if name and name not in found and facts["NodeName"] in expand(nodes):
            found.append(name)
    return found


def expand(text: str) -> set[str]:
    """The names of a host list like gpu[01-03,07],login1. At most 65,536; more, or nonsense, is an empty set."""
    out: set[str] = set()
    for part in re.findall(r"[^,\[\]]+(?:\[[^\]]*\])?[^,\[\]]*", text):
        found = re.fullmatch(r"([^\[\]]*)\[([0-9,-]+)\]([^\[\]]*)", part)
        if found is None:
            out.add(part)
            continue
        for piece in found[2].split(","):
            low, _, high = piece.partition("-")
            if not low.isdigit() or (high and not high.isdigit()) or int(high or low) - int(low) > 65_535:
                return set()
            out |= {f"{found[1]}{n:0{len(low)}d}{found[3]}" for n in range(int(low), int(high or low) + 1)}
    return out if len(out) <= 65_536 else set()


def _node(name: str) -> str:
    if not _NODE.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a node")
    return name


def _op(op: str) -> str:
    if not _OP.fullmatch(op):
        raise ValueError(f"{op!r} is not the id of an operation")
    return op


def _plain(text: str) -> str:
    """One line without what scontrol would take for a field's end."""
    return re.sub(r"[^\x20-\x7e]|[=\"'\\\[\]]", "_", " ".join(text.split()))
