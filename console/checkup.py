"""Health over a fleet that is read: its moment as the facts of console.health, and judged rows for map and table. No Qt."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

import numpy as np

from console.fleet.condition import Condition, Judged
from console.fleet.model import EntityKind, NodeEvent
from console.fleet.state import LinkState
from console.health.examiner import Examiner, clear
from console.health.facts import Facts, NodeFact
from console.health.findings import Finding
from console.health.triage import Triage, read
from console.health.verdict import Verdict, verdict
from console.past import PastFleet
from console.telemetry.live import LiveFleet
from console.telemetry.readings import NodeRow

RESOURCES = Path(__file__).resolve().parent.parent / "resources"
CONDITION = {1: Condition.CRITICAL, 2: Condition.WARNING, 3: Condition.NOTICE}
EVENTS = ("xid", "card_hung", "card_back")
"""Kinds of events that rules look at."""


class Reader:
    """Reads facts of one fleet; what seldom changes is kept between two readings."""

    def __init__(self, live: LiveFleet | PastFleet) -> None:
        self._live = live
        self._version = self._processes = self._happened = -1
        self._uuids: list[str] = []
        self._models: list[str] = []
        self._row_nodes = np.zeros(0, dtype=np.intp)
        self._is_slice = np.zeros(0, dtype=bool)
        self._row_of: dict[str, int] = {}
        self._jobs: dict[int, str] = {}
        self._working: set[str] = set()
        self._events: tuple[NodeEvent, ...] = ()

    def facts(self) -> Facts:
        """This moment of the fleet."""
        live = self._live
        if self._version != live.version:
            self._read_rows()
        if self._processes != live.processes_version or self._version != live.version:
            self._read_jobs()
        self._version, self._processes = live.version, live.processes_version
        if self._happened != live.happened:
            self._happened = live.happened
            self._events = tuple(e for e in live.events if e.kind in EVENTS)
        mono = time.monotonic()
        return Facts(
            live.now(), live.version, self._uuids, self._models, self._row_nodes, self._is_slice,
            [_node(n, mono, n.node.name in self._working) for n in live.nodes],
            lambda m: ((c := live.column(m)).values, c.states), lambda m: ((c := live.host_column(m)).values, c.states),
            self._events, self._jobs, self._row_of,
        )  # fmt: skip

    def _read_rows(self) -> None:
        entities = self._live.entities
        self._uuids = [e.entity.uuid for e in entities]
        self._row_of = {uuid: row for row, uuid in enumerate(self._uuids)}
        self._models = [e.entity.name for e in entities]
        self._row_nodes = np.array([e.node_index for e in entities], dtype=np.intp)
        self._is_slice = np.array([e.entity.kind is EntityKind.SLICE for e in entities], dtype=bool)

    def _read_jobs(self) -> None:
        self._jobs, self._working = {}, set()
        for node in self._live.configured:
            for p in self._live.processes(node.name):
                self._working.add(node.name)
                row = self._row_of.get(p.uuid)
                if row is not None:
                    self._jobs[row] = p.slurm_job or p.pod or f"{p.user or '?'} {p.command[:60]}"


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
        self._reader: Reader | None = None

    def look(self, live: LiveFleet | PastFleet) -> Judged:
        """Examine, and judge every row."""
        is_past = isinstance(live, PastFleet)
        if self._of is not live or is_past:
            # A moment of the past has no looks before it.
            self.examiner = Examiner(self.triage, at_once=is_past)
            self._of, self._reader = live, Reader(live)
        assert self._reader is not None
        self.facts = self._reader.facts()
        return judged(self.facts, self.examiner.look(self.facts))

    def verdict(self, live: LiveFleet | PastFleet, target: str) -> Verdict:
        """The verdict on a card or node, as of the last look.

        Raises:
            KeyError: there is no such target.
        """
        node, card = node_and_card(live, target)
        assert self.facts is not None
        return verdict(self.examiner, self.facts, node, card, list(live.events))


def node_and_card(live: LiveFleet | PastFleet, target: str) -> tuple[str, str]:
    """(node, card) of a card's UUID or a node's name; card "" for a whole node.

    Raises:
        KeyError: there is no such target.
    """
    row = live.entity(target)
    if row is None and live.node(target) is None:
        raise KeyError(target)
    return (target, "") if row is None else (row.entity.node, target)


def judged(facts: Facts, findings: Collection[Finding]) -> Judged:
    """Conditions and reasons of card rows. Unknown is never well, and never hides what is known to be bad."""
    conditions = np.where(clear(facts), int(Condition.WELL), int(Condition.UNKNOWN)).astype(np.uint8)
    reasons: dict[int, list[tuple[int, str]]] = {}
    for row in np.flatnonzero(conditions == Condition.UNKNOWN).tolist():
        reasons[row] = [(int(Condition.UNKNOWN), "no fresh readings")]
    for found in findings:
        if found.card not in facts.row_of:
            continue
        row = facts.row_of[found.card]
        condition = CONDITION[found.severity]
        conditions[row] = max(int(conditions[row]), int(condition))
        reasons.setdefault(row, []).append((int(condition), found.text))
    ordered: list[tuple[str, ...]] = [()] * facts.rows
    for row, here in reasons.items():
        ordered[row] = tuple(dict.fromkeys(text for _, text in sorted(here, key=lambda e: -e[0])))
    return Judged(conditions, ordered)
