"""The triage table and the XID catalogue: what signals mean, as data of resources with a site's own rows over it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

KINDS = {
    "recovery": ("metric",), "lost": ("metric",), "event": ("event", "for_s"), "above": ("metric", "value"),
    "bits": ("metric", "bits", "on"), "rose": ("metric", "value", "window_s"), "less": ("metric",),
    "rose_peers": ("metric", "value", "window_s", "factor"), "xid": ("for_s",), "straggler": ("metric", "share", "on"),
    "idle_held": ("metric", "value", "on"), "link": ("for_s",), "many_lost": ("share", "least", "for_s"),
    "agent": ("restarts",), "problem": ("codes",), "driver_differs": (), "skew": ("value",),
    "host_above": ("metric", "value"), "host_rose": ("metric", "value", "window_s"),
}  # fmt: skip
"""Each kind of rule with the parameters it cannot do without."""

UNKNOWN_XID = "not in the catalogue"
_WORDS = ("signal", "action", "do", "confidence", "source", "meaning", "cause")
_FIELDS = ("id", "scope", "family", "kind", "severity", "acts", "differs", *_WORDS)


class TriageError(ValueError):
    """The table cannot be used; the text names file, row and key."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table.

    Attributes:
        scope: "card" or "node": what it is about.
        family: rules of one family on one target have one cause.
        kind: which test; one of KINDS.
        severity: 1 page, 2 today, 3 trend; 0: the catalogue or the driver says.
        action: one word, the catalogue's where it has one; `do`: the same for a person.
        confidence: "high", "medium" or "low".
        source: who says so; `differs`: who says otherwise.
        meaning, cause, acts: guidance: what it means, the likely cause, the first three acts.
        params: of its kind: seconds end in `_s`; "on" [n, m]: n of the last m looks, one every `every_s`.
    """

    id: str
    scope: str
    family: str
    kind: str
    severity: int
    signal: str
    action: str
    do: str
    confidence: str
    source: str
    meaning: str
    cause: str
    acts: tuple[str, ...]
    differs: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Xid:
    """One code of the catalogue. `action` and `next` are the catalogue's words, "" where it says none."""

    code: int
    mnemonic: str
    title: str
    action: str
    next: str
    severity: int
    do: str
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Triage:
    """Rules by id, in the table's order, and XIDs by code."""

    rules: tuple[Rule, ...]
    xids: Mapping[int, Xid]
    xid_source: str
    version: str

    def xid(self, code: int) -> Xid:
        """What is known of a code; one that is not listed goes to a person."""
        return self.xids.get(code) or Xid(
            code, "", UNKNOWN_XID, "", "", 2, "Not in the catalogue: keep the evidence and ask a person"
        )

    def rule(self, name: str) -> Rule:
        """The rule of an id; KeyError where there is none."""
        return next(r for r in self.rules if r.id == name)

    def without(self, name: str) -> Triage:
        """Without one rule."""
        return replace(self, rules=tuple(r for r in self.rules if r.id != name))


def read(resources: Path, site: Path | None = None) -> Triage:
    """The table of resources with a site's rows over it: a row of `site` with a known id replaces the keys it names,
    `off = true` takes a rule away, and a new id adds a rule.

    Raises:
        TriageError: a file is damaged, a key unknown, a value of the wrong kind.
    """
    table = _load(resources / "triage.toml")
    rows: dict[str, dict[str, Any]] = {}
    for row in table.get("rule", []):
        rows[str(row.get("id"))] = row
    if site is not None and site.exists():
        for row in _load(site).get("rule", []):
            name = str(row.get("id"))
            rows[name] = rows.get(name, {}) | row
    catalogue = _load(resources / "xid.toml")
    rules = tuple(_rule(row) for row in rows.values() if not row.get("off"))
    xids = {}
    for row in catalogue["xid"]:
        found = Xid(**row)
        xids[found.code] = found
    return Triage(rules, xids, str(catalogue["source"]), str(table.get("version", "")))


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise TriageError(f"{path}: {exc}") from exc


def _rule(row: dict[str, Any]) -> Rule:
    name = str(row.get("id"))

    def fault(text: str) -> TriageError:
        return TriageError(f"triage rule {name}: {text}")

    missing = [k for k in (*_WORDS, "scope", "family", "kind", "severity") if k not in row]
    if missing:
        raise fault(f"{missing[0]} is missing")
    if any(not isinstance(row[k], str) for k in _WORDS):
        raise fault("its words must be texts")
    if row["kind"] not in KINDS:
        raise fault(f"there is no kind {row['kind']!r}; there are {', '.join(KINDS)}")
    if row["scope"] not in ("card", "node"):
        raise fault('scope is "card" or "node"')
    if row["severity"] not in (0, 1, 2, 3):
        raise fault("severity is 1, 2 or 3, or 0 where the catalogue or the driver says")
    params = {k: v for k, v in row.items() if k not in _FIELDS and k != "off"}
    lacking = [k for k in KINDS[row["kind"]] if k not in params]
    if lacking:
        raise fault(f"a rule of kind {row['kind']} needs {lacking[0]}")
    on = params.get("on")
    if on is not None and not (len(on) == 2 and 1 <= on[0] <= on[1] <= 64):
        raise fault("on is [n, m]: n of the last m looks, m at most 64")
    return Rule(
        name, row["scope"], str(row["family"]), row["kind"], int(row["severity"]), row["signal"], row["action"],
        row["do"], row["confidence"], row["source"], row["meaning"], row["cause"], tuple(row.get("acts", ())),
        str(row.get("differs", "")), params,
    )  # fmt: skip
