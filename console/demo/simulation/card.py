"""One simulated card: power, heat, clocks and wear, moved forward whenever it is asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from console.demo.simulation.load import NOTHING, Activity, Kind, activity, noise, wave
from console.demo.simulation.skus import Sku

STEP_S = 0.2
HEAT_S = 22.0
"""Time constant of die temperature after a step in power."""

IDLE, POWER_CAP, SW_THERMAL, HW_SLOWDOWN, HW_THERMAL, BRAKE = 0x1, 0x4, 0x20, 0x8, 0x40, 0x80


@dataclass(frozen=True, slots=True)
class Job:
    """What runs on a card: one process with its owner."""

    kind: Kind
    number: int
    user: str
    command: str
    pid: int
    slurm_job: str = ""
    pod: str = ""
    container: str = ""


@dataclass(slots=True)
class Faults:
    """What is wrong with a card now, set by the incident script."""

    lost: bool = False
    brake: bool = False
    remap_pending: bool = False
    recovery_action: int = 0
    corrected: int = 0
    uncorrected: int = 0
    links_down: int = 0
    link_errors: float = 0.0
    replays: float = 0.0
    inlet_c: float = 0.0


@dataclass(slots=True)
class SimulatedCard:
    """State of one card. `advance` moves it; everything else reads.

    Attributes:
        inlet: air temperature at the card in degC, by rack and slot.
    """

    uuid: str
    index: int
    sku: Sku
    seed: int
    job: Job | None
    inlet: float
    serial: str
    pci: str
    mig: tuple[str, ...] = ()
    faults: Faults = field(default_factory=Faults)
    now: float = -1.0
    temperature: float = 30.0
    power: float = 0.0
    energy: float = 0.0
    clock: int = 0
    reasons: int = IDLE
    doing: Activity = NOTHING
    tx: float = 0.0
    rx: float = 0.0
    nv: float = 0.0
    throttled_s: float = 0.0
    capped_s: float = 0.0
    braked_s: float = 0.0

    def advance(self, t: float) -> None:
        """Bring the card to second `t`; within STEP_S of the last call nothing moves."""
        if self.now >= 0.0 and t - self.now < STEP_S:
            return
        dt = 0.0 if self.now < 0.0 else t - self.now
        first = self.now < 0.0
        self.now = t
        self.doing = NOTHING if self.job is None else activity(self.job.kind, self.job.number, self.seed, t)
        self._heat(t, dt, first)
        doing = self.doing
        self.tx += dt * doing.host * 9.0e9
        self.rx += dt * doing.host * 21.0e9
        up = self.sku.nvlinks - self.faults.links_down
        self.nv += dt * doing.links * up * 22.0e9 / 1024.0

    def _heat(self, t: float, dt: float, first: bool) -> None:
        sku, faults = self.sku, self.faults
        busy = self.doing.busy
        wanted = sku.idle_w + (sku.limit_w * 1.04 - sku.idle_w) * (0.78 * busy + 0.26 * self.doing.bandwidth)
        wanted += sku.limit_w * 0.012 * (wave(self.seed + 31, t, 2.0) - 0.5)
        reasons = 0
        share = 1.0
        if busy < 0.01:
            reasons, share = IDLE, 0.18
        elif wanted > sku.limit_w:
            reasons |= POWER_CAP
            share *= sku.limit_w / wanted
            self.capped_s += dt
        over = self.temperature - (sku.slowdown_c - 4.0)
        if over > 0.0 and busy > 0.01:
            reasons |= SW_THERMAL | (HW_SLOWDOWN | HW_THERMAL if over > 3.0 else 0)
            share *= max(0.45, 1.0 - 0.09 * over)
            self.throttled_s += dt
        if faults.brake:
            reasons |= HW_SLOWDOWN | BRAKE
            share = min(share, 0.5)
            self.braked_s += dt
        self.reasons = reasons
        self.power = min(wanted, sku.limit_w) * (0.35 + 0.65 * share if busy > 0.01 else 1.0)
        self.clock = int(sku.sm_mhz * share) // 15 * 15
        target = self.inlet + faults.inlet_c + sku.cooling * self.power
        fading = 1.0 if first else 1.0 - math.exp(-dt / HEAT_S)
        self.temperature += (target - self.temperature) * fading
        self.energy += self.power * dt

    @property
    def memory_used(self) -> int:
        """Bytes held, without what the driver reserves."""
        held = self.sku.memory * self.doing.held * (1.0 if self.job else 0.0)
        return int(held) // (2 << 20) * (2 << 20) + (3 << 20)

    @property
    def fan(self) -> int:
        """Percent."""
        return int(max(0.0, min(100.0, (self.temperature - 35.0) * 2.0)))

    @property
    def memory_temperature(self) -> int:
        """degC."""
        return int(self.temperature + 9.0 + 4.0 * self.doing.bandwidth + 2.0 * noise(self.seed, 9))
