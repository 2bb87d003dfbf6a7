"""One simulated node: its cards, its script and its clocks."""

from __future__ import annotations

import threading
import time
import uuid as uuid_module
from collections.abc import Callable
from dataclasses import dataclass, field

from console.demo.simulation import incidents
from console.demo.simulation.card import STEP_S, Counters, Job, SimulatedCard, SimulatedSlice
from console.demo.simulation.incidents import Incident, faults_at
from console.demo.simulation.load import NOTHING, Activity, Kind, daylight, inference, noise, notebook, training
from console.demo.simulation.skus import Sku

UP_BEFORE_S = 5 * 3600.0
"""How long the node had been up when the demo began."""

SLICES = (("MIG 3g.40gb", 1, 0.5), ("MIG 2g.20gb", 3, 0.25), ("MIG 1g.10gb", 9, 0.125))
"""Profile, GPU instance, share of the card."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What a node is, before it runs.

    Attributes:
        jobs: by card, None for an idle one.
        slice_jobs: by slice of the card `mig_on`, which is -1 where no card has MIG on.
        has_driver, has_python: False for the nodes that show what the console does without.
        skew_s: node wall clock minus true time.
        speed: how many times as fast as real ones the demo's days pass.
    """

    name: str
    region: str
    rack: str
    supplier: str
    sku: Sku
    cards: int
    jobs: tuple[Job | None, ...]
    seed: int
    inlet: float = 24.0
    labels: dict[str, str] = field(default_factory=dict)
    script: tuple[Incident, ...] = ()
    mig_on: int = -1
    slice_jobs: tuple[Job | None, ...] = ()
    has_driver: bool = True
    has_python: bool = True
    persistence: int = 1
    skew_s: float = 0.0
    speed: float = 1.0


class SimulatedNode:
    """A plan, running. Its state is a function of the plan and of the time since `epoch` (by `clock`), whoever asks.

    Any thread may call anything.

    Attributes:
        modes: compute mode by UUID, where it was set.
    """

    def __init__(
        self,
        plan: NodePlan,
        epoch: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.plan = plan
        self._epoch = epoch
        self._clock = clock
        self._true_wall = wall
        self._began_wall = wall() - (clock() - epoch)
        self._lock = threading.Lock()
        self._at = -1
        self._boots = 0
        self.modes: dict[str, int] = {}
        self.cards = [self._card(i) for i in range(plan.cards)]

    def _card(self, index: int) -> SimulatedCard:
        plan = self.plan
        seed = plan.seed * 64 + index
        card = SimulatedCard(
            uuid=f"GPU-{_uuid(f'card-{seed}')}",
            index=index,
            sku=plan.sku,
            seed=seed,
            job=plan.jobs[index] if index < len(plan.jobs) and index != plan.mig_on else None,
            inlet=plan.inlet + 2.5 * noise(seed, 5) + (1.5 if index >= plan.cards // 2 else 0.0),
            serial=f"165{plan.seed:07d}{index:03d}",
            pci=f"00000000:{(0x1B + 0x10 * index) % 256:02X}:00.0",
        )
        if index == plan.mig_on:
            card.slices = tuple(
                SimulatedSlice(card, place, instance, profile, share, f"MIG-{_uuid(f'slice-{seed}-{place}')}", job)
                for place, ((profile, instance, share), job) in enumerate(zip(SLICES, plan.slice_jobs, strict=True))
            )
        return card

    @property
    def t(self) -> float:
        """Seconds of the demo."""
        return self._clock() - self._epoch

    def wall(self) -> float:
        """The node's wall clock."""
        return self._true_wall() + self.plan.skew_s

    def wall_at(self, t: float) -> float:
        """The node's wall clock at second `t` of the demo."""
        return self._began_wall + t + self.plan.skew_s

    @property
    def booted(self) -> float:
        """Second of the demo at which the node last booted; before 0 for the first time."""
        newest = incidents.boots(self.plan.script, self.t)[1]
        return -UP_BEFORE_S if newest is None else newest

    def uptime(self) -> float:
        """Seconds since boot."""
        return self.t - self.booted

    def boot_id(self) -> str:
        """Changes with every reboot."""
        return _uuid(f"boot-{self.plan.seed}-{incidents.boots(self.plan.script, self.t)[0]}")

    def job_began(self, job: Job) -> float:
        """Second of the demo at which a job's process began."""
        return max(-3600.0 * (1 + job.pid % 5), self.booted + incidents.RESTART_S)

    def advance(self) -> None:
        """Bring the cards to now."""
        wanted = int(self.t / STEP_S)
        if self._at >= wanted:
            return
        with self._lock:
            while self._at < wanted:
                self._step((self._at + 1) * STEP_S)
                self._at += 1

    def _step(self, t: float) -> None:
        plan = self.plan
        if plan.script:
            boots = incidents.boots(plan.script, t)[0]
            if boots != self._boots:
                self._boots = boots
                for card in self.cards:
                    card.counters = Counters()  # the driver was loaded anew
            for card in self.cards:
                card.faults = faults_at(plan.script, card.index, t)
        day = daylight(t, plan.speed)
        shared: dict[int, Activity] = {}
        for card in self.cards:
            card.step(t, self._doing(card, t, day, shared))

    def _doing(self, card: SimulatedCard, t: float, day: float, shared: dict[int, Activity]) -> Activity:
        halted = card.faults.halted or card.faults.lost
        card.running = None if halted else card.job
        if card.slices:
            return self._slices_doing(card, t, day, halted)
        job = card.running
        if job is None:
            return NOTHING
        if job.kind is Kind.TRAINING:
            if job.number not in shared:
                shared[job.number] = training(job.number, t)
            all_alike = shared[job.number]
            return all_alike._replace(busy=max(0.0, all_alike.busy - 0.015 * noise(card.seed, int(t))))
        return _alone(job.kind, card.seed, t, day)

    @staticmethod
    def _slices_doing(card: SimulatedCard, t: float, day: float, halted: bool) -> Activity:
        for slice_ in card.slices:
            slice_.running = None if halted else slice_.job
            slice_.doing = NOTHING
            if slice_.running is not None:
                slice_.doing = _alone(slice_.running.kind, card.seed * 8 + slice_.place, t, day)
        return Activity(*(sum(s.share * s.doing[i] for s in card.slices) for i in range(5)))

    def xids(self, after: float) -> list[incidents.Xid]:
        """XIDs since second `after` of the demo and since the node booted, oldest first."""
        if not self.plan.script:
            return []
        now = self.t
        return incidents.xids(self.plan.script, max(after, self.booted), now)

    def is_away(self) -> bool:
        """Whether the node is off the network now."""
        return bool(self.plan.script) and incidents.is_away(self.plan.script, self.t)

    def is_hanging(self) -> bool:
        """Whether the node sends nothing now though its connections stand."""
        return bool(self.plan.script) and incidents.is_hanging(self.plan.script, self.t)


def _alone(kind: Kind, seed: int, t: float, day: float) -> Activity:
    return inference(seed, t, day) if kind is Kind.INFERENCE else notebook(seed, t)


def _uuid(name: str) -> str:
    return str(uuid_module.uuid5(uuid_module.NAMESPACE_DNS, f"cardkeeper-demo-{name}"))
