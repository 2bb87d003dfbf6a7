"""A fleet for rules: well, until a test changes a reading, an event, a node; looked at second by second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from console.checkup import RESOURCES
from console.fleet.model import NodeEvent
from console.fleet.state import LinkState, ReadingState
from console.health.examiner import Examiner
from console.health.facts import Facts, NodeFact
from console.health.triage import read

TRIAGE = read(RESOURCES)
WELL = {
    "utilization_gpu": 97.0, "clock_sm": 1980.0, "temperature_gpu": 62.0, "pcie_width": 16.0, "nvlink_active": 18.0,
    "memory_used": 7e10, "temperature_margin": 25.0, "process_count": 1.0, "pcie_generation": 5.0,
}  # fmt: skip
BEGIN = 1_800_000_000.0


class Ward:
    """`nodes` nodes of `cards` cards, all of one model and one job a node.

    Attributes:
        values, states: {metric: array a card}; host: {metric: array a node}.
        infos: NodeFact a node.
    """

    def __init__(self, nodes: int = 4, cards: int = 8, triage=TRIAGE, at_once: bool = False) -> None:
        self.nodes, self.cards, self.now = nodes, cards, BEGIN
        self.count = nodes * cards
        self.values: dict[str, np.ndarray] = {}
        self.states: dict[str, np.ndarray] = {}
        self.host: dict[str, np.ndarray] = {}
        self.infos = [
            NodeFact(f"gpu{n:03d}", f"r{n // 8:02d}", driver="550.54.15", clock_offset_s=0.01) for n in range(nodes)
        ]
        self.events: list[NodeEvent] = []
        self.jobs = {r: f"slurm {4000 + r // cards}" for r in range(self.count)}
        self.uuids = [f"GPU-{r // cards:03d}-{r % cards}" for r in range(self.count)]
        self.models = ["NVIDIA H100 80GB HBM3"] * self.count
        self.examiner = Examiner(triage, at_once)

    def column(self, metric):
        if metric not in self.values:
            self.values[metric] = np.full(self.count, WELL.get(metric, 0.0))
        states = self.states.get(metric, np.full(self.count, int(ReadingState.FRESH), dtype=np.uint8))
        return self.values[metric], states

    def host_column(self, metric):
        values = self.host.setdefault(metric, np.zeros(self.nodes))
        return values, np.full(self.nodes, int(ReadingState.FRESH), dtype=np.uint8)

    def set(self, metric, value, *rows):
        self.column(metric)[0][list(rows or (0,))] = value

    def state(self, metric, state, *rows):
        self.states.setdefault(metric, np.full(self.count, int(ReadingState.FRESH), dtype=np.uint8))
        self.states[metric][list(rows or (0,))] = int(state)

    def happens(self, kind, code=None, row=0, text="", ago=0.0):
        node = self.infos[row // self.cards].name
        at = self.now - ago
        self.events.append(NodeEvent(node, self.uuids[row], at, at, kind, code, "kernel", text))

    def node(self, at=0, **more):
        self.infos[at] = replace(self.infos[at], **more)

    def lose(self, *at, since_s=30.0, **more):
        for one in at:
            self.node(one, link=LinkState.LOST, since_s=since_s, problem="closed", text="the connection ended", **more)

    def facts(self) -> Facts:
        rows = np.repeat(np.arange(self.nodes), self.cards)
        return Facts(
            self.now, 1, self.uuids, self.models, rows, np.zeros(self.count, dtype=bool), tuple(self.infos),
            self.column, self.host_column, tuple(self.events), self.jobs,
            {uuid: row for row, uuid in enumerate(self.uuids)},
        )  # fmt: skip

    def look(self, seconds: float = 0.0, step: float = 1.0):
        """Look now, and every `step` seconds for `seconds` more; the findings at the end."""
        found = self.examiner.look(self.facts())
        for _ in range(int(seconds / step)):
            self.now += step
            found = self.examiner.look(self.facts())
        return found

    def rules(self):
        return {f.rule for f in self.examiner.findings}
