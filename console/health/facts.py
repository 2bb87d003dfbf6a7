"""What rules look at: one moment of the fleet, as columns and small values. Whoever knows the fleet fills it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from console.fleet.model import NodeEvent
from console.fleet.state import LinkState

F8 = npt.NDArray[np.float64]
U1 = npt.NDArray[np.uint8]
Column = Callable[[str], tuple[F8, U1]]
"""(values, ReadingState) of a metric for all rows."""


@dataclass(frozen=True, slots=True)
class NodeFact:
    """A node now. `since_s`: seconds since its link became what it is; `problem`: a ProblemCode's value or ""."""

    name: str
    rack: str = ""
    link: LinkState = LinkState.LIVE
    since_s: float = 0.0
    problem: str = ""
    text: str = ""
    driver: str = ""
    clock_offset_s: float | None = None
    reconnects: int = 0
    has_work: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """One moment.

    Attributes:
        now: unix seconds.
        version: another number when rows mean other cards.
        uuids, models, row_nodes: of each card row: UUID, model, index of its node in `nodes`.
        jobs: of each card row: what runs on it, "" nothing.
        row_of: the row of each UUID.
        is_slice: rows that are slices; rules are of whole cards.
        column, host_column: readings of card rows and of nodes.
        events: newest MAX_EVENTS, oldest first; `happened`: how many there were in all.
    """

    now: float
    version: int
    uuids: Sequence[str]
    models: Sequence[str]
    row_nodes: npt.NDArray[np.intp]
    is_slice: npt.NDArray[np.bool_]
    nodes: Sequence[NodeFact]
    column: Column
    host_column: Column
    events: Sequence[NodeEvent] = ()
    jobs: Mapping[int, str] = field(default_factory=dict)
    row_of: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many card rows there are."""
        return len(self.uuids)
