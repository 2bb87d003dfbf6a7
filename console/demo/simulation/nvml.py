"""NVML as pynvml offers it, over simulated cards: the same function names, structs' attributes and errors."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pynvml

from console.demo.simulation.card import SimulatedCard
from console.demo.simulation.load import Kind
from console.demo.simulation.node import SimulatedNode

_NOT_SUPPORTED, _LOST, _DRIVER_NOT_LOADED, _NOT_FOUND, _TIMEOUT = 3, 15, 9, 6, 10
_GIB = 1 << 30
_SLICES = ((0, 3, "MIG 3g.40gb", 0.5), (1, 2, "MIG 2g.20gb", 0.25), (2, 1, "MIG 1g.10gb", 0.125))


class _Slice:
    """A MIG instance of a card."""

    def __init__(self, card: SimulatedCard, place: int) -> None:
        self.card = card
        self.place = place


Handle = SimulatedCard | _Slice


def _fail(code: int) -> Any:
    raise pynvml.NVMLError(code)


class SimulatedNvml:
    """Stands in for the pynvml module on one node. Functions are named as there; any thread."""

    NVMLError = pynvml.NVMLError
    nvmlMemory_v2 = pynvml.nvmlMemory_v2
    NVML_GPM_METRICS_GET_VERSION = pynvml.NVML_GPM_METRICS_GET_VERSION
    nvmlEccSramErrorStatus_v1 = pynvml.nvmlEccSramErrorStatus_v1
    c_nvmlEccSramErrorStatus_v1_t = SimpleNamespace
    c_nvmlGpuFabricInfo_v2_t = SimpleNamespace

    def __init__(self, node: SimulatedNode) -> None:
        self._node = node

    def __getattr__(self, name: str) -> Any:
        if name.startswith("nvml"):  # a function this driver does not have
            return lambda *_: _fail(13)
        raise AttributeError(name)

    @staticmethod
    def c_nvmlGpmMetricsGet_t() -> Any:
        """The struct that GPM's answer is asked with."""
        return SimpleNamespace(metrics=[SimpleNamespace(metricId=0) for _ in range(8)])

    def nvmlInit(self) -> None:
        """Fails on the node without a driver."""
        if not self._node.plan.has_driver:
            _fail(_DRIVER_NOT_LOADED)

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

    def _alive(self, handle: Handle) -> SimulatedCard:
        card = handle.card if isinstance(handle, _Slice) else handle
        self._node.advance()
        if card.faults.lost:
            _fail(_LOST)
        return card

    def _whole(self, handle: Handle) -> SimulatedCard:
        card = self._alive(handle)
        if isinstance(handle, _Slice):
            _fail(_NOT_SUPPORTED)
        return card

    # Identity

    def nvmlDeviceGetUUID(self, handle: Handle) -> str:
        """UUID of a card or slice."""
        if isinstance(handle, _Slice):
            return handle.card.mig[handle.place]
        return handle.uuid

    def nvmlDeviceGetName(self, handle: Handle) -> str:
        """Model or profile."""
        card = self._alive(handle)
        return _SLICES[handle.place][2] if isinstance(handle, _Slice) else card.sku.name

    def nvmlDeviceGetSerial(self, handle: Handle) -> str:
        """Serial number; consumer cards have none."""
        card = self._whole(handle)
        return card.serial if card.sku.has_ecc else _fail(_NOT_SUPPORTED)

    def nvmlDeviceGetVbiosVersion(self, handle: Handle) -> str:
        """VBIOS of the model."""
        return {9: "96.00.99.00.01", 8: "92.00.45.00.06"}.get(self._whole(handle).sku.architecture, "95.02.3c.40.c0")

    def nvmlDeviceGetMinorNumber(self, handle: Handle) -> int:
        """N of /dev/nvidiaN."""
        return self._whole(handle).index

    def nvmlDeviceGetNumaNodeId(self, handle: Handle) -> int:
        """Half of the cards on each socket."""
        return 0 if self._whole(handle).index < 4 else 1

    def nvmlDeviceGetPciInfo(self, handle: Handle) -> Any:
        """Bus address."""
        return SimpleNamespace(busId=self._whole(handle).pci)

    def nvmlDeviceGetArchitecture(self, handle: Handle) -> int:
        """NVML_DEVICE_ARCH_*; the L40S and the 4090 are Ada."""
        sku = self._alive(handle).sku
        return 9 if sku.has_gpm else 7 if "A100" in sku.name else 8

    def nvmlDeviceGetCudaComputeCapability(self, handle: Handle) -> tuple[int, int]:
        """Compute capability."""
        return {9: (9, 0), 7: (8, 0), 8: (8, 9)}[self.nvmlDeviceGetArchitecture(handle)]

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

    # Fast

    def nvmlDeviceGetUtilizationRates(self, handle: Handle) -> Any:
        """Percent of time."""
        doing = self._whole(handle).doing
        return SimpleNamespace(gpu=round(100 * doing.busy), memory=round(100 * doing.bandwidth))

    def nvmlDeviceGetMemoryInfo(self, handle: Handle, version: int | None = None) -> Any:
        """Bytes; a slice has its share."""
        card = self._alive(handle)
        share = _SLICES[handle.place][3] if isinstance(handle, _Slice) else 1.0
        total, reserved = int(card.sku.memory * share), int(card.sku.memory * 0.0075 * share)
        return SimpleNamespace(used=int(card.memory_used * share), reserved=reserved, total=total)

    def nvmlDeviceGetPowerUsage(self, handle: Handle) -> int:
        """mW."""
        return int(self._whole(handle).power * 1000)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Handle) -> int:
        """mJ since the driver was loaded."""
        card = self._whole(handle)
        return int((card.energy + 3.6e6 * (1 + card.seed % 7)) * 1000)

    def nvmlDeviceGetTemperature(self, handle: Handle, _sensor: int) -> int:
        """degC."""
        return int(self._whole(handle).temperature)

    def nvmlDeviceGetClockInfo(self, handle: Handle, kind: int) -> int:
        """MHz."""
        card = self._whole(handle)
        return card.clock if kind == 1 else card.sku.memory_mhz

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Handle) -> int:
        """Bits of nvmlClocksEventReason*."""
        return self._whole(handle).reasons

    def nvmlDeviceGetPerformanceState(self, handle: Handle) -> int:
        """P0 at work, P8 at rest on consumer cards."""
        card = self._whole(handle)
        return 0 if card.doing.busy > 0.01 or card.sku.has_ecc else 8

    def nvmlDeviceGetPcieThroughput(self, handle: Handle, counter: int) -> int:
        """KB/s over the last 20 ms."""
        host = self._whole(handle).doing.host
        return int(host * (9.0e6 if counter == 0 else 21.0e6))

    def nvmlDeviceGetFieldValues(self, handle: Handle, wanted: list[Any]) -> list[Any]:
        """Field values, each with its own verdict."""
        card = self._whole(handle)
        known = self._fields(card)
        out = []
        for field in wanted:
            value = known.get(field[0] if isinstance(field, tuple) else field)
            code = 0 if value is not None else _NOT_SUPPORTED
            out.append(SimpleNamespace(nvmlReturn=code, valueType=3, value=SimpleNamespace(ullVal=value)))
        return out

    def _fields(self, card: SimulatedCard) -> dict[int, int]:
        if not card.sku.has_fields:
            return {}
        faults = card.faults
        known = {
            186: int(card.power * 1000),
            197: int(card.tx),
            198: int(card.rx),
            74: int(card.capped_s * 1e9),
            75: int(card.throttled_s * 1e9),
            270: int(card.throttled_s * 1e9),
            271: int(card.braked_s * 1e9),
            94: int(faults.replays),
            173: int(faults.replays * 3),
            180: 0,
            230: faults.recovery_action,
        }
        if card.sku.has_memory_temp:
            known[82] = card.memory_temperature
        if card.sku.nvlinks:
            known |= {138: int(card.nv), 139: int(card.nv * 0.98), 38: int(faults.link_errors), 52: 0, 59: 0}
        return known

    # Medium

    def nvmlDeviceGetEncoderUtilization(self, handle: Handle) -> tuple[int, int]:
        """Percent and sampling period."""
        card = self._whole(handle)
        busy = card.doing.busy if card.job and card.job.kind is Kind.INFERENCE and card.sku.name.endswith("L40S") else 0
        return int(30 * busy), 167000

    def nvmlDeviceGetDecoderUtilization(self, handle: Handle) -> tuple[int, int]:
        """Percent and sampling period."""
        return self.nvmlDeviceGetEncoderUtilization(handle)[0] // 2, 167000

    def nvmlDeviceGetJpgUtilization(self, handle: Handle) -> Any:
        """Percent; only data-centre cards have the engine."""
        return (0, 167000) if self._whole(handle).sku.has_gpm else _fail(_NOT_SUPPORTED)

    def nvmlGpmQueryDeviceSupport(self, handle: Handle) -> Any:
        """Hopper and newer."""
        return SimpleNamespace(isSupportedDevice=int(self._whole(handle).sku.has_gpm))

    def nvmlGpmSampleAlloc(self) -> Any:
        """A sample to fill."""
        return SimpleNamespace(doing=None)

    def nvmlGpmSampleGet(self, handle: Handle, sample: Any) -> Any:
        """Fill a sample."""
        sample.doing = self._whole(handle).doing
        return sample

    def nvmlGpmMigSampleGet(self, handle: Handle, _instance: int, sample: Any) -> Any:
        """Slices of the demo sit on a card without GPM."""
        if not self._alive(handle).sku.has_gpm:
            _fail(_NOT_SUPPORTED)
        return self.nvmlGpmSampleGet(handle, sample)

    def nvmlGpmMetricsGet(self, asked: Any) -> Any:
        """Percent of what happened between two samples."""
        doing = asked.sample2.doing
        known = {2: doing.busy * 96, 3: doing.busy * 41, 5: doing.busy * 58, 10: doing.bandwidth * 88}
        for row in asked.metrics:
            row.nvmlReturn, row.value = 0, known.get(row.metricId, 0.0)
        return asked

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Handle) -> list[Any]:
        """Processes with their memory."""
        card = self._alive(handle)
        if isinstance(handle, _Slice) or card.job is None or card.mig:
            return []
        return [SimpleNamespace(pid=card.job.pid, usedGpuMemory=card.memory_used)]

    def nvmlDeviceGetGraphicsRunningProcesses_v3(self, _handle: Handle) -> list[Any]:
        """Nothing draws here."""
        return []

    def nvmlDeviceGetMPSComputeRunningProcesses_v3(self, _handle: Handle) -> list[Any]:
        """No MPS here."""
        return []

    def nvmlDeviceGetProcessUtilization(self, handle: Handle, _since: int) -> list[Any]:
        """Newest sample a process; an idle card answers NOT_FOUND."""
        card = self._whole(handle)
        if card.job is None or card.doing.busy < 0.01:
            _fail(_NOT_FOUND)
        assert card.job is not None
        stamp = int(self._node.wall() * 1e6)
        return [SimpleNamespace(pid=card.job.pid, timeStamp=stamp, smUtil=round(100 * card.doing.busy))]

    # Slow

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Handle) -> int:
        """mW."""
        return int(self._whole(handle).sku.limit_w * 1000)

    def nvmlDeviceGetMarginTemperature(self, handle: Handle) -> int:
        """degC below the slowdown threshold."""
        card = self._whole(handle)
        return int(card.sku.slowdown_c - card.temperature) if card.sku.has_ecc else _fail(_NOT_SUPPORTED)

    def nvmlDeviceGetFanSpeed(self, handle: Handle) -> int:
        """Percent; passive cards have none."""
        card = self._whole(handle)
        return card.fan if card.sku.has_fan else _fail(_NOT_SUPPORTED)

    def nvmlDeviceGetTotalEccErrors(self, handle: Handle, kind: int, _span: int) -> int:
        """Counts since driver load and over the card's life."""
        card = self._whole(handle)
        if not card.sku.has_ecc:
            _fail(_NOT_SUPPORTED)
        return card.faults.corrected if kind == 0 else card.faults.uncorrected

    def nvmlDeviceGetSramEccErrorStatus(self, handle: Handle, status: Any) -> Any:
        """SRAM errors of a card's life."""
        if not self._whole(handle).sku.has_gpm:
            _fail(_NOT_SUPPORTED)
        status.aggregateUncParity = status.aggregateUncSecDed = status.bThresholdExceeded = 0
        return status

    def nvmlDeviceGetRemappedRows(self, handle: Handle) -> tuple[int, int, int, int]:
        """Corrected, uncorrected, pending, failed. The consumer card answers zeros, as the real one does."""
        faults = self._whole(handle).faults
        return (0, int(faults.uncorrected > 0), int(faults.remap_pending), 0)

    def nvmlDeviceGetCurrPcieLinkGeneration(self, handle: Handle) -> int:
        """Falls to 1 when idle, which is normal."""
        card = self._whole(handle)
        return card.sku.pcie if card.doing.busy > 0.01 else 1

    def nvmlDeviceGetCurrPcieLinkWidth(self, handle: Handle) -> int:
        """Lanes."""
        self._whole(handle)
        return 16

    def nvmlDeviceGetNvLinkState(self, handle: Handle, link: int) -> int:
        """1 while the link is up."""
        card = self._whole(handle)
        if link >= card.sku.nvlinks:
            _fail(_NOT_SUPPORTED)
        return int(link >= card.faults.links_down)

    def nvmlDeviceGetComputeMode(self, handle: Handle) -> int:
        """Default."""
        self._whole(handle)
        return 0

    def nvmlDeviceGetPersistenceMode(self, handle: Handle) -> int:
        """On but for one node."""
        self._whole(handle)
        return self._node.plan.persistence

    def nvmlDeviceGetEccMode(self, handle: Handle) -> tuple[int, int]:
        """Current and pending."""
        return (1, 1) if self._whole(handle).sku.has_ecc else _fail(_NOT_SUPPORTED)

    def nvmlDeviceGetMigMode(self, handle: Handle) -> tuple[int, int]:
        """Current and pending."""
        card = self._whole(handle)
        if not card.sku.nvlinks:
            _fail(_NOT_SUPPORTED)
        return (int(bool(card.mig)), int(bool(card.mig)))

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int:
        """Places for slices."""
        return 7 if self._whole(handle).sku.nvlinks else 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, place: int) -> _Slice:
        """The slice at a place."""
        card = self._whole(handle)
        return _Slice(card, place) if place < len(card.mig) else _fail(_NOT_FOUND)

    def nvmlDeviceGetGpuInstanceId(self, handle: Handle) -> int:
        """Instance of a slice."""
        return _SLICES[handle.place][0] + 1 if isinstance(handle, _Slice) else _fail(_NOT_SUPPORTED)

    def nvmlDeviceGetGpuFabricInfoV(self, handle: Handle, info: Any) -> Any:
        """Fabric manager done, on NVSwitch machines."""
        info.state = 3 if self._whole(handle).sku.nvlinks == 18 else 0
        return info

    # Events

    def nvmlEventSetCreate(self) -> Any:
        """The node itself is the set."""
        return self._node

    def nvmlDeviceGetSupportedEventTypes(self, handle: Handle) -> int:
        """XIDs."""
        self._whole(handle)
        return 0x8

    def nvmlDeviceRegisterEvents(self, _handle: Handle, _kinds: int, node: SimulatedNode) -> None:
        """Events from before are lost, as with the real one."""
        node.xids.clear()

    def nvmlEventSetWait_v2(self, node: SimulatedNode, _timeout: int) -> Any:
        """The next XID or a time-out at once."""
        if not node.xids:
            _fail(_TIMEOUT)
        code, uuid = node.xids.popleft()
        card = next(c for c in node.cards if c.uuid == uuid)
        return SimpleNamespace(eventType=0x8, eventData=code, device=card)

    def nvmlEventSetFree(self, _set: Any) -> None:
        """Nothing to let go of."""
