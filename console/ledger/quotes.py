"""Quotes: what cards would cost for a time, before anybody signs. Exact, as invoices are; kept ones are never changed.

By a price a card-hour a quote is one line, rounded once. By a plan it is rated as the invoices would be, month by month of the
tenant's calendar, so that they sum to it to the minor unit.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.money import (
    HOUR_US,
    NANO,
    Rounding,
    cost,
    decimal_of,
    digits_of,
    nano_of,
    nano_text,
    rounded,
    text_of,
)
from console.ledger.plans import Plan
from console.ledger.rating import Category, Held, Line, Terms, decimal_text, rate, taxed, told
from console.ledger.store import Ledger
from console.ledger.times import instant_text, period_of, shifted, span_of

DAY_US = 24 * HOUR_US
MOST_CARDS = 1_000_000
MOST_DAYS = 3660
LONGEST_DAYS = 20 * MOST_DAYS
"""What a what-if may make of the longest time that is asked for."""
VALID_DAYS = 14


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be quoted: cards from `begin` to `end` (UTC microseconds), of a SKU where that matters.

    Attributes:
        tax, deposit: shares of the net amount, and of the total.
        tz: whose months a plan counts in; valid_us: how long the quote stands.
    """

    cards: int
    begin: int
    end: int
    sku: str = ""
    tz: str = "UTC"
    tax: Fraction = Fraction(0)
    deposit: Fraction = Fraction(0)
    valid_us: int = VALID_DAYS * DAY_US

    def __post_init__(self) -> None:
        if not 0 < self.cards <= MOST_CARDS:
            raise LedgerError(f"a quote is for 1 to {MOST_CARDS} cards, not {self.cards}")
        if not 0 < self.end - self.begin <= LONGEST_DAYS * DAY_US:
            raise LedgerError(f"a quote is for a time of up to {LONGEST_DAYS} days")

    @property
    def card_us(self) -> int:
        """Card-microseconds."""
        return self.cards * (self.end - self.begin)


@dataclass(frozen=True, slots=True)
class Quote:
    """What it costs. Money in minor units of `currency`; `lines` as rating makes them; `at` when it was made."""

    asked: Asked
    currency: str
    plan: str
    version: int
    lines: tuple[Line, ...]
    net: int
    tax: int
    deposit: int
    at: int

    @property
    def total(self) -> int:
        """Net and tax."""
        return self.net + self.tax

    @property
    def digits(self) -> int:
        """Of the currency's minor unit."""
        return digits_of(self.currency)

    @property
    def per_card_hour(self) -> Fraction:
        """Net amount a card-hour, in units of the currency."""
        return Fraction(self.net * HOUR_US, self.asked.card_us * 10**self.digits)


def share(percent: object, what: str) -> Fraction:
    """A share from a percentage as text.

    Raises:
        LedgerError: it is no percentage from 0 to 100.
    """
    found = Fraction(decimal_of(percent, what)) / 100
    if not 0 <= found <= 1:
        raise LedgerError(f"{what}: a percentage from 0 to 100")
    return found


def span(days: object, what: str = "days") -> int:
    """Microseconds of a number of days as text; days of 24 hours.

    Raises:
        LedgerError: it is not above 0, or too long.
    """
    found = decimal_of(days, what) * DAY_US
    if found != int(found):
        raise LedgerError(f"{what}: {days!r} is no whole number of microseconds")
    if not 0 < found <= MOST_DAYS * DAY_US:
        raise LedgerError(f"{what}: above 0 and up to {MOST_DAYS}")
    return int(found)


def by_price(asked: Asked, price: object, currency: str, at: int) -> Quote:
    """A quote at a price a card-hour: one line, rounded once, half to even.

    Raises:
        LedgerError: the price is not exact, or the currency unknown.
    """
    digits, nano = digits_of(currency), nano_of(price, "price")
    net = rounded(cost(asked.card_us, nano, digits))
    line = _usage(asked, nano, net)
    return _finished(asked, currency, "", 0, [line], net, rounded(asked.tax * net), at)


def _usage(asked: Asked, nano: int, billed: int) -> Line:
    return Line(
        Category.USAGE, "", "", 0, asked.sku, "Card time", asked.begin, asked.end, asked.card_us, "card-hour", nano, nano,
        nano, billed,
    )  # fmt: skip


def by_plan(asked: Asked, plan: Plan, at: int) -> Quote:
    """A quote by a plan: the lines of the invoices that such a lease would get, tax by the plan unless another is asked for.

    Raises:
        LedgerError: the time is out of range.
    """
    held = Held("", ((asked.begin, asked.end),), count=asked.cards)
    terms = Terms("", plan, asked.sku, asked.begin, asked.end, (held,), asked.begin)
    lines: list[Line] = []
    net = tax = 0
    period, last = period_of(asked.begin, asked.tz), period_of(asked.end - 1, asked.tz)
    while period <= last:
        within = span_of(period, asked.tz)
        mine = rate([terms], period, asked.tz)
        due = sum(line.billed for line in mine)
        with_tax = taxed(mine, {(plan.id, plan.version): plan}, period, within)
        net += due
        tax += rounded(asked.tax * due, plan.rounding) if asked.tax else sum(line.billed for line in with_tax) - due
        lines += mine
        period = shifted(period, 1)
    return _finished(asked, plan.currency, plan.id, plan.version, lines, net, tax, at)


def _finished(
    asked: Asked, currency: str, plan: str, version: int, lines: list[Line], net: int, tax: int, at: int
) -> Quote:
    # The deposit is never rounded below the share that was agreed on.
    deposit = rounded(asked.deposit * (net + tax), Rounding.UP)
    return Quote(asked, currency, plan, version, tuple(lines), net, tax, deposit, at)


def told_quote(quote: Quote) -> dict[str, Any]:
    """A quote as JSON: money as decimal strings."""
    asked, digits = quote.asked, quote.digits
    return {
        "total": text_of(quote.total, digits), "currency": quote.currency, "net": text_of(quote.net, digits),
        "tax": text_of(quote.tax, digits), "deposit": text_of(quote.deposit, digits), "cards": asked.cards,
        "sku": asked.sku or None, "from": instant_text(asked.begin), "to": instant_text(asked.end),
        "days": decimal_text(Fraction(asked.end - asked.begin, DAY_US)),
        "card_hours": decimal_text(Fraction(asked.card_us, HOUR_US)), "plan": quote.plan or None,
        "plan_version": quote.version or None, "per_card_hour": nano_text(round(quote.per_card_hour * NANO)),
        "per_card_day": nano_text(round(quote.per_card_hour * 24 * NANO)),
        "valid_until": instant_text(quote.at + asked.valid_us), "lines": [told(line, digits) for line in quote.lines],
    }  # fmt: skip


# What is kept


def keep(
    ledger: Ledger, actor: str, quote: Quote, tenant: str = "", title: str = "", more: Mapping[str, Any] | None = None
) -> str:
    """Keep a quote as it was made; its name, like Q-2026-11-3f9a.

    Raises:
        LedgerError: there is no such tenant, or it pays in another currency.
    """
    if tenant:
        who = ledger.known("tenant", tenant, "tenant")
        if who["currency"] != quote.currency:
            raise LedgerError(f"tenant {tenant} pays in {who['currency']}, the quote is in {quote.currency}")
    name = f"Q-{instant_text(quote.at)[:7]}-{secrets.token_hex(3)}"
    body = json.dumps(told_quote(quote) | dict(more or {}), sort_keys=True, ensure_ascii=False)
    with ledger.writing():
        ledger.insert("quote", {
            "id": name, "tenant_id": tenant or None, "title": title, "currency": quote.currency,
            "total_minor": quote.total, "made_us": quote.at, "valid_until_us": quote.at + quote.asked.valid_us,
            "actor": actor, "body_json": body, "digest": hashlib.sha256(body.encode()).hexdigest(),
        })  # fmt: skip
        ledger.note(actor, "quote made", {"id": name, "tenant": tenant, "total": text_of(quote.total, quote.digits)})
    return name


def get(ledger: Ledger, name: str) -> dict[str, Any]:
    """A kept quote as it was made, with whether it still stands.

    Raises:
        LedgerError: there is none, or its text is not the one that was kept.
    """
    row = ledger.known("quote", name, "quote")
    if hashlib.sha256(row["body_json"].encode()).hexdigest() != row["digest"]:
        raise LedgerError(f"quote {name} is not as it was kept; the file was changed by another hand")
    head = {
        "quote": name, "tenant": row["tenant_id"], "title": row["title"], "made": instant_text(row["made_us"]),
        "by": row["actor"], "stands": row["valid_until_us"] > ledger.now_us(), "digest": row["digest"],
    }  # fmt: skip
    body: dict[str, Any] = json.loads(row["body_json"])
    return head | body


def listing(ledger: Ledger, tenant: str = "") -> list[dict[str, Any]]:
    """Kept quotes, the newest first."""
    rows = ledger.rows(
        "SELECT * FROM quote WHERE ?='' OR tenant_id=? ORDER BY made_us DESC,id", (tenant, tenant)
    )  # fmt: skip
    now = ledger.now_us()
    return [
        {
            "quote": r["id"], "tenant": r["tenant_id"], "title": r["title"], "made": instant_text(r["made_us"]),
            "valid_until": instant_text(r["valid_until_us"]), "stands": r["valid_until_us"] > now,
            "total": text_of(r["total_minor"], digits_of(r["currency"])), "currency": r["currency"], "by": r["actor"],
        }
        for r in rows
    ]  # fmt: skip
