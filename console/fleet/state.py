"""The words for what we know: the state of a reading, of a link, and a problem a person can act on."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol


class ReadingState(enum.IntEnum):
    """What a stored value means. STALE is never stored: a reader derives it from the age (see STALE_PERIODS)."""

    NONE = 0
    FRESH = 1
    NOT_SUPPORTED = 2
    NO_PERMISSION = 3
    LOST = 4
    ERROR = 5
    STALE = 6

    @property
    def word(self) -> str:
        """The lower-case word used on the CLI and in JSON."""
        return "unknown" if self is ReadingState.NONE else self.name.lower()


STATE_LETTERS = {
    ".": ReadingState.FRESH,
    "n": ReadingState.NOT_SUPPORTED,
    "p": ReadingState.NO_PERMISSION,
    "l": ReadingState.LOST,
    "e": ReadingState.ERROR,
}
"""One letter a column in an agent's frame."""

STALE_PERIODS = 3
"""A reading older than this many of its tier's periods is stale."""


class LinkState(enum.IntEnum):
    """The life of the connection to one node."""

    WAITING = 0
    """Not tried yet, or between tries (back-off)."""
    CONNECTING = 1
    LIVE = 2
    STALE = 3
    """Connected, but no frame for more than STALE_PERIODS periods (at most 5 s)."""
    LOST = 4
    """Was live; now disconnected and retrying."""
    FAILED = 5
    """Could not connect; retrying unless the problem needs a person."""
    OFF = 6
    """Switched off by the operator."""


class ProblemCode(enum.StrEnum):
    """Why a node is not live. Each has one explanation and one next step."""

    NAME = "name"
    PORT = "port"
    TIMEOUT = "timeout"
    KEY_UNKNOWN = "key_unknown"
    KEY_CHANGED = "key_changed"
    KEY_REVOKED = "key_revoked"
    PASSPHRASE = "passphrase"
    AUTH = "auth"
    JUMP = "jump"
    PYTHON = "python"
    NVML = "nvml"
    DRIVER = "driver"
    AGENT = "agent"
    FROZEN = "frozen"
    CLOSED = "closed"
    CONFIG = "config"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Problem:
    """What failed, where, why, and the next step, in that order, for a person.

    Attributes:
        code: machine-readable kind.
        what: one sentence: what failed and on which node.
        why: the cause as far as known ("" when unknown).
        next_step: what to do now.
        facts: further strings a dialog needs (fingerprint, key type, host, port, file); never a secret.
        needs_person: True when retrying cannot help until somebody acts.
    """

    code: ProblemCode
    what: str
    why: str
    next_step: str
    facts: dict[str, str] = field(default_factory=dict)
    needs_person: bool = False


class LinkSink(Protocol):
    """What a node's link tells; called on transport or pool threads, must not block."""

    def link_state(self, node: str, state: LinkState, problem: Problem | None) -> None:
        """The link of `node` changed."""

    def link_bytes(self, node: str, data: bytes) -> None:
        """Raw agent output arrived, in order, any chunking."""


class NodeLinks(Protocol):
    """The connections to all nodes; fulfilled by `remote`, driven by `telemetry`."""

    def add(self, name: str) -> None:
        """Begin connecting to the configured node `name`; returns at once."""

    def remove(self, name: str) -> None:
        """Disconnect and forget `name`; unknown names are ignored."""

    def send(self, name: str, line: bytes) -> None:
        """Queue one control line (with its newline) for the agent of `name`; dropped when it is not connected."""

    def restart(self, name: str, problem: Problem) -> None:
        """Drop the connection now because of `problem` and reconnect with back-off."""

    def close(self) -> None:
        """Close every connection; returns within 5 s."""
