"""Scenarios beside what is planned: prices drop, a supplier is late, a tenant leaves. Nothing is kept, no invoice is touched.

Revenue of the months to come is what the invoices would be if nothing else changed: rated by the plans, month by month of each
tenant's calendar, before tax.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from console.ledger import leases, tenants
from console.ledger.errors import LedgerError
from console.ledger.leases import Lease, State
from console.ledger.money import digits_of, text_of
from console.ledger.plans import Kind as PlanKind
from console.ledger.plans import Plan
from console.ledger.rating import Held, Terms, rate
from console.ledger.store import Ledger
from console.ledger.times import period_of, shifted, span_of
from console.placement.capacity import DAY_US, Booking, Outlook, Supply
from console.prospect import Facts, at_or_none

LIVE = (State.ACTIVE, State.DRAINING, State.SUSPENDED, State.RESERVED)
MOST_MONTHS = 60


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is different.

    Attributes:
        drop: share by which prices fall: at once where a tenant may leave any day, else when its lease ends.
        late: {supplier: days} that its deliveries come later; leaves: tenants that go now.
        renew: share of the cards that stay when a lease ends.
    """

    name: str
    drop: Fraction = Fraction(0)
    late: Mapping[str, int] = field(default_factory=dict)
    leaves: tuple[str, ...] = ()
    renew: Fraction = Fraction(0)

    @property
    def words(self) -> str:
        """What changes, for people."""
        parts = [f"prices fall by {float(self.drop * 100):g} %"] if self.drop else []
        parts += [f"{s} is {d} days late" for s, d in sorted(self.late.items())]
        parts += [f"{t} leaves" for t in self.leaves]
        return "; ".join(parts) or "nothing"


def scenarios(
    ledger: Ledger, drop: Fraction, late: Mapping[str, int], leaves: Sequence[str], renew: Fraction
) -> list[Scenario]:
    """As it is, each change alone, and all of them together.

    Raises:
        LedgerError: a supplier or tenant is unknown, or nothing changes.
    """
    for name in late:
        ledger.known("supplier", name, "supplier")
    for name in leaves:
        ledger.known("tenant", name, "tenant")
    out = [Scenario("as it is", renew=renew)]
    if drop:
        out.append(Scenario("price drop", drop, renew=renew))
    out += [Scenario(f"{s} late", late={s: d}, renew=renew) for s, d in late.items()]
    out += [Scenario(f"{t} leaves", leaves=(t,), renew=renew) for t in leaves]
    if len(out) == 1:
        raise LedgerError("say what changes: --price-drop, --late SUPPLIER=DAYS or --leaves TENANT")
    if len(out) > 2:
        out.append(Scenario("all together", drop, dict(late), tuple(leaves), renew))
    return out


def changed(found: Facts, one: Scenario) -> Facts:
    """The facts as they would be."""
    bookings: list[Booking] = []
    for b in found.bookings:
        if b.tenant in one.leaves and b.end > found.now:
            if b.begin < found.now:
                bookings.append(replace(b, end=found.now))
        else:
            bookings.append(b)
    supply: list[Supply] = [
        replace(s, begin=s.begin + one.late[s.supplier] * DAY_US) if s.delivery and s.supplier in one.late else s
        for s in found.supply
    ]
    return replace(found, bookings=tuple(bookings), supply=tuple(supply))


def _cheaper(plan: Plan, drop: Fraction) -> Plan:
    def less(nano: int) -> int:
        return round(nano * (1 - drop))

    return replace(
        plan, list_nano=less(plan.list_nano), prices={s: less(p) for s, p in plan.prices.items()},
        committed_nano=less(plan.committed_nano),
    )  # fmt: skip


def _terms(lease: Lease, plan: Plan, one: Scenario) -> list[Terms]:
    """A lease from now on, and after its end the share of it that is renewed."""
    dropped = _cheaper(plan, one.drop) if one.drop else plan
    is_free = plan.kind is PlanKind.PAYG
    now = dropped if is_free else plan
    anchor = lease.begin
    # No end is a time far beyond any horizon.
    end = 2**62 if lease.end is None else lease.end
    held = Held("", ((lease.begin, end),), count=len(lease.held) or lease.cards)
    out = [Terms(lease.id, now, lease.sku, lease.begin, end, (held,), anchor)]
    stays = round(one.renew * held.count)
    if lease.end is not None and stays:
        later = Held("", ((end, 2**62),), count=stays)
        out.append(Terms(f"{lease.id} renewed", dropped, lease.sku, end, 2**62, (later,), end))
    return out


def revenue(ledger: Ledger, one: Scenario, months: int) -> list[tuple[str, str, int]]:
    """(month, currency, minor units) of the whole months to come, before tax."""
    found = [lease for lease in leases.listing(ledger) if lease.state in LIVE and lease.tenant not in one.leaves]
    out: Counter[tuple[str, str]] = Counter()
    for row in ledger.rows("SELECT * FROM tenant ORDER BY id"):
        mine = [lease for lease in found if lease.tenant == row["id"]]
        terms = [t for lease in mine for t in _terms(lease, tenants.plan(ledger, lease.plan, lease.plan_version), one)]
        period = period_of(ledger.now_us(), row["tz"])
        for _ in range(months):
            period = shifted(period, 1)
            within = span_of(period, row["tz"])
            # Terms that are rated reach no farther than the month, so that no anchor is sought at the end of time.
            near = [_until(t, within[1]) for t in terms if t.begin < within[1] and (t.end or 0) > within[0]]
            out[period, row["currency"]] += sum(line.billed for line in rate(near, period, row["tz"]))
    return [(period, currency, n) for (period, currency), n in sorted(out.items())]


def _until(terms: Terms, end: int) -> Terms:
    """Cut a year after a month's end: what lies beyond changes nothing of that month."""
    last = min(terms.end or end, end + 400 * DAY_US)
    cards = tuple(replace(h, spans=tuple((a, min(b, last)) for a, b in h.spans)) for h in terms.cards)
    return replace(terms, end=last, cards=cards)


def compare(ledger: Ledger, found: Facts, made: Sequence[Scenario], months: int) -> list[dict[str, Any]]:
    """Each scenario as JSON: revenue by month and in all, what it is less than as it is, and when what is full."""
    days = min(months * 30, 365)
    out: list[dict[str, Any]] = []
    base: Counter[str] = Counter()
    for one in made:
        rows = revenue(ledger, one, months)
        totals: Counter[str] = Counter()
        for _, currency, amount in rows:
            totals[currency] += amount
        base = base or totals
        out.append({
            "scenario": one.name, "changes": one.words,
            "revenue": [{"month": m, "currency": c, "amount": text_of(n, digits_of(c))} for m, c, n in rows],
            "totals": [
                {
                    "currency": c, "amount": text_of(n, digits_of(c)), "difference": text_of(n - base[c], digits_of(c)),
                    "difference_percent": round(float(Fraction(100 * (n - base[c]), base[c])), 2) if base[c] else None,
                }
                for c, n in sorted(totals.items())
            ],
            "pools": [_told_pool(o) for o in changed(found, one).outlooks(days)],
        })  # fmt: skip
    return out


def _told_pool(one: Outlook) -> dict[str, Any]:
    return {
        "sku": one.sku, "region": one.region, "rentable": float(one.rentable[0]), "full": at_or_none(one.full),
        "full_likely": at_or_none(one.full_likely), "short_card_hours": round(one.short_card_hours, 1),
        "utilisation": None if one.utilisation is None else round(one.utilisation, 4),
    }  # fmt: skip
