"""NVML's answers that stay: versions, identity, limits, MIG layout."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from console.demo.simulation.card import SimulatedCard, SimulatedSlice
from console.demo.simulation.handles import DRIVER_NOT_LOADED, NOT_FOUND, NOT_SUPPORTED, Handle, NodeCalls, fail

_CAPABILITY = {7: (8, 0), 8: (8, 9), 9: (9, 0)}


class Facts(NodeCalls):
    """Named as in pynvml."""

    def nvmlInit(self) -> None:
        """Fails on the node without a driver."""
        if not self._node.plan.has_driver:
            fail(DRIVER_NOT_LOADED)

    def nvmlShutdown(self) -> None:
        """Nothing to let go of."""

    def nvmlSystemGetDriverVersion(self) -> str:
        """The driver of the demo."""
        return "580.95.05"

    def nvmlSystemGetNVMLVersion(self) -> str:
        """The library of the demo."""
        return "13.580.95.05"

    def nvmlSystemGetCudaDriverVersion_v2(self) -> int:
        """CUDA 13.0."""
        return 13000

    def nvmlDeviceGetCount(self) -> int:
        """Cards of the node."""
        return len(self._node.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> SimulatedCard:
        """The card itself is the handle."""
        return self._alive(self._node.cards[index])

    def nvmlDeviceGetUUID(self, handle: Handle) -> str:
        """UUID of a card or slice."""
        return handle.uuid

    def nvmlDeviceGetName(self, handle: Handle) -> str:
        """Model, with the profile for a slice."""
        card = self._alive(handle)
        return f"{card.sku.name} {handle.profile}" if isinstance(handle, SimulatedSlice) else card.sku.name

    def nvmlDeviceGetSerial(self, handle: Handle) -> str:
        """Serial number; consumer cards have none."""
        card = self._whole(handle)
        return card.serial if card.sku.has_ecc else fail(NOT_SUPPORTED)

    def nvmlDeviceGetBoardPartNumber(self, handle: Handle) -> str:
        """Part number; consumer cards have none."""
        card = self._whole(handle)
        return f"692-2G5{card.sku.architecture}0-0200-000" if card.sku.has_ecc else fail(NOT_SUPPORTED)

    def nvmlDeviceGetInforomImageVersion(self, handle: Handle) -> str:
        """InfoROM; consumer cards have none."""
        card = self._whole(handle)
        return f"G5{card.sku.architecture}0.0200.00.05" if card.sku.has_ecc else fail(NOT_SUPPORTED)

    def nvmlDeviceGetVbiosVersion(self, handle: Handle) -> str:
        """VBIOS of the model."""
        return self._whole(handle).sku.vbios

    def nvmlDeviceGetMinorNumber(self, handle: Handle) -> int:
        """N of /dev/nvidiaN."""
        return self._whole(handle).index

    def nvmlDeviceGetNumaNodeId(self, handle: Handle) -> int:
        """Half of the cards on each socket."""
        return int(self._whole(handle).index >= (len(self._node.cards) + 1) // 2)

    def nvmlDeviceGetPciInfo(self, handle: Handle) -> Any:
        """Bus address."""
        return SimpleNamespace(busId=self._whole(handle).pci)

    def nvmlDeviceGetArchitecture(self, handle: Handle) -> int:
        """NVML_DEVICE_ARCH_*."""
        return self._alive(handle).sku.architecture

    def nvmlDeviceGetCudaComputeCapability(self, handle: Handle) -> tuple[int, int]:
        """Compute capability."""
        return _CAPABILITY[self._alive(handle).sku.architecture]

    def nvmlDeviceGetMaxPcieLinkGeneration(self, handle: Handle) -> int:
        """Generation of the slot."""
        return self._whole(handle).sku.pcie

    def nvmlDeviceGetMaxPcieLinkWidth(self, handle: Handle) -> int:
        """Lanes."""
        self._whole(handle)
        return 16

    def nvmlDeviceGetMaxClockInfo(self, handle: Handle, kind: int) -> int:
        """Highest clock in MHz."""
        sku = self._whole(handle).sku
        return sku.sm_mhz if kind == 1 else sku.memory_mhz

    def nvmlDeviceGetMigMode(self, handle: Handle) -> tuple[int, int]:
        """Current and pending."""
        card = self._whole(handle)
        if not card.sku.nvlinks:
            fail(NOT_SUPPORTED)
        return (int(bool(card.slices)), int(bool(card.slices)))

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int:
        """Places for slices."""
        return 7 if self._whole(handle).sku.nvlinks else 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, place: int) -> SimulatedSlice:
        """The slice at a place."""
        card = self._whole(handle)
        return card.slices[place] if place < len(card.slices) else fail(NOT_FOUND)

    def nvmlDeviceGetGpuInstanceId(self, handle: Handle) -> int:
        """Instance of a slice."""
        return handle.instance if isinstance(handle, SimulatedSlice) else fail(NOT_SUPPORTED)
