"""A demo's nodes without sockets, by a clock of the test's own; the real agent over them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from console.agent import main as agent
from console.demo.fleet import plan_fleet
from console.demo.simulation.host import SimulatedHost
from console.demo.simulation.node import NodePlan, SimulatedNode
from console.demo.simulation.nvml import SimulatedNvml
from console.telemetry.wire import Hello, Line, Sample, decode

WALL = 1_800_000_000.0


class Clock:
    """Seconds of a demo that begins at 0, moved by hand."""

    def __init__(self, t: float = 0.0) -> None:
        self.t = t

    def __call__(self) -> float:
        return self.t

    def wall(self) -> float:
        return WALL + self.t


def node_of(plan: NodePlan, clock: Clock) -> SimulatedNode:
    return SimulatedNode(plan, 0.0, clock, clock.wall)


class _Stop:
    """Stands where the agent's stop event does: ends it when the clock has gone far enough."""

    def __init__(self, clock: Clock, until: float) -> None:
        self._clock, self._until, self._is_set = clock, until, False

    def is_set(self) -> bool:
        return self._is_set or self._clock.t >= self._until

    def set(self) -> None:
        self._is_set = True


def agent_lines(node: SimulatedNode, clock: Clock, seconds: float) -> list[Line]:
    """What the real agent writes over a node within so many seconds of the clock, decoded as the console decodes."""
    lines: list[bytes] = []

    def attach(control: agent.Control) -> None:
        def wait(timeout: float) -> None:
            clock.t += max(0.001, timeout)
            control.heard = clock.t

        control.wake.wait = wait

    config = {"mode": "stream", "isolate": False, "phase": 0.25}
    stop = _Stop(clock, clock.t + seconds)
    agent.run(
        config, None, lines.append, SimulatedNvml(node), SimulatedHost(node),
        clock=clock, wall=lambda: clock.wall() + node.plan.skew_s, stop=stop, attach=attach,
    )  # fmt: skip
    return [decode(line.rstrip(b"\n")) for line in lines]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_node(clock: Clock) -> Callable[..., SimulatedNode]:
    """The node at a place of the default demo, with parts of its plan put in place."""

    def make(place: int, nodes: int = 12, cards: int = 8, seed: int = 1, **parts: object) -> SimulatedNode:
        return node_of(dataclasses.replace(plan_fleet(nodes, cards, seed)[place], **parts), clock)

    return make


def column(hello: Hello, sample: Sample, metric: str) -> list[tuple[float | None, str]]:
    """(value, letter) of a metric for every entity of a whole sample."""
    at = hello.columns[sample.k].index(metric)
    letters = sample.q or [None] * len(sample.c)
    return [(row[at], "." if q is None else q[at]) for row, q in zip(sample.c, letters, strict=True)]


def samples(lines: list[Line], tier: str) -> list[Sample]:
    return [x for x in lines if isinstance(x, Sample) and x.k == tier]
