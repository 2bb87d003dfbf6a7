"""Commands of leases: asked for, reserved, begun, changed, ended."""

from __future__ import annotations

from typing import Any

from console.acting import act
from console.app import Console, ConsoleError, person
from console.ledger import leases, meter
from console.ledger.leases import Lease, State
from console.ledger.times import instant_text
from console.registry import Danger, registry
from console.selling import instant, open_ledger


def told_lease(lease: Lease) -> dict[str, Any]:
    """A lease as JSON."""
    return {
        "lease": lease.id, "tenant": lease.tenant, "state": str(lease.state), "plan": lease.plan,
        "plan_version": lease.plan_version, "sku": lease.sku, "cards": lease.cards, "from": instant_text(lease.begin),
        "to": None if lease.end is None else instant_text(lease.end), "since": instant_text(lease.since),
        "reason": lease.reason or None, "held": list(lease.held),
    }  # fmt: skip


@registry.command("lease.request", "Ask for cards", danger=Danger.LOCAL, reads=False)
def lease_request(
    console: Console, *, tenant: str, plan: str, sku: str, cards: int, begin: str | None = None, end: str | None = None,
    name: str = "", movable: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Ask for cards from a time on.

    Args:
        tenant: for whom
        plan: by which plan it pays
        sku: of which cards
        cards: how many
        begin: from when on; now without it
        end: until when; open without it
        name: its name; made without it
        movable: the tenant agrees to be moved to other cards of the SKU
    """
    with open_ledger(console) as ledger:
        since = instant(begin, "begin")
        return told_lease(leases.request(
            ledger, person(), tenant, plan, sku, cards, ledger.now_us() if since is None else since, instant(end, "end"),
            {"movable": True} if movable else None, name,
        ))  # fmt: skip


@registry.command("lease.reserve", "Reserve cards for a lease", danger=Danger.LOCAL, reads=False)
def lease_reserve(console: Console, lease: str, cards: list[str]) -> dict[str, Any]:
    """Hold cards for a lease; what another lease holds in that time is refused.

    Args:
        lease: its name
        cards: UUIDs
    """
    with open_ledger(console) as ledger:
        return told_lease(leases.reserve(ledger, person(), lease, cards))


@registry.command("lease.end", "End a lease that never began", danger=Danger.LOCAL, reads=False)
def lease_end(console: Console, lease: str, *, state: str, why: str) -> dict[str, Any]:
    """Reject, cancel or let expire.

    Args:
        lease: its name
        state: rejected, cancelled or expired
        why: for the tenant
    """
    with open_ledger(console) as ledger:
        return told_lease(leases.end_early(ledger, person(), lease, _state(state), why))


@registry.command("lease.change", "Suspend a lease, mark it failed, or active again", danger=Danger.LOCAL, reads=False)
def lease_change(console: Console, lease: str, *, state: str, why: str, at: str | None = None) -> dict[str, Any]:
    """Suspended: held and paid, not used. Failed: held and not paid.

    Args:
        lease: its name
        state: suspended, failed or active
        why: for whoever comes next
        at: since when; now without it
    """
    with open_ledger(console) as ledger:
        return told_lease(leases.change(ledger, person(), lease, _state(state), why, instant(at, "at")))


@registry.command("lease.plan", "Move a lease to another plan", danger=Danger.LOCAL, reads=False)
def lease_plan(console: Console, lease: str, *, plan: str, at: str | None = None) -> dict[str, Any]:
    """From an instant on another plan, or the newest version of its own; the lease is cut there.

    Args:
        lease: its name
        plan: the plan's name
        at: from when on; now without it
    """
    with open_ledger(console) as ledger:
        return told_lease(leases.change_plan(ledger, person(), lease, plan, instant(at, "at")))


def _state(text: str) -> State:
    try:
        return State(text)
    except ValueError:
        raise ConsoleError(f"--state: {text!r} is none of {', '.join(State)}") from None


@registry.command("lease.list", "List leases", reads=False)
def lease_list(console: Console, *, tenant: str = "") -> list[dict[str, Any]]:
    """All leases, newest first.

    Args:
        tenant: only this one's
    """
    with open_ledger(console) as ledger:
        return [told_lease(one) for one in leases.listing(ledger, tenant)]


@registry.command("lease.show", "Show a lease", reads=False)
def lease_show(console: Console, lease: str) -> dict[str, Any]:
    """A lease with everything that happened to it.

    Args:
        lease: its name
    """
    with open_ledger(console) as ledger:
        events = ledger.rows("SELECT state,at_us,actor,reason FROM lease_event WHERE lease_id=? ORDER BY seq", (lease,))
        return told_lease(leases.get(ledger, lease)) | {
            "events": [
                {"state": e["state"], "at": instant_text(e["at_us"]), "by": e["actor"], "reason": e["reason"] or None}
                for e in events
            ]
        }


@registry.command("lease.begin", "Begin a lease", danger=Danger.NODE, connects=True)
def lease_begin(
    console: Console,
    lease: str,
    cards: list[str] | None = None,
    *,
    user: list[str] | None = None,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Assign a lease's cards to its tenant on their nodes; it is active only when they confirm, and paid from then on.

    Args:
        lease: its name
        cards: UUIDs, where none were reserved
        user: a login that may run there
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    with open_ledger(console) as ledger:
        one = leases.get(ledger, lease)
        targets = list(cards or one.held)
        if State.ACTIVE not in leases.NEXT[one.state]:
            raise ConsoleError(f"lease {lease} is {one.state}; it does not begin again")
        if not targets:
            raise ConsoleError(
                f"lease {lease} has no cards reserved; name them, or: cardkeeper lease reserve {lease} CARD…"
            )
        if cards and one.held and set(cards) != set(one.held):
            raise ConsoleError(f"other cards are reserved for lease {lease}: {', '.join(one.held)}")
        leases.check(ledger, one, targets)
        done = act(
            console, "assign", targets, f"lease {lease}", plan, yes, digest, tenant=one.tenant,
            until=None if one.end is None else one.end / 1_000_000, users=tuple(user or ()), acknowledged=False,
        )  # fmt: skip
        if not done["done"]:
            return done
        begun = leases.activate(ledger, person(), lease, targets)
        return done | {"lease": told_lease(begun)}


@registry.command("lease.return", "Take a lease's cards back", danger=Danger.NODE, connects=True)
def lease_return(
    console: Console,
    lease: str,
    *,
    why: str,
    force: bool = False,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """End the assignment on the nodes; the lease is paid until they confirm.

    Args:
        lease: its name
        why: the reason
        force: although processes run there, which go on
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    with open_ledger(console) as ledger:
        one = leases.get(ledger, lease)
        if one.state not in (State.ACTIVE, State.SUSPENDED, State.FAILED, State.DRAINING):
            raise ConsoleError(f"lease {lease} is {one.state}; it holds nothing that could be returned")
        done = act(console, "release", list(one.held), f"lease {lease}: {why}", plan, yes, digest, force=force)
        if not done["done"]:
            return done
        ended = leases.give_back(ledger, person(), lease, reason=why)
        meter.tick(ledger)
        return done | {"lease": told_lease(ended)}


@registry.command("lease.move", "Move a lease to other cards", danger=Danger.NODE, connects=True)
def lease_move(
    console: Console,
    lease: str,
    cards: list[str],
    *,
    why: str,
    user: list[str] | None = None,
    force: bool = False,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Assign other cards to the lease's tenant and release those that it leaves; what runs there must have ended.

    If the old cards cannot be released, the new ones are given back and the lease stays where it is.

    Args:
        lease: its name
        cards: UUIDs of all the cards that it shall hold
        why: the reason
        user: a login that may run there
        force: although processes run on the old cards, which go on
        digest: do it only if both plans still have this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    with open_ledger(console) as ledger:
        one, taken, left = leases.move_check(ledger, lease, cards)
        reason, until = f"lease {lease}: {why}", None if one.end is None else one.end / 1_000_000

        def assign(of: str | None, look: bool) -> dict[str, Any]:
            return act(
                console, "assign", taken, reason, look, yes, of, tenant=one.tenant, until=until, users=tuple(user or ()),
                acknowledged=False,
            )  # fmt: skip

        def release(cards: list[str], of: str | None, look: bool) -> dict[str, Any]:
            return act(console, "release", cards, reason, look, yes, of, force=force)

        looks = {"assign": assign(None, True)["plan"], "release": release(left, None, True)["plan"]}
        both = _both(*looks.values())
        refused = [f"{r['target']}: {r['why']}" for r in both["refused"]]
        if refused and not plan:
            raise ConsoleError("nothing was done: " + "; ".join(refused))
        if digest is not None and digest != both["digest"]:
            raise ConsoleError("things have changed since that plan was made; look at a new one: add --plan")
        if plan or not yes:
            return {"plan": both, "done": False, "confirm": None if plan else both["confirm"]}
        assign(looks["assign"]["digest"], False)
        try:
            given = release(left, looks["release"]["digest"], False)
        except ConsoleError as exc:
            release(taken, None, False)
            raise ConsoleError(f"{exc}\nthe new cards were given back; lease {lease} stays where it is") from exc
        return given | {"lease": told_lease(leases.move(ledger, person(), lease, cards, why))}


def _both(taking: dict[str, Any], leaving: dict[str, Any]) -> dict[str, Any]:
    """Two plans told as one that does both."""
    return taking | {
        "verb": "move", "digest": f"{taking['digest']}-{leaving['digest']}",
        "blast": {key: n + leaving["blast"][key] for key, n in taking["blast"].items()},
        "warnings": taking["warnings"] + leaving["warnings"], "refused": taking["refused"] + leaving["refused"],
        "targets": taking["targets"] + leaving["targets"],
    }  # fmt: skip
