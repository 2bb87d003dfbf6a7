"""Rating: what was used, priced. Pure: the same facts give the same lines, to the byte, in whatever order they came.

The lease clock bills. A provider's outage stops pay-as-you-go and counts against the service level; a gap in telemetry changes
nothing here. Quantities are card-microseconds; an amount is rounded once, at its line.
"""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.money import HOUR_US, NANO, Rounding, cost, nano_text, rounded, split, text_of
from console.ledger.plans import Kind, Plan
from console.ledger.spans import Span, clipped, coalesced, common, total, without
from console.ledger.times import anchored_spans, instant_text, span_of

ENGINE = "1"
"""Changes when the same facts would give other lines; a frozen invoice is verified by the engine that made it."""

GIB = 2**30


class Category(enum.StrEnum):
    """FOCUS' charge categories."""

    USAGE = "Usage"
    PURCHASE = "Purchase"
    ADJUSTMENT = "Adjustment"
    CREDIT = "Credit"
    TAX = "Tax"


_ORDER = list(Category)


@dataclass(frozen=True, slots=True)
class Held:
    """A lease's time on one card, coalesced; `outage`: what of it the provider owes; `excused`: what of that was
    maintenance announced in time, which stops the meter and is no failure of service; `count`: cards held just so."""

    card: str
    spans: tuple[Span, ...]
    outage: tuple[Span, ...] = ()
    excused: tuple[Span, ...] = ()
    count: int = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """A lease, or the part of it that is on one plan: [begin, end), end None while it goes on."""

    lease: str
    plan: Plan
    sku: str
    begin: int
    end: int | None
    cards: tuple[Held, ...]
    anchor: int = 0
    gib: int = 0
    volumes: tuple[tuple[int, tuple[Span, ...]], ...] = ()
    egress_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice.

    Attributes:
        of: the billing period it is of: another one than the invoice's for a correction.
        quantity, unit: card-microseconds, card-periods in millionths, GiB-microseconds, bytes, or money (quantity 1).
        list_nano, contracted_nano, effective_nano: price a unit for people (a card-hour, card-period, GiB-hour, GiB).
        billed: minor units of the invoice's currency.
    """

    category: Category
    lease: str
    plan: str
    version: int
    sku: str
    what: str
    begin: int
    end: int
    quantity: int
    unit: str
    list_nano: int
    contracted_nano: int
    effective_nano: int
    billed: int
    of: str = ""
    is_correction: bool = False

    @property
    def key(self) -> tuple[str, str, str, int, str, str, int]:
        """What it is about: two ratings of one period are compared by it."""
        return (self.category, self.lease, self.plan, self.version, self.sku, self.what, self.list_nano)

    @property
    def order(self) -> tuple[Any, ...]:
        """Where it stands on an invoice."""
        return (self.is_correction, self.of, _ORDER.index(self.category), self.lease, self.plan, self.version, self.sku,
                self.begin, self.what, self.list_nano)  # fmt: skip


UNITS = {"card-hour": HOUR_US, "GiB-hour": HOUR_US, "GiB": GIB, "card-month": 10**6, "card-year": 10**6, "": 1}
"""Display unit: how many of `quantity` are one of it."""


@dataclass(slots=True)
class _Commitment:
    plan: Plan
    used: dict[str, int] = field(default_factory=dict)
    begin: int = 0
    end: int = 0


def billable(plan: Plan, held: Held, within: Span) -> int:
    """Card-time of one card to be paid in a billing period.

    Of every unbroken run: what is payable by the period's end less what was by its begin, so that the months of a run
    add up to the whole run, however it is cut.
    """
    out = 0
    outage = list(held.outage)
    for run in held.spans:
        if run[0] >= within[1] or run[1] <= within[0]:
            continue
        used = without([run], outage)
        after = plan.billable(total(clipped(used, (run[0], within[1]))))
        before = plan.billable(total(clipped(used, (run[0], within[0])))) if run[0] < within[0] else 0
        out += after - before
    return out


def rate(terms: Iterable[Terms], period: str, tz: str) -> list[Line]:
    """The lines of one tenant's billing period, before credits and tax, in their order.

    Raises:
        LedgerError: a card is in two leases at once.
    """
    within = span_of(period, tz)
    out: list[Line] = []
    commitments: dict[tuple[str, int], _Commitment] = {}
    for one in terms:
        match one.plan.kind:
            case Kind.PAYG:
                out += _payg(one, within)
            case Kind.SUBSCRIPTION:
                out += _subscription(one, within, tz)
            case Kind.COMMIT:
                _commit(one, within, commitments)
        out += _extras(one, within)
        out += _service_level(one, within, out)
    for made in commitments.values():
        out += _committed(made, within)
    return sorted((replace(line, of=period) for line in out), key=lambda line: line.order)


def _line(one: Terms, category: Category, what: str, within: Span, quantity: int, unit: str, list_nano: int) -> Line:
    contracted = one.plan.contracted(list_nano)
    amount = Fraction(quantity * contracted * 10**one.plan.digits, UNITS[unit] * NANO)
    return Line(
        category, one.lease, one.plan.id, one.plan.version, one.sku, what, max(one.begin, within[0]),
        within[1] if one.end is None else min(one.end, within[1]), quantity, unit, list_nano, contracted, contracted,
        rounded(amount, one.plan.rounding),
    )  # fmt: skip


def _payg(one: Terms, within: Span) -> list[Line]:
    quantity = sum(billable(one.plan, held, within) * held.count for held in one.cards)
    if not quantity:
        return []
    return [_line(one, Category.USAGE, "Card time", within, quantity, "card-hour", one.plan.price(one.sku))]


def _subscription(one: Terms, within: Span, tz: str) -> list[Line]:
    """In advance: every anchored period that begins in this billing period, for the share in which cards are held."""
    out = []
    plan, unit = one.plan, "card-year" if one.plan.every == 12 else "card-month"
    # A part of a lease that moved to this plan in the middle of an anchored period pays its part of that period here.
    for _, span in _begun(one, within, tz):
        share = Fraction(0)
        for held in one.cards:
            used = total(clipped(list(held.spans), span))
            if used:
                share += (Fraction(used, span[1] - span[0]) if plan.prorate else 1) * held.count
        if not share:
            continue
        list_nano = plan.price(one.sku)
        contracted = plan.contracted(list_nano)
        amount = share * contracted * 10**plan.digits / NANO
        out.append(Line(
            Category.PURCHASE, one.lease, plan.id, plan.version, one.sku,
            f"Subscription from {instant_text(span[0])}", span[0], span[1], round(share * 10**6), unit, list_nano,
            contracted, contracted, rounded(amount, plan.rounding),
        ))  # fmt: skip
    return out


def _begun(one: Terms, within: Span, tz: str) -> list[tuple[int, Span]]:
    anchor = one.anchor or one.begin
    found = list(anchored_spans(anchor, tz, one.plan.every, within))
    if within[0] <= one.begin < within[1] and one.begin > anchor:
        # It came to this plan within an anchored period that began before; that one is paid now, from here on.
        early = [
            (k, span) for k, span in anchored_spans(anchor, tz, one.plan.every, (anchor, one.begin))
            if span[0] < one.begin < span[1] and span[0] < within[0]
        ]  # fmt: skip
        found = early + found
    return found


def _commit(one: Terms, within: Span, commitments: dict[tuple[str, int], _Commitment]) -> None:
    is_on = one.begin < within[1] and (one.end is None or one.end > within[0])
    if not is_on:
        return
    made = commitments.setdefault((one.plan.id, one.plan.version), _Commitment(one.plan, {}, within[1], within[0]))
    made.begin = min(made.begin, max(one.begin, within[0]))
    made.end = max(made.end, within[1] if one.end is None else min(one.end, within[1]))
    quantity = sum(billable(one.plan, held, within) * held.count for held in one.cards)
    made.used[one.sku] = made.used.get(one.sku, 0) + quantity


def _committed(made: _Commitment, within: Span) -> list[Line]:
    """Used and unused parts of the commitment, which sum to it, and what is beyond it."""
    plan = made.plan
    used = sum(made.used.values())
    inside = min(used, plan.committed_us)
    unused = plan.committed_us - inside
    price = plan.contracted(plan.committed_nano)
    whole = rounded(cost(plan.committed_us, price, plan.digits), plan.rounding)
    parts = split(whole, [inside, unused]) if plan.committed_us else [0, 0]
    out = [
        Line(category, "", plan.id, plan.version, "", what, within[0], within[1], quantity, "card-hour",
             plan.committed_nano, price, price, billed)
        for category, what, quantity, billed in (
            (Category.USAGE, "Committed card time, used", inside, parts[0]),
            (Category.PURCHASE, "Committed card time, unused", unused, parts[1]),
        ) if quantity
    ]  # fmt: skip
    over = used - inside
    if over:
        # The commitment is used up by all SKUs alike; what is beyond costs each its own price.
        skus = sorted(made.used)
        for sku, quantity in zip(skus, split(over, [made.used[s] for s in skus]), strict=True):
            if quantity:
                list_nano = plan.price(sku)
                contracted = plan.contracted(list_nano)
                billed = rounded(cost(quantity, contracted, plan.digits), plan.rounding)
                what = "Card time beyond the commitment"
                out.append(Line(Category.USAGE, "", plan.id, plan.version, sku, what, within[0], within[1], quantity,
                                "card-hour", list_nano, contracted, contracted, billed))  # fmt: skip
    return out


def _extras(one: Terms, within: Span) -> list[Line]:
    """Storage and network beside the cards."""
    out = []
    stored = sum(gib * total(clipped(list(spans), within)) for gib, spans in one.volumes)
    if stored:
        out.append(_line(one, Category.USAGE, "Storage", within, stored, "GiB-hour", one.plan.volume_nano))
    if one.egress_bytes:
        out.append(_line(one, Category.USAGE, "Data sent", within, one.egress_bytes, "GiB", one.plan.egress_nano))
    return out


def _service_level(one: Terms, within: Span, lines: Sequence[Line]) -> list[Line]:
    """The credit that the service level owes, never above the fee of the lease."""
    if not one.plan.tiers:
        return []
    held = sum(total(clipped(list(h.spans), within)) * h.count for h in one.cards)
    down = sum(
        total(common(clipped(list(h.spans), within), without(list(h.outage), list(h.excused)))) * h.count
        for h in one.cards
    )
    if not held or not down:
        return []
    share = one.plan.credit_share(1 - Fraction(down, held))
    fee = sum(
        line.billed for line in lines
        if line.lease == one.lease and (line.plan, line.version) == (one.plan.id, one.plan.version)
        and line.category in (Category.USAGE, Category.PURCHASE) and line.unit.startswith("card")
    )  # fmt: skip
    credit = min(fee, rounded(share * fee, one.plan.rounding))
    if credit <= 0:
        return []
    what = f"Service level: {_percent(1 - Fraction(down, held))} available"
    return [Line(Category.CREDIT, one.lease, one.plan.id, one.plan.version, one.sku, what, within[0], within[1], 1, "",
                 0, 0, 0, -credit)]  # fmt: skip


def _percent(share: Fraction) -> str:
    # Rounded down: 99.9999 % is not 100 %.
    return f"{text_of(share.numerator * 100_000 // share.denominator, 3)} %"


def credited(lines: Sequence[Line], balance: int, period: str, within: Span) -> tuple[list[Line], int]:
    """Lines with credits applied, never below nothing due; and the balance that is carried on.

    Args:
        balance: credit from before, minor units, not negative.
    """
    due = [line for line in lines if line.category is not Category.CREDIT]
    owed = sum(line.billed for line in due)
    out, left = list(due), max(0, owed)
    for line in (line for line in lines if line.category is Category.CREDIT):
        part = min(left, -line.billed)
        balance += -line.billed - part
        left -= part
        if part:
            out.append(replace(line, billed=-part))
    if balance and left and owed > 0:
        part = min(left, balance)
        # What this period's own credits left over is not applied twice.
        balance -= part
        out.append(Line(Category.CREDIT, "", "", 0, "", "Credit from before", within[0], within[1], 1, "", 0, 0, 0, -part,
                        period))  # fmt: skip
    if owed < 0:
        # Corrections that give back more than is due: what is left is carried, as a credit is.
        balance += -owed
        out.append(Line(Category.ADJUSTMENT, "", "", 0, "", "Carried to the next invoice", within[0], within[1], 1, "",
                        0, 0, 0, -owed, period))  # fmt: skip
    return sorted(out, key=lambda line: line.order), balance


def taxed(lines: Sequence[Line], taxes: Mapping[tuple[str, int], Plan], period: str, within: Span) -> list[Line]:
    """Lines with tax: a line a rate, of what is due at that rate after credits."""
    due: dict[Fraction, int] = {}
    rounding: dict[Fraction, Rounding] = {}
    loose = 0
    for line in lines:
        plan = taxes.get((line.plan, line.version))
        if plan is None:
            loose += line.billed
        else:
            due[plan.tax] = due.get(plan.tax, 0) + line.billed
            rounding.setdefault(plan.tax, plan.rounding)
    rates = sorted(r for r in due if r)
    if not rates:
        return list(lines)
    if loose:
        # What belongs to no plan is spread over the rates as what is due at them.
        weights = [max(0, v) for v in due.values()]
        parts = split(abs(loose), weights) if any(weights) else [0] * len(weights)
        for r, part in zip(list(due), parts, strict=True):
            due[r] += part if loose > 0 else -part
    made = [
        Line(Category.TAX, "", "", 0, "", f"Tax {text_of(round(r * 10_000), 2)} %", within[0], within[1], 1, "", 0, 0, 0,
             rounded(r * due[r], rounding[r]), period)
        for r in rates if due[r] > 0
    ]  # fmt: skip
    return sorted([*lines, *(line for line in made if line.billed)], key=lambda line: line.order)


def told(line: Line, digits: int) -> dict[str, Any]:
    """A line as JSON: money and prices as decimal strings."""
    per = UNITS[line.unit]
    return {
        "category": str(line.category), "class": "Correction" if line.is_correction else None, "period": line.of or None,
        "lease": line.lease or None, "plan": line.plan or None, "plan_version": line.version or None,
        "sku": line.sku or None, "what": line.what, "from": instant_text(line.begin), "to": instant_text(line.end),
        "quantity": decimal_text(Fraction(line.quantity, per)), "unit": line.unit or None,
        "list_price": nano_text(line.list_nano), "contracted_price": nano_text(line.contracted_nano),
        "effective_price": nano_text(line.effective_nano), "amount": text_of(line.billed, digits),
    }  # fmt: skip


def decimal_text(value: Fraction) -> str:
    """At most twelve decimals, rounded half to even; for people, not for sums."""
    text = text_of(round(value * 10**12), 12).rstrip("0").rstrip(".")
    return text or "0"


def check_single(cards: Mapping[str, Sequence[tuple[str, Sequence[Span]]]]) -> None:
    """{card: [(lease, coalesced spans)]}: no card in two leases at one instant.

    Raises:
        LedgerError: one is.
    """
    for card, held in cards.items():
        ends = sorted((begin, end, lease) for lease, spans in held for begin, end in spans)
        for (_, end, first), (begin, _, second) in itertools.pairwise(ends):
            if begin < end and first != second:
                raise LedgerError(
                    f"card {card} is in leases {first} and {second} at once, at {instant_text(begin)}; one of them is wrong"
                )


def held(spans: Iterable[Span], outage: Iterable[Span], card: str, excused: Iterable[Span] = ()) -> Held:
    """A card's time with what of it was an outage, and what of that is excused."""
    time = coalesced(spans)
    return Held(card, tuple(time), tuple(common(time, coalesced(outage))), tuple(common(time, coalesced(excused))))
