"""What goes wrong in the demo, when, and for how long, as functions of time alone: who asks, and how often, changes
nothing. The script repeats, so that there is always something to see.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from dataclasses import dataclass

CYCLE_S = 900.0
REBOOT_S = 30.0
"""How long a node is off the network after its lost card's incident, which a reboot ends."""

RESTART_S = 20.0
"""From a repair to the job running again."""

_AIRFLOW_S = 45.0
_HOT_AISLE_C = 32.0
_KEPT_CYCLES = 16


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


# Seconds after the incident's start, code, text as the driver writes it.
_XIDS: dict[Trouble, tuple[tuple[float, int, str], ...]] = {
    Trouble.LOST: (
        (0.0, 79, "pid='<unknown>', name=<unknown>, GPU has fallen off the bus."),
        (0.5, 154, "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"),
    ),
    Trouble.ECC: (
        (0.0, 48, "An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer."),
        (0.5, 63, "Row Remapper: New row (0x000000000001f2a8) marked for remapping, reset gpu to activate."),
    ),
    Trouble.NVLINK: (
        (0.0, 74, "NVLink: fatal error detected on link 0(0x0, 0x10000, 0x0, 0x0, 0x0, 0x0, 0x0)"),
    ),
    Trouble.APPLICATION: (
        (0.0, 31, "pid=41877, name=python3, channel 0x00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0"),
        (15.0, 13, "pid=43102, name=python3, Graphics SM Warp Exception on (GPC 3, TPC 1, SM 0): Out Of Range Address"),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Incident:
    """One entry of a node's script. Seconds within the cycle; `card` is -1 for all of the node."""

    trouble: Trouble
    start: float
    length: float
    card: int = -1

    def since(self, t: float) -> float | None:
        """Seconds from its newest start to second `t` of the demo; None before the first."""
        return (t - self.start) % CYCLE_S if t >= self.start else None

    def into(self, t: float) -> float | None:
        """Seconds since its start if it is on at second `t`, else None."""
        at = self.since(t)
        return at if at is not None and at < self.length else None

    def starts(self, t: float) -> int:
        """How often it has begun by second `t`."""
        return math.floor((t - self.start) / CYCLE_S) + 1 if t >= self.start else 0


@dataclass(frozen=True, slots=True)
class Xid:
    """An XID that the driver told. `at` in seconds of the demo."""

    at: float
    card: int
    code: int
    text: str


@dataclass(slots=True)
class Faults:
    """What is wrong with a card at a moment. Counts are over the card's life; `halted`: its work has died."""

    lost: bool = False
    halted: bool = False
    brake: bool = False
    remap_pending: bool = False
    recovery_action: int = 0
    corrected: int = 0
    uncorrected: int = 0
    links_down: int = 0
    link_errors: int = 0
    replays: int = 0
    inlet_c: float = 0.0


def faults_at(script: tuple[Incident, ...], card: int, t: float) -> Faults:
    """What the script makes of card `card` at second `t`."""
    faults = Faults()
    for incident in script:
        mine = incident.card in (-1, card)
        if mine or incident.trouble is Trouble.LOST:
            _add(faults, incident, mine, t)
    return faults


def _add(faults: Faults, incident: Incident, mine: bool, t: float) -> None:
    since, into = incident.since(t), incident.into(t)
    if since is None:
        return
    match incident.trouble:
        case Trouble.LOST:
            faults.lost |= mine and into is not None
            # A job over all cards dies with one of them, and comes back after the reboot.
            faults.halted |= since < incident.length + REBOOT_S + RESTART_S
        case Trouble.ECC:
            faults.uncorrected += incident.starts(t)
            storm = min(since, incident.length)
            faults.corrected += 37 * incident.starts(t) + int(storm / 7.0)
            faults.remap_pending, faults.recovery_action = into is not None, int(into is not None)
            faults.halted |= incident.length <= since < incident.length + RESTART_S  # the reset that ends it
        case Trouble.HOT:
            reached = _HOT_AISLE_C * (1.0 - math.exp(-min(since, incident.length) / _AIRFLOW_S))
            faults.inlet_c += reached * math.exp(-max(0.0, since - incident.length) / _AIRFLOW_S)
        case Trouble.BRAKE:
            faults.brake |= into is not None
        case Trouble.NVLINK:
            faults.links_down = int(into is not None)
            whole = (incident.starts(t) - 1) * incident.length
            faults.link_errors += int(3.0 * (whole + min(since, incident.length)))
            faults.replays += int((whole + min(since, incident.length)) / 20.0)
        case Trouble.APPLICATION:
            faults.halted |= since < RESTART_S
        case Trouble.DROP | Trouble.HANG:
            pass


def xids(script: tuple[Incident, ...], after: float, until: float) -> list[Xid]:
    """XIDs of the seconds after `after` up to `until`, oldest first; of the last hours at most."""
    found = [x for incident in script for x in _xids_of(incident, after, until)]
    return sorted(found, key=lambda x: x.at)


def _xids_of(incident: Incident, after: float, until: float) -> Iterator[Xid]:
    newest = incident.starts(until)
    for number in range(max(0, newest - _KEPT_CYCLES), newest):
        begun = incident.start + number * CYCLE_S
        for offset, code, text in _XIDS.get(incident.trouble, ()):
            if after < begun + offset <= until:
                yield Xid(begun + offset, max(0, incident.card), code, text)


def boots(script: tuple[Incident, ...], t: float) -> tuple[int, float | None]:
    """(how often the node has rebooted by second `t`, second of the newest reboot or None)."""
    count, newest = 0, None
    for incident in script:
        if incident.trouble is Trouble.LOST:
            done = Incident(Trouble.LOST, incident.start + incident.length + REBOOT_S, 0.0)
            if done.starts(t):
                count += done.starts(t)
                newest = max(newest or 0.0, done.start + (done.starts(t) - 1) * CYCLE_S)
    return count, newest


def is_away(script: tuple[Incident, ...], t: float) -> bool:
    """Whether the node is off the network: gone, or rebooting after its lost card."""
    for incident in script:
        if incident.trouble is Trouble.DROP and incident.into(t) is not None:
            return True
        if incident.trouble is Trouble.LOST:
            since = incident.since(t)
            if since is not None and incident.length <= since < incident.length + REBOOT_S:
                return True
    return False


def is_hanging(script: tuple[Incident, ...], t: float) -> bool:
    """Whether the node sends nothing though its connections stand."""
    return any(i.trouble is Trouble.HANG and i.into(t) is not None for i in script)
