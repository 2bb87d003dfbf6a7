"""Who is told of alarms: what a notifier makes of one, and the file that says who is told. Pure."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import urlsplit

from console.health.alarms import Change, told

TOLD = ("raised", "raised again", "worse", "cleared", "acknowledged", "shelved")
_KEYS = {"plugin", "url", "severities", "secret_env", "what"}


class NotifyError(ValueError):
    """The file cannot be used; the text names it and the key."""


@dataclass(frozen=True, slots=True)
class Message:
    """One HTTP request. `body` is what the signature is of."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@runtime_checkable
class Notifier(Protocol):
    """What a notifier plugin is: it makes requests and sends nothing."""

    name: str

    def message(self, url: str, secret: str, alarm: dict[str, Any], at: float) -> Message:
        """The request that tells of an alarm; `secret` "" for none."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Who is told of what. `secret` never leaves this process but as a signature."""

    plugin: str
    url: str
    severities: tuple[int, ...] = (1,)
    what: tuple[str, ...] = ("raised", "raised again", "worse", "cleared")
    secret: str = field(default="", repr=False)

    def wants(self, change: Change) -> bool:
        """Whether it is told of a change. What is put aside or out of service tells nobody."""
        return change.what in self.what and change.alarm.severity in self.severities and change.alarm.is_shown


def read(path: Path, environment: Mapping[str, str] = os.environ) -> tuple[Target, ...]:
    """The targets of a file; none where there is no file.

    Raises:
        NotifyError: it is damaged, names an unknown key, an address that is none, or a secret that is not set.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise NotifyError(f"{path}: {exc}") from exc
    return tuple(_target(path, row, environment) for row in table.get("notify", []))


def _target(path: Path, row: dict[str, Any], environment: Mapping[str, str]) -> Target:
    unknown = set(row) - _KEYS
    if unknown:
        raise NotifyError(f"{path}: {sorted(unknown)[0]} is not a known key; there are {', '.join(sorted(_KEYS))}")
    url = str(row.get("url", ""))
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise NotifyError(f"{path}: url: {url!r} is not an address")
    if parts.username or parts.password:
        raise NotifyError(f"{path}: url: no passwords in addresses; name a secret with secret_env")
    secret = ""
    if "secret_env" in row:
        secret = environment.get(str(row["secret_env"]), "")
        if not secret:
            raise NotifyError(f"{path}: secret_env: the variable {row['secret_env']} is not set")
    severities = tuple(row.get("severities", (1,)))
    if not severities or any(s not in (1, 2, 3) for s in severities):
        raise NotifyError(f"{path}: severities: 1, 2 or 3")
    what = tuple(row.get("what", Target.__dataclass_fields__["what"].default))
    wrong = [w for w in what if w not in TOLD]
    if wrong:
        raise NotifyError(f"{path}: what: {wrong[0]!r} is none of {', '.join(TOLD)}")
    return Target(str(row.get("plugin", "webhook")), url, severities, what, secret)


def told_change(change: Change, fleet: str) -> dict[str, Any]:
    """What a notifier is given."""
    return {"fleet": fleet, "what": change.what, "at": change.at, "by": change.by or None, "why": change.why or None,
            "alarm": told(change.alarm)}  # fmt: skip
