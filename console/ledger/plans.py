"""Plans: what a tenant pays by. A version is never changed; a plan that changes gets another version.

pay-as-you-go: so much a card-hour, by a granularity and with a minimum, for each unbroken run of a card in a lease.
subscription: so much a card and anchored month or year, in advance, prorated or not.
commit: so many card-hours a month are paid whether used or not; what is beyond them costs another price.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.money import HOUR_US, Rounding, decimal_of, digits_of, nano_of

SECOND_US = 1_000_000
MOST_GRANULARITY_S = 31 * 86_400


class Kind(enum.StrEnum):
    """How a plan charges."""

    PAYG = "payg"
    SUBSCRIPTION = "subscription"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Tier:
    """Of a service level: below this share of availability, this share of the fee is credited."""

    below: Fraction
    credit: Fraction


@dataclass(frozen=True, slots=True)
class Discount:
    """A share off the list price; discounts apply one after the other, in the order of the plan."""

    name: str
    share: Fraction


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a plan. Prices are nano-units of `currency`.

    Attributes:
        list_nano: a card-hour (payg; overage of commit), or a card and period (subscription).
        prices: list_nano of SKUs that have their own.
        granularity_us, minimum_us: of each run of a card in a lease; see `billable`.
        every: months of a subscription's period: 1 or 12; prorate: whether a part of one costs a part.
        committed_us, committed_nano: of commit: card-time a month, and its price a card-hour.
        discounts: in their order; tiers: of the service level, strictest last; tax: share of what is due.
        volume_nano: a GiB-hour of storage; egress_nano: a GiB sent.
        notice_us: maintenance announced that long before does not count against the service level.
    """

    id: str
    version: int
    kind: Kind
    currency: str
    list_nano: int
    prices: Mapping[str, int]
    granularity_us: int = SECOND_US
    minimum_us: int = 0
    every: int = 1
    prorate: bool = True
    committed_us: int = 0
    committed_nano: int = 0
    discounts: tuple[Discount, ...] = ()
    tiers: tuple[Tier, ...] = ()
    tax: Fraction = Fraction(0)
    rounding: Rounding = Rounding.HALF_EVEN
    volume_nano: int = 0
    egress_nano: int = 0
    notice_us: int = 0

    @property
    def digits(self) -> int:
        """Of its currency's minor unit."""
        return digits_of(self.currency)

    def price(self, sku: str) -> int:
        """List price of a SKU, nano-units."""
        return self.prices.get(sku, self.list_nano)

    def contracted(self, list_nano: int) -> int:
        """A list price after the plan's discounts, to the nano-unit: prices are rounded where they are made, not where
        they are used."""
        price = Fraction(list_nano)
        for one in self.discounts:
            price *= 1 - one.share
        return round(price)

    def billable(self, used_us: int) -> int:
        """Card-time that is paid for a run of so long: max(minimum, used in whole granules); nothing for nothing."""
        if used_us <= 0:
            return 0
        return max(self.minimum_us, -(-used_us // self.granularity_us) * self.granularity_us)

    def credit_share(self, available: Fraction) -> Fraction:
        """Share of the fee that the service level gives back."""
        return max((t.credit for t in self.tiers if available < t.below), default=Fraction(0))


_COMMON = {
    "kind", "currency", "discounts", "sla", "tax_percent", "rounding", "prices", "storage_price_per_gib_hour",
    "egress_price_per_gib", "maintenance_notice_h",
}  # fmt: skip
_KEYS = {
    Kind.PAYG: {"price_per_card_hour", "granularity_s", "minimum_s"},
    Kind.SUBSCRIPTION: {"price_per_card", "every", "prorate"},
    Kind.COMMIT: {
        "price_per_card_hour", "granularity_s", "minimum_s", "committed_card_hours", "committed_price_per_card_hour",
    },
}  # fmt: skip


def parse(spec: object, name: str = "plan", version: int = 1, currency: str | None = None) -> Plan:
    """A plan from its JSON.

    Args:
        spec: the object; `currency` where it names none.

    Raises:
        LedgerError: a key is unknown or missing, a number not exact or out of range.
    """
    if not isinstance(spec, Mapping):
        raise LedgerError(f"plan {name}: it must be an object with kind and price")
    fault = f"plan {name}: "
    try:
        kind = Kind(str(spec.get("kind")))
    except ValueError:
        raise LedgerError(f"{fault}kind is one of {', '.join(Kind)}") from None
    unknown = sorted(set(spec) - _COMMON - _KEYS[kind])
    if unknown:
        raise LedgerError(f"{fault}{unknown[0]} is no key of a plan of kind {kind}")
    money = spec.get("currency", currency)
    digits_of(str(money))
    if currency is not None and money != currency:
        raise LedgerError(f"{fault}its currency is {money}, the tenant's {currency}; currencies are never mixed")
    price = "price_per_card" if kind is Kind.SUBSCRIPTION else "price_per_card_hour"
    if price not in spec:
        raise LedgerError(f"{fault}{price} is missing")
    prices = spec.get("prices", {})
    if not isinstance(prices, Mapping):
        raise LedgerError(f"{fault}prices is an object of SKU and price")
    every = spec.get("every", "month")
    if every not in ("month", "year"):
        raise LedgerError(f'{fault}every is "month" or "year"')
    try:
        rounding = Rounding(spec.get("rounding", "half_even"))
    except ValueError:
        raise LedgerError(f"{fault}rounding is one of {', '.join(Rounding)}") from None
    return Plan(
        name, version, kind, str(money), nano_of(spec[price], fault + price),
        {str(k): nano_of(v, f"{fault}price of {k}") for k, v in prices.items()},
        _seconds(spec, "granularity_s", 1, fault, least=1), _seconds(spec, "minimum_s", 0, fault),
        12 if every == "year" else 1, _flag(spec, "prorate", True, fault),
        _card_time(spec.get("committed_card_hours", 0), fault),
        nano_of(spec.get("committed_price_per_card_hour", spec[price]), fault + "committed_price_per_card_hour"),
        _discounts(spec.get("discounts", ()), fault), _tiers(spec.get("sla", ()), fault),
        _share(spec.get("tax_percent", 0), fault + "tax_percent", Decimal(100)), rounding,
        nano_of(spec.get("storage_price_per_gib_hour", 0), fault + "storage_price_per_gib_hour"),
        nano_of(spec.get("egress_price_per_gib", 0), fault + "egress_price_per_gib"),
        _seconds(spec, "maintenance_notice_h", 0, fault) * 3600,
    )  # fmt: skip


def _seconds(spec: Mapping[str, Any], key: str, default: int, fault: str, least: int = 0) -> int:
    value = decimal_of(spec.get(key, default), fault + key)
    if value != int(value) or not least <= value <= MOST_GRANULARITY_S:
        raise LedgerError(f"{fault}{key} is a whole number from {least} to {MOST_GRANULARITY_S}")
    return int(value) * SECOND_US


def _flag(spec: Mapping[str, Any], key: str, default: bool, fault: str) -> bool:
    value = spec.get(key, default)
    if not isinstance(value, bool):
        raise LedgerError(f"{fault}{key} is true or false")
    return value


def _card_time(value: object, fault: str) -> int:
    hours = decimal_of(value, fault + "committed_card_hours") * HOUR_US
    if hours < 0 or hours != int(hours):
        raise LedgerError(f"{fault}committed_card_hours is not negative, and whole in microseconds")
    return int(hours)


def _share(value: object, what: str, most: Decimal) -> Fraction:
    percent = decimal_of(value, what)
    if not 0 <= percent <= most:
        raise LedgerError(f"{what}: a percentage from 0 to {most}, as text")
    return Fraction(percent) / 100


def _discounts(rows: Any, fault: str) -> tuple[Discount, ...]:
    try:
        return tuple(
            Discount(str(row["name"]), _share(row["percent"], f"{fault}discount {row['name']}", Decimal(100)))
            for row in rows
        )
    except (KeyError, TypeError):
        raise LedgerError(f"{fault}a discount has a name and a percent") from None


def _tiers(rows: Any, fault: str) -> tuple[Tier, ...]:
    try:
        found = [
            Tier(
                _share(row["below_percent"], fault + "below_percent", Decimal(100)),
                _share(row["credit_percent"], fault + "credit_percent", Decimal(100)),
            )
            for row in rows
        ]
    except (KeyError, TypeError):
        raise LedgerError(f"{fault}a row of sla has below_percent and credit_percent") from None
    found.sort(key=lambda t: t.below, reverse=True)
    if any(a.credit > b.credit for a, b in itertools.pairwise(found)):
        raise LedgerError(f"{fault}sla: less availability must not give less credit")
    return tuple(found)
