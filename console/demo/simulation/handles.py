"""What NVML functions take and raise: handles, verdict codes, and the checks that every call begins with."""

from __future__ import annotations

from typing import NoReturn

import pynvml

from console.demo.simulation.card import SimulatedCard, SimulatedSlice
from console.demo.simulation.node import SimulatedNode

NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND, DRIVER_NOT_LOADED, TIMEOUT, FUNCTION_NOT_FOUND, LOST = 3, 4, 6, 9, 10, 13, 15

Handle = SimulatedCard | SimulatedSlice
"""The card or slice itself stands for its NVML handle."""


def fail(code: int) -> NoReturn:
    """Raise what pynvml raises for an nvmlReturn_t."""
    raise pynvml.NVMLError(code)


class NodeCalls:
    """NVML calls of one node."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node

    def _alive(self, handle: Handle) -> SimulatedCard:
        """The card of a card or slice, brought to now, unless it is lost."""
        card = handle if isinstance(handle, SimulatedCard) else handle.card
        self._node.advance()
        if card.faults.lost:
            fail(LOST)
        return card

    def _whole(self, handle: Handle) -> SimulatedCard:
        """The card, for what slices do not have."""
        if not isinstance(handle, SimulatedCard):
            fail(NOT_SUPPORTED)
        self._node.advance()
        if handle.faults.lost:
            fail(LOST)
        return handle

    def _undivided(self, handle: Handle) -> SimulatedCard:
        """The card, for what NVML does not say of cards with MIG on."""
        card = self._whole(handle)
        if card.slices:
            fail(NOT_SUPPORTED)
        return card
