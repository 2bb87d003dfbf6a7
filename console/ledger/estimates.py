"""What if: the same work at another efficiency and with more or fewer failures, and whether to rent or to own. Exact fractions.

A quote is for a time. What a tenant wants is work done: at the likely efficiency and overhead the work takes the time that was
asked for; at another it takes longer or shorter, on the same cards, and the quote is made again for that time.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.money import HOUR_US, NANO, decimal_of, digits_of, nano_of, nano_text, rounded, text_of
from console.ledger.plans import SECOND_US
from console.ledger.quotes import DAY_US, Asked, Quote, share
from console.ledger.rating import decimal_text

RESOURCES = Path(__file__).resolve().parents[2] / "resources"
YEAR_H = 8766
"""Hours of a year of 365.25 days."""


@dataclass(frozen=True, slots=True)
class Band:
    """Low, likely and high, in their order, and whose figures they are."""

    low: Fraction
    likely: Fraction
    high: Fraction
    source: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.likely <= self.high:
            raise LedgerError("low, likely and high must not be negative, and in this order")


@lru_cache(maxsize=1)
def assumptions() -> Mapping[str, Mapping[str, str]]:
    """{id: row} of the figures that stand in where none are given."""
    table = tomllib.loads((RESOURCES / "estimates.toml").read_text("utf-8"))
    return {row["id"]: row for row in table["assumption"]}


def band(text: str, name: str) -> Band:
    """A band from "38/41/43" or one number, in percent; what resources assume where the text is empty.

    Raises:
        LedgerError: it is none, or not within 0 to 100.
    """
    row = assumptions()[name]
    parts = text.split("/") if text else [row["low"], row["likely"], row["high"]]
    if len(parts) not in (1, 3):
        raise LedgerError(f"{name}: one percentage, or three as low/likely/high, like 38/41/43")
    found = [share(p.strip(), name) for p in parts]
    return Band(found[0], found[len(found) // 2], found[-1], "as given" if text else row["source"])


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a what-if: its quote, and what an hour of useful work costs, in units of the currency."""

    name: str
    efficiency: Fraction
    overhead: Fraction
    quote: Quote
    per_useful_hour: Fraction


def cases(asked: Asked, efficiency: Band, overhead: Band, quote: Callable[[Asked], Quote]) -> tuple[Case, ...]:
    """(low, likely, high) of what the work of the likely case costs; low is the cheap one.

    Time grows as efficiency falls and as overhead rises: time = likely time x (e / e') x (1 - o) / (1 - o'), whole seconds up.

    Raises:
        LedgerError: no work is done at an efficiency of 0 or an overhead of 100 %, or it would take too long.
    """
    if not efficiency.low or overhead.high >= 1:
        raise LedgerError("at an efficiency of 0 %, or an overhead of 100 %, no work is ever done")
    out = []
    ends = (
        ("low", efficiency.high, overhead.low), ("likely", efficiency.likely, overhead.likely),
        ("high", efficiency.low, overhead.high),
    )  # fmt: skip
    for name, e, o in ends:
        factor = efficiency.likely / e * (1 - overhead.likely) / (1 - o)
        span = asked.end - asked.begin
        if factor != 1:
            span = -(-int(span * factor) // SECOND_US) * SECOND_US
        made = quote(replace(asked, end=asked.begin + span))
        useful = Fraction(made.asked.card_us, HOUR_US) * (1 - o)
        out.append(Case(name, e, o, made, Fraction(made.net, 10**made.digits) / useful))
    return tuple(out)


def told_cases(made: tuple[Case, ...], efficiency: Band, overhead: Band) -> dict[str, Any]:
    """Cases as JSON."""
    return {
        "cases": [
            {
                "case": c.name, "efficiency_percent": decimal_text(c.efficiency * 100),
                "overhead_percent": decimal_text(c.overhead * 100),
                "days": decimal_text(Fraction(c.quote.asked.end - c.quote.asked.begin, DAY_US)),
                "card_hours": decimal_text(Fraction(c.quote.asked.card_us, HOUR_US)),
                "total": text_of(c.quote.total, c.quote.digits),
                "per_useful_card_hour": nano_text(round(c.per_useful_hour * NANO)),
            }
            for c in made
        ],
        "efficiency_source": efficiency.source, "overhead_source": overhead.source,
        "how": "the work of the likely case, on the same cards, at the other cases' efficiency and overhead",
    }  # fmt: skip


# Renting or owning


@dataclass(frozen=True, slots=True)
class Owning:
    """What owning takes. Prices in nano-units of the currency.

    Attributes:
        cards: how many; life_h: hours of the calendar that they serve.
        capex: of one card with its share of server, network and room; residual: share of it that remains at the end.
        watts, idle_watts: of one card with its share of the server, in use and idle; power: price of a kWh; pue.
        yearly: staff, hosting and repairs of all of them, a year.
        rent: price of a card-hour that is rented instead, paid only while used.
    """

    currency: str
    cards: int
    life_h: Fraction
    capex: int
    residual: Fraction
    watts: Fraction
    idle_watts: Fraction
    power: int
    pue: Fraction
    yearly: int
    rent: int

    @property
    def fixed(self) -> Fraction:
        """Nano-units a card and hour of the calendar, used or not."""
        bought = self.capex * (1 - self.residual) / self.life_h
        return bought + Fraction(self.yearly, YEAR_H * self.cards) + self._energy(self.idle_watts)

    @property
    def variable(self) -> Fraction:
        """Nano-units more for each hour that it is used."""
        return self._energy(self.watts - self.idle_watts)

    def _energy(self, watts: Fraction) -> Fraction:
        return watts / 1000 * self.pue * self.power

    def per_used_hour(self, used: Fraction) -> Fraction:
        """Nano-units of an hour of use, where this share of the calendar is used.

        Raises:
            LedgerError: nothing is used.
        """
        if not 0 < used <= 1:
            raise LedgerError("utilisation: above 0 and up to 100 %")
        return self.fixed / used + self.variable

    @property
    def break_even(self) -> Fraction | None:
        """Share of the calendar above which owning is cheaper; above 1 it never is. None: rent is below the power alone."""
        gain = self.rent - self.variable
        return self.fixed / gain if gain > 0 else None

    def payback_h(self, used: Fraction) -> Fraction | None:
        """Hours of the calendar until what was paid for the cards is saved again; None for never."""
        running = Fraction(self.yearly, YEAR_H * self.cards) + self._energy(self.idle_watts)
        saved = (self.rent - self.variable) * used - running
        return self.capex / saved if saved > 0 else None


def owning(
    currency: str, rent: str, capex: str, *, cards: int = 1, life_months: int = 48, watts: str = "0", idle_watts: str = "0",
    power: str = "0", pue: str = "", yearly: str = "0", residual_percent: str = "0",
) -> Owning:  # fmt: skip
    """What owning takes, from texts as people write them.

    Raises:
        LedgerError: a number is not exact or out of range.
    """
    digits_of(currency)
    factor = Fraction(decimal_of(pue or assumptions()["pue"]["likely"], "pue"))
    if cards < 1 or not 1 <= life_months <= 240:
        raise LedgerError("1 card or more, for 1 to 240 months")
    if factor < 1:
        raise LedgerError("pue: 1 or more: the room takes at least what the cards take")
    in_use, idle = (Fraction(decimal_of(w, "watts")) for w in (watts, idle_watts))
    if not 0 <= idle <= in_use:
        raise LedgerError("watts: not negative, and idle not above what it is in use")
    residual = share(residual_percent, "residual")
    return Owning(
        currency, cards, Fraction(life_months * YEAR_H, 12), nano_of(capex, "capex"), residual, in_use, idle,
        nano_of(power, "power"), factor, nano_of(yearly, "yearly"), nano_of(rent, "rent"),
    )  # fmt: skip


def told_owning(own: Owning, used: Fraction) -> dict[str, Any]:
    """Renting beside owning as JSON, at a share of the calendar that is used."""
    digits = digits_of(own.currency)

    def money(nano: Fraction) -> str:
        return text_of(rounded(nano * 10**digits / NANO), digits)

    hours = own.life_h * own.cards
    cost, rent = own.per_used_hour(used) * hours * used, own.rent * hours * used
    even, payback = own.break_even, own.payback_h(used)
    return {
        "currency": own.currency, "cards": own.cards, "life_months": decimal_text(own.life_h * 12 / YEAR_H),
        "utilisation_percent": decimal_text(used * 100), "own_total": money(cost), "rent_total": money(rent),
        "cheaper": "own" if cost < rent else "rent" if rent < cost else "alike", "saves": money(abs(rent - cost)),
        "own_per_used_hour": nano_text(round(own.per_used_hour(used))), "rent_per_used_hour": nano_text(own.rent),
        "own_fixed_per_hour": nano_text(round(own.fixed)), "own_variable_per_hour": nano_text(round(own.variable)),
        "break_even_percent": None if even is None else decimal_text(Fraction(round(even * 10**6), 10**4)),
        "owning_ever_pays": even is not None and even <= 1,
        "payback_months": None if payback is None else decimal_text(Fraction(round(payback * 12 / YEAR_H * 100), 100)),
        "pue": decimal_text(own.pue),
    }  # fmt: skip
