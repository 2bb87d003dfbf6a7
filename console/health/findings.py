"""What was found: a rule that holds for a card or a node, with its evidence; and findings of one cause as one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

FLEET = "the fleet"
ABSORBS = {"card-lost": ("bus", "memory", "link", "heat", "power", "driver", "application", "speed")}
"""A rule of which the findings of these families on the same card are consequences."""

NODE_FAMILIES, NODE_CARDS = ("heat", "power", "link"), 2
"""So many cards of one node with the same trouble of such a family have one cause."""

XID_FAMILY = {
    **dict.fromkeys((48, 63, 64, 92, 93, 94, 95, 140, 156, 157, 171, 172), "memory"),
    **dict.fromkeys((79, 167), "bus"), **dict.fromkeys((74, 136, 137, 155, *range(144, 151)), "link"),
    **dict.fromkeys((46, 62, 109, 110, 119, 120, 143, 154, 158), "driver"), 54: "power",
}  # fmt: skip
"""Families of XIDs; every other code belongs to the application family."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that holds.

    Attributes:
        rule: its id; `card` the UUID, "" where it is about `node` ("" for the fleet).
        severity: 1 page, 2 today, 3 trend.
        signal, action, do, confidence, source, differs: of the rule, or of the XID.
        evidence: what was seen, with values and peers.
        since: unix second since when.
        family: findings of one family on one target have one cause.
        code: the XID, None for others.
        compared: how many peers of the same model have the same signal, "" where it is not a card's.
    """

    rule: str
    card: str
    node: str
    severity: int
    signal: str
    action: str
    do: str
    evidence: str
    since: float
    confidence: str
    source: str
    family: str
    differs: str = ""
    code: int | None = None
    compared: str = ""

    @property
    def text(self) -> str:
        """A line for a person."""
        if self.rule == "recovery-action":
            return f"driver says: {self.do.lower()}"
        return self.signal if self.code is not None else self.signal[0].lower() + self.signal[1:]

    @property
    def target(self) -> str:
        """The card, else the node, else the fleet."""
        return self.card or self.node or FLEET


@dataclass(frozen=True, slots=True)
class Cause:
    """Findings with one cause on one target: what an alarm is about.

    Attributes:
        key: the same for as long as the cause is the same.
        lead: the finding that says most; `others` its companions and consequences.
        count: of nodes or cards that it stands for.
    """

    key: str
    lead: Finding
    others: tuple[Finding, ...] = ()
    count: int = 1

    @property
    def severity(self) -> int:
        """The worst of it."""
        return min([self.lead.severity, *(f.severity for f in self.others)])


def _rank(finding: Finding) -> tuple[int, int, float]:
    # When the driver speaks, it wins.
    return (finding.severity, 0 if finding.rule == "recovery-action" else 1, finding.since)


def causes(findings: Iterable[Finding], racks: Mapping[str, str], rack_nodes: Mapping[str, int]) -> list[Cause]:
    """Findings as causes: a family a card, a rule a node, a rack where enough of its nodes show the same, the fleet.

    Args:
        racks: rack of each node.
        rack_nodes: {rule: how many nodes of a rack make it the rack's}.
    """
    by_card: dict[str, list[Finding]] = {}
    rest: list[Finding] = []
    for found in findings:
        if found.card:
            by_card.setdefault(found.card, []).append(found)
        else:
            rest.append(found)
    every = [f for fs in by_card.values() for f in fs]
    out = _of_racks(every, racks, rack_nodes)
    taken = {id(f) for c in out for f in c.others}
    out += _of_whole_nodes([f for f in every if id(f) not in taken])
    taken |= {id(f) for c in out for f in c.others}
    for card, mine in by_card.items():
        out += _of_card(card, [f for f in mine if id(f) not in taken])
    return out + _of_nodes(rest)


def _of_racks(findings: Sequence[Finding], racks: Mapping[str, str], rack_nodes: Mapping[str, int]) -> list[Cause]:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for found in findings:
        if found.rule in rack_nodes and racks.get(found.node):
            groups.setdefault((found.rule, racks[found.node]), []).append(found)
    out = []
    for (rule, rack), mine in groups.items():
        nodes = {f.node for f in mine}
        if len(nodes) < rack_nodes[rule]:
            continue
        first = min(mine, key=lambda f: f.since)
        text = f"{len(mine)} cards of {len(nodes)} nodes in rack {rack}; first {first.node}"
        lead = replace(first, card="", node=first.node, severity=1, evidence=text)
        out.append(Cause(f"rack:{rack}:{rule}", lead, tuple(mine), len(nodes)))
    return out


def _of_whole_nodes(findings: Sequence[Finding]) -> list[Cause]:
    """What shows on several cards of a node at once is the node's: its fans, its power, its fabric."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for found in findings:
        if found.family in NODE_FAMILIES:
            groups.setdefault((found.node, found.rule), []).append(found)
    out = []
    for (node, rule), mine in groups.items():
        cards = {f.card for f in mine}
        if len(cards) >= NODE_CARDS:
            first = min(mine, key=lambda f: f.since)
            lead = replace(first, card="", evidence=f"{len(cards)} cards of the node; {first.evidence}")
            out.append(Cause(f"node:{node}:{rule}", lead, tuple(mine), len(cards)))
    return out


def _of_card(card: str, mine: Sequence[Finding]) -> list[Cause]:
    absorbing = [f for f in mine if f.rule in ABSORBS]
    families: dict[str, list[Finding]] = {}
    for found in mine:
        under = next((a.family for a in absorbing if found.family in ABSORBS[a.rule]), found.family)
        families.setdefault(under, []).append(found)
    speaks = next((f for f in mine if f.rule == "recovery-action"), None)
    if speaks is not None and not absorbing and len(families) > 1:
        # What the driver asks for is the answer to the worst of what else there is.
        families[speaks.family].remove(speaks)
        if not families[speaks.family]:
            del families[speaks.family]
        worst = min(families, key=lambda name: min(_rank(f) for f in families[name]))
        families[worst].append(speaks)
    out = []
    for family, found_here in families.items():
        lead, *others = sorted(found_here, key=_rank)
        out.append(Cause(f"card:{card}:{family}", lead, tuple(others)))
    return out


def _of_nodes(findings: Sequence[Finding]) -> list[Cause]:
    together = next((f for f in findings if f.rule == "many-lost"), None)
    out = []
    lost = []
    for found in findings:
        if found is together:
            continue
        if together is not None and found.rule == "node-lost":
            lost.append(found)
        else:
            out.append(Cause(f"node:{found.node}:{found.rule}", found))
    if together is not None:
        out.append(Cause("fleet:many-lost", together, tuple(lost), max(1, len(lost))))
    return out
