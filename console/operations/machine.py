"""What may become of a target, as a pure function of its entry and an event. Nothing else changes an entry.

The table of transitions is the operations guide's: a target returns to service only when its set of holds is empty;
"drained" is proven, never assumed; verification leads to probation, and probation to service only after a clean day.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from console.operations.states import Admin, Assignment, Cleared, Entry, Health, Hold, Refusal

PROVEN_WITHIN_S = 30.0
"""Maintenance begins only on proof of idleness this fresh."""

PROBATION_S = 86_400.0

CLEARED_S = 86_400.0
"""A person's word that a target is well counts this long against what is observed."""

_OUT = (Admin.DRAINING, Admin.DRAINED, Admin.MAINTENANCE, Admin.VERIFYING)


@dataclass(frozen=True, slots=True)
class Drain:
    """Take no new work. Another's drain is joined, not replaced. `takes_from`: the session whose hold is gone on with."""

    hold: Hold
    takes_from: str = ""


@dataclass(frozen=True, slots=True)
class Undrain:
    """Lift the holds of `op`; a step of another session than the hold's has no effect."""

    op: str
    session: str


@dataclass(frozen=True, slots=True)
class ProvenIdle:
    """The running work is finished, with evidence. `op` and `session`: whose hold it was proven for, "" for nobody's."""

    at: float
    op: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True)
class BeginMaintenance:
    """Hands and tools may come."""

    now: float


@dataclass(frozen=True, slots=True)
class EndMaintenance:
    """The work is done; `is_same` False: UUID or serial are others than before, which is a swap."""

    is_same: bool


@dataclass(frozen=True, slots=True)
class Verified:
    """All checks ran (a skipped one is not a pass) and passed or failed. `ops`: holds that end with passing."""

    ops: tuple[str, ...]
    passed: bool
    now: float


@dataclass(frozen=True, slots=True)
class CleanDay:
    """No finding of severity 1 or 2 since verification."""

    now: float


@dataclass(frozen=True, slots=True)
class Assign:
    """Give a free card to a tenant."""

    assignment: Assignment
    health: Health
    is_acknowledged: bool
    now: float


@dataclass(frozen=True, slots=True)
class Release:
    """Take a card back from its tenant. `is_in_use` None: nobody knows."""

    is_in_use: bool | None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Retire:
    """Take a drained target out of the fleet for good."""


@dataclass(frozen=True, slots=True)
class MarkHealthy:
    """A person says that it is well."""

    cleared: Cleared


Event = (
    Drain
    | Undrain
    | ProvenIdle
    | BeginMaintenance
    | EndMaintenance
    | Verified
    | CleanDay
    | Assign
    | Release
    | Retire
    | MarkHealthy
)


def after(entry: Entry, event: Event) -> Entry:
    """The entry after an event.

    Raises:
        Refusal: the event may not happen to it; nothing changes.
    """
    match event:
        case Drain(hold, takes_from):
            return _drain(entry, hold, takes_from)
        case Undrain(op, session):
            return _undrain(entry, op, session)
        case ProvenIdle(at, op, session):
            if entry.admin not in (Admin.DRAINING, Admin.DRAINED):
                raise Refusal(f"{entry.target} is {_said(entry)}, not draining")
            _need_hold(entry, op, session)
            return replace(entry, admin=Admin.DRAINED, proven_at=at)
        case BeginMaintenance(now):
            return _begin(entry, now)
        case EndMaintenance(is_same):
            _need(entry, Admin.MAINTENANCE)
            if not is_same:
                raise Refusal(f"{entry.target} is another card than before: retire it, the new one begins anew")
            return replace(entry, admin=Admin.VERIFYING)
        case Verified():
            return _verified(entry, event)
        case CleanDay(now):
            _need(entry, Admin.PROBATION)
            if entry.passed_at is None or now - entry.passed_at < PROBATION_S:
                raise Refusal(f"{entry.target} has not been clean for a day yet")
            return replace(entry, admin=Admin.IN_SERVICE, before=Admin.IN_SERVICE, passed_at=None)
        case Assign():
            return _assign(entry, event)
        case Release():
            return _release(entry, event)
        case Retire():
            _need(entry, Admin.DRAINED)
            return replace(entry, admin=Admin.RETIRED, assignment=None)
        case MarkHealthy(cleared):
            if not cleared.reason.strip():
                raise Refusal("marking healthy needs a reason: what was found is set aside by it")
            return replace(entry, cleared=cleared)


def _said(entry: Entry) -> str:
    return str(entry.admin).replace("_", " ")


def _need(entry: Entry, admin: Admin) -> None:
    if entry.admin is not admin:
        raise Refusal(f"{entry.target} is {_said(entry)}, not {str(admin).replace('_', ' ')}")


def _drain(entry: Entry, hold: Hold, takes_from: str) -> Entry:
    if not hold.reason.strip():
        raise Refusal("a drain needs a reason: the next person must know why")
    if entry.admin is Admin.RETIRED:
        raise Refusal(f"{entry.target} is retired")
    mine = entry.hold_of(hold.op)
    if mine is not None and mine.session not in (hold.session, takes_from):
        raise Refusal(f"{entry.target}: this operation was taken over by another session")
    holds = (*(h for h in entry.holds if h.op != hold.op), hold)
    if entry.admin in _OUT:
        return replace(entry, holds=holds)
    return replace(entry, holds=holds, before=entry.admin, admin=Admin.DRAINING, proven_at=None)


def _need_hold(entry: Entry, op: str, session: str) -> None:
    if not op:
        return
    mine = entry.hold_of(op)
    if mine is None:
        raise Refusal(f"{entry.target} is not held by operation {op}")
    if mine.session != session:
        raise Refusal(f"{entry.target}: operation {op} was taken over by another session")


def _undrain(entry: Entry, op: str, session: str) -> Entry:
    if not op or entry.hold_of(op) is None:
        raise Refusal(f"{entry.target} is not held by operation {op}")
    _need_hold(entry, op, session)
    if entry.admin in (Admin.MAINTENANCE, Admin.VERIFYING):
        raise Refusal(f"{entry.target} is in {_said(entry)}: it returns through verification")
    left = entry.without(op)
    if left.holds or left.admin not in (Admin.DRAINING, Admin.DRAINED):
        return left
    return replace(left, admin=entry.before, before=Admin.IN_SERVICE, proven_at=None, modes=(), boot_id="")


def _begin(entry: Entry, now: float) -> Entry:
    _need(entry, Admin.DRAINED)
    if entry.proven_at is None or now - entry.proven_at > PROVEN_WITHIN_S:
        raise Refusal(f"{entry.target} was proven idle more than {PROVEN_WITHIN_S:.0f} s ago: prove it again first")
    return replace(entry, admin=Admin.MAINTENANCE)


def _verified(entry: Entry, event: Verified) -> Entry:
    _need(entry, Admin.VERIFYING)
    if not event.passed:
        return replace(entry, admin=Admin.MAINTENANCE)
    left = entry
    for op in event.ops:
        left = left.without(op)
    if left.holds:
        names = ", ".join(h.owner for h in left.holds)
        raise Refusal(f"{entry.target} is still held by {names}: they lift their holds first")
    return replace(
        left, admin=Admin.PROBATION, before=Admin.IN_SERVICE, passed_at=event.now, proven_at=None, modes=(), boot_id=""
    )


def _assign(entry: Entry, event: Assign) -> Entry:
    if not event.assignment.tenant.strip():
        raise Refusal("an assignment needs a tenant")
    if entry.assignment is not None:
        raise Refusal(f"{entry.target} is assigned to {entry.assignment.tenant} already")
    if entry.admin is not Admin.IN_SERVICE:
        raise Refusal(f"{entry.target} is {_said(entry)}: only a card in service is given away")
    if entry.live_holds(event.now):
        raise Refusal(f"{entry.target} is held by {entry.holds[0].owner}: {entry.holds[0].reason}")
    said_well = entry.cleared is not None and event.now - entry.cleared.at < CLEARED_S
    if event.health is not Health.OK and not event.is_acknowledged and not said_well:
        raise Refusal(f"{entry.target} is {event.health}: acknowledge that to give it away all the same")
    until = event.assignment.until
    if until is not None and until <= event.now:
        raise Refusal("the assignment would end before it begins")
    return replace(entry, assignment=event.assignment)


def _release(entry: Entry, event: Release) -> Entry:
    if entry.assignment is None:
        raise Refusal(f"{entry.target} is assigned to nobody")
    if event.is_in_use is not False and not event.force:
        why = "is still in use" if event.is_in_use else "may be in use: nobody could look"
        raise Refusal(f"{entry.target} {why}; end the work first, or release with force")
    return replace(entry, assignment=None, closed=())
