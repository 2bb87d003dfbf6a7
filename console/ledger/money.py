"""Money, exactly: prices in nano-units of a currency per hour, amounts as fractions, rounded once to minor units.

No float ever: a float drifts (36,000 times 0.1 times 7 is 25199.99999998475), and so does rounding twice.
"""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from console.ledger.errors import LedgerError

RESOURCES = Path(__file__).resolve().parents[2] / "resources"
NANO = 10**9
HOUR_US = 3_600_000_000
MOST = 10**9
"""No price and no amount given by a person is above this many units of a currency."""


class Rounding(enum.StrEnum):
    """How an amount becomes whole minor units; fixed with a plan version."""

    HALF_EVEN = "half_even"
    HALF_UP = "half_up"
    UP = "up"
    DOWN = "down"


@lru_cache(maxsize=1)
def currencies() -> Mapping[str, int]:
    """{ISO 4217 code: digits of its minor unit}."""
    table = tomllib.loads((RESOURCES / "currencies.toml").read_text("utf-8"))
    return {row["code"]: int(row["digits"]) for row in table["currency"]}


def digits_of(currency: str) -> int:
    """Digits of a currency's minor unit: JPY 0, USD 2, KWD 3.

    Raises:
        LedgerError: it is no currency of ISO 4217.
    """
    try:
        return currencies()[currency]
    except KeyError:
        raise LedgerError(f"{currency!r} is no currency of ISO 4217, like CNY or EUR") from None


def decimal_of(value: object, what: str) -> Decimal:
    """A number written as text, exactly.

    Raises:
        LedgerError: it is no such text: floats are refused, because 0.1 as a float is not 0.1.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise LedgerError(f'{what}: write the number as text, like "0.1"; {value!r} is not exact')
    try:
        found = Decimal(value)
    except InvalidOperation:
        raise LedgerError(f"{what}: {value!r} is not a number") from None
    if not found.is_finite():
        raise LedgerError(f"{what}: {value!r} is not a number")
    if abs(found) > MOST or found.as_tuple().exponent < -18:  # type: ignore[operator]
        raise LedgerError(f"{what}: {value!r} is out of range")
    return found


def nano_of(value: object, what: str) -> int:
    """A price in nano-units: "6.95" is 6,950,000,000.

    Raises:
        LedgerError: it is no number, negative, or finer than a nano-unit.
    """
    found = decimal_of(value, what)
    nano = found * NANO
    if found < 0:
        raise LedgerError(f"{what}: {value!r} is negative")
    if nano != int(nano):
        raise LedgerError(f"{what}: {value!r} is finer than nine decimals")
    return int(nano)


def minor_of(value: object, digits: int, what: str) -> int:
    """An amount in minor units: "12.30" with 2 digits is 1230.

    Raises:
        LedgerError: it is no number, or finer than the currency's minor unit.
    """
    found = decimal_of(value, what) * 10**digits
    if found != int(found):
        raise LedgerError(f"{what}: {value!r} has more than {digits} decimals")
    return int(found)


def text_of(minor: int, digits: int) -> str:
    """Minor units as a decimal string: 7430 with 2 digits is "74.30"."""
    sign, whole = ("-" if minor < 0 else ""), str(abs(minor)).rjust(digits + 1, "0")
    return f"{sign}{whole[:-digits]}.{whole[-digits:]}" if digits else f"{sign}{whole}"


def nano_text(nano: int) -> str:
    """A price in nano-units as a decimal string without trailing zeros."""
    text = text_of(nano, 9).rstrip("0").rstrip(".")
    return text or "0"


def cost(quantity_us: int, nano_per_hour: int, digits: int) -> Fraction:
    """What so many card-microseconds cost at a price per card-hour, in minor units, not rounded."""
    return Fraction(quantity_us * nano_per_hour * 10**digits, HOUR_US * NANO)


def rounded(amount: Fraction, rounding: Rounding = Rounding.HALF_EVEN) -> int:
    """Whole minor units. Half up and up are away from zero, so that a credit mirrors its charge."""
    if rounding is Rounding.HALF_EVEN:
        return round(amount)
    sign, size = (-1, -amount) if amount < 0 else (1, amount)
    whole, rest = divmod(size.numerator, size.denominator)
    if rounding is Rounding.UP:
        whole += rest > 0
    elif rounding is Rounding.HALF_UP:
        whole += 2 * rest >= size.denominator
    return sign * whole


def split(total: int, weights: Sequence[int | Fraction]) -> list[int]:
    """`total` in whole parts as the weights are, by largest remainder, ties to the first; the parts sum to the total.

    Raises:
        LedgerError: a weight is negative, or all are zero while there is something to split.
    """
    whole = sum(weights, start=Fraction(0))
    if any(w < 0 for w in weights) or (whole == 0 and total):
        raise LedgerError("what is split needs weights that are not negative, and one that is not zero")
    if whole == 0:
        return [0] * len(weights)
    exact = [Fraction(total) * w / whole for w in weights]
    parts = [e.numerator // e.denominator for e in exact]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts
