"""Commands of quotes: what cards would cost, by a price or a plan, what if, on paper; and whether to rent or to own."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from console.app import Console, ConsoleError, person
from console.billing import ISSUER
from console.ledger import paper, quotes, tenants
from console.ledger.errors import LedgerError
from console.ledger.estimates import band, cases, owning, told_cases, told_owning
from console.ledger.money import HOUR_US
from console.ledger.quotes import Asked, Quote, by_plan, by_price, share, span, told_quote
from console.ledger.times import midnight, zone
from console.registry import Danger, registry
from console.selling import instant, open_ledger

DAY_US = 24 * HOUR_US


def quoted(
    console: Console, cards: int, days: str, price: str, currency: str, plan: str, sku: str, tenant: str, begin: str | None,
    tax: str, deposit: str, valid_days: int, what_if: bool, efficiency: str, overhead: str,
) -> tuple[Quote, dict[str, Any]]:  # fmt: skip
    """A quote, and what is told beside it: its what-if.

    Raises:
        ConsoleError: neither a price nor a plan is given, or both. LedgerError: a number is wrong, or a name unknown.
    """
    if bool(price) == bool(plan):
        raise ConsoleError("give either --price with --currency, or --plan")
    if price and not currency:
        raise ConsoleError("--currency: of which currency is the price? ISO 4217, like CNY")
    if not 0 < valid_days <= 366:
        raise ConsoleError("--valid-days: 1 to 366")
    now = time.time_ns() // 1000
    found, tz = None, "UTC"
    if plan or tenant or sku:
        with open_ledger(console, writes=False) as ledger:
            found = tenants.plan(ledger, plan) if plan else None
            if tenant:
                who = ledger.known("tenant", tenant, "tenant")
                tz = who["tz"]
                wanted = found.currency if found else currency
                if who["currency"] != wanted:
                    raise LedgerError(f"tenant {tenant} pays in {who['currency']}, the quote would be in {wanted}")
            if sku:
                ledger.known("sku", sku, "sku")
    if found is not None and currency and currency != found.currency:
        raise LedgerError(f"plan {plan} is in {found.currency}, not in {currency}")
    since = instant(begin, "begin")
    if since is None:
        since = midnight((datetime.now(zone(tz)) + timedelta(days=1)).date(), tz)
    asked = Asked(
        cards, since, since + span(days), sku, tz, share(tax or "0", "tax"),
        share(deposit, "deposit"), valid_days * DAY_US,
    )  # fmt: skip

    def make(one: Asked) -> Quote:
        return by_price(one, price, currency, now) if found is None else by_plan(one, found, now)

    made = make(asked)
    more: dict[str, Any] = {}
    if what_if or efficiency or overhead:
        of, lost = band(efficiency, "efficiency"), band(overhead, "overhead")
        more["what_if"] = told_cases(cases(asked, of, lost, make), of, lost)
    return made, more


@registry.command("quote", "Say what cards would cost", reads=False)
def quote(
    console: Console, *, cards: int, days: str, price: str = "", currency: str = "", plan: str = "", sku: str = "",
    tenant: str = "", begin: str | None = None, tax: str = "", deposit: str = "0", valid_days: int = quotes.VALID_DAYS,
    what_if: bool = False, efficiency: str = "", overhead: str = "",
) -> dict[str, Any]:  # fmt: skip
    """What cards would cost for some days: exact, and by a plan what the invoices will sum to. Nothing is kept.

    Args:
        cards: how many
        days: for how many days of 24 hours, like 60 or 1.5
        price: of a card-hour, like 6.95
        currency: of the price, ISO 4217
        plan: instead of a price, a plan's name; its newest version
        sku: of which cards, where the plan has prices of their own
        tenant: for whom: its currency and its months
        begin: from when on; the next midnight without it
        tax: percent; of the plan without it
        deposit: percent of the total that is paid before
        valid_days: so long the quote stands
        what_if: add low, likely and high
        efficiency: of the work, percent, low/likely/high, like 38/41/43
        overhead: of failures, percent, low/likely/high, like 3/10/30
    """
    made, more = quoted(
        console,
        cards,
        days,
        price,
        currency,
        plan,
        sku,
        tenant,
        begin,
        tax,
        deposit,
        valid_days,
        what_if,
        efficiency,
        overhead,
    )
    return told_quote(made) | more


@registry.command("quote.keep", "Keep a quote", danger=Danger.LOCAL, reads=False)
def quote_keep(
    console: Console, *, cards: int, days: str, price: str = "", currency: str = "", plan: str = "", sku: str = "",
    tenant: str = "", begin: str | None = None, tax: str = "", deposit: str = "0", valid_days: int = quotes.VALID_DAYS,
    what_if: bool = False, efficiency: str = "", overhead: str = "", title: str = "",
) -> dict[str, Any]:  # fmt: skip
    """The same, kept under a name: it is never changed, and can be put on paper. It holds no cards.

    Args:
        cards: how many
        days: for how many days of 24 hours
        price: of a card-hour
        currency: of the price, ISO 4217
        plan: instead of a price, a plan's name; its newest version
        sku: of which cards
        tenant: for whom
        begin: from when on; the next midnight without it
        tax: percent; of the plan without it
        deposit: percent of the total that is paid before
        valid_days: so long the quote stands
        what_if: add low, likely and high
        efficiency: of the work, percent, low/likely/high
        overhead: of failures, percent, low/likely/high
        title: what it is for
    """
    made, more = quoted(
        console,
        cards,
        days,
        price,
        currency,
        plan,
        sku,
        tenant,
        begin,
        tax,
        deposit,
        valid_days,
        what_if,
        efficiency,
        overhead,
    )
    with open_ledger(console) as ledger:
        return quotes.get(ledger, quotes.keep(ledger, person(), made, tenant, title, more))


@registry.command("quote.list", "List quotes", reads=False)
def quote_list(console: Console, *, tenant: str = "") -> list[dict[str, Any]]:
    """Kept quotes, the newest first.

    Args:
        tenant: only this one's
    """
    with open_ledger(console, writes=False) as ledger:
        return quotes.listing(ledger, tenant)


@registry.command("quote.show", "Show a quote", reads=False)
def quote_show(console: Console, name: str) -> dict[str, Any]:
    """A kept quote as it was made, and whether it still stands.

    Args:
        name: its name
    """
    with open_ledger(console, writes=False) as ledger:
        return quotes.get(ledger, name)


@registry.command("quote.export", "Write a quote to a file", danger=Danger.LOCAL, reads=False)
def quote_export(
    console: Console, name: str, *, output: str, kind: str = "pdf", issuer: str = ISSUER
) -> dict[str, Any]:
    """Write a kept quote as PDF, HTML or JSON.

    Args:
        name: the quote's
        output: the file
        kind: pdf, html or json
        issuer: who offers, as it stands on the paper
    """
    with open_ledger(console, writes=False) as ledger:
        found = quotes.get(ledger, name)
    match kind:
        case "json":
            data = (json.dumps(found, ensure_ascii=False, indent=1) + "\n").encode()
        case "html":
            data = paper.quote_html(found, issuer).encode()
        case "pdf":
            if console.printer is None:
                raise ConsoleError("this installation has no window, so it makes no PDF; give --kind html")
            data = console.printer(paper.quote_html(found, issuer))
        case _:
            raise ConsoleError(f"--kind: {kind!r} is none of pdf, html, json")
    path = Path(output)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
    return {"written": str(path), "bytes": len(data), "quote": name}


@registry.command("rent-or-own", "Compare renting with owning", reads=False)
def rent_or_own(
    console: Console, *, rent: str, currency: str, capex: str, cards: int = 1, life_months: int = 48, utilisation: str = "100",
    watts: str = "0", idle_watts: str = "0", power: str = "0", pue: str = "", yearly: str = "0", residual: str = "0",
) -> dict[str, Any]:  # fmt: skip
    """What owning cards costs beside renting them, and above which utilisation owning is cheaper.

    Args:
        rent: price of a card-hour that is rented, paid only while used
        currency: of all prices, ISO 4217
        capex: price of one card with its share of server, network and room
        cards: how many
        life_months: so long they serve
        utilisation: percent of the calendar in which they are used
        watts: of one card with its share of the server, in use
        idle_watts: the same while idle
        power: price of a kWh
        pue: power of the whole room for each unit of the cards'; an average of the industry without it
        yearly: staff, hosting and repairs of all of them, a year
        residual: percent of the price that they are worth in the end
    """
    own = owning(
        currency, rent, capex, cards=cards, life_months=life_months, watts=watts, idle_watts=idle_watts, power=power, pue=pue,
        yearly=yearly, residual_percent=residual,
    )  # fmt: skip
    return told_owning(own, share(utilisation, "utilisation"))
