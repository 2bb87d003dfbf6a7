"""Quotes: exact, what the invoices will sum to, what if, and whether to own."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from console.ledger import invoices, leases, meter, paper, quotes, tenants
from console.ledger.errors import LedgerError
from console.ledger.estimates import Band, assumptions, band, cases, owning, told_owning
from console.ledger.money import HOUR_US, NANO
from console.ledger.plans import parse
from console.ledger.quotes import DAY_US, Asked, by_plan, by_price, share, span, told_quote
from console.ledger.store import Ledger
from console.ledger.times import period_of, shifted
from tests.ledger.conftest import CARDS, Clock, at, fill

NOW = at("2026-11-01")


def asked(cards=200, days="60", begin=NOW, **more):
    return Asked(cards, begin, begin + span(days), **more)


def test_the_published_weather_model_costs_what_its_makers_said():
    # 200 cards for about two months, more than 2 million yuan: above 6.94 yuan a card-hour.
    made = told_quote(by_price(asked(), "6.95", "CNY", NOW))
    assert (made["total"], made["card_hours"], made["per_card_hour"]) == ("2001600.00", "288000", "6.95")
    least = Fraction(2_000_000, 288_000)
    assert Fraction("6.94") < least < Fraction("6.95")
    # The run as Nature reports it: 4 models x 16 days x 192 V100 = 294,912 card-hours, 6.78 yuan each.
    assert 4 * 16 * 24 * 192 == 294_912
    assert round(Fraction(2_000_000, 294_912), 2) == Fraction("6.78")
    again = told_quote(by_price(asked(192, "64"), "6.78", "CNY", NOW))
    assert (again["card_hours"], again["total"]) == ("294912", "1999503.36")


def test_the_longest_quote_has_a_what_if_too():
    def quote(one):
        return by_price(one, "1", "USD", NOW)

    _, likely, high = cases(asked(1, "3660"), band("", "efficiency"), band("", "overhead"), quote)
    assert likely.quote.total == 3660 * 24 * 100 < high.quote.total


@pytest.mark.parametrize(("currency", "total"), [("JPY", "360"), ("USD", "360.00"), ("KWD", "360.000")])
def test_totals_have_the_decimals_of_their_currency(currency, total):
    assert told_quote(by_price(asked(1, "15"), "1", currency, NOW))["total"] == total


@given(
    cards=st.integers(1, 5000), days=st.integers(1, 400), price=st.decimals("0.001", "99", places=3),
    currency=st.sampled_from(["JPY", "USD", "CNY", "KWD"]),
)  # fmt: skip
def test_a_price_is_multiplied_exactly_and_rounded_once(cards, days, price, currency):
    made = told_quote(by_price(asked(cards, str(days)), str(price), currency, NOW))
    digits = {"JPY": 0, "KWD": 3}.get(currency, 2)
    assert Decimal(made["total"]) == round(cards * days * 24 * price, digits)


PLANS = {
    "hourly": {"kind": "payg", "price_per_card_hour": "2.351", "granularity_s": 3600, "minimum_s": 7200, "tax_percent": "15"},
    "monthly": {"kind": "subscription", "price_per_card": "1290.10", "discounts": [{"name": "a", "percent": "7"}]},
    "whole": {"kind": "subscription", "price_per_card": "1000", "prorate": False},
    "yearly": {"kind": "subscription", "price_per_card": "9000", "every": "year"},
    "commit": {
        "kind": "commit", "price_per_card_hour": "3", "committed_card_hours": "900", "committed_price_per_card_hour": "1.7",
    },
}  # fmt: skip


@given(
    name=st.sampled_from(sorted(PLANS)), cards=st.integers(1, 16), begin=st.integers(0, 400 * 24),
    length=st.integers(1, 100 * 24), tenant=st.sampled_from(["atlas", "berlin"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plans_quote_is_the_sum_of_the_invoices(tmp_path_factory, name, cards, begin, length, tenant):
    since = at("2026-01-10") + begin * HOUR_US
    until = since + length * HOUR_US
    clock = Clock("2026-01-01")
    with Ledger(tmp_path_factory.mktemp("q"), wall_ns=clock) as ledger:
        fill(ledger)
        tenants.add_plan(ledger, "op", name, PLANS[name] | {"currency": "USD"}, at("2026-01-01"))
        tz = ledger.known("tenant", tenant, "tenant")["tz"]
        plan = tenants.plan(ledger, name)
        offered = by_plan(Asked(cards, since, until, "h100", tz), plan, clock.us)
        clock.set(since)
        lease = leases.request(ledger, "op", tenant, name, "h100", cards, since, until)
        leases.activate(ledger, "op", lease.id, CARDS[:cards], since)
        clock.set(until)
        leases.give_back(ledger, "op", lease.id, until)
        clock.set(until + 62 * DAY_US)
        meter.tick(ledger)
        total, period = 0, period_of(since, tz)
        while period <= period_of(until - 1, tz):
            total += invoices.draft(ledger, tenant, period).total
            period = shifted(period, 1)
        assert offered.total == total


def test_deposit_tax_and_validity():
    made = told_quote(by_price(
        asked(3, "1", tax=share("15", "tax"), deposit=share("30", "deposit"), valid_us=7 * DAY_US), "0.33", "USD", NOW
    ))  # fmt: skip
    assert (made["net"], made["tax"], made["total"], made["deposit"]) == ("23.76", "3.56", "27.32", "8.20")
    assert made["valid_until"] == "2026-11-08T00:00:00Z"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: asked(0), "1 to"),
        (lambda: asked(1, "0"), "above 0"),
        (lambda: asked(1, "99999"), "up to"),
        (lambda: by_price(asked(), "6.95", "YUAN", NOW), "ISO 4217"),
        (lambda: by_price(asked(), "-1", "CNY", NOW), "negative"),
        (lambda: by_price(asked(), 6.95, "CNY", NOW), "not exact"),
        (lambda: share("101", "tax"), "0 to 100"),
        (lambda: band("1/2", "efficiency"), "three"),
        (lambda: band("43/41/38", "efficiency"), "order"),
        (lambda: band("x", "efficiency"), "not a number"),
        (lambda: cases(asked(), band("0/1/2", "efficiency"), band("", "overhead"), None), "no work"),
        (lambda: cases(asked(), band("", "efficiency"), band("0/1/100", "overhead"), None), "no work"),
        (lambda: owning("USD", "2", "1", pue="0.9"), "pue"),
        (lambda: owning("USD", "2", "1", watts="5", idle_watts="6"), "idle"),
        (lambda: owning("USD", "2", "1", life_months=0), "months"),
        (lambda: told_owning(owning("USD", "2", "1"), Fraction(0)), "utilisation"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_reason(call, says):
    with pytest.raises(LedgerError, match=says):
        call()


def test_what_if_keeps_the_work_and_changes_the_time():
    low, likely, high = cases(
        asked(), band("", "efficiency"), band("", "overhead"), lambda a: by_price(a, "6.95", "CNY", NOW)
    )
    assert likely.quote.total == 200_160_000
    assert low.quote.total < likely.quote.total < high.quote.total

    def work(case):
        return case.quote.asked.card_us * case.efficiency * (1 - case.overhead)

    for one in (low, high):
        assert abs(work(one) / work(likely) - 1) < Fraction(1, 10**5)
        assert (
            one.per_useful_hour * (1 - likely.overhead) >= likely.per_useful_hour * (1 - likely.overhead) or one is low
        )
    assert all(row["source"] and row["date"] for row in assumptions().values())


percent = st.integers(1, 99).map(lambda n: Fraction(n, 100))


@given(e=st.lists(percent, min_size=3, max_size=3), o=st.lists(percent, min_size=3, max_size=3))
@settings(deadline=None)
def test_the_likely_case_is_the_quote_and_lies_between(e, o):
    e, o = sorted(e), sorted(o)
    assume(e[1] / e[0] * (1 - o[1]) / (1 - o[2]) < quotes.MOST_DAYS / 3)
    low, likely, high = cases(asked(4, "3"), Band(*e), Band(*o), lambda a: by_price(a, "1", "USD", NOW))
    assert likely.quote.asked == asked(4, "3")
    assert low.quote.total <= likely.quote.total <= high.quote.total


money = st.integers(0, 10**6).map(str)


@given(rent=money, capex=money, watts=money, power=st.integers(0, 9).map(str), yearly=money, used=percent)
@settings(deadline=None)
def test_owning_breaks_even_where_an_hour_of_it_costs_the_rent(rent, capex, watts, power, yearly, used):
    own = owning("USD", rent, capex, cards=8, watts=watts, power=power, yearly=yearly)
    even = own.break_even
    told = told_owning(own, used)
    if even is None:
        assert own.rent <= own.variable
    elif 0 < even <= 1:
        assert own.per_used_hour(even) == own.rent
        if used > even:
            assert told["cheaper"] == "own"
        elif used < even:
            assert told["cheaper"] == "rent"
    cost = own.per_used_hour(used) * own.life_h * 8 * used / NANO
    assert abs(Fraction(told["own_total"]) - cost) <= Fraction(1, 200)


def test_a_kept_quote_stays_as_it_was_made_and_is_put_on_paper(ledger, clock):
    plan = tenants.plan(ledger, "hourly")
    clock.set("2026-03-01")
    made = by_plan(Asked(8, at("2026-03-05"), at("2026-03-06"), "h100", deposit=share("10", "d")), plan, clock.us)
    name = quotes.keep(ledger, "op", made, "atlas", "Forecast <i>2026</i>")
    kept = quotes.get(ledger, name)
    assert (kept["total"], kept["deposit"], kept["stands"], kept["by"]) == ("384.00", "38.40", True, "op")
    page = paper.quote_html(kept, "Gulf & Co")
    assert "&lt;i&gt;" in page
    assert "Gulf &amp; Co" in page
    assert "384.00" in page
    clock.set("2026-04-01")
    assert [q["stands"] for q in quotes.listing(ledger)] == [False]
    with pytest.raises(LedgerError, match="pays in USD"):
        quotes.keep(ledger, "op", by_price(asked(1), "1", "CNY", NOW), "atlas")
    with ledger.writing() as connection:
        for sql in ("UPDATE quote SET total_minor=1", "DELETE FROM quote"):
            with pytest.raises(Exception, match="append-only"):
                connection.execute(sql)


def test_a_quote_of_very_many_cards_is_exact():
    plan = parse(PLANS["hourly"] | {"currency": "USD"}, "p", 1)
    many = told_quote(by_plan(asked(100_000, "365"), plan, NOW))
    assert many["net"] == "2059476000.00"
