"""operations.sqlite: every operation and step written down before it is done, and the audit log beside them.

`synchronous=FULL`: what was acknowledged survives a crash of the machine. Nothing here is ever pruned.
"""

from __future__ import annotations

import enum
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.operations import audit
from console.operations.audit import AuditRow, Verdict
from console.operations.fanout import BREAKER_S

FILE = "operations.sqlite"
VERSION = 1
APPLICATION_ID = 0x434B_4F50  # "CKOP"

_TABLES = (
    "CREATE TABLE operations (id TEXT PRIMARY KEY, session TEXT NOT NULL, verb TEXT NOT NULL, by TEXT NOT NULL, "
    "reason TEXT NOT NULL, params TEXT NOT NULL, digest TEXT NOT NULL, targets TEXT NOT NULL, state TEXT NOT NULL, "
    "made_at REAL NOT NULL, changed_at REAL NOT NULL)",
    "CREATE TABLE steps (op TEXT NOT NULL REFERENCES operations(id), n INTEGER NOT NULL, node TEXT NOT NULL, "
    "verb TEXT NOT NULL, key TEXT NOT NULL UNIQUE, request TEXT NOT NULL, prior TEXT NOT NULL, state TEXT NOT NULL, "
    "evidence TEXT NOT NULL DEFAULT '', at REAL NOT NULL, PRIMARY KEY (op, n))",
    "CREATE INDEX steps_state ON steps (state)",
    "CREATE TABLE breakers (name TEXT PRIMARY KEY, tripped TEXT NOT NULL, reset_at REAL NOT NULL)",
    *audit.TABLES,
)


class JournalError(RuntimeError):
    """The journal cannot be read or written, so nothing may be done to a node."""


class OpState(enum.StrEnum):
    """Where an operation stands."""

    RUNNING = "running"
    WAITING = "waiting"
    """In force; the running work is not finished yet."""
    DONE = "done"
    PARTIAL = "partial"
    """Stopped: some targets were done, some not."""
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"
    UNDONE = "undone"


class StepState(enum.StrEnum):
    """What is known of one step on one node."""

    PLANNED = "planned"
    SENT = "sent"
    CONFIRMED = "confirmed"
    AMBIGUOUS = "ambiguous"
    FAILED = "failed"
    UNDONE = "undone"


OPEN = (OpState.RUNNING, OpState.WAITING, OpState.AMBIGUOUS, OpState.PARTIAL)
"""States that want somebody's attention after a restart."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `targets` {node: (target, ...)}; `params` as given by the person."""

    id: str
    session: str
    verb: str
    by: str
    reason: str
    params: dict[str, Any]
    digest: str
    targets: dict[str, tuple[str, ...]]
    state: OpState
    made_at: float
    changed_at: float


@dataclass(frozen=True, slots=True)
class Step:
    """One step on one node. `prior` is what stood there before, for undoing; `key` makes sending it twice harmless."""

    op: str
    n: int
    node: str
    verb: str
    key: str
    request: dict[str, Any]
    prior: dict[str, Any]
    state: StepState
    evidence: str
    at: float


class Journal:
    """The journal of one data folder. Thread-safe; blocks on the disk.

    Raises, from every method:
        JournalError: the disk refused; nothing was changed, and no node may be touched.
    """

    def __init__(self, folder: Path, wall: Callable[[], float] = time.time) -> None:
        """Open or make the file.

        Raises:
            JournalError: it cannot be, or is newer.
        """
        self.path = folder / FILE
        self._wall = wall
        self._lock = threading.RLock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._open()
            self.path.chmod(0o600)
        except (sqlite3.Error, OSError) as exc:
            raise JournalError(f"{self.path}: {exc}; nothing can be done to nodes until it can be written") from exc

    def _open(self) -> None:
        with self._transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise JournalError(f"{self.path}: written by a newer Cardkeeper; update this one")
            if version == 0:
                for statement in _TABLES:
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as exc:
                raise JournalError(f"{self.path}: {exc}; nothing was done") from exc

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # Operations

    def begin(self, operation: Operation, about: dict[str, Any]) -> None:
        """Write an operation down, and in the audit that it is intended."""
        with self._transaction() as db:
            db.execute(
                "INSERT INTO operations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    operation.id, operation.session, operation.verb, operation.by, operation.reason,
                    json.dumps(operation.params), operation.digest, json.dumps(operation.targets),
                    str(operation.state), operation.made_at, operation.changed_at,
                ),
            )  # fmt: skip
            audit.append(
                db, {"at": operation.made_at, "by": operation.by, "what": "intended", "op": operation.id, **about}
            )

    def set_state(self, op: str, state: OpState, about: dict[str, Any] | None = None) -> None:
        """Note where an operation stands; `about` goes into the audit."""
        now = self._wall()
        with self._transaction() as db:
            db.execute("UPDATE operations SET state = ?, changed_at = ? WHERE id = ?", (str(state), now, op))
            if about is not None:
                audit.append(db, {"at": now, "op": op, **about})

    def take_over(self, op: str, session: str, by: str) -> None:
        """Another session goes on with an operation: steps of the one before have no effect any more."""
        with self._transaction() as db:
            db.execute("UPDATE operations SET session = ?, changed_at = ? WHERE id = ?", (session, self._wall(), op))
            audit.append(db, {"at": self._wall(), "by": by, "what": "taken over", "op": op})

    def operation(self, op: str) -> Operation:
        """One operation; the beginning of an id is enough where it is the only one.

        Raises:
            KeyError: there is none, or several begin so.
        """
        with self._lock:
            found = self._db.execute(
                "SELECT * FROM operations WHERE id = ? OR (length(?) >= 4 AND substr(id, 1, length(?)) = ?)",
                (op, op, op, op),
            ).fetchall()
        if len(found) != 1:
            raise KeyError(op)
        return _operation(found[0])

    def operations(self, states: tuple[OpState, ...] = ()) -> list[Operation]:
        """Operations in these states (all where none are given), newest first."""
        marks = ",".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        with self._lock:
            found = self._db.execute(
                f"SELECT * FROM operations {where} ORDER BY made_at DESC, id", [str(s) for s in states]
            ).fetchall()
        return [_operation(row) for row in found]

    # Breakers

    def cards_touched(self, group: str, now: float, verbs: tuple[str, ...]) -> set[str]:
        """Cards of a group that operations of these verbs took in the breaker's time, since it was reset last."""
        with self._lock:
            found = self._db.execute("SELECT reset_at FROM breakers WHERE name = ?", (group,)).fetchone()
        since = max(now - BREAKER_S, 0.0 if found is None else float(found[0]))
        return {
            uuid
            for o in self.operations()
            if o.made_at > since and o.verb in verbs and o.state is not OpState.FAILED
            for node in o.targets
            if (o.params.get("group") or {}).get(node) == group
            for uuid in (o.params.get("cards") or {}).get(node, ())
        }

    def tripped(self, group: str) -> str:
        """Why a group's breaker is open, or ""."""
        with self._lock:
            found = self._db.execute("SELECT tripped FROM breakers WHERE name = ?", (group,)).fetchone()
        return "" if found is None else str(found[0])

    def trip(self, group: str, text: str) -> None:
        """Open a group's breaker; it stays open until a person resets it."""
        with self._transaction() as db:
            reset_at = db.execute("SELECT reset_at FROM breakers WHERE name = ?", (group,)).fetchone()
            db.execute("DELETE FROM breakers WHERE name = ?", (group,))
            db.execute("INSERT INTO breakers VALUES (?, ?, ?)", (group, text, 0.0 if reset_at is None else reset_at[0]))
            audit.append(db, {"at": self._wall(), "what": "breaker tripped", "group": group, "evidence": text})

    def reset_breaker(self, by: str) -> list[str]:
        """Close every open breaker; returns their groups."""
        now = self._wall()
        with self._transaction() as db:
            groups = [str(r[0]) for r in db.execute("SELECT name FROM breakers WHERE tripped <> ''")]
            db.execute("UPDATE breakers SET tripped = '', reset_at = ? WHERE tripped <> ''", (now,))
            if groups:
                audit.append(db, {"at": now, "by": by, "what": "breaker reset", "groups": groups})
        return groups

    # Steps

    def plan_step(self, op: str, node: str, verb: str, request: dict[str, Any], prior: dict[str, Any]) -> Step:
        """Write a step down before it is sent."""
        now = self._wall()
        with self._transaction() as db:
            n = int(db.execute("SELECT COALESCE(MAX(n), 0) + 1 FROM steps WHERE op = ?", (op,)).fetchone()[0])
            # Two consoles may each have a step of this number: one of them adopted the operation.
            key = f"{op}/{n}/{secrets.token_hex(6)}"
            db.execute(
                "INSERT INTO steps (op, n, node, verb, key, request, prior, state, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (op, n, node, verb, key, json.dumps(request), json.dumps(prior), str(StepState.PLANNED), now),
            )
        return Step(op, n, node, verb, key, request, prior, StepState.PLANNED, "", now)

    def set_step(self, step: Step, state: StepState, evidence: str = "", about: dict[str, Any] | None = None) -> None:
        """Note what is known of a step; `about` goes into the audit."""
        now = self._wall()
        with self._transaction() as db:
            db.execute(
                "UPDATE steps SET state = ?, evidence = ?, at = ? WHERE op = ? AND n = ?",
                (str(state), evidence[:4000], now, step.op, step.n),
            )
            if about is not None:
                audit.append(db, {"at": now, "op": step.op, "step": step.n, "node": step.node, **about})

    def steps(self, op: str) -> list[Step]:
        """The steps of an operation in order."""
        with self._lock:
            found = self._db.execute(
                "SELECT op, n, node, verb, key, request, prior, state, evidence, at FROM steps WHERE op = ? ORDER BY n",
                (op,),
            ).fetchall()
        return [
            Step(r[0], r[1], r[2], r[3], r[4], json.loads(r[5]), json.loads(r[6]), StepState(r[7]), r[8], r[9])
            for r in found
        ]

    # Audit

    def note(self, body: dict[str, Any]) -> AuditRow:
        """Add a row to the audit log."""
        with self._transaction() as db:
            return audit.append(db, {"at": self._wall(), **body})

    def head(self) -> str:
        """The newest hash of the audit log."""
        with self._lock:
            return audit.head(self._db)

    def audit_rows(self, since_seq: int = 1) -> list[AuditRow]:
        """The audit log from a number on."""
        with self._lock:
            return list(audit.rows(self._db, since_seq))

    def verify(self, heads: dict[str, str] | None = None) -> Verdict:
        """Recompute the audit chain."""
        with self._lock:
            return audit.verify(self._db, heads)


def _operation(row: tuple[Any, ...]) -> Operation:
    targets = {n: tuple(t) for n, t in json.loads(row[7]).items()}
    return Operation(
        row[0], row[1], row[2], row[3], row[4], json.loads(row[5]), row[6], targets, OpState(row[8]), row[9], row[10]
    )
