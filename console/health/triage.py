"""The triage table and the XID catalogue: what signals mean, as data of resources with a site's own rows over it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

KINDS = {
    "recovery": ("metric",), "lost": ("metric",), "event": ("event", "for_s"), "above": ("metric", "value"),
    "below": ("metric", "value"), "bits": ("metric", "bits", "on"), "rose": ("metric", "value", "window_s"),
    "less": ("metric",), "unowned": ("value", "on"),
    "rose_peers": ("metric", "value", "window_s", "factor"), "xid": ("for_s",), "straggler": ("metric", "share", "on"),
    "idle_held": ("metric", "value", "on"), "link": ("for_s",), "many_lost": ("share", "least", "for_s"),
    "agent": ("restarts",), "problem": ("codes",), "driver_differs": (), "skew": ("value",),
    "host_above": ("metric", "value"), "host_rose": ("metric", "value", "window_s"), "host_less": ("metric",),
    "host_share": ("metric", "of", "value"),
}  # fmt: skip
"""Each kind of rule with the parameters it cannot do without."""

DO = {
    "RESET_GPU": "Drain the card, keep the evidence, reset it; compare both ends of the link",
    "IGNORE": "Nothing now; watch whether it comes again",
    "XID_154_EVAL": "Do what the driver's own recovery action says",
}
_SUB = re.compile(r"\b\d{3}, ([A-Z][A-Z0-9_/]+) (?:Non)?[Ff]atal\b[^(]*\((0x[0-9a-fA-F]+) (0x[0-9a-fA-F]+)")
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
        params: of its kind: seconds end in `_s`; "on" [n, m]: n of the last m looks, one every `every_s`; "clear": where a
            reading must come back to, beyond "value", before the rule ends (a deadband); "busy": percent of utilisation
            from which on a card is looked at.
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
class Decode:
    """What a unit's error status asks for, of the XIDs that hold many errors. `reason` (): any."""

    xid: int
    unit: str
    status: tuple[int, ...]
    action: str
    next: str
    reason: tuple[int, ...] = ()
    differs: str = ""


@dataclass(frozen=True, slots=True)
class Triage:
    """Rules by id, in the table's order, XIDs by code, and the decode table of those that hold many errors."""

    rules: tuple[Rule, ...]
    xids: Mapping[int, Xid]
    xid_source: str
    version: str
    decodes: tuple[Decode, ...] = ()

    def told(self, code: int, text: str) -> Xid:
        """What is known of one line: of its unit and status where the catalogue decodes them.

        The line is "…: 145, RLW_REMAP Nonfatal XC0 i0 Link 00 (0x00000004 0x00000040 …)": the unit, then the driver's info
        word and the error status.
        """
        whole = self.xid(code)
        if not any(d.xid == code for d in self.decodes):
            return whole
        found = _SUB.search(text)
        if found is None:
            return whole
        unit, info, status = found[1], int(found[2], 16), int(found[3], 16)
        fits = [d for d in self.decodes if d.xid == code and d.unit == unit and status in d.status]
        fits = [d for d in fits if not d.reason or (info >> 20) & 0x3F in d.reason]
        title = f"{whole.title}, {unit} {status:#x}"
        if not fits:
            return replace(
                whole, title=title, do="Its status is not in the catalogue: keep the evidence and ask a person"
            )
        one = fits[0]
        return replace(
            whole, title=title, action=one.action, next=one.next, severity=3 if one.action == "IGNORE" else 2,
            do=DO[one.action], differs=one.differs,
        )  # fmt: skip

    def xid(self, code: int) -> Xid:
        """What is known of a code; one that is not listed goes to a person."""
        return self.xids.get(code) or Xid(
            code, "", UNKNOWN_XID, "", "", 2, "Not in the catalogue: keep the evidence and ask a person"
        )

    def rule(self, name: str) -> Rule:
        """The rule of an id.

        Raises:
            KeyError: there is none, or the site took it away.
        """
        found = next((r for r in self.rules if r.id == name), None)
        if found is None:
            raise KeyError(name)
        return found

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
    decodes = tuple(_decode(row) for row in _load(resources / "nvlink5.toml")["decode"])
    return Triage(rules, xids, str(catalogue["source"]), str(table.get("version", "")), decodes)


def _decode(row: dict[str, Any]) -> Decode:
    reason, differs = tuple(row.get("reason", ())), str(row.get("differs", ""))
    return Decode(row["xid"], row["unit"], tuple(row["status"]), row["action"], row["next"], reason, differs)


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
