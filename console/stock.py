"""A business for the demo: tenants, plans, leases of last month, of now and to come, so that there is something to see."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from console.ledger import deliveries, invoices, leases, pool, tenants
from console.ledger.pool import Seen
from console.ledger.schema import FILE
from console.ledger.store import Ledger
from console.ledger.times import midnight, period_of, shifted, span_of
from console.placement.catalogue import known

TENANTS = (
    ("atlas", "Atlas Weather", "Asia/Riyadh", "USD", "weather"),
    ("dunya", "Dunya Language Models", "Asia/Riyadh", "USD", "language models"),
    ("helix", "Helix Proteins", "Europe/Berlin", "EUR", "life science"),
    ("pangu", "盘古气象", "Asia/Shanghai", "CNY", "weather"),
)
DAY_US = 86_400_000_000
PLACES = (("riyadh-1", "SA", "0.05", "USD"), ("frankfurt-2", "DE", "0.17", "EUR"), ("johor-1", "MY", "0.09", "USD"))
LINKS = (
    ("riyadh-1", "frankfurt-2", 71_000, 10_000, "0.02"), ("riyadh-1", "johor-1", 84_000, 10_000, "0.03"),
    ("frankfurt-2", "johor-1", 158_000, 5_000, "0.05"),
)  # fmt: skip


WEEKS = 30
"""So much past the demo's business has: leases that came and went, more of them with every month."""


class _Clock:
    """The ledger's clock, turned back while its past is made."""

    def __init__(self) -> None:
        self.at: int | None = None

    def __call__(self) -> int:
        return time.time_ns() if self.at is None else self.at * 1000


def stock(folder: Path, cards: Sequence[Seen]) -> None:
    """Begin a ledger over these cards, unless there is one."""
    if (folder / FILE).exists() or not cards:
        return
    clock = _Clock()
    with Ledger(folder, wall_ns=clock) as ledger, ledger.writing():
        _stock(ledger, [c for c in cards if not c.parent], clock)


def _stock(ledger: Ledger, cards: Sequence[Seen], clock: _Clock) -> None:
    now, by = ledger.now_us(), "demo"
    period = shifted(period_of(now, "UTC"), -1)
    begin = midnight(datetime.now().date(), "UTC") - (WEEKS * 7 + 3) * DAY_US
    clock.at = begin
    for model in sorted({c.model for c in cards}):
        name = "-".join(model.lower().split()[1:3])
        memory = max(c.memory_mib for c in cards if c.model == model) or 1
        spec = known(model)
        pool.add_sku(ledger, by, name, model.split()[0], spec.arch if spec else "", model, memory, "as the driver says")
    pool.bind(ledger, by, cards, begin)
    regions = {r["id"] for r in ledger.rows("SELECT id FROM region")}
    for region, country, power, of in PLACES:
        if region in regions:
            pool.place_region(ledger, by, region, country, power, of)
    for a, b, rtt, mbit, egress in LINKS:
        if {a, b} <= regions:
            pool.link_regions(ledger, by, a, b, rtt, mbit, egress)
    for name, title, tz, currency, industry in TENANTS:
        tenants.add(ledger, by, name, title, tz, currency, industry)
    sla = [{"below_percent": "99.9", "credit_percent": "10"}]
    for currency, price, month in (("USD", "2.35", "1290"), ("EUR", "2.20", "1200"), ("CNY", "13.50", "7600")):
        tenants.add_plan(ledger, by, f"hourly-{currency.lower()}", {
            "kind": "payg", "currency": currency, "price_per_card_hour": price, "granularity_s": 60, "sla": sla,
        }, begin)  # fmt: skip
        tenants.add_plan(ledger, by, f"monthly-{currency.lower()}", {
            "kind": "subscription", "currency": currency, "price_per_card": month,
        }, begin)  # fmt: skip
    # What stands is made before its past, which takes what that leaves free.
    clock.at = None
    _leases(ledger, [c["uuid"] for c in pool.listing(ledger)], now)
    _past(ledger, clock, begin)
    clock.at = None
    _to_come(ledger, now)
    _invoices(ledger, period, now)


def _past(ledger: Ledger, clock: _Clock, begin: int) -> None:
    """Leases that came and went: a few weeks each, of the SKUs that there are most of, more and more of them."""
    by, rng = "demo", random.Random(7)
    rows = ledger.rows("SELECT sku_id,count(*) AS n FROM card GROUP BY 1 ORDER BY 2 DESC,1")
    for week in range(WEEKS):
        for sku in [r["sku_id"] for r in rows[:3]][: 1 + week // 8]:
            since = begin + (2 + week * 7 + rng.randrange(4)) * DAY_US
            until = since + rng.choice((10, 20, 31)) * DAY_US
            cards = [r["uuid"] for r in ledger.rows("SELECT uuid FROM card WHERE sku_id=? ORDER BY uuid", (sku,))]
            free = [u for u in cards if not leases.conflicts(ledger, [u], since, until)]
            count = rng.choice((1, 2, 4, 8))
            tenant, plan = rng.choice((("atlas", "hourly-usd"), ("dunya", "hourly-usd"), ("helix", "hourly-eur")))
            if len(free) < count or until > time.time_ns() // 1000:
                continue
            clock.at = since
            one = leases.request(ledger, by, tenant, plan, sku, count, since, until)
            leases.activate(ledger, by, one.id, free[:count], since)
            clock.at = until
            leases.give_back(ledger, by, one.id, until)


def _to_come(ledger: Ledger, now: int) -> None:
    """One who waits, one who was refused, and cards that are on their way."""
    by = "demo"
    rows = ledger.rows("SELECT sku_id,count(*) AS n FROM card GROUP BY 1 ORDER BY 2 DESC,1")
    sku, many = rows[0]["sku_id"], rows[0]["n"]
    leases.request(ledger, by, "dunya", "hourly-usd", sku, max(1, many // 2), now + 20 * DAY_US, now + 110 * DAY_US)
    refused = leases.request(ledger, by, "pangu", "hourly-cny", sku, 4, now - 9 * DAY_US, now + 21 * DAY_US)
    leases.end_early(ledger, by, refused.id, leases.State.REJECTED, "nothing of it together")
    supplier = ledger.one("SELECT id FROM supplier ORDER BY id")
    region = ledger.one("SELECT region_id AS id FROM node ORDER BY id")
    if supplier is not None and region is not None:
        deliveries.order(ledger, by, "order-1", supplier["id"], sku, region["id"], 8, now + 45 * DAY_US)


def _leases(ledger: Ledger, uuids: Sequence[str], now: int) -> None:
    """Runs of cards of one SKU: some since last month, some to come. The short one may be moved."""
    by, today = "demo", midnight(datetime.now().date(), "UTC")
    groups: dict[str, list[str]] = {}
    for uuid in uuids:
        row = ledger.one("SELECT sku_id FROM card WHERE uuid=?", (uuid,))
        assert row is not None
        groups.setdefault(row["sku_id"], []).append(uuid)
    wanted = (
        ("atlas", "hourly-usd", 8, -34, None), ("dunya", "monthly-usd", 8, -20, 40), ("helix", "hourly-eur", 4, -12, 3),
        ("pangu", "hourly-cny", 4, -2, 58), ("helix", "monthly-eur", 4, 4, 34), ("atlas", "hourly-usd", 2, 1, 9),
    )  # fmt: skip
    for tenant, plan, count, since, until in wanted:
        sku = max(groups, key=lambda s: len(groups[s]))
        mine, groups[sku] = groups[sku][:count], groups[sku][count:]
        if not mine:
            continue
        begin, end = today + since * DAY_US, None if until is None else today + until * DAY_US
        spec = {"movable": True} if tenant == "helix" else None
        one = leases.request(ledger, by, tenant, plan, sku, len(mine), begin, end, spec)
        if begin > now:
            leases.reserve(ledger, by, one.id, mine)
        else:
            leases.activate(ledger, by, one.id, mine, begin)


def _invoices(ledger: Ledger, period: str, now: int) -> None:
    """Every month that is over."""
    by = "demo"
    for row in ledger.rows("SELECT id,tz FROM tenant ORDER BY id"):
        first = ledger.one(
            "SELECT MIN(e.at_us) AS at FROM lease_event e JOIN lease l ON l.id=e.lease_id WHERE l.tenant_id=? AND "
            "e.state='active'", (row["id"],),
        )  # fmt: skip
        if first is None or first["at"] is None:
            continue
        due = period_of(first["at"], row["tz"])
        while due <= period and span_of(due, row["tz"])[1] <= now:
            invoices.issue(ledger, by, row["id"], due)
            due = shifted(due, 1)
