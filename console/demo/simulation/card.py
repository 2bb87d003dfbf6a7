"""One simulated card: power, heat, clocks and counters, moved forward by fixed steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from console.demo.simulation.incidents import Faults
from console.demo.simulation.load import NOTHING, Activity, Kind, noise, wave
from console.demo.simulation.skus import Sku

STEP_S = 0.5
HEAT_S = 22.0
"""Time constant of die temperature after a step in power."""

_FADE = 1.0 - math.exp(-STEP_S / HEAT_S)
_BUSY = 0.01

IDLE, POWER_CAP, SW_THERMAL, HW_SLOWDOWN, HW_THERMAL, BRAKE = 0x1, 0x4, 0x20, 0x8, 0x40, 0x80


@dataclass(frozen=True, slots=True)
class Job:
    """What runs on a card or slice: one process with its owner. Cards of one training job share its `number`."""

    kind: Kind
    number: int
    user: str
    command: str
    pid: int
    slurm_job: str = ""
    pod: str = ""
    container: str = ""


@dataclass(slots=True)
class Counters:
    """What a driver counts from its load on. Bytes (links in KiB), joules, seconds."""

    energy: float = 0.0
    pcie_sent: float = 0.0
    pcie_received: float = 0.0
    links: float = 0.0
    thermal_s: float = 0.0
    hw_thermal_s: float = 0.0
    power_s: float = 0.0
    brake_s: float = 0.0


@dataclass(slots=True, eq=False)
class SimulatedSlice:
    """A MIG instance of a card. `share` is of the card's memory and SMs."""

    card: SimulatedCard
    place: int
    instance: int
    profile: str
    share: float
    uuid: str
    job: Job | None
    running: Job | None = None
    doing: Activity = NOTHING

    @property
    def memory_used(self) -> int:
        """Bytes held, without what the driver reserves."""
        return _pages(self.card.sku.memory * self.share * self.doing.held) if self.running else 1 << 20


@dataclass(slots=True, eq=False)
class SimulatedCard:
    """State of one card at the newest step; `step` moves it, everything else reads.

    Attributes:
        inlet: air temperature at the card in degC, by rack and slot.
        running: the job as far as it lives; None while a fault has ended it.
        temperature, power, clock, reasons: degC, W, MHz, bits of nvmlClocksEventReason*.
    """

    uuid: str
    index: int
    sku: Sku
    seed: int
    job: Job | None
    inlet: float
    serial: str
    pci: str
    slices: tuple[SimulatedSlice, ...] = ()
    faults: Faults = field(default_factory=Faults)
    running: Job | None = None
    doing: Activity = NOTHING
    temperature: float = math.nan
    power: float = 0.0
    clock: int = 0
    reasons: int = IDLE
    counters: Counters = field(default_factory=Counters)

    def step(self, t: float, doing: Activity) -> None:
        """Go on by STEP_S to second `t`, doing `doing`."""
        self.doing = doing
        share = self._hold_clocks(t)
        self.clock = int(self.sku.sm_mhz * share) // 15 * 15
        target = self.inlet + self.faults.inlet_c + self.sku.cooling * self.power
        if math.isnan(self.temperature):
            self.temperature = min(target, self.sku.slowdown_c - 4.0)
        self.temperature += (target - self.temperature) * _FADE
        self._count()

    def _hold_clocks(self, t: float) -> float:
        """Set power and reasons; the share of the highest clock that is left."""
        sku, busy = self.sku, self.doing.busy
        wanted = sku.idle_w + (sku.limit_w * 1.04 - sku.idle_w) * (0.78 * busy + 0.26 * self.doing.bandwidth)
        wanted *= 1.0 + 0.016 * (wave(self.seed + 31, t, 2.0) - 0.5)
        reasons, held, capped = 0, 1.0, 1.0
        if busy < _BUSY:
            reasons, held = IDLE, 0.18
        else:
            if wanted > sku.limit_w:
                reasons, capped = POWER_CAP, sku.limit_w / wanted
            over = self.temperature - (sku.slowdown_c - 4.0)
            if over > 0.0:
                reasons |= SW_THERMAL | (HW_SLOWDOWN | HW_THERMAL if over > 3.0 else 0)
                held = max(0.45, 1.0 - 0.09 * over)
        if self.faults.brake:
            reasons |= HW_SLOWDOWN | BRAKE
            held = min(held, 0.5)
        self.reasons = reasons
        drawn = min(wanted, sku.limit_w)
        if busy >= _BUSY:
            drawn = max(sku.idle_w, sku.idle_w + (drawn - sku.idle_w) * (0.3 + 0.7 * held))
        self.power = drawn
        return capped * held

    def _count(self) -> None:
        counters, doing, reasons = self.counters, self.doing, self.reasons
        counters.energy += self.power * STEP_S
        counters.pcie_sent += doing.host * self.sku.pcie_sent * STEP_S
        counters.pcie_received += doing.host * self.sku.pcie_received * STEP_S
        counters.links += doing.links * (self.sku.nvlinks - self.faults.links_down) * 22.0e9 / 1024.0 * STEP_S
        if reasons & ~IDLE:
            counters.power_s += STEP_S * bool(reasons & POWER_CAP)
            counters.thermal_s += STEP_S * bool(reasons & SW_THERMAL)
            counters.hw_thermal_s += STEP_S * bool(reasons & HW_THERMAL)
            counters.brake_s += STEP_S * bool(reasons & BRAKE)

    @property
    def memory_used(self) -> int:
        """Bytes held, without what the driver reserves."""
        if self.slices:
            return sum(s.memory_used for s in self.slices)
        return _pages(self.sku.memory * self.doing.held) if self.running else 3 << 20

    @property
    def fan(self) -> int:
        """Percent."""
        return int(max(0.0, min(100.0, (self.temperature - 35.0) * 2.0)))

    @property
    def memory_temperature(self) -> int:
        """degC."""
        return int(self.temperature + 9.0 + 4.0 * self.doing.bandwidth + 2.0 * noise(self.seed, 9))


def _pages(size: float) -> int:
    return int(size) // (2 << 20) * (2 << 20) + (3 << 20)
