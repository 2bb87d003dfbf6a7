"""What goes wrong in the demo, when, and for how long. The script repeats, so that there is always something to see."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from console.demo.simulation.card import SimulatedCard

CYCLE_S = 900.0


class Trouble(enum.StrEnum):
    """Kinds of trouble."""

    LOST = "lost"
    ECC = "ecc"
    HOT = "hot"
    BRAKE = "brake"
    NVLINK = "nvlink"
    APPLICATION = "application"
    DROP = "drop"
    HANG = "hang"


@dataclass(frozen=True, slots=True)
class Incident:
    """One entry of a node's script. Seconds within the cycle; `card` is -1 for all of the node."""

    trouble: Trouble
    start: float
    length: float
    card: int = -1

    def into(self, t: float) -> float | None:
        """Seconds since its start if it is on at second `t` of the demo, else None."""
        at = t % CYCLE_S - self.start
        return at if 0.0 <= at < self.length else None


def apply(card: SimulatedCard, incident: Incident, into: float | None, tell: Callable[[int, str], None]) -> None:
    """Set a card's faults for an incident that is on (`into` seconds) or off (None); `tell` raises an XID once."""
    faults = card.faults
    on = into is not None
    match incident.trouble:
        case Trouble.LOST:
            if on and not faults.lost:
                tell(79, "GPU has fallen off the bus.")
            faults.lost = on
        case Trouble.ECC:
            if on and not faults.remap_pending:
                faults.uncorrected += 1
                faults.corrected += 37
                tell(48, "An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer.")
                tell(63, "Row Remapper: New row (0x000000000001f2a8) marked for remapping, reset gpu to activate.")
            if on:
                faults.corrected = max(faults.corrected, int((into or 0.0) // 7.0) + 37)
            faults.remap_pending, faults.recovery_action = on, int(on)
        case Trouble.HOT:
            faults.inlet_c = 26.0 if on else 0.0
        case Trouble.BRAKE:
            faults.brake = on
        case Trouble.NVLINK:
            if on and not faults.links_down:
                tell(74, "NVLink: fatal error detected on link 4 (0x0, 0x10000, 0x0, 0x0, 0x0, 0x0, 0x0)")
            faults.links_down = int(on)
            if on:
                faults.link_errors = max(faults.link_errors, (into or 0.0) // 2.0)
        case Trouble.APPLICATION:
            if on and faults.replays == 0.0:
                tell(31, "pid=41877, name=python3, channel 0x00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS")
            faults.replays = 1.0 if on else 0.0
        case Trouble.DROP | Trouble.HANG:
            pass
