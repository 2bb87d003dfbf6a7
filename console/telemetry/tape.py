"""What a recorder hears of a fleet: every sample as it was decoded, layouts, links, processes, events.

The calls come from the collector's threads and must only note what they are given. A room that records (see
console.collect) fulfils this Protocol; telemetry knows nothing of how.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import Tier
from console.fleet.model import NodeEvent

F8 = npt.NDArray[np.float64]
U1 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sampled:
    """One pass of one tier over a node's cards, or over its host.

    Attributes:
        uuids: the entities of the node in order; () for the host.
        tier: the pass.
        at: monotonic second of this machine at which it was sampled, as NodeClock has it.
        clock_offset_s: node wall clock minus ours.
        values: [len(places), len(columns)]; NaN where not fresh.
        states: ReadingState of the same shape, or one for all.
        places: which entities, None for all in order.
        columns: places within the tier's columns of the catalogue, None for all in order.
    """

    node: str
    uuids: tuple[str, ...]
    tier: Tier
    at: float
    clock_offset_s: float
    values: F8
    states: U1 | int
    places: tuple[int, ...] | None
    columns: npt.NDArray[np.intp] | None


class Tape(Protocol):
    """Takes note of a fleet. Any thread; never blocks; keeps what it is given (arrays are not changed after)."""

    def sampled(self, sample: Sampled) -> None:
        """A pass was decoded."""

    def stated(self, node: str, kind: str, data: bytes) -> None:
        """A state of the node is another, as JSON of the telemetry's types.

        The kind is "node", "hello", "procs", "detail" or "link".
        """

    def happened(self, event: NodeEvent) -> None:
        """Something happened."""
