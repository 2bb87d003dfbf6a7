"""The audit log: append-only rows, each bound to the one before by a hash. What was written cannot be changed unseen.

hash = SHA-256 over the previous hash, the row's number and its body (canonical JSON). The newest hash, the head, is
copied into the card book of every node that an operation touches: cutting rows off the end is seen there.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64

TABLES = (
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, prev TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, body TEXT NOT NULL)",
    "CREATE TRIGGER audit_never_changes BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows never change'); END",
    "CREATE TRIGGER audit_never_shrinks BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit rows never go'); END",
    "CREATE TRIGGER audit_has_no_gap BEFORE INSERT ON audit "
    "WHEN NEW.seq <> (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit) "
    "BEGIN SELECT RAISE(ABORT, 'audit rows are numbered without a gap'); END",
)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One row. `body` has at least "at" (unix seconds), "by", "what"."""

    seq: int
    prev: str
    hash: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verifying found: `rows` good rows, `head` their last hash, and what is wrong after them ("" nothing)."""

    rows: int
    head: str
    fault: str


def canonical(body: dict[str, Any]) -> str:
    """The one text of a body."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def row_hash(prev: str, seq: int, text: str) -> str:
    """The hash of a row."""
    return hashlib.sha256(f"{prev}\n{seq}\n{text}".encode()).hexdigest()


def append(connection: sqlite3.Connection, body: dict[str, Any]) -> AuditRow:
    """Add a row within the caller's transaction."""
    found = connection.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, prev = (1, GENESIS) if found is None else (int(found[0]) + 1, str(found[1]))
    text = canonical(body)
    made = AuditRow(seq, prev, row_hash(prev, seq, text), body)
    connection.execute("INSERT INTO audit (seq, prev, hash, body) VALUES (?, ?, ?, ?)", (seq, prev, made.hash, text))
    return made


def rows(connection: sqlite3.Connection, since_seq: int = 1) -> Iterator[AuditRow]:
    """All rows from a number on, oldest first."""
    for seq, prev, found, text in connection.execute(
        "SELECT seq, prev, hash, body FROM audit WHERE seq >= ? ORDER BY seq", (since_seq,)
    ):
        yield AuditRow(seq, prev, found, json.loads(text))


def head(connection: sqlite3.Connection) -> str:
    """The newest hash."""
    found = connection.execute("SELECT hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    return GENESIS if found is None else str(found[0])


def verify(connection: sqlite3.Connection, heads: dict[str, str] | None = None) -> Verdict:
    """Recompute the chain; `heads` {node: head in its card book} must all occur in it."""
    prev, count = GENESIS, 0
    wanted = {h for h in (heads or {}).values() if h and h != GENESIS}
    for seq, told_prev, told, text in connection.execute("SELECT seq, prev, hash, body FROM audit ORDER BY seq"):
        if seq != count + 1:
            return Verdict(count, prev, f"row {count + 1} is missing; the next one is {seq}")
        if told_prev != prev:
            return Verdict(count, prev, f"row {seq} does not follow the row before it")
        if row_hash(prev, seq, text) != told:
            return Verdict(count, prev, f"row {seq} was changed after it was written")
        prev, count = told, seq
        wanted.discard(told)
    if wanted:
        nodes = ", ".join(sorted(n for n, h in (heads or {}).items() if h in wanted))
        return Verdict(count, prev, f"rows were cut off: the card books of {nodes} know of later or other ones")
    return Verdict(count, prev, "")
