"""One simulated node: its cards, its host, its script and its clocks."""

from __future__ import annotations

import threading
import time
import uuid as uuid_module
from collections import deque
from dataclasses import dataclass, field

from console.demo.simulation.card import STEP_S, Job, SimulatedCard
from console.demo.simulation.incidents import CYCLE_S, Incident, Trouble, apply
from console.demo.simulation.load import Kind, noise
from console.demo.simulation.skus import Sku

HISTORY_S = 5 * 3600.0
"""How long the node had been up when the demo began."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What a node is, before it runs.

    Attributes:
        has_driver, has_python: False for the two nodes that show what the console does without.
        skew_s: node wall clock minus true time.
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
    has_driver: bool = True
    has_python: bool = True
    persistence: int = 1
    skew_s: float = 0.0


class SimulatedNode:
    """A plan, running. `advance` may be called from any thread.

    Attributes:
        xids: (code, uuid, text, second) not yet taken by an event set.
        kernel: the kernel's log since boot: (second since boot, text).
    """

    def __init__(self, plan: NodePlan, epoch: float) -> None:
        self.plan = plan
        self._epoch = epoch
        self._lock = threading.Lock()
        self._moved = -1.0
        self.xids: deque[tuple[int, str]] = deque(maxlen=64)
        self.kernel: deque[tuple[float, str]] = deque(maxlen=256)
        self.boot = 0
        self._booted = 0.0
        self._was_lost = False
        self.cards = [self._card(i) for i in range(plan.cards)]
        self.advance()

    def _card(self, index: int) -> SimulatedCard:
        plan = self.plan
        seed = plan.seed * 64 + index
        mig: tuple[str, ...] = ()
        if index == plan.mig_on:
            mig = tuple(f"MIG-{_uuid(seed * 16 + 1 + i)}" for i in range(3))
        slot_heat = 2.5 * noise(seed, 5) + (1.5 if index >= plan.cards // 2 else 0.0)
        job = plan.jobs[index] if index < len(plan.jobs) else None
        return SimulatedCard(
            uuid=f"GPU-{_uuid(seed * 16)}",
            index=index,
            sku=plan.sku,
            seed=seed,
            job=job,
            inlet=plan.inlet + slot_heat,
            serial=f"165{plan.seed:04d}{index:03d}",
            pci=f"00000000:{0x1B + 0x10 * index:02X}:00.0",
            mig=mig,
        )

    @property
    def t(self) -> float:
        """Seconds of the demo, as this node lives them."""
        return time.monotonic() - self._epoch

    def wall(self) -> float:
        """The node's wall clock."""
        return time.time() + self.plan.skew_s

    def uptime(self) -> float:
        """Seconds since boot; a reboot ended the last lost card."""
        return self.t - self._booted if self.boot else HISTORY_S + self.t

    def boot_id(self) -> str:
        """Changes with every reboot."""
        return _uuid(self.plan.seed * 1000 + self.boot)

    def advance(self) -> None:
        """Bring cards and script to now."""
        with self._lock:
            t = self.t
            if 0.0 <= t - self._moved < STEP_S:
                return
            self._moved = t
            for incident in self.plan.script:
                into = incident.into(t)
                for card in self.cards if incident.card < 0 else [self.cards[incident.card]]:
                    apply(card, incident, into, lambda code, text, card=card: self._xid(card, code, text))  # type: ignore[misc]
            for card in self.cards:
                card.advance(HISTORY_S + t)

    def _xid(self, card: SimulatedCard, code: int, text: str) -> None:
        short = card.pci[4:].lower().rsplit(".", 1)[0]
        self.xids.append((code, card.uuid))
        self.kernel.append((self.uptime(), f"NVRM: Xid (PCI:{short}): {code}, {text}"))

    def is_refusing(self) -> bool:
        """Whether the node is off the network now, or rebooting after its lost card."""
        t = self.t
        for incident in self.plan.script:
            if incident.trouble is Trouble.DROP and incident.into(t) is not None:
                return True
            if incident.trouble is Trouble.LOST:
                since_end = (t % CYCLE_S) - (incident.start + incident.length)
                if 0.0 <= since_end < 30.0:
                    if not self._was_lost:
                        self.boot += 1
                        self._booted = t
                        self.kernel.clear()
                        self._was_lost = True
                    return True
                self._was_lost = False
        return False

    def is_hanging(self) -> bool:
        """Whether the node answers nothing now though its connections stand."""
        t = self.t
        return any(i.trouble is Trouble.HANG and i.into(t) is not None for i in self.plan.script)


def _uuid(number: int) -> str:
    return str(uuid_module.uuid5(uuid_module.NAMESPACE_DNS, f"demo-{number}"))


__all__ = ["HISTORY_S", "Kind", "NodePlan", "SimulatedNode"]
