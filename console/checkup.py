"""Health over a fleet that is read: its moment as the facts of console.health, and judged rows for map and table. No Qt."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

import numpy as np

from console.fleet.condition import Condition, Judged
from console.fleet.model import EntityKind
from console.fleet.state import LinkState
from console.health.examiner import Examiner, clear
from console.health.facts import Facts, NodeFact
from console.health.findings import Finding
from console.health.triage import Triage, read
from console.past import PastFleet
from console.telemetry.live import LiveFleet
from console.telemetry.readings import NodeRow

RESOURCES = Path(__file__).resolve().parent.parent / "resources"
CONDITION = {1: Condition.CRITICAL, 2: Condition.WARNING, 3: Condition.NOTICE}
OPENS_S = 10.0
"""A node that was never reached is not lost before it had time to answer."""


def facts_of(live: LiveFleet | PastFleet) -> Facts:
    """One moment of the fleet."""
    entities = live.entities
    at = {e.entity.uuid: e.row for e in entities}
    jobs: dict[int, str] = {}
    for node in live.nodes:
        for p in live.processes(node.node.name):
            row = at.get(p.uuid)
            if row is not None:
                jobs[row] = p.slurm_job or p.pod or f"{p.user or '?'} {p.command[:60]}"
    mono = time.monotonic()
    return Facts(
        now=live.now(),
        version=live.version,
        uuids=[e.entity.uuid for e in entities],
        models=[e.entity.name for e in entities],
        row_nodes=np.array([e.node_index for e in entities], dtype=np.intp),
        is_slice=np.array([e.entity.kind is EntityKind.SLICE for e in entities], dtype=bool),
        nodes=[_node(n, mono, bool(live.processes(n.node.name))) for n in live.nodes],
        column=lambda m: ((c := live.column(m)).values, c.states),
        host_column=lambda m: ((c := live.host_column(m)).values, c.states),
        events=tuple(live.events),
        jobs=jobs,
    )


def _node(row: NodeRow, mono: float, has_work: bool) -> NodeFact:
    problem = row.problem
    return NodeFact(
        row.node.name, row.node.rack, row.link, max(0.0, mono - row.since) if row.since else 0.0,
        "" if problem is None else str(problem.code), "" if problem is None else problem.what,
        (row.hello.versions.get("driver") or "") if row.hello is not None else "", row.counters.clock_offset_s,
        row.counters.reconnects, has_work and row.link is not LinkState.LIVE,
    )  # fmt: skip


class Checkup:
    """Examines one fleet, live or past.

    Attributes:
        examiner: its findings and causes as of the last look.
        facts: what it looked at, None before the first.
    """

    def __init__(self, triage: Triage | None = None, site: Path | None = None) -> None:
        self.triage = triage or read(RESOURCES, site)
        self.examiner = Examiner(self.triage)
        self.facts: Facts | None = None
        self._of: object = None

    def look(self, live: LiveFleet | PastFleet) -> Judged:
        """Examine, and judge every row."""
        is_past = isinstance(live, PastFleet)
        if self._of is not live or is_past:
            # A moment of the past has no looks before it.
            self.examiner = Examiner(self.triage, at_once=is_past)
            self._of = live
        self.facts = facts_of(live)
        return judged(self.facts, self.examiner.look(self.facts))


def judged(facts: Facts, findings: Collection[Finding]) -> Judged:
    """Conditions and reasons of card rows. Unknown is never well, and never hides what is known to be bad."""
    conditions = np.where(clear(facts), int(Condition.WELL), int(Condition.UNKNOWN)).astype(np.uint8)
    reasons: dict[int, list[tuple[int, str]]] = {}
    row_of = {u: i for i, u in enumerate(facts.uuids)}
    for row in np.flatnonzero(conditions == Condition.UNKNOWN).tolist():
        reasons[row] = [(int(Condition.UNKNOWN), "no fresh readings")]
    for found in findings:
        if found.card not in row_of:
            continue
        row = row_of[found.card]
        condition = CONDITION[found.severity]
        conditions[row] = max(int(conditions[row]), int(condition))
        reasons.setdefault(row, []).append((int(condition), found.text))
    ordered: list[tuple[str, ...]] = [()] * facts.rows
    for row, here in reasons.items():
        ordered[row] = tuple(dict.fromkeys(text for _, text in sorted(here, key=lambda e: -e[0])))
    return Judged(conditions, ordered)
