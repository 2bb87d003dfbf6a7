"""Looks at the fleet again and again by the rules: facts in, findings and causes out. Pure but for its memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from console.health.facts import Facts
from console.health.findings import XID_FAMILY, Cause, Finding, causes
from console.health.hits import Hit, State
from console.health.memory import places
from console.health.signals import TESTS
from console.health.triage import Rule, Triage

LIMITS = ("above", "skew", "host_above")
"""Kinds of rules that say: more than a value."""


class Examiner:
    """All rules over one fleet.

    Attributes:
        triage: the rules.
        findings: what held at the last look, worst first.
        causes: the same by their causes, worst first.
    """

    def __init__(self, triage: Triage, at_once: bool = False) -> None:
        """`at_once`: for one look at one moment; see State."""
        self.triage = triage
        self.findings: tuple[Finding, ...] = ()
        self.causes: tuple[Cause, ...] = ()
        self._rules = {r.id: r for r in triage.rules}
        self._states = {r.id: State(r, at_once) for r in triage.rules}
        self._rack_nodes = {r.id: int(r.params["rack_nodes"]) for r in triage.rules if "rack_nodes" in r.params}
        self._version = -1
        self._uuids: Sequence[str] = ()
        self._nodes: Sequence[str] = ()

    def look(self, facts: Facts) -> tuple[Finding, ...]:
        """Examine; returns the findings, worst first."""
        self._resize(facts)
        found: list[Finding] = []
        for rule in self.triage.rules:
            for hit in TESTS[rule.kind](rule, facts, self._states[rule.id], self.triage):
                found.append(_finding(rule, facts, hit))
        found = _compared(_strictest(found, self._rules), facts)
        found.sort(key=lambda f: (f.severity, f.since, f.target))
        self.findings = tuple(found)
        racks = {n.name: n.rack for n in facts.nodes}
        made = causes(found, racks, self._rack_nodes)
        self.causes = tuple(sorted(made, key=lambda c: (c.severity, c.lead.since, c.key)))
        return self.findings

    def _resize(self, facts: Facts) -> None:
        names = [n.name for n in facts.nodes]
        if facts.version == self._version and names == self._nodes and len(facts.uuids) == len(self._uuids):
            return
        cards, nodes = places(self._uuids, facts.uuids), places(self._nodes, names)
        for rule in self.triage.rules:
            self._states[rule.id].resize(cards if rule.scope == "card" else nodes)
        self._version, self._uuids, self._nodes = facts.version, list(facts.uuids), names


def _finding(rule: Rule, facts: Facts, hit: Hit) -> Finding:
    if rule.scope == "card":
        card, node = facts.uuids[hit.at], facts.nodes[int(facts.row_nodes[hit.at])].name
    else:
        card, node = "", "" if hit.at < 0 else facts.nodes[hit.at].name
    family = XID_FAMILY.get(hit.code, "application") if hit.code is not None else rule.family
    return Finding(
        rule.id, card, node, hit.severity or rule.severity, hit.signal or rule.signal, hit.action or rule.action,
        hit.do or rule.do, hit.evidence, hit.since, rule.confidence, rule.source, family, hit.differs or rule.differs,
        hit.code,
    )  # fmt: skip


def _strictest(found: list[Finding], rules: Mapping[str, Rule]) -> list[Finding]:
    """Of rules that differ in their limit alone, the one with the highest that holds: above 4, not above 0 as well."""

    def limit_of(one: Finding) -> tuple[tuple[str, object, str], float] | None:
        rule = rules[one.rule]
        if rule.kind not in LIMITS:
            return None
        return (rule.kind, rule.params.get("metric"), one.target), float(rule.params["value"])

    highest: dict[tuple[str, object, str], float] = {}
    for key, limit in filter(None, map(limit_of, found)):
        highest[key] = max(limit, highest.get(key, limit))
    return [one for one in found if (told := limit_of(one)) is None or told[1] == highest[told[0]]]


def _compared(found: list[Finding], facts: Facts) -> list[Finding]:
    """With how many cards of the same model have the same: a board's trouble is alone, a site's is not."""
    cards: Counter[tuple[str, str]] = Counter()
    for one in found:
        if one.card:
            cards[one.signal, facts.models[facts.row_of[one.card]]] += 1
    if not cards:
        return found
    models = Counter(m for m, is_slice in zip(facts.models, facts.is_slice.tolist(), strict=True) if not is_slice)

    def told(one: Finding) -> Finding:
        if not one.card:
            return one
        model = facts.models[facts.row_of[one.card]]
        same, peers = cards[one.signal, model] - 1, max(0, models[model] - 1)
        return replace(one, compared=f"{same} of {peers} peers have the same") if peers else one

    return [told(one) for one in found]


def clear(facts: Facts) -> npt.NDArray[np.bool_]:
    """Rows that have fresh readings: of others nothing is known, and unknown is never well."""
    from console.fleet.state import ReadingState

    _, states = facts.column("memory_used")
    return np.asarray((states != ReadingState.NONE) & (states != ReadingState.STALE))
