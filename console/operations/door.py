"""How operations reach a node: one question, one answer, and three ways to have none."""

from __future__ import annotations

from typing import Any, Protocol


class NotSent(Exception):
    """The node surely never got the question: nothing was done there."""


class Unsure(Exception):
    """The question was sent and no answer came: nobody knows whether it was done. Look; never guess."""


class Declined(Exception):
    """The node answered that it did not do it. `code` says why: "stale", "foreign", "no_right", "locked", ..."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Door(Protocol):
    """Asks nodes. Thread-safe; blocks until there is an answer."""

    def ask(self, node: str, request: dict[str, Any], timeout_s: float = 30.0) -> dict[str, Any]:
        """The node's reply.

        Raises:
            NotSent, Unsure, Declined: there is none, or it says no.
        """
