"""NVML's answers of the fast and medium tiers: activity, memory, power, clocks, traffic, processes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

from console.demo.simulation.card import Job, SimulatedCard, SimulatedSlice
from console.demo.simulation.handles import NO_PERMISSION, NOT_FOUND, NOT_SUPPORTED, Handle, NodeCalls, fail
from console.demo.simulation.load import NOTHING, Activity, Kind

_RESERVED = 0.0075


class Utilization(NamedTuple):
    """c_nvmlUtilization_t."""

    gpu: int
    memory: int


class Memory(NamedTuple):
    """c_nvmlMemory_v2_t."""

    used: int
    reserved: int
    total: int


class Readings(NodeCalls):
    """Named as in pynvml."""

    def nvmlDeviceGetUtilizationRates(self, handle: Handle) -> Utilization:
        """Percent of time."""
        doing = self._undivided(handle).doing
        return Utilization(round(100 * doing.busy), round(100 * doing.bandwidth))

    def nvmlDeviceGetMemoryInfo(self, handle: Handle, version: int | None = None) -> Memory:
        """Bytes; a slice has its share."""
        card = self._alive(handle)
        total = card.sku.memory * (handle.share if isinstance(handle, SimulatedSlice) else 1.0)
        return Memory(handle.memory_used, int(total * _RESERVED), int(total))

    def nvmlDeviceGetPowerUsage(self, handle: Handle) -> int:
        """mW."""
        return int(self._whole(handle).power * 1000)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Handle) -> int:
        """mJ since the driver was loaded."""
        return int(self._whole(handle).counters.energy * 1000)

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
        card = self._whole(handle)
        return int(card.doing.host * (card.sku.pcie_sent if counter == 0 else card.sku.pcie_received) / 1000.0)

    def nvmlDeviceGetEncoderUtilization(self, handle: Handle) -> tuple[int, int]:
        """Percent and sampling period; video models run on the L40S."""
        card = self._undivided(handle)
        job = card.running
        is_video = job is not None and job.kind is Kind.INFERENCE and card.sku.name.endswith("L40S")
        return (int(30 * card.doing.busy) if is_video else 0, 167000)

    def nvmlDeviceGetDecoderUtilization(self, handle: Handle) -> tuple[int, int]:
        """Percent and sampling period."""
        return self.nvmlDeviceGetEncoderUtilization(handle)[0] // 2, 167000

    def nvmlDeviceGetJpgUtilization(self, handle: Handle) -> tuple[int, int]:
        """Percent and sampling period; only Hopper here has the engine."""
        return (0, 167000) if self._undivided(handle).sku.has_gpm else fail(NOT_SUPPORTED)

    def nvmlGpmQueryDeviceSupport(self, handle: Handle) -> Any:
        """Hopper and newer."""
        return SimpleNamespace(isSupportedDevice=int(self._whole(handle).sku.has_gpm))

    def nvmlGpmSampleAlloc(self) -> Any:
        """A sample to fill."""
        return SimpleNamespace(doing=NOTHING)

    def nvmlGpmSampleGet(self, handle: Handle, sample: Any) -> Any:
        """Fill a sample."""
        card = self._whole(handle)
        if not card.sku.has_gpm:
            fail(NOT_SUPPORTED)
        sample.doing = card.doing
        return sample

    def nvmlGpmMigSampleGet(self, handle: Handle, instance: int, sample: Any) -> Any:
        """Fill a sample of the slice that is instance `instance` of a card."""
        card = self._whole(handle)
        if not card.sku.has_gpm:
            fail(NOT_SUPPORTED)
        found = [s for s in card.slices if s.instance == instance]
        if not found:
            fail(NOT_FOUND)
        sample.doing = found[0].doing
        return sample

    def nvmlGpmMetricsGet(self, asked: Any) -> Any:
        """Percent of what happened between two samples."""
        doing: Activity = asked.sample2.doing
        known = {2: doing.busy * 96, 3: doing.busy * 41, 5: doing.busy * 58, 10: doing.bandwidth * 88}
        for row in asked.metrics:
            row.nvmlReturn, row.value = 0, known.get(row.metricId, 0.0)
        return asked

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Handle) -> list[Any]:
        """Processes with their memory. Those of all slices together are told to root only, which we are not."""
        card = self._alive(handle)
        if isinstance(handle, SimulatedCard) and card.slices:
            fail(NO_PERMISSION)
        job: Job | None = handle.running
        return [] if job is None else [SimpleNamespace(pid=job.pid, usedGpuMemory=handle.memory_used)]

    def nvmlDeviceGetGraphicsRunningProcesses_v3(self, handle: Handle) -> list[Any]:
        """Nothing draws here."""
        self._alive(handle)
        return []

    def nvmlDeviceGetMPSComputeRunningProcesses_v3(self, handle: Handle) -> list[Any]:
        """No MPS here."""
        self._alive(handle)
        return []

    def nvmlDeviceGetProcessUtilization(self, handle: Handle, _since: int) -> list[Any]:
        """Newest sample a process; an idle card answers NOT_FOUND."""
        card = self._undivided(handle)
        if card.running is None or card.doing.busy < 0.01:
            fail(NOT_FOUND)
        stamp = int(self._node.wall() * 1e6)
        return [SimpleNamespace(pid=card.running.pid, timeStamp=stamp, smUtil=round(100 * card.doing.busy))]
