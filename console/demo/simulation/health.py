"""NVML's answers of the slow tier, field values and events: counters, errors, links, modes, XIDs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from console.demo.simulation.card import SimulatedCard
from console.demo.simulation.handles import NOT_SUPPORTED, TIMEOUT, Handle, NodeCalls, fail
from console.demo.simulation.load import noise
from console.demo.simulation.node import UP_BEFORE_S, SimulatedNode

_XID = 0x8
_ULL = 3


class FieldValue:
    """c_nvmlFieldValue_t with its value union in one; `ullVal` is what was found."""

    __slots__ = ("nvmlReturn", "ullVal")
    valueType = _ULL

    def __init__(self, code: int, value: int) -> None:
        self.nvmlReturn = code
        self.ullVal = value

    @property
    def value(self) -> FieldValue:
        """The union."""
        return self


_UNKNOWN = FieldValue(NOT_SUPPORTED, 0)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


# NVML_FI_DEV_* of the cards that have field values at all.
_FIELDS: dict[int, Callable[[SimulatedCard], int]] = {
    74: lambda c: _nanoseconds(c.counters.power_s),
    75: lambda c: _nanoseconds(c.counters.thermal_s),
    94: lambda c: c.faults.replays,
    173: lambda c: c.faults.replays * 3,
    180: lambda c: 0,
    186: lambda c: int(c.power * 1000),
    197: lambda c: int(c.counters.pcie_sent),
    198: lambda c: int(c.counters.pcie_received),
    230: lambda c: c.faults.recovery_action,
    270: lambda c: _nanoseconds(c.counters.hw_thermal_s),
    271: lambda c: _nanoseconds(c.counters.brake_s),
}
_MEMORY_FIELDS: dict[int, Callable[[SimulatedCard], int]] = {82: lambda c: c.memory_temperature}
_LINK_FIELDS: dict[int, Callable[[SimulatedCard], int]] = {
    38: lambda c: c.faults.link_errors,
    52: lambda c: c.faults.link_errors // 40,
    59: lambda c: c.faults.link_errors // 200,
    138: lambda c: int(c.counters.links),
    139: lambda c: int(c.counters.links * 0.98),
}


class EventSet:
    """One reader's set. Events from before it registered are lost, as with the real one."""

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node
        self._seen = node.t
        self._uuids: set[str] = set()
        self._found: deque[tuple[int, SimulatedCard]] = deque()

    def register(self, card: SimulatedCard) -> None:
        """Hear of a card's XIDs from now on."""
        self._uuids.add(card.uuid)

    def take(self) -> tuple[int, SimulatedCard] | None:
        """The next (XID, card) or None."""
        for xid in self._node.xids(self._seen):
            self._seen = xid.at
            card = self._node.cards[xid.card]
            if card.uuid in self._uuids:
                self._found.append((xid.code, card))
        return self._found.popleft() if self._found else None


class Health(NodeCalls):
    """Named as in pynvml."""

    def nvmlDeviceGetFieldValues(self, handle: Handle, wanted: list[Any]) -> list[FieldValue]:
        """Field values, each with its own verdict."""
        card = self._whole(handle)
        sku = card.sku
        out = []
        for field in wanted:
            number = field[0] if isinstance(field, tuple) else field
            call = _FIELDS.get(number) if sku.has_fields else None
            if call is None and sku.has_memory_temp:
                call = _MEMORY_FIELDS.get(number)
            if call is None and sku.nvlinks:
                call = _LINK_FIELDS.get(number)
            out.append(_UNKNOWN if call is None else FieldValue(0, call(card)))
        return out

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Handle) -> int:
        """mW."""
        return int(self._whole(handle).sku.limit_w * 1000)

    def nvmlDeviceGetMarginTemperature(self, handle: Handle) -> int:
        """degC below the slowdown threshold."""
        card = self._whole(handle)
        return int(card.sku.slowdown_c - card.temperature) if card.sku.has_ecc else fail(NOT_SUPPORTED)

    def nvmlDeviceGetFanSpeed(self, handle: Handle) -> int:
        """Percent; passive cards have none."""
        card = self._whole(handle)
        return card.fan if card.sku.has_fan else fail(NOT_SUPPORTED)

    def nvmlDeviceGetTotalEccErrors(self, handle: Handle, kind: int, span: int) -> int:
        """Counts; `kind` 0 corrected, 1 not; `span` 0 since driver load, 1 over the card's life."""
        card = self._whole(handle)
        if not card.sku.has_ecc:
            fail(NOT_SUPPORTED)
        if kind == 1:
            return card.faults.uncorrected
        counted_s = self._node.uptime() if span == 0 else UP_BEFORE_S + self._node.t
        creeping = int(counted_s / 3600.0 * 0.3 * noise(card.seed, 11) ** 3)
        before = 0 if span == 0 else int(60 * noise(card.seed, 12) ** 4)
        return card.faults.corrected + creeping + before

    def nvmlDeviceGetSramEccErrorStatus(self, handle: Handle, status: Any) -> Any:
        """SRAM errors of a card's life."""
        if not self._whole(handle).sku.has_gpm:
            fail(NOT_SUPPORTED)
        status.aggregateUncParity = status.aggregateUncSecDed = status.bThresholdExceeded = 0
        return status

    def nvmlDeviceGetRemappedRows(self, handle: Handle) -> tuple[int, int, int, int]:
        """Corrected, uncorrected, pending, failed. The consumer card answers zeros, as the real one does."""
        faults = self._undivided(handle).faults
        return (0, faults.uncorrected, int(faults.remap_pending), 0)

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: Handle) -> int:
        """Falls to 1 on an idle consumer card, which is normal."""
        card = self._whole(handle)
        return card.sku.pcie if card.doing.busy > 0.01 or card.sku.has_ecc else 1

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: Handle) -> int:
        """Lanes."""
        self._whole(handle)
        return 16

    def nvmlDeviceGetNvLinkState(self, handle: Handle, link: int) -> int:
        """1 while the link is up."""
        card = self._whole(handle)
        if link >= card.sku.nvlinks:
            fail(NOT_SUPPORTED)
        return int(link >= card.faults.links_down)

    def nvmlDeviceGetComputeMode(self, handle: Handle) -> int:
        """Default, until it is set."""
        return self._node.modes.get(self._whole(handle).uuid, 0)

    def nvmlDeviceGetPersistenceMode(self, handle: Handle) -> int:
        """On but for one node."""
        self._whole(handle)
        return self._node.plan.persistence

    def nvmlDeviceGetEccMode(self, handle: Handle) -> tuple[int, int]:
        """Current and pending."""
        return (1, 1) if self._whole(handle).sku.has_ecc else fail(NOT_SUPPORTED)

    def nvmlDeviceGetGpuFabricInfoV(self, handle: Handle, info: Any) -> Any:
        """Fabric manager done, on NVSwitch machines."""
        info.state = 3 if self._whole(handle).sku.nvlinks == 18 else 0
        return info

    def nvmlEventSetCreate(self) -> EventSet:
        """A set of this reader's own."""
        return EventSet(self._node)

    def nvmlDeviceGetSupportedEventTypes(self, handle: Handle) -> int:
        """XIDs."""
        self._whole(handle)
        return _XID

    def nvmlDeviceRegisterEvents(self, handle: Handle, _kinds: int, events: EventSet) -> None:
        """Hear of a card."""
        events.register(self._whole(handle))

    def nvmlEventSetWait_v2(self, events: EventSet, _timeout: int) -> Any:
        """The next XID or a time-out, at once: the demo's agents ask between passes."""
        found = events.take()
        if found is None:
            fail(TIMEOUT)
        code, card = found
        return SimpleNamespace(eventType=_XID, eventData=code, device=card)

    def nvmlEventSetFree(self, _events: EventSet) -> None:
        """Nothing to let go of."""
