"""alarms.sqlite: alarms that stand, so that an acknowledgement and a shelf outlive the window; and what happened to them."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from console.health.alarms import Alarm, Change
from console.health.findings import Finding

FILE = "alarms.sqlite"
VERSION = 1
_TABLES = (
    "CREATE TABLE standing (key TEXT PRIMARY KEY, alarm TEXT NOT NULL, changed_at REAL NOT NULL)",
    "CREATE TABLE happened (at REAL NOT NULL, key TEXT NOT NULL, what TEXT NOT NULL, severity INTEGER NOT NULL, "
    "node TEXT NOT NULL, card TEXT NOT NULL, rule TEXT NOT NULL, signal TEXT NOT NULL, evidence TEXT NOT NULL, "
    "by TEXT NOT NULL, why TEXT NOT NULL)",
    "CREATE INDEX happened_at ON happened (at)",
)


class AlarmStoreError(RuntimeError):
    """The file cannot be used; alarms are shown, and not remembered."""


class AlarmStore:
    """The file of one data folder. Thread-safe; blocks on the disk."""

    def __init__(self, folder: Path) -> None:
        """Open or make it.

        Raises:
            AlarmStoreError: it cannot be, or is newer.
        """
        self.path = folder / FILE
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=10.0, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("BEGIN IMMEDIATE")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _TABLES:
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
            self._db.execute("COMMIT")
            self.path.chmod(0o600)
        except (sqlite3.Error, OSError) as exc:
            raise AlarmStoreError(f"{self.path}: {exc}") from exc
        if version > VERSION:
            self.close()
            raise AlarmStoreError(f"{self.path}: written by a newer Cardkeeper; update this one")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def standing(self) -> dict[str, Alarm]:
        """The alarms that stood when they were written last. Rows that are not understood are left out.

        Raises:
            AlarmStoreError: the file cannot be read.
        """
        found = {}
        with self._lock:
            try:
                rows = self._db.execute("SELECT key, alarm FROM standing").fetchall()
            except sqlite3.Error as exc:
                raise AlarmStoreError(f"{self.path}: {exc}") from exc
        for key, text in rows:
            try:
                data = json.loads(text)
                found[key] = Alarm(**(data | {"lead": Finding(**data["lead"])}))
            except (TypeError, ValueError, KeyError):
                continue
        return found

    def write(self, changes: Iterable[Change]) -> None:
        """Note changes, and how the alarms stand after them.

        Raises:
            AlarmStoreError: it cannot be written.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                for one in changes:
                    self._one(one)
                self._db.execute("COMMIT")
            except sqlite3.Error as exc:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise AlarmStoreError(f"{self.path}: {exc}") from exc

    def _one(self, change: Change) -> None:
        alarm, lead = change.alarm, change.alarm.lead
        self._db.execute(
            "INSERT INTO happened VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (change.at, alarm.key, change.what, alarm.severity, lead.node, lead.card, lead.rule, lead.signal,
             lead.evidence, change.by, change.why),
        )  # fmt: skip
        if change.what == "gone":
            self._db.execute("DELETE FROM standing WHERE key = ?", (alarm.key,))
        else:
            row = (alarm.key, json.dumps(asdict(alarm)), change.at)
            self._db.execute("INSERT OR REPLACE INTO standing VALUES (?, ?, ?)", row)

    def happened(self, since: float, until: float = float("inf")) -> list[dict[str, Any]]:
        """What happened to alarms, oldest first."""
        names = ("at", "key", "what", "severity", "node", "card", "rule", "signal", "evidence", "by", "why")
        with self._lock:
            try:
                rows = self._db.execute(
                    "SELECT * FROM happened WHERE at >= ? AND at <= ? ORDER BY at", (since, min(until, 1e18))
                ).fetchall()
            except sqlite3.Error as exc:
                raise AlarmStoreError(f"{self.path}: {exc}") from exc
        return [dict(zip(names, row, strict=True)) for row in rows]
