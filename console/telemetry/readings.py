"""What a reader of live telemetry gets: rows of nodes and entities, readings, columns and series. Frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from console.fleet.model import Entity, Node, NodeEvent
from console.fleet.state import LinkState, Problem, ReadingState
from console.telemetry.rings import F8, U1
from console.telemetry.wire import Hello


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """What a node's link did since the console started.

    Attributes:
        lines, bytes: received.
        delay_s: how much later than the least delayed line the newest came; None before the first.
        clock_offset_s: node clock minus ours; None before the first.
        last_line_s: age of the newest line in seconds; None before the first.
        dropped: refused lines and values by kind ("long", "syntax", "type", "range", "sequence", "shape", "order").
        dropped_newest: text of the newest refusal; hostile until escaped.
        missed: lines that never came, by their sequence numbers.
        reconnects: how often the stream was opened again.
    """

    lines: int = 0
    bytes: int = 0
    delay_s: float | None = None
    clock_offset_s: float | None = None
    last_line_s: float | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    dropped_newest: str = ""
    missed: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node now. `slot` is its board row; `index` its place in `LiveFleet.nodes`; `since` a monotonic second."""

    index: int
    slot: int
    node: Node
    link: LinkState
    problem: Problem | None
    since: float
    hello: Hello | None
    counters: LinkCounters


@dataclass(frozen=True, slots=True)
class EntityRow:
    """A card or slice now. `row` is its place in every `column`; `node_index` its node's place in `nodes`."""

    row: int
    entity: Entity
    node_index: int


@dataclass(frozen=True, slots=True)
class Column:
    """One metric of all entities or hosts.

    Attributes:
        values: NaN unless the state is FRESH or STALE.
        states: ReadingState, STALE included.
        ages: seconds since the sample; NaN before the first.
    """

    values: F8
    states: U1
    ages: F8

    @property
    def fresh(self) -> F8:
        """The values with everything but FRESH as NaN: what averages may use."""
        return np.where(self.states == ReadingState.FRESH, self.values, np.nan)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value with everything a person needs to trust it. `value` is None unless FRESH or STALE."""

    metric: str
    value: float | None
    unit: str
    state: ReadingState
    age_s: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """A stretch of one metric.

    Attributes:
        t: unix seconds of this machine's clock, rising.
        v: the samples, or the mean of each bucket; NaN at gaps.
        states: ReadingState of each.
        low, high: least and greatest of each bucket; None where `v` are samples.
    """

    t: F8
    v: F8
    states: U1
    low: F8 | None = None
    high: F8 | None = None


@dataclass(slots=True)
class Changes:
    """What a `pump` changed: names of nodes, and the events that came."""

    directory: bool = False
    nodes: set[str] = field(default_factory=set)
    processes: set[str] = field(default_factory=set)
    details: set[str] = field(default_factory=set)
    events: list[NodeEvent] = field(default_factory=list)
    collector: str | None = None

    def __bool__(self) -> bool:
        return bool(
            self.directory or self.nodes or self.processes or self.details or self.events or self.collector is not None
        )
