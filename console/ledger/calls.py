"""Calls of the API: each one noted, append-only; and the answer to a request that comes again with the same key."""

from __future__ import annotations

from dataclasses import dataclass

from console.ledger.store import Ledger

KEPT_US = 24 * 3_600_000_000
"""For so long a key means the same request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered before."""

    digest: str
    status: int
    body: str


class Calls:
    """The record of one ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def answered(self, caller: str, key: str) -> Answer | None:
        """The answer that a caller's key got within the last day."""
        row = self._ledger.one(
            "SELECT digest,status,body FROM api_call WHERE caller=? AND key=? AND at_us>? ORDER BY seq DESC LIMIT 1",
            (caller, key, self._ledger.now_us() - KEPT_US),
        )
        return None if row is None else Answer(row["digest"], row["status"], row["body"])

    def note(self, caller: str, command: str, digest: str, status: int, key: str, body: str) -> None:
        """Note a call; `key` and `body` only where the answer is to be kept."""
        self._ledger.insert("api_call", {
            "at_us": self._ledger.now_us(), "caller": caller, "command": command, "digest": digest, "status": status,
            "key": key, "body": body,
        })  # fmt: skip

    def owner(self, table: str, name: str) -> str | None:
        """The tenant of a lease or an invoice; None where there is none."""
        row = self._ledger.one(f"SELECT tenant_id FROM {table} WHERE id=?", (name,))
        return None if row is None else str(row["tenant_id"])

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()
