"""The words of operations: three axes that are never one, holds as a set, and what a card book's entry says."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace
from typing import Any

NODE = "node"
"""The target that is the whole node; cards inherit its holds, never the reverse."""


class Admin(enum.StrEnum):
    """What people want with a target."""

    IN_SERVICE = "in_service"
    DRAINING = "draining"
    DRAINED = "drained"
    MAINTENANCE = "maintenance"
    VERIFYING = "verifying"
    PROBATION = "probation"
    RETIRED = "retired"


class Health(enum.StrEnum):
    """What is observed of a target."""

    OK = "ok"
    SUSPECT = "suspect"
    FAULT = "fault"
    LOST = "lost"
    UNKNOWN = "unknown"


class Use(enum.StrEnum):
    """Who has a card, and whether those who run on it are they."""

    FREE = "free"
    ASSIGNED = "assigned"
    IN_USE = "in_use"
    SQUATTED = "squatted"
    UNKNOWN = "unknown"


class Refusal(Exception):
    """Something that may not be done; the text says why, for a person."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a target takes no new work. `session` is a fencing token: steps of another session have no effect.

    `since` and `expires` are unix seconds; `expires` None holds until it is lifted.
    """

    op: str
    owner: str
    reason: str
    session: str
    since: float
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """A tenant's right to a card. `users` are the logins that may run there; none named: anybody's work is the tenant's."""

    tenant: str
    op: str
    since: float
    until: float | None = None
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cleared:
    """A person's word that a target is well although something was found. `at` in unix seconds."""

    at: float
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What a card book says of one target.

    Attributes:
        gen: generation of the book in which it was written; 0 for a target the book does not know.
        before: the admin state that lifting all holds leads back to.
        modes: ((card's UUID, compute mode to be put back), ...) of the cards that are blocked for this target.
        boot_id: of the kernel under which they were blocked; a reboot lifts the block, not the hold.
        proven_at: unix second at which it was proven idle.
        passed_at: unix second at which verification passed.
        cleared: who said last that it is well.
        closed: logins that alone may open the cards' device files, () for all.
    """

    target: str
    gen: int = 0
    admin: Admin = Admin.IN_SERVICE
    before: Admin = Admin.IN_SERVICE
    holds: tuple[Hold, ...] = ()
    assignment: Assignment | None = None
    modes: tuple[tuple[str, str], ...] = ()
    boot_id: str = ""
    proven_at: float | None = None
    passed_at: float | None = None
    cleared: Cleared | None = None
    closed: tuple[str, ...] = ()

    @property
    def is_blank(self) -> bool:
        """Whether the book may forget it."""
        return self == Entry(self.target, self.gen)

    def hold_of(self, op: str) -> Hold | None:
        """The hold of an operation."""
        return next((h for h in self.holds if h.op == op), None)

    def live_holds(self, now: float) -> tuple[Hold, ...]:
        """Holds that have not expired."""
        return tuple(h for h in self.holds if h.expires is None or h.expires > now)

    def without(self, op: str) -> Entry:
        """The entry without an operation's hold."""
        return replace(self, holds=tuple(h for h in self.holds if h.op != op))

    def to_json(self) -> dict[str, Any] | None:
        """For the book; None for one that needs no entry."""
        if self.is_blank:
            return None
        assignment = self.assignment
        return {
            "gen": self.gen, "admin": str(self.admin), "before": str(self.before), "modes": dict(self.modes),
            "boot_id": self.boot_id, "proven_at": self.proven_at, "passed_at": self.passed_at,
            "closed": list(self.closed),
            "cleared": None if self.cleared is None else {
                "at": self.cleared.at, "by": self.cleared.by, "reason": self.cleared.reason,
            },
            "holds": [
                {"op": h.op, "owner": h.owner, "reason": h.reason, "session": h.session, "since": h.since,
                 "expires": h.expires} for h in self.holds
            ],
            "assignment": None if assignment is None else {
                "tenant": assignment.tenant, "op": assignment.op, "since": assignment.since,
                "until": assignment.until, "users": list(assignment.users),
            },
        }  # fmt: skip


def entry_of(target: str, data: Any) -> Entry:
    """The entry that a node told of.

    Raises:
        ValueError: it is not one; a state that is not understood is never taken for "in service".
    """
    if data is None:
        return Entry(target)
    try:
        found, cleared = data.get("assignment"), data.get("cleared")
        return Entry(
            target, int(data["gen"]), Admin(data["admin"]), Admin(data["before"]),
            tuple(
                Hold(
                    _text(h["op"]), _text(h["owner"]), _text(h["reason"]), _text(h["session"]), float(h["since"]),
                    None if h.get("expires") is None else float(h["expires"]),
                )
                for h in data["holds"]
            ),
            None if found is None else Assignment(
                _text(found["tenant"]), _text(found["op"]), float(found["since"]),
                None if found.get("until") is None else float(found["until"]),
                tuple(_text(u) for u in found.get("users") or ()),
            ),
            tuple(sorted((_text(u), _text(m)) for u, m in dict(data.get("modes") or {}).items())),
            _text(data.get("boot_id") or ""),
            None if data.get("proven_at") is None else float(data["proven_at"]),
            None if data.get("passed_at") is None else float(data["passed_at"]),
            None if cleared is None else Cleared(
                float(cleared["at"]), _text(cleared["by"]), _text(cleared["reason"])
            ),
            tuple(_text(u) for u in data.get("closed") or ()),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise ValueError(f"the card book's entry of {target} is not understood: {exc}") from exc


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value[:400]


@dataclass(frozen=True, slots=True)
class Book:
    """A node's card book as read.

    Attributes:
        folder: where it lies on the node.
        is_shared: False: only this login sees it, so its holds are advisory for everybody else.
        can_enforce: whether this login reaches the privileged helper.
        boot_id: of the kernel that runs now.
        head: hash of the audit's newest row when the book was written last.
    """

    node: str
    generation: int
    entries: dict[str, Entry] = field(default_factory=dict)
    folder: str = ""
    is_shared: bool = False
    can_enforce: bool = False
    boot_id: str = ""
    head: str = ""
    applied: frozenset[str] = frozenset()

    def entry(self, target: str) -> Entry:
        """What it says of a target."""
        return self.entries.get(target) or Entry(target)


def book_of(node: str, reply: dict[str, Any]) -> Book:
    """The book in a node's reply.

    Raises:
        ValueError: it is not understood.
    """
    try:
        book = reply["book"]
        entries = {str(t): entry_of(str(t), e) for t, e in book["entries"].items()}
        return Book(
            node, int(book["generation"]), entries, str(reply["folder"])[:400], bool(reply["shared"]),
            bool(reply.get("can")), str(reply.get("boot_id") or ""), str(book.get("head") or ""),
            frozenset(str(k) for k in book["applied"]),
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"the card book of {node} is not understood: {exc}") from exc
