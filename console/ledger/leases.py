"""Leases: from asked for to returned, each change an event with who and why, and the cards they hold meanwhile."""

from __future__ import annotations

import enum
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.ledger import tenants
from console.ledger.errors import LedgerError
from console.ledger.plans import Kind
from console.ledger.store import Ledger
from console.ledger.times import instant_text

FOREVER = 2**63 - 1


class State(enum.StrEnum):
    """Where a lease stands."""

    REQUESTED = "requested"
    RESERVED = "reserved"
    ACTIVE = "active"
    DRAINING = "draining"
    RETURNED = "returned"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SUSPENDED = "suspended"
    FAILED = "failed"


NEXT: Mapping[State | None, tuple[State, ...]] = {
    None: (State.REQUESTED,),
    State.REQUESTED: (State.RESERVED, State.ACTIVE, State.REJECTED, State.CANCELLED),
    State.RESERVED: (State.ACTIVE, State.CANCELLED, State.EXPIRED),
    State.ACTIVE: (State.DRAINING, State.SUSPENDED, State.FAILED),
    State.SUSPENDED: (State.ACTIVE, State.DRAINING),
    State.FAILED: (State.ACTIVE, State.DRAINING),
    State.DRAINING: (State.RETURNED, State.ACTIVE),
    State.RETURNED: (), State.REJECTED: (), State.CANCELLED: (), State.EXPIRED: (),
}  # fmt: skip
"""What may follow what; the file refuses everything else, too."""

ENDED = (State.RETURNED, State.REJECTED, State.CANCELLED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it stands. Times in UTC microseconds; `held` are the cards it holds or will hold."""

    id: str
    tenant: str
    plan: str
    plan_version: int
    sku: str
    cards: int
    begin: int
    end: int | None
    state: State
    since: int
    reason: str
    held: tuple[str, ...]
    spec: Mapping[str, Any]


def request(
    ledger: Ledger, actor: str, tenant: str, plan: str, sku: str, cards: int, begin: int, end: int | None = None,
    spec: Mapping[str, Any] | None = None, name: str = "",
) -> Lease:  # fmt: skip
    """Ask for cards.

    Raises:
        LedgerError: tenant, plan or SKU are unknown, the currencies differ, or the time is none.
    """
    who = ledger.known("tenant", tenant, "tenant")
    ledger.known("sku", sku, "sku")
    terms = tenants.plan(ledger, plan)
    if terms.currency != who["currency"]:
        raise LedgerError(f"plan {plan} is in {terms.currency}, tenant {tenant} pays in {who['currency']}")
    if cards < 1 or (end is not None and end <= begin):
        raise LedgerError("a lease is of one card or more, and ends after it begins")
    made = tenants.checked_id(name, "lease") if name else f"L-{secrets.token_hex(4)}"
    now = ledger.now_us()
    with ledger.writing():
        ledger.insert("lease", {
            "id": made, "tenant_id": tenant, "sku_id": sku, "cards": cards, "requested_us": now, "from_us": begin,
            "to_us": end, "spec_json": json.dumps(spec or {}, sort_keys=True, ensure_ascii=False),
        })  # fmt: skip
        ledger.insert("lease_terms", {
            "lease_id": made, "plan_id": plan, "plan_version": terms.version, "from_us": 0, "actor": actor,
        })  # fmt: skip
        _event(ledger, made, None, State.REQUESTED, now, actor, "")
    return get(ledger, made)


def get(ledger: Ledger, name: str) -> Lease:
    """A lease as it stands.

    Raises:
        LedgerError: there is none.
    """
    row = ledger.known("lease", name, "lease")
    event = ledger.one("SELECT * FROM lease_event WHERE lease_id=? ORDER BY seq DESC LIMIT 1", (name,))
    terms = ledger.one("SELECT * FROM lease_terms WHERE lease_id=? ORDER BY from_us DESC,seq DESC LIMIT 1", (name,))
    # Cards that it was moved from ended before those that it holds, or held last.
    held = ledger.rows(
        "SELECT card_uuid FROM hold WHERE lease_id=? AND from_us IS NOT to_us AND COALESCE(to_us,?)=(SELECT "
        "MAX(COALESCE(to_us,?)) FROM hold WHERE lease_id=? AND from_us IS NOT to_us) ORDER BY card_uuid",
        (name, FOREVER, FOREVER, name),
    )
    assert event is not None
    assert terms is not None
    return Lease(
        name, row["tenant_id"], terms["plan_id"], terms["plan_version"], row["sku_id"], row["cards"], row["from_us"],
        row["to_us"], State(event["state"]), event["at_us"], event["reason"], tuple(h["card_uuid"] for h in held),
        json.loads(row["spec_json"]),
    )  # fmt: skip


def _event(ledger: Ledger, name: str, prev: str | None, state: State, at: int, actor: str, reason: str) -> None:
    ledger.insert("lease_event", {
        "lease_id": name, "prev": prev, "state": str(state), "at_us": at, "actor": actor, "reason": reason,
    })  # fmt: skip


def _to(ledger: Ledger, actor: str, name: str, state: State, at: int | None, reason: str) -> Lease:
    lease = get(ledger, name)
    if state not in NEXT[lease.state]:
        can = ", ".join(NEXT[lease.state]) or "nothing"
        raise LedgerError(f"lease {name} is {lease.state}; it can become {can}, not {state}")
    moment = ledger.now_us() if at is None else at
    if moment < lease.since and lease.state is not State.REQUESTED:
        raise LedgerError(
            f"lease {name} became {lease.state} at {instant_text(lease.since)}; what follows is not earlier"
        )
    _event(ledger, name, str(lease.state), state, moment, actor, reason)
    return lease


def conflicts(ledger: Ledger, cards: Sequence[str], begin: int, end: int | None, but: str = "") -> list[dict[str, Any]]:
    """Holds of other leases on these cards within a time, and on their slices or the cards they are slices of."""
    marks = ",".join("?" * len(cards))
    return ledger.rows(
        "SELECT h.card_uuid AS card,h.lease_id AS lease,h.from_us,h.to_us FROM hold h JOIN card c ON c.uuid=h.card_uuid "
        f"WHERE (c.uuid IN ({marks}) OR c.parent_uuid IN ({marks}) OR c.uuid IN (SELECT parent_uuid FROM card WHERE uuid IN "
        f"({marks}))) AND h.from_us IS NOT h.to_us AND h.lease_id<>? AND h.from_us<? AND COALESCE(h.to_us,{FOREVER})>? "
        "ORDER BY h.from_us,h.card_uuid",
        (*cards, *cards, *cards, but, FOREVER if end is None else end, begin),
    )


def reserve(ledger: Ledger, actor: str, name: str, cards: Sequence[str], at: int | None = None) -> Lease:
    """Hold cards for a lease, from when it was asked for.

    Raises:
        LedgerError: cards are too many or few, of another SKU, retired, held, or beyond the tenant's quota.
    """
    with ledger.writing():
        lease = _to(ledger, actor, name, State.RESERVED, at, "")
        _hold(ledger, lease, cards, lease.begin)
        ledger.note(actor, "lease reserved", {"lease": name, "cards": list(cards)})
    return get(ledger, name)


def check(ledger: Ledger, lease: Lease, cards: Sequence[str]) -> None:
    """Whether these cards can be the lease's from now on.

    Raises:
        LedgerError: they cannot; see `reserve`.
    """
    if not lease.held:
        _fits(ledger, lease, cards, ledger.now_us())


def _hold(ledger: Ledger, lease: Lease, cards: Sequence[str], begin: int) -> None:
    _fits(ledger, lease, cards, begin)
    for uuid in sorted(set(cards)):
        ledger.insert("hold", {"lease_id": lease.id, "card_uuid": uuid, "from_us": begin, "to_us": lease.end})


def _fits(ledger: Ledger, lease: Lease, cards: Sequence[str], begin: int) -> None:
    if len(set(cards)) != lease.cards:
        raise LedgerError(f"lease {lease.id} is of {lease.cards} cards; {len(set(cards))} were named")
    _cards_fit(ledger, lease, cards, begin)
    _within_quota(ledger, lease, begin)


def _cards_fit(ledger: Ledger, lease: Lease, cards: Sequence[str], begin: int) -> None:
    for uuid in cards:
        card = ledger.one("SELECT * FROM card WHERE uuid=?", (uuid,))
        if card is None or card["retired_us"] is not None:
            raise LedgerError(f"card {uuid} is not in the pool; see: cardkeeper pool list")
        if begin < card["commissioned_us"]:
            raise LedgerError(f"card {uuid} is in the pool only since {instant_text(card['commissioned_us'])}")
        if card["sku_id"] != lease.sku:
            raise LedgerError(f"card {uuid} is a {card['sku_id']}; lease {lease.id} is of {lease.sku}")
    taken = conflicts(ledger, cards, begin, lease.end)
    if taken:
        first = taken[0]
        until = "without an end" if first["to_us"] is None else f"to {instant_text(first['to_us'])}"
        raise LedgerError(
            f"card {first['card']} is held by lease {first['lease']} from {instant_text(first['from_us'])} {until}"
        )


def _within_quota(ledger: Ledger, lease: Lease, begin: int) -> None:
    end = FOREVER if lease.end is None else lease.end
    held = ledger.rows(
        "SELECT l.tenant_id AS tenant,count(DISTINCT h.card_uuid) AS n FROM hold h JOIN lease l ON l.id=h.lease_id "
        f"WHERE l.sku_id=? AND h.from_us IS NOT h.to_us AND h.from_us<? AND COALESCE(h.to_us,{FOREVER})>? GROUP BY 1",
        (lease.sku, end, begin),
    )
    used = Counter({r["tenant"]: r["n"] for r in held})
    most = tenants.allowed(ledger, lease.tenant, lease.sku, used)
    if most is not None and used[lease.tenant] + lease.cards > most:
        raise LedgerError(
            f"tenant {lease.tenant} may hold {most} cards of {lease.sku} and holds {used[lease.tenant]} in that time; "
            f"{lease.cards} more are beyond its quota"
        )


def activate(ledger: Ledger, actor: str, name: str, cards: Sequence[str] = (), at: int | None = None) -> Lease:
    """Begin: the node confirmed that the cards are the tenant's. What was reserved begins now.

    Raises:
        LedgerError: it is not possible now.
    """
    moment = ledger.now_us() if at is None else at
    with ledger.writing() as connection:
        lease = _to(ledger, actor, name, State.ACTIVE, moment, "")
        if lease.state is State.REQUESTED:
            _hold(ledger, lease, cards, moment)
        elif lease.state is State.RESERVED:
            if lease.end is not None and moment >= lease.end:
                raise LedgerError(f"lease {name} would begin after its end, {instant_text(lease.end)}")
            if moment < lease.begin:
                early = conflicts(ledger, lease.held, moment, lease.begin, name)
                if early:
                    raise LedgerError(f"card {early[0]['card']} is held by lease {early[0]['lease']} until then")
            connection.execute("UPDATE hold SET from_us=? WHERE lease_id=? AND from_us IS NOT to_us", (moment, name))
        ledger.note(actor, "lease active", {"lease": name})
    return get(ledger, name)


def move_check(ledger: Ledger, name: str, cards: Sequence[str]) -> tuple[Lease, list[str], list[str]]:
    """(the lease, cards that it would take, cards that it would leave) if it held these cards from now on.

    Raises:
        LedgerError: it is not active, they are not as many, or cannot be its own.
    """
    lease = get(ledger, name)
    if lease.state is not State.ACTIVE:
        raise LedgerError(f"lease {name} is {lease.state}; only an active one is moved")
    terms = tenants.plan(ledger, lease.plan, lease.plan_version)
    if terms.kind is Kind.SUBSCRIPTION and not terms.prorate:
        raise LedgerError(f"plan {terms.id} is not prorated: a card moved within its period would be paid for twice")
    held = set(lease.held)
    taken, left = sorted(set(cards) - held), sorted(held - set(cards))
    if len(set(cards)) != lease.cards:
        raise LedgerError(f"lease {name} is of {lease.cards} cards; name as many as it shall hold")
    if not taken:
        raise LedgerError(f"lease {name} holds these cards already")
    now = ledger.now_us()
    if lease.end is not None and now >= lease.end:
        raise LedgerError(f"lease {name} is past its end; return it")
    _cards_fit(ledger, lease, taken, now)
    return lease, taken, left


def move(ledger: Ledger, actor: str, name: str, cards: Sequence[str], reason: str) -> Lease:
    """Other cards from now on; the lease, its price and its clock go on.

    Raises:
        LedgerError: see `move_check`.
    """
    with ledger.writing() as connection:
        lease, taken, left = move_check(ledger, name, cards)
        now = ledger.now_us()
        for uuid in left:
            connection.execute(
                "UPDATE hold SET to_us=? WHERE lease_id=? AND card_uuid=? AND (to_us IS NULL OR to_us>?)",
                (now, name, uuid, now),
            )
        for uuid in taken:
            ledger.insert("hold", {"lease_id": name, "card_uuid": uuid, "from_us": now, "to_us": lease.end})
        ledger.note(actor, "lease moved", {"lease": name, "taken": taken, "left": left, "reason": reason})
    return get(ledger, name)


def drain(ledger: Ledger, actor: str, name: str, reason: str, at: int | None = None) -> Lease:
    """Let its work end. Raises LedgerError where that is not possible now."""
    with ledger.writing():
        _to(ledger, actor, name, State.DRAINING, at, reason)
    return get(ledger, name)


def give_back(ledger: Ledger, actor: str, name: str, at: int | None = None, reason: str = "") -> Lease:
    """Returned: the cards are nobody's from then on. Raises LedgerError where that is not possible now."""
    moment = ledger.now_us() if at is None else at
    with ledger.writing() as connection:
        lease = get(ledger, name)
        if lease.state in (State.ACTIVE, State.SUSPENDED, State.FAILED):
            _to(ledger, actor, name, State.DRAINING, moment, reason)
        _to(ledger, actor, name, State.RETURNED, moment, reason)
        connection.execute(
            "UPDATE hold SET to_us=MAX(from_us,?) WHERE lease_id=? AND (to_us IS NULL OR to_us>?)",
            (moment, name, moment),
        )
        ledger.note(actor, "lease returned", {"lease": name, "reason": reason})
    return get(ledger, name)


def end_early(ledger: Ledger, actor: str, name: str, state: State, reason: str, at: int | None = None) -> Lease:
    """Rejected, cancelled or expired: it never began. Raises LedgerError where that is not possible now."""
    if state not in (State.REJECTED, State.CANCELLED, State.EXPIRED):
        raise LedgerError(f"{state} is not an end of a lease that never began")
    with ledger.writing() as connection:
        _to(ledger, actor, name, state, at, reason)
        connection.execute("UPDATE hold SET to_us=from_us WHERE lease_id=?", (name,))
        ledger.note(actor, f"lease {state}", {"lease": name, "reason": reason})
    return get(ledger, name)


def change(ledger: Ledger, actor: str, name: str, state: State, reason: str, at: int | None = None) -> Lease:
    """Suspended, failed, or active again. Raises LedgerError where that is not possible now."""
    if state not in (State.SUSPENDED, State.FAILED, State.ACTIVE):
        raise LedgerError(f"{state} has a verb of its own")
    with ledger.writing():
        _to(ledger, actor, name, state, at, reason)
        ledger.note(actor, f"lease {state}", {"lease": name, "reason": reason})
    return get(ledger, name)


def change_plan(ledger: Ledger, actor: str, name: str, plan: str, at: int | None = None) -> Lease:
    """Another plan, or its newest version, from an instant on: the lease is cut there.

    Raises:
        LedgerError: the currencies differ, or a subscription that is not prorated would be cut.
    """
    lease, made = get(ledger, name), tenants.plan(ledger, plan)
    before = tenants.plan(ledger, lease.plan, lease.plan_version)
    if made.currency != before.currency:
        raise LedgerError(f"plan {plan} is in {made.currency}, lease {name} is paid in {before.currency}")
    for one in (before, made):
        if one.kind is Kind.SUBSCRIPTION and not one.prorate:
            raise LedgerError(f"plan {one.id} is not prorated: end lease {name} with its period, and begin another")
    with ledger.writing():
        ledger.insert("lease_terms", {
            "lease_id": name, "plan_id": plan, "plan_version": made.version,
            "from_us": ledger.now_us() if at is None else at, "actor": actor,
        })  # fmt: skip
        ledger.note(actor, "lease plan changed", {"lease": name, "plan": plan, "version": made.version})
    return get(ledger, name)


def listing(ledger: Ledger, tenant: str = "") -> list[Lease]:
    """All leases, or a tenant's, newest first."""
    sql = "SELECT id FROM lease" + (" WHERE tenant_id=?" if tenant else "") + " ORDER BY requested_us DESC,id"
    return [get(ledger, r["id"]) for r in ledger.rows(sql, (tenant,) if tenant else ())]
