"""The metric catalogue: every number the console can show, with its unit, tier and plausible range.

Ids follow `nvidia-smi --help-query-gpu` with `_` for `.`; units are those on the wire (the agent converts from
NVML's). `low`/`high` bound what a working card can report; a value outside is an error, never a reading. Where NVML
has a sentinel for "blank" (DCGM's int64 >= 0x7ffffffffffffff0) it lies far outside every range here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType


class Tier(enum.StrEnum):
    """How often a metric is sampled: fast at the fleet's interval, medium every 5 s, slow every 30 s."""

    FAST = "fast"
    MEDIUM = "medium"
    SLOW = "slow"


class Kind(enum.StrEnum):
    """How a number behaves: a gauge moves both ways, a counter only grows until reset, a mask is a set of bits."""

    GAUGE = "gauge"
    COUNTER = "counter"
    MASK = "mask"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class Metric:
    """One column of telemetry.

    Attributes:
        id: stable name used by the CLI, the filter, the store and links.
        title: what a person reads (source text for translation).
        unit: unit of the value on the wire: "%", "B", "B/s", "W", "J", "degC", "MHz", "s", "ms" or "" (count, code).
        tier: sampling tier.
        kind: gauge, counter, mask or code.
        low, high: plausible range, both inclusive.
        source: the NVML call or kernel file it comes from.
    """

    id: str
    title: str
    unit: str
    tier: Tier
    kind: Kind
    low: float
    high: float
    source: str


_F, _M, _S = Tier.FAST, Tier.MEDIUM, Tier.SLOW
_G, _C, _K, _E = Kind.GAUGE, Kind.COUNTER, Kind.MASK, Kind.CODE
_BYTES = 2.0**50
_COUNT = 2.0**53

CARD_METRICS: tuple[Metric, ...] = (
    Metric("utilization_gpu", "GPU utilisation", "%", _F, _G, 0, 100, "nvmlDeviceGetUtilizationRates.gpu"),
    Metric("utilization_memory", "Memory activity", "%", _F, _G, 0, 100, "nvmlDeviceGetUtilizationRates.memory"),
    Metric("memory_used", "Memory used", "B", _F, _G, 0, _BYTES, "nvmlDeviceGetMemoryInfo_v2.used"),
    Metric("memory_reserved", "Memory reserved", "B", _F, _G, 0, _BYTES, "nvmlDeviceGetMemoryInfo_v2.reserved"),
    Metric("memory_total", "Memory size", "B", _F, _G, 0, _BYTES, "nvmlDeviceGetMemoryInfo_v2.total"),
    Metric(
        "power_draw", "Power", "W", _F, _G, 0, 10_000, "NVML_FI_DEV_POWER_INSTANT (186), else nvmlDeviceGetPowerUsage"
    ),
    Metric("energy", "Energy since driver load", "J", _F, _C, 0, _COUNT, "nvmlDeviceGetTotalEnergyConsumption"),
    Metric("temperature_gpu", "GPU temperature", "degC", _F, _G, -50, 200, "nvmlDeviceGetTemperature"),
    Metric("temperature_memory", "Memory temperature", "degC", _F, _G, -50, 200, "NVML_FI_DEV_MEMORY_TEMP (82)"),
    Metric("clock_sm", "SM clock", "MHz", _F, _G, 0, 20_000, "nvmlDeviceGetClockInfo(SM)"),
    Metric("clock_memory", "Memory clock", "MHz", _F, _G, 0, 50_000, "nvmlDeviceGetClockInfo(MEM)"),
    Metric(
        "clocks_event_reasons", "Clock event reasons", "", _F, _K, 0, _COUNT, "nvmlDeviceGetCurrentClocksEventReasons"
    ),
    Metric("pstate", "Performance state", "", _F, _E, 0, 15, "nvmlDeviceGetPerformanceState"),
    Metric(
        "pcie_tx",
        "PCIe sent",
        "B/s",
        _F,
        _G,
        0,
        1e12,
        "NVML_FI_DEV_PCIE_COUNT_TX_BYTES (197), else nvmlDeviceGetPcieThroughput",
    ),
    Metric(
        "pcie_rx",
        "PCIe received",
        "B/s",
        _F,
        _G,
        0,
        1e12,
        "NVML_FI_DEV_PCIE_COUNT_RX_BYTES (198), else nvmlDeviceGetPcieThroughput",
    ),
    Metric("nvlink_tx", "NVLink sent", "B/s", _F, _G, 0, 1e13, "NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX (138)"),
    Metric("nvlink_rx", "NVLink received", "B/s", _F, _G, 0, 1e13, "NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX (139)"),
    Metric("process_count", "Processes", "", _M, _G, 0, 1e6, "nvmlDeviceGetComputeRunningProcesses_v3 and kin"),
    Metric("utilization_encoder", "Encoder utilisation", "%", _M, _G, 0, 100, "nvmlDeviceGetEncoderUtilization"),
    Metric("utilization_decoder", "Decoder utilisation", "%", _M, _G, 0, 100, "nvmlDeviceGetDecoderUtilization"),
    Metric("utilization_jpg", "JPEG utilisation", "%", _M, _G, 0, 100, "nvmlDeviceGetJpgUtilization"),
    Metric("utilization_ofa", "Optical flow utilisation", "%", _M, _G, 0, 100, "nvmlDeviceGetOfaUtilization"),
    Metric("sm_active", "SM active", "%", _M, _G, 0, 100, "NVML_GPM_METRIC_SM_UTIL (2)"),
    Metric("sm_occupancy", "SM occupancy", "%", _M, _G, 0, 100, "NVML_GPM_METRIC_SM_OCCUPANCY (3)"),
    Metric("tensor_active", "Tensor active", "%", _M, _G, 0, 100, "NVML_GPM_METRIC_ANY_TENSOR_UTIL (5)"),
    Metric("dram_active", "DRAM bandwidth use", "%", _M, _G, 0, 100, "NVML_GPM_METRIC_DRAM_BW_UTIL (10)"),
    Metric(
        "throttle_power_s", "Time held by power limit", "s", _M, _C, 0, _COUNT, "NVML_FI_DEV_PERF_POLICY_POWER (74)"
    ),
    Metric(
        "throttle_thermal_s", "Time held by temperature", "s", _M, _C, 0, _COUNT, "NVML_FI_DEV_PERF_POLICY_THERMAL (75)"
    ),
    Metric(
        "throttle_hw_thermal_s",
        "Time in HW thermal slowdown",
        "s",
        _M,
        _C,
        0,
        _COUNT,
        "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN (270)",
    ),
    Metric(
        "throttle_hw_power_brake_s",
        "Time in HW power brake",
        "s",
        _M,
        _C,
        0,
        _COUNT,
        "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN (271)",
    ),
    Metric("power_limit", "Power limit", "W", _S, _G, 0, 10_000, "nvmlDeviceGetEnforcedPowerLimit"),
    Metric("temperature_margin", "Thermal margin", "degC", _S, _G, -200, 200, "nvmlDeviceGetMarginTemperature"),
    Metric("fan_speed", "Fan speed", "%", _S, _G, 0, 200, "nvmlDeviceGetFanSpeed"),
    Metric(
        "ecc_corrected_volatile",
        "ECC corrected since driver load",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "nvmlDeviceGetTotalEccErrors(CORRECTED, VOLATILE)",
    ),
    Metric(
        "ecc_uncorrected_volatile",
        "ECC uncorrected since driver load",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "nvmlDeviceGetTotalEccErrors(UNCORRECTED, VOLATILE)",
    ),
    Metric(
        "ecc_corrected_aggregate",
        "ECC corrected, lifetime",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "nvmlDeviceGetTotalEccErrors(CORRECTED, AGGREGATE)",
    ),
    Metric(
        "ecc_uncorrected_aggregate",
        "ECC uncorrected, lifetime",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "nvmlDeviceGetTotalEccErrors(UNCORRECTED, AGGREGATE)",
    ),
    Metric(
        "ecc_sram_uncorrected",
        "SRAM uncorrected, lifetime",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "nvmlDeviceGetSramEccErrorStatus.aggregateUnc*",
    ),
    Metric(
        "ecc_sram_threshold",
        "SRAM error threshold exceeded",
        "",
        _S,
        _E,
        0,
        1,
        "nvmlDeviceGetSramEccErrorStatus.bThresholdExceeded",
    ),
    Metric("remapped_rows_corrected", "Rows remapped, corrected", "", _S, _C, 0, 1e6, "nvmlDeviceGetRemappedRows"),
    Metric("remapped_rows_uncorrected", "Rows remapped, uncorrected", "", _S, _C, 0, 1e6, "nvmlDeviceGetRemappedRows"),
    Metric("remap_pending", "Row remap pending", "", _S, _E, 0, 1, "nvmlDeviceGetRemappedRows.isPending"),
    Metric("remap_failure", "Row remap failed", "", _S, _E, 0, 1, "nvmlDeviceGetRemappedRows.failureOccurred"),
    Metric(
        "retired_pages_pending", "Page retirement pending", "", _S, _E, 0, 1, "nvmlDeviceGetRetiredPagesPendingStatus"
    ),
    Metric("pcie_replay", "PCIe replays", "", _S, _C, 0, _COUNT, "NVML_FI_DEV_PCIE_REPLAY_COUNTER (94)"),
    Metric(
        "pcie_correctable_errors",
        "PCIe correctable errors",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS (173)",
    ),
    Metric("pcie_fatal_errors", "PCIe fatal errors", "", _S, _C, 0, _COUNT, "NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR (180)"),
    Metric("pcie_generation", "PCIe generation", "", _S, _E, 0, 10, "nvmlDeviceGetCurrPcieLinkGeneration"),
    Metric("pcie_width", "PCIe width", "", _S, _E, 0, 64, "nvmlDeviceGetCurrPcieLinkWidth"),
    Metric("nvlink_active", "NVLinks active", "", _S, _G, 0, 64, "nvmlDeviceGetNvLinkState"),
    Metric(
        "nvlink_crc_errors",
        "NVLink CRC errors",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL (38)",
    ),
    Metric(
        "nvlink_replay_errors",
        "NVLink replays",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL (52)",
    ),
    Metric(
        "nvlink_recovery_errors",
        "NVLink recoveries",
        "",
        _S,
        _C,
        0,
        _COUNT,
        "NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL (59)",
    ),
    Metric("compute_mode", "Compute mode", "", _S, _E, 0, 3, "nvmlDeviceGetComputeMode"),
    Metric("persistence_mode", "Persistence mode", "", _S, _E, 0, 1, "nvmlDeviceGetPersistenceMode"),
    Metric("ecc_mode", "ECC mode", "", _S, _E, 0, 1, "nvmlDeviceGetEccMode"),
    Metric("mig_mode", "MIG mode", "", _S, _E, 0, 1, "nvmlDeviceGetMigMode"),
    Metric("fabric_state", "Fabric state", "", _S, _E, 0, 255, "nvmlDeviceGetGpuFabricInfoV.state"),
    Metric("recovery_action", "Recovery action", "", _S, _E, 0, 255, "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION (230)"),
)

HOST_METRICS: tuple[Metric, ...] = (
    Metric("cpu_utilization", "CPU", "%", _F, _G, 0, 100, "/proc/stat"),
    Metric("load1", "Load, 1 min", "", _F, _G, 0, 1e6, "/proc/loadavg"),
    Metric("host_memory_used", "Host memory used", "B", _F, _G, 0, _BYTES, "/proc/meminfo MemTotal - MemAvailable"),
    Metric("host_memory_total", "Host memory size", "B", _F, _G, 0, _BYTES, "/proc/meminfo MemTotal"),
    Metric("swap_used", "Swap used", "B", _F, _G, 0, _BYTES, "/proc/meminfo SwapTotal - SwapFree"),
    Metric("net_rx", "Network received", "B/s", _F, _G, 0, 1e13, "/proc/net/dev, all but lo"),
    Metric("net_tx", "Network sent", "B/s", _F, _G, 0, 1e13, "/proc/net/dev, all but lo"),
    Metric(
        "ib_rx",
        "InfiniBand received",
        "B/s",
        _F,
        _G,
        0,
        1e13,
        "/sys/class/infiniband/*/ports/*/counters/port_rcv_data x 4",
    ),
    Metric(
        "ib_tx",
        "InfiniBand sent",
        "B/s",
        _F,
        _G,
        0,
        1e13,
        "/sys/class/infiniband/*/ports/*/counters/port_xmit_data x 4",
    ),
    Metric("disk_read", "Disk read", "B/s", _F, _G, 0, 1e13, "/proc/diskstats"),
    Metric("disk_write", "Disk written", "B/s", _F, _G, 0, 1e13, "/proc/diskstats"),
    Metric("agent_cpu", "Agent CPU", "%", _F, _G, 0, 10_000, "process time of the agent over wall time, of one core"),
    Metric("agent_fast_ms", "Agent fast tier", "ms", _F, _G, 0, 1e6, "wall time of one fast pass"),
    Metric("agent_medium_ms", "Agent medium tier", "ms", _F, _G, 0, 1e6, "wall time of one medium pass"),
    Metric("agent_slow_ms", "Agent slow tier", "ms", _F, _G, 0, 1e6, "wall time of one slow pass"),
    Metric("disk_used", "Fullest disk", "%", _S, _G, 0, 100, "statvfs of real file systems"),
    Metric("net_errors", "Network errors and drops", "", _S, _C, 0, _COUNT, "/proc/net/dev"),
    Metric("ib_errors", "InfiniBand errors", "", _S, _C, 0, _COUNT, "symbol_error, link_downed and kin"),
    Metric("ib_link_downed", "InfiniBand links gone down", "", _S, _C, 0, _COUNT, "counters/link_downed, all ports"),
    Metric("ib_ports_active", "InfiniBand ports active", "", _S, _G, 0, 64, "/sys/class/infiniband/*/ports/*/state"),
    Metric("file_handles", "File handles in use", "%", _S, _G, 0, 100, "/proc/sys/fs/file-nr"),
    Metric("uptime", "Uptime", "s", _S, _G, 0, 1e10, "/proc/uptime"),
    Metric("ntp_synchronised", "Clock synchronised", "", _S, _E, 0, 1, "adjtimex(2) STA_UNSYNC"),
)

CARD_COLUMN = MappingProxyType({m.id: i for i, m in enumerate(CARD_METRICS)})
HOST_COLUMN = MappingProxyType({m.id: i for i, m in enumerate(HOST_METRICS)})
CARD_METRIC = MappingProxyType({m.id: m for m in CARD_METRICS})
HOST_METRIC = MappingProxyType({m.id: m for m in HOST_METRICS})


def tier_columns(metrics: tuple[Metric, ...], tier: Tier) -> tuple[int, ...]:
    """Positions in `metrics` of those sampled in `tier`, in catalogue order."""
    return tuple(i for i, m in enumerate(metrics) if m.tier is tier)


CLOCKS_EVENT_REASONS: MappingProxyType[int, str] = MappingProxyType(
    {
        0x1: "GPU idle",
        0x2: "Application clocks",
        0x4: "SW power cap",
        0x8: "HW slowdown",
        0x10: "Sync boost",
        0x20: "SW thermal slowdown",
        0x40: "HW thermal slowdown",
        0x80: "HW power brake",
        0x100: "Display clocks",
    }
)
"""nvml.h nvmlClocksEventReason*. Idle and SW power cap are normal working states."""

ABNORMAL_CLOCK_REASONS = 0x8 | 0x20 | 0x40 | 0x80
