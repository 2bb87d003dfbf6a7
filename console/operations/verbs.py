"""What each verb does to one target: the book's entries afterwards, the commands beside it, and what that blocks. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from console.operations import machine
from console.operations.plan import Action, Asked, Change, View
from console.operations.states import NODE, Admin, Assignment, Cleared, Entry, Health, Hold, Refusal

ADVISORY = "advisory: the card book says so, nothing is blocked by the driver (see: cardkeeper sudoers)"


def change(asked: Asked, view: View) -> Change:
    """One target's part of a plan.

    Raises:
        Refusal: it may not be done to it.
    """
    verb = VERBS.get(asked.verb)
    if verb is None:
        raise Refusal(f"there is no verb {asked.verb}")
    if view.is_stale:
        raise Refusal(f"{view.node}: its readings are not fresh; look at the connection first")
    if view.place is not None and view.seen is None and asked.verb != "verify":
        raise Refusal(f"{view.place.scheduler} could not be asked about {view.node}: {view.trouble or 'no answer'}")
    made = verb(asked, view)
    if view.book.is_shared:
        return made
    return replace(made, effect=made.effect + "; other logins cannot see this book")


# Commands beside the book


def _mode(view: View, uuid: str, mode: str, is_first: bool = False) -> Action:
    number = {"default": 0, "prohibited": 2, "exclusive_process": 3}[mode]
    return Action(
        "mode", f"cardkeeper-node compute-mode {uuid} {number}", view.node,
        {"verb": "do", "do": "compute-mode", "uuid": uuid, "mode": mode}, {"uuid": uuid, "mode": number}, is_first,
    )  # fmt: skip


def _devices(view: View, uuid: str, users: tuple[str, ...], is_first: bool = False) -> Action:
    whom = ",".join(users) or "all"
    return Action(
        "devices", f"cardkeeper-node devices (of {uuid}) {whom}", view.node,
        {"verb": "do", "do": "devices", "uuid": uuid, "users": list(users)},
        {"uuid": uuid, "users": sorted(users)}, is_first,
    )  # fmt: skip


def _call(
    view: View, argv: tuple[str, ...], see: str, op: str, is_first: bool = False, back: tuple[str, ...] = ()
) -> Action:
    assert view.place is not None
    place = view.place
    return Action(
        "exec", shlex.join(argv), place.via, {"verb": "exec", "calls": [list(argv)]},
        {"see": see, "op": op, "place": [place.scheduler, place.via, place.name], "back": list(back)}, is_first,
    )  # fmt: skip


def _prove(view: View) -> Action:
    return Action("prove", f"prove that nothing runs on {view.label}", view.node, {}, {"uuids": list(view.uuids)}, True)


def _asks_scheduler(call: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    try:
        return call()
    except ValueError as exc:
        raise Refusal(str(exc)) from exc


def _entries(*pairs: tuple[Entry, Entry]) -> tuple[tuple[Entry, Entry], ...]:
    return tuple((b, a) for b, a in pairs if b != a)


# Draining and back


def _drain(asked: Asked, view: View) -> Change:
    before = view.entry
    mine = before.hold_of(asked.op)
    since = asked.now if mine is None else mine.since
    hold = Hold(asked.op, asked.by, asked.reason, asked.session, since, asked.until)
    done = machine.after(before, machine.Drain(hold, asked.takes_from))
    actions: list[Action] = []
    notes: list[str] = []
    blocks = []
    if asked.enforce and view.book.can_enforce:
        actions += [_mode(view, u, "prohibited") for u in view.uuids if not _is_blocked_elsewhere(view, u)]
        blocks.append("new work is refused by the driver (compute mode PROHIBITED); what runs goes on")
    if view.scheduler is not None and view.seen is not None and view.place is not None:
        name = view.place.scheduler
        if view.target != NODE:
            notes.append(f"{name} cannot drain one card: it may still give {view.label} work; drain the node instead")
        elif view.seen.is_foreign and view.seen.is_blocked:
            notes.append(f"{name} drains {view.node} already, for another's reason, which stays: {view.seen.reason}")
            blocks.append(f"{name} gives it no new work (another's drain)")
        elif asked.enforce and not (view.seen.is_blocked and view.seen.is_of(asked.op)):
            if view.seen.is_blocked and view.seen.reason:
                notes.append(f"{name} drains {view.node} for an earlier operation of ours; this one takes its place")
            scheduler, place = view.scheduler, view.place
            argv = _asks_scheduler(lambda: scheduler.drain(place.name, asked.op, asked.by, asked.reason))
            actions.append(_call(view, argv, "drained", asked.op, back=scheduler.undrain(place.name)))
            blocks.append(f"{name} gives it no new work")
    return Change(view, _entries((before, done)), tuple(actions), "; ".join(blocks) or ADVISORY, tuple(notes))


def _is_blocked_elsewhere(view: View, uuid: str) -> bool:
    """Whether another entry of the book has this card's own mode in keeping under this kernel."""
    boot = view.book.boot_id
    return any(
        uuid in dict(e.modes) and e.boot_id == boot for t, e in view.book.entries.items() if t != view.target
    )  # fmt: skip


def _lifted(asked: Asked, before: Entry) -> Entry:
    done = before
    for hold in _mine(asked, before):
        done = machine.after(done, machine.Undrain(hold.op, hold.session))
    return done


def _mine(asked: Asked, before: Entry) -> list[Hold]:
    if asked.lifts:
        found = [h for h in before.holds if h.op == asked.lifts]
    else:
        found = [h for h in before.holds if h.owner == asked.by]
    if not found and not asked.takes_from:
        whose = ", ".join(sorted({h.owner for h in before.holds}))
        raise Refusal(f"no hold of yours is on it; it is held by {whose}" if whose else "nothing holds it")
    return found


def _undrain(asked: Asked, view: View) -> Change:
    return _unblocked(asked, view, _lifted(asked, view.entry))


def _unblocked(asked: Asked, view: View, done: Entry) -> Change:
    """The change to `done` with everything opened that was closed only for holds that end."""
    before = view.entry
    actions: list[Action] = []
    notes: list[str] = []
    pairs = [(before, done)]
    effects = []
    if before.modes and not done.modes:
        if view.book.boot_id == before.boot_id or not before.boot_id:
            keep = _handed_over(view, before)
            pairs += keep
            kept = {u for _, after in keep for u, _ in after.modes}
            actions += [_mode(view, u, m, is_first=True) for u, m in before.modes if u not in kept]
            if actions:
                effects.append("the compute mode is put back")
        else:
            notes.append(f"{view.node} was rebooted since it was blocked: the driver has put its modes back itself")
    lifted = {h.op for h in before.holds} - {h.op for h in done.holds}
    seen = view.seen
    if view.scheduler is not None and view.place is not None and seen is not None and view.target == NODE:
        ours = next((op for op in lifted if seen.is_of(op)), "")
        if ours and seen.is_blocked and not done.holds:
            argv = view.scheduler.undrain(view.place.name)
            actions.append(_call(view, argv, "undrained", ours, is_first=True))
            effects.append(f"{view.place.scheduler} gives it work again")
        elif seen.is_blocked:
            notes.append(f"{view.place.scheduler} drains {view.node} for another's reason, which stays: {seen.reason}")
    if done.holds:
        names = ", ".join(sorted({h.owner for h in done.holds}))
        notes.append(f"{view.label} stays out of service: {names} holds it, too")
    return Change(view, _entries(*pairs), tuple(actions), "; ".join(effects) or "the card book says so", tuple(notes))


def _handed_over(view: View, before: Entry) -> list[tuple[Entry, Entry]]:
    """Cards that another entry still wants blocked keep their block; that entry takes their mode into its keeping."""
    out: dict[str, tuple[Entry, Entry]] = {}
    for uuid, mode in before.modes:
        other = view.book.entry(uuid if view.target == NODE else NODE)
        if other.target == view.target or not other.holds:
            continue
        first, latest = out.get(other.target, (other, other))
        modes = tuple(sorted({**dict(latest.modes), uuid: mode}.items()))
        out[other.target] = (first, replace(latest, modes=modes, boot_id=view.book.boot_id))
    return list(out.values())


def _return(asked: Asked, view: View) -> Change:
    before = view.entry
    result = (asked.passed or {}).get(f"{view.node} {view.target}")
    if before.admin is Admin.PROBATION:
        if view.health is not Health.OK:
            raise Refusal(f"{view.label} is {view.health}: probation ends only with a clean day")
        return Change(
            view, _entries((before, machine.after(before, machine.CleanDay(asked.now)))), (), "in service for good"
        )
    if result:
        if before.admin is Admin.VERIFYING:
            failed = machine.after(before, machine.Verified((), False, asked.now))
            return Change(view, _entries((before, failed)), (), f"back to maintenance: {result}")
        raise Refusal(f"verification failed: {result}")
    if before.admin is Admin.VERIFYING:
        ops = tuple(h.op for h in _mine(asked, before))
        done = machine.after(before, machine.Verified(ops, True, asked.now))
    else:
        done = _lifted(asked, before)
    made = _unblocked(asked, view, done)
    if result is None:
        note = "first it is verified for a minute (V0); it returns only if every check ran and passed"
        return replace(made, notes=(*made.notes, note))
    return made


# Maintenance


def _maintenance_begin(asked: Asked, view: View) -> Change:
    before = view.entry
    machine.after(before, machine.BeginMaintenance(before.proven_at or asked.now))
    proven = replace(before, proven_at=asked.now)
    done = machine.after(proven, machine.BeginMaintenance(asked.now))
    return Change(view, _entries((before, done)), (_prove(view),), "hands and tools may come; the hold stays")


def _maintenance_end(asked: Asked, view: View) -> Change:
    before = view.entry
    if view.target != NODE and view.health is Health.LOST:
        raise Refusal(f"{view.label} does not answer: maintenance ends when it does")
    done = machine.after(before, machine.EndMaintenance(True))
    return Change(view, _entries((before, done)), (), "it waits for verification: cardkeeper return")


def _healthy(asked: Asked, view: View) -> Change:
    before = view.entry
    done = machine.after(before, machine.MarkHealthy(Cleared(asked.now, asked.by, asked.reason)))
    return Change(view, _entries((before, done)), (), "for a day it may be assigned although something was found")


# Assignments


def _assign(asked: Asked, view: View) -> Change:
    before, node = view.entry, view.book.entry(NODE)
    if view.target != NODE and (node.holds or node.admin is not Admin.IN_SERVICE):
        why = node.holds[0].reason if node.holds else str(node.admin)
        raise Refusal(f"{view.node} as a whole is held: {why}")
    if view.target != NODE and node.assignment is not None:
        raise Refusal(f"{view.node} as a whole is assigned to {node.assignment.tenant}")
    if view.target == NODE:
        _need_free_cards(view)
    is_ours = before.assignment is not None and before.assignment.op == asked.op and bool(asked.takes_from)
    if is_ours:
        done = before
    else:
        given = Assignment(asked.tenant, asked.op, asked.now, asked.until, asked.users)
        done = machine.after(before, machine.Assign(given, view.health, asked.acknowledged, asked.now))
        if view.work and not asked.force:
            running = ", ".join(f"{w.pid} {w.user}".strip() for w in view.work[:4])
            raise Refusal(f"it runs {running}; whose that is must be settled first")
    actions: list[Action] = []
    notes: list[str] = []
    effects: list[str] = []
    if view.scheduler is not None and view.place is not None and view.seen is not None:
        scheduler, place = view.scheduler, view.place
        if view.target != NODE:
            notes.append(f"{place.scheduler} cannot reserve one card: it gives {view.label} to whoever asks")
        elif scheduler.reservation(asked.op) not in view.seen.reservations:
            seconds = None if asked.until is None else asked.until - asked.now
            argv = _asks_scheduler(lambda: scheduler.reserve(place.name, asked.op, asked.users, seconds))
            actions.append(_call(view, argv, "reserved", asked.op, back=scheduler.unreserve(asked.op)))
            effects.append(f"{place.scheduler} keeps the node for {', '.join(asked.users)}")
    elif asked.users and asked.enforce and view.book.can_enforce:
        actions += [_devices(view, u, asked.users) for u in view.uuids]
        done = replace(done, closed=asked.users)
        effects.append(f"only {', '.join(asked.users)} and root may open its device file")
    text = "; ".join(effects) or "a record, with strangers' processes found; it isolates nobody"
    return Change(view, _entries((before, done)), tuple(actions), text, tuple(notes))


def _need_free_cards(view: View) -> None:
    for target, entry in view.book.entries.items():
        if target == NODE:
            continue
        if entry.assignment is not None:
            raise Refusal(f"{target} of it is assigned to {entry.assignment.tenant} already")
        if entry.admin is not Admin.IN_SERVICE:
            raise Refusal(f"{target} of it is {str(entry.admin).replace('_', ' ')}")


def _release(asked: Asked, view: View) -> Change:
    before = view.entry
    if before.assignment is None and asked.takes_from:
        return Change(view, (), (), "it is released already")
    done = machine.after(before, machine.Release(bool(view.work), asked.force))
    assert before.assignment is not None
    actions: list[Action] = []
    if view.scheduler is not None and view.place is not None and view.seen is not None and view.target == NODE:
        op = before.assignment.op
        if view.scheduler.reservation(op) in view.seen.reservations:
            actions.append(_call(view, view.scheduler.unreserve(op), "unreserved", op, is_first=True))
    notes: list[str] = []
    if before.closed and view.book.can_enforce:
        actions += [_devices(view, u, (), is_first=True) for u in view.uuids]
    elif before.closed:
        notes.append(f"its device files stay closed to others: this login may not open them on {view.node}")
    return Change(view, _entries((before, done)), tuple(actions), "the card book says so", tuple(notes))


# Cards and processes


def _compute_mode(asked: Asked, view: View) -> Change:
    if asked.mode not in ("default", "prohibited", "exclusive_process"):
        raise Refusal(f"there is no compute mode {asked.mode!r}: default, exclusive_process or prohibited")
    _need_rights(view)
    blocked = {u for e in view.book.entries.values() for u, _ in e.modes}
    if blocked & set(view.uuids):
        raise Refusal("a drain blocks it; undrain puts its mode back")
    return Change(view, (), tuple(_mode(view, u, asked.mode) for u in view.uuids), f"compute mode {asked.mode}")


def _reset(asked: Asked, view: View) -> Change:
    _need_out_of_service(view)
    _need_rights(view)
    actions = [_prove(view)]
    for uuid in view.uuids:
        actions.append(Action(
            "reset", f"cardkeeper-node reset {uuid}", view.node, {"verb": "do", "do": "reset", "uuid": uuid},
            {"uuid": uuid}, True,
        ))  # fmt: skip
    note = "cards joined by NVLink may have to be reset together; the driver says so then"
    return Change(view, (), tuple(actions), "the card starts anew; its counters since the last reset are lost", (note,))


def _reboot(asked: Asked, view: View) -> Change:
    if view.target != NODE:
        raise Refusal("name the node: a reboot takes all its cards")
    _need_out_of_service(view)
    check: dict[str, Any] = {"boot_id": view.book.boot_id}
    if view.scheduler is not None and view.place is not None:
        scheduler, place = view.scheduler, view.place
        argv = _asks_scheduler(lambda: scheduler.reboot(place.name, asked.op, asked.reason))
        action = Action(
            "reboot", shlex.join(argv), place.via, {"verb": "exec", "calls": [list(argv)]},
            check | {"node": view.node}, True,
        )  # fmt: skip
    else:
        _need_rights(view)
        action = Action("reboot", "cardkeeper-node reboot", view.node, {"verb": "do", "do": "reboot"},
                        check | {"node": view.node}, True)  # fmt: skip
    return Change(view, (), (_prove(view), action), "it is away for minutes; the hold stays, a block has to be renewed")


def _kill(asked: Asked, view: View) -> Change:
    work = next((w for w in view.work if w.pid == asked.pid), None)
    if work is None:
        raise Refusal(f"no process {asked.pid} runs on it now")
    if not asked.started:
        raise Refusal(f"when process {asked.pid} began is not known, so another could be hit")
    _need_rights(view)
    action = Action(
        "kill", f"cardkeeper-node kill {asked.pid} {asked.started}", view.node,
        {"verb": "do", "do": "kill", "pid": asked.pid, "started": asked.started},
        {"pid": asked.pid, "started": asked.started}, True,
    )  # fmt: skip
    job = f", job {work.job}" if work.job else ""
    return Change(view, (), (action,), f"ends {work.pid} of {work.user or '?'}{job}: {work.command[:80]}")


def _need_rights(view: View) -> None:
    if not view.book.can_enforce:
        raise Refusal(f"this login may not do that on {view.node}; see: cardkeeper sudoers")


def _need_out_of_service(view: View) -> None:
    entries = [view.entry] if view.target == NODE else [view.entry, view.book.entry(NODE)]
    if not any(e.admin in (Admin.DRAINED, Admin.MAINTENANCE) for e in entries):
        raise Refusal(f"{view.label} is {str(view.entry.admin).replace('_', ' ')}: drain it first")


VERBS: dict[str, Callable[[Asked, View], Change]] = {
    "drain": _drain,
    "undrain": _undrain,
    "return": _return,
    "assign": _assign,
    "release": _release,
    "maintenance-begin": _maintenance_begin,
    "maintenance-end": _maintenance_end,
    "mark-healthy": _healthy,
    "compute-mode": _compute_mode,
    "reset": _reset,
    "reboot": _reboot,
    "kill": _kill,
}
