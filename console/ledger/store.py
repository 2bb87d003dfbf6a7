"""The ledger of one data folder: its connection, transactions, and rows as dicts."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.schema import FILE, connect

_SAID = {
    "card already held": "the card is held by another lease in that time",
    "card or slice of it already held": "the card, or a slice of it, is held by another lease in that time",
    "stale prev": "somebody else changed this lease meanwhile; look at it again",
    "append-only": "what is recorded is never changed; void it, and record what is right",
    "hash chain": "another writer recorded meanwhile; try again",
}
"""What the file's own refusals mean for a person."""


class Ledger:
    """The ledger. One writer at a time; blocks on the disk.

    Attributes:
        db: for reading: rows as dicts.
    """

    def __init__(self, folder: Path, writes: bool = True, wall_ns: Callable[[], int] = time.time_ns) -> None:
        """Open or make the file.

        Raises:
            LedgerError: it cannot be.
        """
        self.path = folder / FILE
        # SQLite's packages cost a seventh of a second, which commands that need no ledger do not pay.
        import sqlite_utils

        self._connection = connect(self.path, writes)
        self.db = sqlite_utils.Database(self._connection, use_counts_table=False)
        self._wall_ns = wall_ns
        self._lock = threading.RLock()
        self._depth = 0

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def now_us(self) -> int:
        """The time now, UTC microseconds."""
        return self._wall_ns() // 1000

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is recorded, or nothing; within another one, a part of that.

        Raises:
            LedgerError: the file refuses, in words for a person.
        """
        with self._lock:
            is_outer = self._depth == 0
            try:
                if is_outer:
                    self._connection.execute("BEGIN IMMEDIATE")
                self._depth += 1
                try:
                    yield self._connection
                finally:
                    self._depth -= 1
                if is_outer:
                    self._connection.execute("COMMIT")
            except BaseException as exc:
                if is_outer and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(exc, sqlite3.Error):
                    raise LedgerError(_SAID.get(str(exc), f"the ledger refuses: {exc}")) from exc
                raise

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Rows of a query."""
        with self._lock:
            return list(self.db.query(sql, tuple(parameters)))

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> dict[str, Any] | None:
        """The first row of a query."""
        with self._lock:
            return next(iter(self.db.query(sql, tuple(parameters))), None)

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        """Insert a row; its rowid. Never replaces.

        Raises:
            LedgerError: the row is there already, or is refused.
        """
        columns = list(row)
        marks = ",".join("?" * len(columns))
        with self.writing() as connection:
            done = connection.execute(
                f"INSERT INTO {table}({','.join(columns)}) VALUES({marks})", [row[c] for c in columns]
            )
        return done.lastrowid or 0

    def note(self, actor: str, what: str, body: Mapping[str, Any]) -> None:
        """Who did what: append-only."""
        self.insert("audit", {
            "at_us": self.now_us(), "actor": actor, "what": what,
            "body": json.dumps(body, sort_keys=True, ensure_ascii=False, default=str),
        })  # fmt: skip

    def known(self, table: str, key: str, what: str) -> dict[str, Any]:
        """The row of an id.

        Raises:
            LedgerError: there is none.
        """
        found = self.one(f"SELECT * FROM {table} WHERE id=?", (key,))
        if found is None:
            raise LedgerError(f"there is no {what} {key!r}; see: cardkeeper {what} list")
        return found
