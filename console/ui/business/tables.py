"""The business as texts for tables. Pure but for the words' language."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any

from console.fleet.show import DASH, number
from console.fleet.state import ReadingState
from console.ledger.money import HOUR_US, text_of
from console.ledger.times import parse_instant
from console.past import PastFleet
from console.standing import Standing, TenantStand
from console.telemetry.live import LiveFleet
from console.ui.text import tr

TILES = ("pool", "leased", "idle", "sick", "revenue", "waste")
Local = Callable[[float], datetime]


def titles(name: str) -> tuple[str, ...]:
    """The columns of a table; of "views" the names of the page's views."""
    return {
        "views": (tr("Leases"), tr("Tenants"), tr("Pool"), tr("Usage"), tr("Invoices")),
        "leases": (
            tr("Lease"), tr("Tenant"), tr("State"), tr("Cards"), tr("SKU"), tr("From"), tr("Until"), tr("Plan"),
        ),
        "tenants": (
            tr("Tenant"), tr("Name"), tr("Industry"), tr("Cards"), tr("Month"), tr("Spent so far"),
            tr("By the month's end"), tr("Currency"),
        ),
        "cards": (tr("Node"), tr("Card"), tr("GPU utilisation"), tr("Memory used"), tr("Power"), tr("Temperature")),
        "pool": (tr("SKU"), tr("Region"), tr("Cards"), tr("Leased"), tr("Free")),
        "usage": (
            tr("Lease"), tr("Tenant"), tr("SKU"), tr("Card-hours today"), tr("Seen"), tr("Idle of it"), tr("Revenue"),
            tr("Waste"), tr("Currency"),
        ),
        "invoices": (tr("Invoice"), tr("Tenant"), tr("Month"), tr("Total"), tr("Currency"), tr("Issued")),
        "lines": (tr("What"), tr("Lease"), tr("Quantity"), tr("Unit"), tr("Price"), tr("Amount")),
    }[name]  # fmt: skip


def lease_rows(standing: Standing, local: Local) -> list[list[str]]:
    """Leases, as they stand."""
    return [
        [
            one.id, one.tenant, str(one.state), str(one.cards), one.sku, _time(local, one.begin),
            tr("no end") if one.end is None else _time(local, one.end), f"{one.plan} {one.plan_version}",
        ]
        for one in standing.leases
    ]  # fmt: skip


def _time(local: Local, us: int) -> str:
    return local(us / 1e6).strftime("%Y-%m-%d %H:%M")


def tenant_rows(standing: Standing) -> list[list[str]]:
    """Tenants with this month's money."""
    return [
        [t.id, t.name, t.industry or DASH, str(len(t.leased)), t.period, t.spent, t.forecast, t.currency]
        for t in standing.tenants
    ]


def card_rows(live: LiveFleet | PastFleet, tenant: TenantStand) -> list[list[str]]:
    """A tenant's cards, live."""
    out = []
    for uuid in tenant.leased:
        row = live.entity(uuid)
        if row is None:
            out.append([DASH, uuid, tr("not in this fleet"), DASH, DASH, DASH])
            continue
        cells = []
        for metric in ("utilization_gpu", "memory_used", "power_draw", "temperature_gpu"):
            found = live.reading(uuid, metric)
            is_known = found.state is ReadingState.FRESH and found.value is not None
            cells.append(number(found.value, found.unit) if is_known else found.state.name.lower().replace("_", " "))
        out.append([row.entity.node, f"{row.entity.index}  {row.entity.name}", *cells])
    return out


def pool_rows(standing: Standing) -> list[list[str]]:
    """Cards by SKU and region."""
    return [[sku, region, str(n), str(leased), str(n - leased)] for sku, region, n, leased in standing.skus]


def usage_rows(standing: Standing) -> list[list[str]]:
    """Leases with how they were used today."""

    def share(part: int, whole: int) -> str:
        return DASH if not whole else f"{round(Fraction(part * 100, whole))} %"

    return [
        [
            u.lease, u.tenant, u.sku, text_of(round(Fraction(u.held * 100, HOUR_US)), 2), share(u.seen, u.held),
            share(u.idle, u.seen), text_of(u.revenue, u.digits),
            tr("unknown") if u.waste is None else text_of(u.waste, u.digits), u.currency,
        ]
        for u in standing.usage
    ]  # fmt: skip


def invoice_rows(standing: Standing, local: Local) -> list[list[str]]:
    """Issued invoices."""
    return [
        [
            i["invoice"], i["tenant"], i["period"], i["total"], i["currency"],
            _time(local, parse_instant(i["issued"], "issued")),
        ]
        for i in standing.invoices
    ]  # fmt: skip


def invoice_lines(invoice: Mapping[str, Any]) -> list[list[str]]:
    """Lines of one invoice."""
    return [
        [
            (f"{tr('Correction of')} {line['period']}: " if line["class"] else "") + line["what"], line["lease"] or "",
            line["quantity"] if line["unit"] else "", line["unit"] or "", line["contracted_price"] if line["unit"] else "",
            line["amount"],
        ]
        for line in invoice["lines"]
    ]  # fmt: skip
