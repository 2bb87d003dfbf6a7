"""The verdict on one card or node, on one screen: what is found, how wide, who is hurt, what changed, what to do. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from console.fleet.model import NodeEvent
from console.fleet.show import utc
from console.health.examiner import Examiner
from console.health.facts import Facts
from console.health.findings import Cause, Finding

CHANGED_S = 86_400.0
MOST_CHANGED = 8
WILL_NOT_FIX = {
    "RESET_GPU": "A reset does not mend a worn card, a link or a power supply: the same error again is the hardware's",
    "RESTART_BM": "A reboot does not mend hardware: two reboots with the same error are enough",
    "RESTART_APP": "A restart does not mend an application that is at fault, nor a card on which every user fails",
    "FACILITY": "A reboot does not help against a power brake",
    "AIRFLOW": "A reset does not cool a card",
    "HARDWARE_INSPECTION": "A reset does not cool a card nor mend its power",
    "RESEAT": "A reboot does not widen a link",
    "NETWORK": "Draining nodes that are only unreachable helps nobody",
    "LOOK": "A drain that cannot reach its node is only a note in the scheduler",
}
"""What an action is often taken for, and does not do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a person needs at once.

    Attributes:
        summary: one line; action, do, confidence, source: of what leads, "" where nothing is found.
        evidence: lines of everything found here.
        wide: where else the same is found, by rack, driver, job.
        hurt: jobs and users here.
        changed: (unix second, text) of the last day, newest first.
        runner_up: what else it may be; will_not_fix: what the action does not mend; acts: the first three.
    """

    node: str
    card: str
    summary: str
    action: str = ""
    do: str = ""
    confidence: str = ""
    source: str = ""
    evidence: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()
    hurt: tuple[str, ...] = ()
    changed: tuple[tuple[float, str], ...] = ()
    runner_up: str = ""
    will_not_fix: str = ""
    acts: tuple[str, ...] = ()


def verdict(examiner: Examiner, facts: Facts, node: str, card: str, events: Sequence[NodeEvent]) -> Verdict:
    """The verdict on `card`, or on all of `node` where `card` is ""."""
    mine = [c for c in examiner.causes if concerns(c, node, card)]
    hurt = _hurt(facts, node, card)
    changed = _changed(facts, events, node, card)
    if not mine:
        unread = _unread(facts, node)
        return Verdict(node, card, unread or "Nothing is found.", hurt=hurt, changed=changed)
    lead = mine[0].lead
    others = [f for c in mine for f in ((c.lead, *c.others) if c is not mine[0] else c.others)]
    rival = next((f for f in others if f.action != lead.action), None)
    rule = examiner.triage.rule(lead.rule)
    lines = [f"{f.signal}: {f.evidence}{_also(f)}" for f in (lead, *others)]
    if lead.differs:
        lines.append(lead.differs)
    return Verdict(
        node, card, lead.signal, lead.action, lead.do, lead.confidence, lead.source, tuple(dict.fromkeys(lines)),
        _wide(examiner.findings, facts, lead), hurt, changed, "" if rival is None else f"{rival.signal}: {rival.do}",
        WILL_NOT_FIX.get(lead.action, ""), (lead.do, *rule.acts[1:]),
    )  # fmt: skip


def markdown(found: Verdict, now: float) -> str:
    """A verdict as a card for a ticket or a chat."""
    where = f"{found.node} / `{found.card}`" if found.card else found.node
    lines = [f"**{found.summary}** on {where}, {utc(now)}"]
    if found.do:
        lines += ["", f"Action: {found.do} (`{found.action}`, confidence {found.confidence}). Source: {found.source}"]
    for title, texts in (
        ("Evidence", found.evidence), ("How wide", found.wide), ("Who is hurt", found.hurt),
        ("What changed", tuple(f"{utc(at)} {text}" for at, text in found.changed)),
    ):  # fmt: skip
        if texts:
            lines += ["", f"{title}:", *(f"- {text}" for text in texts)]
    if found.will_not_fix:
        lines += ["", f"Mind: {found.will_not_fix}"]
    return "\n".join(lines) + "\n"


def _also(found: Finding) -> str:
    return f" ({found.compared})" if found.compared else ""


def concerns(cause: Cause, node: str, card: str) -> bool:
    """Whether a cause is of this card, or of its node as a whole; with `card` "" of anything on the node."""
    found = (cause.lead, *cause.others)
    if card:
        return any(f.card == card or (not f.card and f.node == node) for f in found)
    return any(f.node == node for f in found)


def _unread(facts: Facts, node: str) -> str:
    fact = next((n for n in facts.nodes if n.name == node), None)
    return "" if fact is None or not fact.problem else f"Nothing can be said of its cards: {fact.text}"


def _hurt(facts: Facts, node: str, card: str) -> tuple[str, ...]:
    rows = [
        r for r, uuid in enumerate(facts.uuids)
        if (uuid == card if card else facts.nodes[int(facts.row_nodes[r])].name == node)
    ]  # fmt: skip
    jobs = Counter(facts.jobs[r] for r in rows if facts.jobs.get(r))
    return tuple(f"{job} on {n} card{'s' if n != 1 else ''}" for job, n in jobs.most_common(8))


def _changed(facts: Facts, events: Sequence[NodeEvent], node: str, card: str) -> tuple[tuple[float, str], ...]:
    here = [
        e for e in events
        if e.node == node and (not card or e.uuid in ("", card)) and facts.now - e.wall_s <= CHANGED_S
    ]  # fmt: skip
    return tuple((e.wall_s, f"{e.kind}: {e.text[:160]}" if e.text else e.kind) for e in reversed(here[-MOST_CHANGED:]))


def _wide(findings: Sequence[Finding], facts: Facts, lead: Finding) -> tuple[str, ...]:
    """Where else the same signal is, so that a rack, a driver or a job shows."""
    same = [f for f in findings if f.signal == lead.signal]
    others = {f.target for f in same} - {lead.target}
    if not others:
        return ("Nowhere else.",)
    info = {n.name: n for n in facts.nodes}
    out = [f"{len(others)} more of the fleet"]
    fact = info.get(lead.node)
    if fact is not None:
        for what, value in (("rack", fact.rack), ("driver", fact.driver)):
            near = sum(getattr(info[f.node], what) == value for f in same if f.node in info and f.target != lead.target)
            if value:
                out.append(f"{near} with the same {what} {value}")
    return tuple(out)
