"""What a scheduler's plugin tells operations: which calls to make on a node, and what their output means. Pure.

A plugin never reaches a node: it says argument vectors (never a shell's line) and reads text; operations carry the calls,
journal them and look again. So each plugin can be tested without any node.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Job:
    """A job that runs on a node, in the scheduler's words. `cards` None: it does not say how many it has there."""

    id: str
    user: str
    account: str = ""
    name: str = ""
    cards: int | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class SchedulerState:
    """A node as its scheduler sees it.

    Attributes:
        text: the state verbatim: "IDLE+DRAIN".
        reason: verbatim; hostile until escaped.
        is_blocked: it gives the node no new work.
        is_empty: nothing of its work is left on the node (is_blocked says nothing of that).
        jobs: what runs there.
        reservations: names of reservations that contain the node.
    """

    text: str
    reason: str = ""
    is_blocked: bool = False
    is_empty: bool = False
    jobs: tuple[Job, ...] = ()
    reservations: tuple[str, ...] = ()

    def is_of(self, op: str) -> bool:
        """Whether an operation's drain is the reason that stands there now."""
        return bool(op) and self.reason.startswith(f"cardkeeper:{op}:")

    @property
    def is_foreign(self) -> bool:
        """Whether somebody else than this program gave the reason."""
        return bool(self.reason) and not self.reason.startswith("cardkeeper:")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node's scheduler is asked: its plugin's name, the node whose SSH carries the calls, the node's name there."""

    scheduler: str
    via: str
    name: str


Argv = tuple[str, ...]


@runtime_checkable
class Scheduler(Protocol):
    """What a plugin of a scheduler gives. Every method is pure; ValueError says what it does not understand or cannot."""

    name: str

    def looks(self, node: str) -> Sequence[Argv]:
        """The calls that show a node's state; none of them changes anything."""

    def state(self, node: str, outputs: Sequence[str]) -> SchedulerState:
        """What those calls said."""

    def drain(self, node: str, op: str, by: str, reason: str) -> Argv:
        """Take no new work, with a reason that begins with cardkeeper:OP:."""

    def undrain(self, node: str) -> Argv:
        """Take work again, leaving every other flag of the node alone."""

    def reserve(self, node: str, op: str, users: Sequence[str], seconds: float | None) -> Argv:
        """Keep a node for users, for so long (None: until it is taken back)."""

    def unreserve(self, op: str) -> Argv:
        """Take the reservation of an operation back."""

    def reservation(self, op: str) -> str:
        """The name of an operation's reservation."""

    def reboot(self, node: str, op: str, reason: str) -> Argv:
        """Reboot once nothing runs there, and leave the node out of service afterwards."""
