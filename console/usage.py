"""How leased cards were used: by the recorded minutes of NVML's utilisation. What was not seen is unknown, never idle."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from console.history.errors import HistoryError
from console.ledger import leases
from console.ledger.leases import Lease
from console.ledger.meter import live_spans
from console.ledger.money import HOUR_US, rounded, text_of
from console.ledger.plans import Kind, Plan
from console.ledger.rating import decimal_text
from console.ledger.spans import Span, clipped, coalesced, common, total
from console.ledger.store import Ledger
from console.ledger.tenants import plan as plan_of
from console.ledger.times import anchored, instant_text, span_of

IDLE_PERCENT = 5
"""A minute whose mean utilisation is below this is idle; so is a card that a job only holds."""

MINUTE_US = 60_000_000
HOW = (
    f"A minute is idle where the mean of nvmlDeviceGetUtilizationRates.gpu is below {IDLE_PERCENT} %. Seen is the share of the "
    "leased time that was recorded; what was not seen counts as neither. Waste is idle time at the contracted price."
)


@dataclass(frozen=True, slots=True)
class Usage:
    """A lease within a time. Card-microseconds; money in minor units; `waste` None where nothing was recorded."""

    lease: str
    tenant: str
    sku: str
    currency: str
    digits: int
    cards: int
    held: int
    seen: int
    idle: int
    revenue: int
    waste: int | None


def price_hour(plan: Plan, sku: str, at: int, anchor: int, tz: str) -> Fraction:
    """What a card-hour costs, in nano-units: of a subscription its period's price over its period's hours."""
    contracted = plan.contracted(plan.price(sku))
    if plan.kind is not Kind.SUBSCRIPTION:
        return Fraction(contracted)
    k = 0
    while anchored(anchor, tz, plan.every, k + 1) <= at:
        k += 1
    begin, end = anchored(anchor, tz, plan.every, k), anchored(anchor, tz, plan.every, k + 1)
    return Fraction(contracted * HOUR_US, end - begin)


def used(
    folder: Path, ledger: Ledger, found: Iterable[Lease], plans: Mapping[str, Plan], begin: int, end: int
) -> Iterator[Usage]:
    """Every lease that was paid for within a time."""
    minutes = _minutes(folder, begin, end)
    for lease in found:
        events = [
            (r["state"], r["at_us"])
            for r in ledger.rows("SELECT state,at_us FROM lease_event WHERE lease_id=? ORDER BY seq", (lease.id,))
        ]
        paid = clipped(live_spans(events, end), (begin, end))
        if not paid:
            continue
        yield _of(ledger, lease, plans[lease.id], paid, minutes, (begin, end))


def _of(
    ledger: Ledger,
    lease: Lease,
    plan: Plan,
    paid: list[Span],
    minutes: dict[str, tuple[list[int], list[bool]]],
    within: Span,
) -> Usage:
    held = seen = idle = 0
    rows = ledger.rows(
        "SELECT card_uuid,from_us,to_us FROM hold WHERE lease_id=? AND from_us IS NOT to_us", (lease.id,)
    )
    for row in rows:
        spans = common(coalesced([(row["from_us"], within[1] if row["to_us"] is None else row["to_us"])]), paid)
        held += total(spans)
        times, is_idle = minutes.get(row["card_uuid"], ([], []))
        for a, b in spans:
            low, high = bisect.bisect_left(times, a - MINUTE_US + 1), bisect.bisect_left(times, b)
            for at, was in zip(times[low:high], is_idle[low:high], strict=True):
                part = min(b, at + MINUTE_US) - max(a, at)
                seen += part
                idle += part if was else 0
    tz = ledger.known("tenant", lease.tenant, "tenant")["tz"]
    price = price_hour(plan, lease.sku, within[0], lease.begin, tz)
    revenue = rounded(Fraction(held) * price * 10**plan.digits / (HOUR_US * 10**9))
    waste = None if not seen else rounded(Fraction(idle) * price * 10**plan.digits / (HOUR_US * 10**9))
    return Usage(
        lease.id, lease.tenant, lease.sku, plan.currency, plan.digits, lease.cards, held, seen, idle, revenue, waste
    )


def _minutes(folder: Path, begin: int, end: int) -> dict[str, tuple[list[int], list[bool]]]:
    """{card: (begins of minutes in microseconds, whether each was idle)}; empty where nothing was recorded."""
    from console.history.reader import Reader

    out: dict[str, tuple[list[int], list[bool]]] = {}
    try:
        with Reader(folder) as reader:
            rows = reader.rows(
                "SELECT uuid,minute,mean FROM minutes WHERE metric='utilization_gpu' AND minute>=? AND minute<? AND "
                "mean IS NOT NULL ORDER BY uuid,minute",
                (begin // MINUTE_US, -(-end // MINUTE_US)),
            )
    except HistoryError:
        return out
    for uuid, minute, mean in rows:
        times, idle = out.setdefault(uuid, ([], []))
        times.append(minute * MINUTE_US)
        idle.append(mean < IDLE_PERCENT)
    return out


def statement(folder: Path, ledger: Ledger, tenant: str, period: str) -> dict[str, Any]:
    """What a tenant had of its leases in a month: hours, how much of it was seen, idle, and what that cost.

    Raises:
        LedgerError: there is no such tenant or period.
    """
    who = ledger.known("tenant", tenant, "tenant")
    begin, end = span_of(period, who["tz"])
    found = leases.listing(ledger, tenant)
    plans = {one.id: plan_of(ledger, one.plan, one.plan_version) for one in found}
    rows = list(used(folder, ledger, found, plans, begin, min(end, ledger.now_us())))
    digits = who["minor_units"]

    def percent(part: int, whole: int) -> str | None:
        return None if not whole else decimal_text(Fraction(round(Fraction(part * 1000, whole)), 10))

    return {
        "tenant": tenant, "tenant_name": who["name"], "period": period, "currency": who["currency"],
        "from": instant_text(begin), "to": instant_text(end), "how": HOW,
        "leases": [
            {
                "lease": r.lease, "sku": r.sku, "cards": r.cards,
                "card_hours": decimal_text(Fraction(round(Fraction(r.held * 100, HOUR_US)), 100)),
                "seen_percent": percent(r.seen, r.held) or "0", "idle_percent": percent(r.idle, r.seen),
                "cost": text_of(r.revenue, digits), "waste": None if r.waste is None else text_of(r.waste, digits),
            }
            for r in rows
        ],
        "waste": text_of(sum(r.waste or 0 for r in rows), digits),
    }  # fmt: skip
