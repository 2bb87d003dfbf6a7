"""Rating of documents: golden cases with sources, and the rules of money that hold for every one of them."""

import ast
import contextlib
import itertools
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import console.ledger
from console.ledger.errors import LedgerError
from console.ledger.money import HOUR_US, Rounding, minor_of, nano_of, rounded, split, text_of
from console.ledger.plans import parse
from console.ledger.spans import coalesced, common, cut, total, without
from console.ledger.times import anchored, anchored_spans, instant_text, parse_instant, period_of, span_of
from console.ledger.whatif import what_if

HOUR = timedelta(hours=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Shanghai",
    "America/New_York",
    "Asia/Riyadh",
    "Australia/Lord_Howe",
    "Africa/Cairo",
)


def document(usage, tz="UTC", currency="EUR", period="2026-03", outages=(), **plan):
    plan = {"kind": "payg", "price_per_card_hour": "0.1", "granularity_s": 1, "minimum_s": 0} | plan
    return {
        "tenant": {"id": "t", "tz": tz, "currency": currency}, "period": period, "plan": plan, "usage": usage,
        "outages": list(outages),
    }  # fmt: skip


def row(begin, end, lease="L", card="G", name=None, **more):
    made = {"lease": lease, "card": card, "from": begin, "to": end} | more
    return made if name is None else made | {"id": name}


def iso(us):
    return instant_text(us)


def total_of(*arguments, **more):
    return what_if(document(*arguments, **more))["total"]


# Golden cases


def test_pangu_weather():
    """200 cards for 60 days at 6.95 yuan a card-hour: 2,001,600.00 (the published run cost more than 2 million yuan)."""
    usage = [row("2026-02-28T16:00:00Z", "2026-04-29T16:00:00Z", card=f"G{i}") for i in range(200)]
    march = total_of(usage, tz="Asia/Shanghai", currency="CNY", period="2026-03", price_per_card_hour="6.95")
    april = total_of(usage, tz="Asia/Shanghai", currency="CNY", period="2026-04", price_per_card_hour="6.95")
    assert Decimal(march) + Decimal(april) == Decimal("2001600.00")


def test_many_small_events_do_not_drift():
    """36,000 one-hour events of 7 cards at 0.1 are exactly 25,200; as floats they are 25199.99999998475."""
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    usage = [
        row((begin + HOUR * (i % 720)).isoformat(), (begin + HOUR * (i % 720 + 1)).isoformat(), card=f"G{i // 720}-{c}")
        for i in range(36_000)
        for c in range(7)
    ]
    assert total_of(usage) == "25200.00"


@pytest.mark.parametrize(
    ("tz", "period", "hours"),
    [
        ("Europe/Berlin", "2026-03", 743),
        ("Europe/Berlin", "2026-10", 745),
        ("UTC", "2026-03", 744),
        ("Asia/Riyadh", "2028-02", 696),
    ],
)
def test_2_a_whole_month_is_its_elapsed_hours(tz, period, hours):
    begin, end = span_of(period, tz)
    assert (end - begin) // HOUR_US == hours
    assert total_of([row(iso(begin), iso(end))], tz=tz, period=period) == str(Decimal(hours) / 10 + Decimal("0.00"))


@pytest.mark.parametrize(("currency", "said"), [("JPY", "74"), ("CNY", "74.40"), ("KWD", "74.400"), ("CLF", "74.4000")])
def test_minor_units_of_currencies(currency, said):
    assert total_of([row("2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")], currency=currency) == said


def test_17_half_is_rounded_to_even_unless_the_plan_says_otherwise():
    # 2.675 as a float is 2.67 when rounded; here it is what it is.
    usage = [row("2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z")]
    for rounding, said in (("half_even", "2.68"), ("half_up", "2.68"), ("down", "2.67"), ("up", "2.68")):
        assert total_of(usage, price_per_card_hour="2.675", rounding=rounding) == said
    assert total_of(usage, price_per_card_hour="2.665") == "2.66"
    assert total_of(usage, price_per_card_hour="2.665", rounding="half_up") == "2.67"


def test_an_anchor_on_the_31st_and_on_a_leap_day():
    at = parse_instant("2026-01-31T10:00:00+03:00", "anchor")
    days = [iso(anchored(at, "Asia/Riyadh", 1, k)) for k in range(5)]
    assert days == [f"2026-{d}T07:00:00Z" for d in ("01-31", "02-28", "03-31", "04-30", "05-31")]
    leap = parse_instant("2024-02-29T00:00:00Z", "anchor")
    assert [iso(anchored(leap, "UTC", 12, k))[:10] for k in range(5)] == [
        "2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29",
    ]  # fmt: skip


def test_a_subscription_is_paid_in_advance_and_prorated_by_the_whole_period():
    plan = {"kind": "subscription", "price_per_card": "3100", "every": "month"}
    for key in ("price_per_card_hour", "granularity_s", "minimum_s"):
        plan[key] = None
    usage = [row("2026-03-01T00:00:00Z", "2026-03-11T00:00:00Z")]
    made = document(usage)
    made["plan"] = {"kind": "subscription", "price_per_card": "3100"}
    assert what_if(made)["total"] == "1000.00"
    made["plan"]["prorate"] = False
    assert what_if(made)["total"] == "3100.00"


def test_a_commitment_shows_used_unused_and_beyond():
    made = document([row("2026-03-01T00:00:00Z", "2026-03-05T04:00:00Z")])
    plan = {
        "kind": "commit",
        "price_per_card_hour": "2",
        "committed_card_hours": "300",
        "committed_price_per_card_hour": "1",
    }
    made["plan"] = plan
    found = what_if(made)
    assert [(line["what"], line["quantity"], line["amount"]) for line in found["lines"]] == [
        ("Committed card time, used", "100", "100.00"), ("Committed card time, unused", "200", "200.00"),
    ]  # fmt: skip
    made["plan"] = plan | {"committed_card_hours": "40"}
    assert [line["amount"] for line in what_if(made)["lines"]] == ["120.00", "40.00"]
    assert what_if(made)["total"] == "160.00"


def test_19_discounts_credit_and_tax_in_their_order():
    begin, end = "2026-03-01T00:00:00Z", "2026-03-11T00:00:00Z"
    sla = [{"below_percent": "99.9", "credit_percent": "10"}, {"below_percent": "95", "credit_percent": "25"}]
    found = what_if(document(
        [row(begin, end)], outages=[{"from": "2026-03-02T00:00:00Z", "to": "2026-03-03T00:00:00Z", "cause": "provider"}],
        price_per_card_hour="10", discounts=[{"name": "volume", "percent": "20"}], sla=sla, tax_percent="15",
    ))  # fmt: skip
    # 9 of 10 days at 10 less 20 %; 90 % available: a quarter back; 15 % of what is left.
    assert [(line["category"], line["amount"]) for line in found["lines"]] == [
        ("Usage", "1728.00"), ("Credit", "-432.00"), ("Tax", "194.40"),
    ]  # fmt: skip
    assert found["lines"][0]["list_price"] == "10"
    assert found["lines"][0]["contracted_price"] == "8"
    assert found["total"] == "1490.40"


def test_12_outages_stop_the_meter_only_when_the_provider_is_the_cause():
    usage = [row("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")]
    for cause, said in (("provider", "2.30"), ("tenant", "2.40"), ("unknown", "2.40")):
        outage = {"card": "G", "from": "2026-03-01T05:00:00Z", "to": "2026-03-01T06:00:00Z", "cause": cause}
        assert total_of(usage, outages=[outage]) == said
    other = {"card": "another", "from": "2026-03-01T05:00:00Z", "to": "2026-03-01T06:00:00Z"}
    assert total_of(usage, outages=[other]) == "2.40"


# What is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tenant": {"id": "t", "tz": "Mars/Olympus", "currency": "EUR"}}, "no time zone"),
        ({"tenant": {"id": "t", "tz": "UTC", "currency": "EURO"}}, "no currency"),
        ({"period": "2026-13"}, "no billing period"),
        ({"plan": {"kind": "payg", "price_per_card_hour": 0.1}}, "not exact"),
        ({"plan": {"kind": "payg", "price_per_card_hour": "-1"}}, "negative"),
        ({"plan": {"kind": "payg", "price_per_card_hour": "0.0000000001"}}, "finer"),
        ({"plan": {"kind": "payg", "price_per_card_hour": "NaN"}}, "not a number"),
        ({"plan": {"kind": "payg"}}, "price_per_card_hour is missing"),
        ({"plan": {"kind": "gift", "price_per_card_hour": "1"}}, "kind is one of"),
        ({"plan": {"kind": "payg", "price_per_card_hour": "1", "granulatiry_s": 1}}, "no key"),
        ({"plan": {"kind": "payg", "price_per_card_hour": "1", "granularity_s": 0}}, "whole number"),
        ({"plan": {"kind": "payg", "price_per_card_hour": "1", "currency": "USD"}}, "never mixed"),
        ({"usage": [row("2026-03-01T00:00:00", "2026-03-02T00:00:00Z")]}, "no offset"),
        ({"usage": [row("yesterday", "2026-03-02T00:00:00Z")]}, "not an ISO 8601 time"),
        ({"usage": [row("2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z")]}, "ends before"),
        ({"usage": [{"lease": "L"}]}, "card is missing"),
        ({"usage": "none"}, "is a list"),
        (
            {"usage": [row("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z", name="a"),
                       row("2026-03-02T00:00:00Z", "2026-03-04T00:00:00Z", name="a")]},
            "other contents",
        ),
        (
            {"usage": [row("2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"),
                       row("2026-03-02T05:00:00Z", "2026-03-04T00:00:00Z", lease="M")]},
            "in leases L and M at once",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_words(change, words):
    with pytest.raises(LedgerError, match=words):
        what_if(document([]) | change)


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats()
keys = st.sampled_from(["tenant", "period", "plan", "usage", "outages", "tz", "kind", "id"])


@given(st.recursive(leaves, lambda c: st.lists(c, max_size=4) | st.dictionaries(keys, c, max_size=5), max_leaves=20))
def test_no_document_makes_anything_but_an_answer_or_a_refusal(value):
    with contextlib.suppress(LedgerError):
        what_if(value)


# The invariants of the service reference, section 3, by number

instants = st.integers(1_700_000_000, 1_900_000_000).map(lambda s: s * 1_000_000)
spans = st.lists(st.tuples(instants, st.integers(1, 10**12)).map(lambda p: (p[0], p[0] + p[1])), max_size=12)


@given(spans, spans)
def test_1_spans_are_half_open_and_neither_overlap_nor_gap(left, right):
    a, b = coalesced(left), coalesced(right)
    assert all(x[1] < y[0] for x, y in itertools.pairwise(a))
    assert total(common(a, b)) + total(without(a, b)) == total(a)
    assert coalesced([*common(a, b), *without(a, b)]) == a
    assert common(without(a, b), b) == []
    assert common(a, b) == common(b, a)


@given(st.sampled_from(ZONES), st.integers(1975, 2150))
def test_3_the_periods_of_a_year_tile_it(tz, year):
    found = [span_of(f"{year}-{m:02d}", tz) for m in range(1, 13)]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
    assert found[-1][1] == span_of(f"{year + 1}-01", tz)[0]
    for m, (begin, end) in enumerate(found, 1):
        assert period_of(begin, tz) == period_of(end - 1, tz) == f"{year}-{m:02d}"


@given(instants, st.sampled_from(ZONES), st.sampled_from([1, 12]), st.integers(0, 60))
def test_4_anchored_periods_come_from_the_anchor_and_tile_time(at, tz, every, k):
    here, after = anchored(at, tz, every, k), anchored(at, tz, every, k + 1)
    assert here < after
    within = (here, after + 1)
    assert next(s for _, s in anchored_spans(at, tz, every, within)) == (here, after)
    assert (k, (here, after)) in list(anchored_spans(at, tz, every, (at, after + 1)))


@given(instants, st.sampled_from(ZONES), st.integers(0, 24), st.lists(st.integers(1, 10**13), max_size=6))
def test_5_the_parts_of_a_period_are_exactly_one(at, tz, k, cuts):
    begin, end = anchored(at, tz, 1, k), anchored(at, tz, 1, k + 1)
    parts = cut([(begin, end)], [begin + c for c in cuts])
    assert sum(Fraction(b - a, end - begin) for a, b in parts) == 1


@settings(max_examples=60)
@given(
    st.integers(1, 40 * 24 * 3600),
    st.integers(0, 20 * 24 * 3600),
    st.lists(st.integers(1, 40 * 24 * 3600), max_size=30),
    st.sampled_from([1, 60, 3600, 86_400]),
    st.sampled_from([0, 600, 86_400]),
    st.sampled_from(ZONES),
    st.randoms(),
)
def test_6_cutting_shuffling_and_repeating_change_nothing(length, start, cuts, granularity, minimum, tz, rng):
    begin = parse_instant("2026-02-20T00:00:00Z", "t") + start * 10**6
    end = begin + length * 10**6
    whole = [row(iso(begin), iso(end), name="w")]
    parts = [row(iso(a), iso(b), name=str(a)) for a, b in cut([(begin, end)], [begin + c * 10**6 for c in cuts])]
    parts += parts[:3]
    rng.shuffle(parts)
    plan = {"granularity_s": granularity, "minimum_s": minimum, "price_per_card_hour": "3.333333333"}
    assert what_if(document(parts, tz=tz, **plan)) == what_if(document(whole, tz=tz, **plan))


def test_6_a_lease_cut_at_a_thousand_instants_costs_the_same():
    begin, end = span_of("2026-03", "Europe/Berlin")
    rng = random.Random(7)
    cuts = [rng.randrange(begin, end) for _ in range(1000)]
    parts = [row(iso(a), iso(b)) for a, b in cut([(begin, end)], cuts)]
    rng.shuffle(parts)
    plan = {"tz": "Europe/Berlin", "granularity_s": 60, "minimum_s": 3600}
    assert total_of(parts, **plan) == total_of([row(iso(begin), iso(end))], **plan) == "74.30"


@given(st.integers(0, 10**13), st.integers(0, 10**13), st.integers(1, 86_400), st.integers(0, 86_400))
def test_7_granularity_and_minimum(q, more, granularity, minimum):
    plan = parse({
        "kind": "payg", "price_per_card_hour": "1", "currency": "EUR", "granularity_s": granularity, "minimum_s": minimum,
    })  # fmt: skip
    assert plan.billable(q) <= plan.billable(q + more)
    assert plan.billable(q) >= q
    if q >= plan.minimum_us:
        assert plan.billable(q) - q < plan.granularity_us
    assert plan.billable(0) == 0


@settings(max_examples=40)
@given(
    st.integers(1, 80 * 24 * 3600),
    st.sampled_from([1, 3600, 86_400]),
    st.sampled_from([0, 86_400 * 3]),
    st.sampled_from(ZONES),
)
def test_7_the_months_of_a_run_add_up_to_the_run(length, granularity, minimum, tz):
    begin = parse_instant("2026-01-20T03:04:05Z", "t")
    usage = [row(iso(begin), iso(begin + length * 10**6))]
    plan = {"kind": "payg", "price_per_card_hour": "1", "granularity_s": granularity, "minimum_s": minimum}
    months = [what_if(document(usage, tz=tz, period=p, **plan)) for p in ("2026-01", "2026-02", "2026-03", "2026-04")]
    billed = sum(Fraction(line["quantity"]) for m in months for line in m["lines"])
    exact = Fraction(parse(plan | {"currency": "EUR"}).billable(length * 10**6), HOUR_US)
    assert abs(billed - exact) < Fraction(4, 10**12)


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6))
def test_17_rounding_is_once_and_by_its_rule(numerator, denominator):
    exact = Fraction(numerator, denominator)
    for rounding in Rounding:
        assert abs(rounded(exact, rounding) - exact) < 1
    assert abs(rounded(exact) - exact) <= Fraction(1, 2)
    assert abs(rounded(exact, Rounding.UP)) >= abs(exact) >= abs(rounded(exact, Rounding.DOWN))
    for rounding in Rounding:
        assert rounded(-exact, rounding) == -rounded(exact, rounding)


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_18_parts_sum_to_the_whole(whole, weights):
    if not any(weights):
        weights[0] = 1
    parts = split(whole, weights)
    assert sum(parts) == whole
    exact = [Fraction(whole * w, sum(weights)) for w in weights]
    assert all(abs(p - e) < 1 for p, e in zip(parts, exact, strict=True))


@given(st.integers(-(10**15), 10**15), st.integers(0, 4))
def test_16_money_as_text_is_exact(minor, digits):
    assert minor_of(text_of(minor, digits), digits, "amount") == minor if abs(minor) < 10**9 * 10**digits else True
    assert Decimal(text_of(minor, digits)) * 10**digits == minor


@given(st.integers(0, 10**9 * 10**9))
def test_16_prices_are_exact(nano):
    assert nano_of(text_of(nano, 9), "price") == nano


def test_16_no_float_in_the_billing_modules():
    for path in Path(console.ledger.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), (path.name, node.lineno)
            assert not (isinstance(node, ast.Name) and node.id == "float"), (path.name, node.lineno)


@settings(max_examples=80)
@given(st.integers(0, 40), st.integers(0, 60), st.sampled_from(["0", "1", "7.77"]), st.sampled_from(["1", "0.3333"]))
def test_20_used_and_unused_are_the_commitment(committed, used, price, over):
    made = document([row("2026-03-01T00:00:00Z", iso(parse_instant("2026-03-01T00:00:00Z", "t") + used * HOUR_US + 1))])
    made["plan"] = {
        "kind": "commit", "price_per_card_hour": over, "committed_card_hours": str(committed),
        "committed_price_per_card_hour": price, "granularity_s": 1,
    }  # fmt: skip
    lines = {line["what"]: line for line in what_if(made)["lines"]}
    inside = [lines[w] for w in ("Committed card time, used", "Committed card time, unused") if w in lines]
    assert sum(Decimal(line["quantity"]) for line in inside) == committed
    assert sum(Decimal(line["amount"]) for line in inside) == Decimal(price) * committed


@settings(max_examples=60)
@given(st.integers(1, 29), st.integers(0, 29 * 24), st.sampled_from(["10", "100"]))
def test_19_and_21_a_credit_is_never_above_the_fee_and_tiers_are_monotone(days, down, most):
    begin = parse_instant("2026-03-01T00:00:00Z", "t")
    usage = [row(iso(begin), iso(begin + days * 24 * HOUR_US))]
    sla = [{"below_percent": "99.9", "credit_percent": "5"}, {"below_percent": "50", "credit_percent": most}]
    before = Decimal(-1)
    for hours in sorted({0, down, down + 5}):
        outage = [] if not hours else [{"from": iso(begin), "to": iso(begin + hours * HOUR_US)}]
        found = what_if(document(usage, outages=outage, price_per_card_hour="1", sla=sla))
        fee = sum((Decimal(x["amount"]) for x in found["lines"] if x["category"] == "Usage"), Decimal(0))
        credit = -sum((Decimal(x["amount"]) for x in found["lines"] if x["category"] == "Credit"), Decimal(0))
        assert 0 <= credit <= fee
        assert Decimal(found["total"]) >= 0
        share = credit / fee if fee else Decimal(0)
        assert share >= before or fee == 0
        before = max(before, share - Decimal("0.01"))


def test_21_tiers_that_give_less_for_worse_are_refused():
    sla = [{"below_percent": "99", "credit_percent": "50"}, {"below_percent": "90", "credit_percent": "10"}]
    with pytest.raises(LedgerError, match="must not give less"):
        what_if(document([], sla=sla))
