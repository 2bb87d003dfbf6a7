"""One card or slice: its readings, tier by tier, each with a verdict. A verdict "not supported" is kept for a while."""

import ctypes

from . import columns, fields, mig
from .facts import facts_of
from .gpm import Gpm
from .processes import CardProcesses
from .rates import Rates
from .verdict import ERROR, FRESH, LOST, LOST_CODES, NOT_SUPPORTED, error_letter

RETRY_S = 600.0
PCIE_FALLBACK_EVERY_S = 5.0

NONE = (None, FRESH)
"""No value yet and no fault: a rate needs two readings."""


class CardLost(Exception):
    """The driver says that the card is gone."""


class Card(object):
    """Samples one NVML handle.

    Attributes:
        uuid, index, name, parent: identity; `parent` is the card's UUID for a slice, else "".
        facts: strings for people.
        lost: True after the driver said so, until it answers again.
        processes, processes_letter: what the last medium pass listed (CardProcesses.read).
        layout: (MIG is on, UUIDs of the slices) as the last slow pass saw it.
    """

    def __init__(self, nvml, handle, uuid, index, name, parent="", gpu_instance=None, mig_on=False, gpm_handle=None):
        self.nvml = nvml
        self.handle = handle
        self.uuid = uuid
        self.index = index
        self.name = name
        self.parent = parent
        self.facts = {}
        self.lost = False
        self.processes, self.processes_letter = [], NOT_SUPPORTED
        self.layout = (mig_on, ())
        self._list = CardProcesses(nvml, handle, bool(parent))
        self._memory_v2 = True
        self._skip = {}
        self.asked_at = 0.0
        self._rates = Rates()
        self._pcie_seen = {}
        self._batches = {t: fields.FieldBatch(nvml, handle, w) for t, w in fields.BY_TIER.items()}
        self._gpm = Gpm(nvml, gpm_handle or handle, gpu_instance)
        self._calls = self._slice_calls() if parent else self._card_calls(mig_on)

    def _card_calls(self, mig_on):
        fast = [
            (("memory_used", "memory_reserved", "memory_total"), self._memory),
            (("energy",), self._energy),
            (("temperature_gpu",), self._temperature),
            (("clock_sm",), lambda: self.nvml.nvmlDeviceGetClockInfo(self.handle, 1)),
            (("clock_memory",), lambda: self.nvml.nvmlDeviceGetClockInfo(self.handle, 2)),
            (("clocks_event_reasons",), self._clock_reasons),
            (("pstate",), self._pstate),
        ]
        medium = [
            (("process_count",), self._count_processes),
            (("sm_active", "sm_occupancy", "tensor_active", "dram_active"), self._gpm.read),
        ]
        if not mig_on:  # not supported with MIG on; a driver may answer 0 instead of saying so
            fast.append((("utilization_gpu", "utilization_memory"), self._utilization))
            medium += [
                (("utilization_encoder",), lambda: self.nvml.nvmlDeviceGetEncoderUtilization(self.handle)[0]),
                (("utilization_decoder",), lambda: self.nvml.nvmlDeviceGetDecoderUtilization(self.handle)[0]),
                (("utilization_jpg",), lambda: self.nvml.nvmlDeviceGetJpgUtilization(self.handle)[0]),
                (("utilization_ofa",), lambda: self.nvml.nvmlDeviceGetOfaUtilization(self.handle)[0]),
            ]
        return {"fast": fast, "medium": medium, "slow": self._slow_calls()}

    def _slice_calls(self):
        medium = [
            (("process_count",), self._count_processes),
            (("sm_active", "sm_occupancy", "tensor_active", "dram_active"), self._gpm.read),
        ]
        return {
            "fast": [(("memory_used", "memory_reserved", "memory_total"), self._memory)],
            "medium": medium,
            "slow": [],
        }

    def _slow_calls(self):
        n, h = self.nvml, self.handle
        calls = [
            (("power_limit",), lambda: n.nvmlDeviceGetEnforcedPowerLimit(h) / 1000.0),
            (("temperature_margin",), lambda: _number(n.nvmlDeviceGetMarginTemperature(h))),
            (("fan_speed",), lambda: n.nvmlDeviceGetFanSpeed(h)),
            (("ecc_sram_uncorrected", "ecc_sram_threshold"), self._sram),
            (("retired_pages_pending",), lambda: n.nvmlDeviceGetRetiredPagesPendingStatus(h)),
            (("pcie_generation",), lambda: n.nvmlDeviceGetCurrPcieLinkGeneration(h)),
            (("pcie_width",), lambda: n.nvmlDeviceGetCurrPcieLinkWidth(h)),
            (("nvlink_active",), self._nvlinks),
            (("compute_mode",), lambda: n.nvmlDeviceGetComputeMode(h)),
            (("persistence_mode",), lambda: n.nvmlDeviceGetPersistenceMode(h)),
            (("ecc_mode",), lambda: n.nvmlDeviceGetEccMode(h)[0]),
            (("mig_mode",), self._mig),
            (("fabric_state",), self._fabric),
        ]
        calls.append(
            (
                ("remapped_rows_corrected", "remapped_rows_uncorrected", "remap_pending", "remap_failure"),
                lambda: tuple(n.nvmlDeviceGetRemappedRows(h)),
            )
        )
        for word, kind in (("corrected", 0), ("uncorrected", 1)):
            for span, counter in (("volatile", 0), ("aggregate", 1)):
                calls.append((("ecc_%s_%s" % (word, span),), self._ecc(kind, counter)))
        return calls

    def sample(self, tier, now):
        """(values, letters or None): the tier's columns in order; letters None when all are fresh.

        Raises:
            CardLost: once the driver says so; the caller reports it and stops asking.
        """
        found = {}
        self.asked_at = now
        for names, call in self._calls[tier]:
            key = names[0]
            if self._skip.get(key, 0.0) > now:
                continue
            try:
                got = call()
            except Exception as exc:  # pynvml raises bare Exceptions too
                self._blame(exc, names, key, now, found)
                continue
            if len(names) == 1:
                found[key] = got if isinstance(got, tuple) else (got, FRESH)
            else:
                for name, value in zip(names, got):
                    found[name] = value if isinstance(value, tuple) else (value, FRESH)
        if not self.parent:
            self._read_fields(tier, now, found)
        self.lost = False
        return _row(columns.CARDS[tier], found)

    def learn(self, now):
        """Read the facts, and by a first fast sample which of NVML's ways this card has."""
        if self.parent:
            return
        self.facts.update(facts_of(self.nvml, self.handle))
        try:
            self.sample("fast", now)
        except CardLost:
            self.lost = False  # the first real pass tells it

    def _blame(self, exc, names, key, now, found):
        if getattr(exc, "value", None) in LOST_CODES:
            self.lost = True
            raise CardLost(str(exc))
        letter = error_letter(exc)
        if letter == NOT_SUPPORTED:
            self._skip[key] = now + RETRY_S
        for name in names:
            found[name] = (None, letter)

    def _read_fields(self, tier, now, found):
        letter = NOT_SUPPORTED
        try:
            got = self._batches[tier].read(now) if self._skip.get(tier, 0.0) <= now else None
        except Exception as exc:
            if getattr(exc, "value", None) in LOST_CODES:
                self.lost = True
                raise CardLost(str(exc))
            letter, got = error_letter(exc), None
            if letter == NOT_SUPPORTED:  # a driver without the call
                self._skip[tier] = now + RETRY_S
        if got is None:
            got = {fields._id(f): (None, letter) for f in fields.BY_TIER[tier]}
        getattr(self, "_fields_" + tier)(got, now, found)

    def _fields_fast(self, got, now, found):
        found["temperature_memory"] = got[fields.MEMORY_TEMP]
        watts, letter = got[fields.POWER_INSTANT]
        if letter == FRESH:
            found["power_draw"] = (watts / 1000.0, FRESH)
            self.facts["power_source"] = "instant"
        else:
            found["power_draw"] = self._power()
        for name, field in (("nvlink_tx", fields.NVLINK_DATA_TX), ("nvlink_rx", fields.NVLINK_DATA_RX)):
            found[name] = self._counter_rate(name, got[field], 1024.0, now)
        for name, field, counter in (("pcie_tx", fields.PCIE_TX_BYTES, 0), ("pcie_rx", fields.PCIE_RX_BYTES, 1)):
            if got[field][1] == FRESH:
                found[name] = self._counter_rate(name, got[field], 1.0, now)
                self.facts["pcie_source"] = "byte counter"
            else:
                found[name] = self._pcie_window(name, counter, now)

    def _fields_medium(self, got, now, found):
        # nvml.h gives these in nanoseconds of accumulated time.
        for name, field in (
            ("throttle_power_s", fields.PERF_POLICY_POWER),
            ("throttle_thermal_s", fields.PERF_POLICY_THERMAL),
            ("throttle_hw_thermal_s", fields.HW_THERM_SLOWDOWN),
            ("throttle_hw_power_brake_s", fields.HW_POWER_BRAKE),
        ):
            value, letter = got[field]
            found[name] = (None if value is None else value / 1e9, letter)

    def _fields_slow(self, got, now, found):
        for name, field in (
            ("pcie_replay", fields.PCIE_REPLAY),
            ("pcie_correctable_errors", fields.PCIE_CORRECTABLE),
            ("pcie_fatal_errors", fields.PCIE_FATAL),
            ("nvlink_crc_errors", fields.NVLINK_CRC),
            ("nvlink_replay_errors", fields.NVLINK_REPLAY),
            ("nvlink_recovery_errors", fields.NVLINK_RECOVERY),
            ("recovery_action", fields.RECOVERY_ACTION),
        ):
            found[name] = got[field]
        if found["pcie_replay"][1] != FRESH:
            found["pcie_replay"] = self._guarded(lambda: self.nvml.nvmlDeviceGetPcieReplayCounter(self.handle))

    def _guarded(self, call):
        try:
            return (call(), FRESH)
        except Exception as exc:
            return (None, error_letter(exc))

    def _counter_rate(self, name, reading, factor, now):
        value, letter = reading
        if letter != FRESH:
            return reading
        rate = self._rates.rate(name, value, now)
        return NONE if rate is None else (rate * factor, FRESH)

    def _pcie_window(self, name, counter, now):
        """nvmlDeviceGetPcieThroughput blocks 20 ms, so it is asked at most every few seconds and its value kept."""
        if self._skip.get(name, 0.0) > now:
            return (None, NOT_SUPPORTED)
        seen = self._pcie_seen.get(name)
        if seen is not None and now - seen[0] < PCIE_FALLBACK_EVERY_S:
            return seen[1]
        reading = self._guarded(lambda: self.nvml.nvmlDeviceGetPcieThroughput(self.handle, counter) * 1000.0)
        if reading[1] == NOT_SUPPORTED:
            self._skip[name] = now + RETRY_S
        else:
            self.facts["pcie_source"] = "20 ms window every %d s" % PCIE_FALLBACK_EVERY_S
        self._pcie_seen[name] = (now, reading)
        return reading

    def _power(self):
        reading = self._guarded(lambda: self.nvml.nvmlDeviceGetPowerUsage(self.handle) / 1000.0)
        if reading[1] == FRESH:
            self.facts["power_source"] = "nvmlDeviceGetPowerUsage"
        return reading

    def _memory(self):
        if self._memory_v2:
            try:
                info = self.nvml.nvmlDeviceGetMemoryInfo(self.handle, version=self.nvml.nvmlMemory_v2)
                return (info.used, info.reserved, info.total)
            except Exception as exc:
                if error_letter(exc) != NOT_SUPPORTED:
                    raise
                self._memory_v2 = False
        info = self.nvml.nvmlDeviceGetMemoryInfo(self.handle)
        self.facts["memory_source"] = "v1: used includes reserved"
        return (info.used, (None, NOT_SUPPORTED), info.total)

    def _count_processes(self):
        self.processes, self.processes_letter = [], ERROR
        self.processes, self.processes_letter = self._list.read(self.asked_at)
        return len(self.processes) if self.processes_letter == FRESH else (None, self.processes_letter)

    def _mig(self):
        mode = self.nvml.nvmlDeviceGetMigMode(self.handle)[0]
        slices = mig.slices_of(self.nvml, self.handle) if mode else ()
        self.layout = (bool(mode), tuple(s[0] for s in slices))
        return mode

    def _utilization(self):
        rates = self.nvml.nvmlDeviceGetUtilizationRates(self.handle)
        return (rates.gpu, rates.memory)

    def _energy(self):
        return self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) / 1000.0

    def _temperature(self):
        return self.nvml.nvmlDeviceGetTemperature(self.handle, 0)

    def _pstate(self):
        state = self.nvml.nvmlDeviceGetPerformanceState(self.handle)
        return (None, ERROR) if state == 32 else state  # NVML_PSTATE_UNKNOWN

    def _clock_reasons(self):
        try:
            return self.nvml.nvmlDeviceGetCurrentClocksEventReasons(self.handle)
        except Exception as exc:
            if error_letter(exc) != NOT_SUPPORTED:
                raise
            return self.nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self.handle)

    def _ecc(self, kind, counter):
        return lambda: self.nvml.nvmlDeviceGetTotalEccErrors(self.handle, kind, counter)

    def _sram(self):
        status = self.nvml.c_nvmlEccSramErrorStatus_v1_t()
        status.version = self.nvml.nvmlEccSramErrorStatus_v1
        self.nvml.nvmlDeviceGetSramEccErrorStatus(self.handle, _pointer(status))
        return (status.aggregateUncParity + status.aggregateUncSecDed, status.bThresholdExceeded)

    def _nvlinks(self):
        active, known = 0, False
        for link in range(getattr(self.nvml, "NVML_NVLINK_MAX_LINKS", 18)):
            try:
                active += 1 if self.nvml.nvmlDeviceGetNvLinkState(self.handle, link) else 0
                known = True
            except Exception as exc:
                if error_letter(exc) != NOT_SUPPORTED:
                    raise
                break
        return (active, FRESH) if known else (None, NOT_SUPPORTED)

    def _fabric(self):
        info = self.nvml.c_nvmlGpuFabricInfo_v2_t()
        self.nvml.nvmlDeviceGetGpuFabricInfoV(self.handle, _pointer(info))
        return info.state if info.state else (None, NOT_SUPPORTED)  # 0: NVML_GPU_FABRIC_STATE_NOT_SUPPORTED


def _pointer(struct):
    """What the few pynvml calls need that hand their struct to C as it is: by value it would crash the process."""
    return ctypes.byref(struct) if isinstance(struct, ctypes.Structure) else struct


def _number(value):
    return getattr(value, "marginTemperature", value)


def _row(names, found):
    values, letters = [], []
    for name in names:
        value, letter = found.get(name, (None, NOT_SUPPORTED))
        if letter != FRESH:
            value = None
        elif isinstance(value, float):
            if value - value != 0.0:  # NaN or infinite: JSON knows neither
                value, letter = None, ERROR
            else:
                value = round(value, 3)
        values.append(value)
        letters.append(letter)
    text = "".join(letters)
    return values, (None if text.count(FRESH) == len(text) else text)


def lost_row(tier, letter=LOST):
    """The row of a lost or hung card, or with another letter of one that could not be read."""
    width = len(columns.CARDS[tier])
    return [None] * width, letter * width
