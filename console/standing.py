"""How the business stands now: the pool, who holds what, what is owed so far, what is wasted. No Qt; blocks on the disk."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from console.ledger import invoices, leases, meter, pool, tenants
from console.ledger.errors import LedgerError
from console.ledger.leases import Lease, State
from console.ledger.money import cost, rounded, text_of
from console.ledger.plans import Kind, Plan
from console.ledger.schema import FILE
from console.ledger.store import Ledger
from console.ledger.times import period_of, span_of, us_of
from console.usage import Usage, used

PAYING = (State.ACTIVE, State.DRAINING, State.SUSPENDED)


@dataclass(frozen=True, slots=True)
class Bar:
    """A hold in the calendar. Microseconds; `end` None while open."""

    card: str
    lease: str
    tenant: str
    state: str
    begin: int
    end: int | None


@dataclass(frozen=True, slots=True)
class TenantStand:
    """A tenant this month. Money as text in its currency."""

    id: str
    name: str
    industry: str
    currency: str
    period: str
    leased: tuple[str, ...]
    spent: str
    forecast: str


@dataclass(frozen=True, slots=True)
class Standing:
    """The business at an instant.

    Attributes:
        cards: rows of `pool.listing`; bars: holds that are not over.
        today: {currency: (revenue, waste or None where nothing was recorded)} since local midnight.
    """

    at: int
    cards: tuple[dict[str, Any], ...] = ()
    skus: tuple[tuple[str, str, int, int], ...] = ()
    bars: tuple[Bar, ...] = ()
    tenants: tuple[TenantStand, ...] = ()
    leases: tuple[Lease, ...] = ()
    invoices: tuple[dict[str, Any], ...] = ()
    usage: tuple[Usage, ...] = ()
    plans: tuple[str, ...] = ()
    today: tuple[tuple[str, str, str | None], ...] = ()

    @property
    def seen_percent(self) -> int | None:
        """How much of today's leased time was recorded; None where nothing was leased."""
        held = sum(u.held for u in self.usage)
        return None if not held else sum(u.seen for u in self.usage) * 100 // held

    @property
    def leased(self) -> int:
        """Cards that a lease holds now."""
        return sum(c["lease"] is not None for c in self.cards)


def told(standing: Standing | None) -> dict[str, Any]:
    """A standing as JSON; {} where no ledger was begun."""
    return {} if standing is None else dict(msgspec.to_builtins(standing))


def understood(found: object) -> Standing | None:
    """The standing that a server told.

    Raises:
        LedgerError: it is none; the server is of another version.
    """
    try:
        return msgspec.convert(found, Standing) if found else None
    except msgspec.ValidationError as exc:
        raise LedgerError(
            f"the server's answer is not understood ({exc}); it is of another version of Cardkeeper"
        ) from exc


class _Undo(Exception):
    """Takes back what was recorded only to be looked at."""


def look(folder: Path, ledger: Ledger | None = None) -> Standing | None:
    """The business of a data folder; None where no ledger was begun.

    Raises:
        LedgerError: it cannot be read.
    """
    if ledger is None:
        if not (folder / FILE).exists():
            return None
        with Ledger(folder) as opened:
            return look(folder, opened)
    now = ledger.now_us()
    drafts: dict[str, Any] = {}
    with contextlib.suppress(_Undo), ledger.writing():
        # What the meter owes is recorded to be rated, and taken back: looking must not make rows.
        meter.tick(ledger)
        for row in ledger.rows("SELECT * FROM tenant ORDER BY id"):
            drafts[row["id"]] = (row, _draft(ledger, row, now))
        raise _Undo
    found = tuple(leases.listing(ledger))
    plans = {lease.id: tenants.plan(ledger, lease.plan, lease.plan_version) for lease in found}
    cards = tuple(pool.listing(ledger, now))
    midnight = us_of(datetime.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0))
    usage = tuple(used(folder, ledger, found, plans, midnight, now))
    return Standing(
        now, cards, _skus(cards), _bars(ledger, found, now),
        tuple(_tenant(row, made, found, plans, now) for row, made in drafts.values()), found,
        tuple(invoices.listing(ledger)), usage, tuple(r["id"] for r in ledger.rows("SELECT DISTINCT id FROM plan ORDER BY id")),
        _today(usage),
    )  # fmt: skip


def _draft(ledger: Ledger, row: dict[str, Any], now: int) -> invoices.Draft | None:
    with contextlib.suppress(LedgerError):
        return invoices.draft(ledger, row["id"], period_of(now, row["tz"]))
    return None


def _skus(cards: tuple[dict[str, Any], ...]) -> tuple[tuple[str, str, int, int], ...]:
    """(SKU, region, cards, of them leased)."""
    whole = Counter((c["sku"], c["region"]) for c in cards)
    leased = Counter((c["sku"], c["region"]) for c in cards if c["lease"] is not None)
    return tuple((sku, region, n, leased[sku, region]) for (sku, region), n in sorted(whole.items()))


def _bars(ledger: Ledger, found: tuple[Lease, ...], now: int) -> tuple[Bar, ...]:
    of = {lease.id: lease for lease in found}
    since = now - 7 * 86_400_000_000
    rows = ledger.rows(
        "SELECT card_uuid,lease_id,from_us,to_us FROM hold WHERE from_us IS NOT to_us AND (to_us IS NULL OR to_us>?) "
        "ORDER BY from_us", (since,),
    )  # fmt: skip
    return tuple(
        Bar(
            r["card_uuid"],
            r["lease_id"],
            of[r["lease_id"]].tenant,
            str(of[r["lease_id"]].state),
            r["from_us"],
            r["to_us"],
        )
        for r in rows
    )


def _tenant(
    row: dict[str, Any], made: invoices.Draft | None, found: tuple[Lease, ...], plans: dict[str, Plan], now: int
) -> TenantStand:
    digits, period = row["minor_units"], period_of(now, row["tz"])
    end = span_of(period, row["tz"])[1]
    mine = [one for one in found if one.tenant == row["id"] and one.state in PAYING]
    spent = 0 if made is None else made.total
    ahead = sum((_ahead(one, plans[one.id], now, end) for one in mine), Fraction(0))
    return TenantStand(
        row["id"], row["name"], row["industry"], row["currency"], period, tuple(u for one in mine for u in one.held),
        text_of(spent, digits), text_of(spent + rounded(ahead), digits),
    )  # fmt: skip


def _ahead(lease: Lease, plan: Plan, now: int, end: int) -> Fraction:
    """What the rest of the month costs if nothing changes; a subscription is paid already."""
    if plan.kind is not Kind.PAYG:
        return Fraction(0)
    until = end if lease.end is None else min(end, lease.end)
    return cost(max(0, until - now) * len(lease.held), plan.contracted(plan.price(lease.sku)), plan.digits)


def _today(usage: tuple[Usage, ...]) -> tuple[tuple[str, str, str | None], ...]:
    revenue: Counter[str] = Counter()
    waste: Counter[str] = Counter()
    known: set[str] = set()
    digits = {}
    for one in usage:
        digits[one.currency] = one.digits
        revenue[one.currency] += one.revenue
        if one.waste is not None:
            known.add(one.currency)
            waste[one.currency] += one.waste
    return tuple(
        (c, text_of(revenue[c], digits[c]), text_of(waste[c], digits[c]) if c in known else None)
        for c in sorted(digits)
    )
