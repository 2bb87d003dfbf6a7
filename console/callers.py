"""Who may call the API: tokens, kept as hashes in a file that only its owner can read, each with what it may do."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from console.app import Console
from console.ledger.errors import LedgerError
from console.ledger.tenants import checked_id
from console.registry import Danger, registry

FILE = "callers.json"
SCOPES = ("viewer", "operator", "tenant")
PER_SECOND, BURST = 20.0, 60.0
"""Requests of one caller."""

MOST_CALLERS = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token. A caller of scope `tenant` sees and asks for its own tenant alone."""

    name: str
    scope: str
    tenant: str = ""


class Callers:
    """The callers of one data folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._stamp = 0
        self._rows: dict[str, dict[str, str]] = {}

    def add(self, name: str, scope: str, tenant: str = "") -> str:
        """A new token for a caller, in the clear this once; an older token of that name ends.

        Raises:
            LedgerError: the name or scope is none, or a tenant's caller names no tenant.
        """
        checked_id(name, "caller")
        if scope not in SCOPES:
            raise LedgerError(f"scope is one of {', '.join(SCOPES)}")
        if (scope == "tenant") != bool(tenant):
            raise LedgerError("a caller of scope tenant names its tenant, and no other does")
        token = f"ck_{secrets.token_urlsafe(32)}"
        rows = self._read() | {name: {"scope": scope, "tenant": tenant, "hash": _hash(token)}}
        self._write(rows)
        return token

    def revoke(self, name: str) -> None:
        """End a caller's token.

        Raises:
            LedgerError: there is no such caller.
        """
        rows = dict(self._read())
        if rows.pop(name, None) is None:
            raise LedgerError(f"there is no caller {name!r}; see: cardkeeper caller list")
        self._write(rows)

    def listing(self) -> list[Caller]:
        """Everybody, without their tokens."""
        return [Caller(n, r["scope"], r["tenant"]) for n, r in sorted(self._read().items())]

    def of(self, token: str) -> Caller | None:
        """Whose token it is. Compares in constant time."""
        made, found = _hash(token), None
        for name, row in self._read().items():
            if hmac.compare_digest(made, row["hash"]):
                found = Caller(name, row["scope"], row["tenant"])
        return found

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            stamp = self._path.stat().st_mtime_ns
            if stamp != self._stamp:
                self._rows = json.loads(self._path.read_text("utf-8"))
                self._stamp = stamp
        except FileNotFoundError:
            self._rows, self._stamp = {}, 0
        except (OSError, ValueError) as exc:
            raise LedgerError(f"{self._path}: {exc}; nobody may call until it is mended") from exc
        return self._rows

    def _write(self, rows: dict[str, dict[str, str]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_name(FILE + ".part")
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
        part.replace(self._path)
        self._stamp = 0


def _hash(token: str) -> str:
    # A token has 256 random bits, so a plain hash cannot be searched.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Limit:
    """A bucket of requests for each caller; thread-safe."""

    def __init__(self, per_second: float = PER_SECOND, burst: float = BURST) -> None:
        self._rate, self._burst = per_second, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def wait_s(self, who: str) -> float:
        """Take one; 0, or the seconds until there is one."""
        now = time.monotonic()
        with self._lock:
            left, at = self._left.pop(who, (self._burst, now))
            left = min(self._burst, left + (now - at) * self._rate)
            wait = 0.0 if left >= 1.0 else (1.0 - left) / self._rate
            self._left[who] = (left if wait else left - 1.0, now)
            while len(self._left) > MOST_CALLERS:
                self._left.popitem(last=False)
        return wait


@registry.command("caller.add", "Give somebody a token for the API", danger=Danger.LOCAL, reads=False)
def caller_add(console: Console, name: str, *, scope: str, tenant: str = "") -> dict[str, Any]:
    """Make a token, shown this once; an older token of that name ends.

    Args:
        name: who calls
        scope: viewer sees all; operator does all; tenant sees and asks for its own
        tenant: whose, with the scope tenant
    """
    if tenant:
        from console.ledger.store import Ledger

        with Ledger(console.config.history_folder) as ledger:
            ledger.known("tenant", tenant, "tenant")
    token = Callers(console.config.data).add(name, scope, tenant)
    return {"caller": name, "scope": scope, "tenant": tenant or None, "token": token}


@registry.command("caller.list", "List who may call the API", reads=False)
def caller_list(console: Console) -> list[dict[str, Any]]:
    """Everybody with a token, without it."""
    found = Callers(console.config.data).listing()
    return [{"caller": c.name, "scope": c.scope, "tenant": c.tenant or None} for c in found]


@registry.command("caller.revoke", "End a token of the API", danger=Danger.LOCAL, reads=False)
def caller_revoke(console: Console, name: str) -> dict[str, Any]:
    """End somebody's token at once; a running server knows.

    Args:
        name: who called
    """
    Callers(console.config.data).revoke(name)
    return {"caller": name, "revoked": True}
