"""Planning over a ledger: what it knows of supply and demand, and what scenarios change."""

from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.comparing import Scenario, changed, compare, revenue, scenarios
from console.ledger import deliveries, invoices, leases, meter, pool, tenants
from console.ledger.errors import LedgerError
from console.ledger.leases import State
from console.ledger.store import Ledger
from console.placement.capacity import DAY_US, FOREVER, Kind
from console.prospect import expiries, facts, told_outlook
from tests.ledger.conftest import CARDS, MODEL, Clock, at, fill, lend

DAY = DAY_US


def kinds(found):
    return sorted((b.lease, str(b.kind), b.region, b.cards) for b in found.bookings)


def ask(ledger, name, cards, begin, end=None, **spec):
    return leases.request(ledger, "op", "atlas", "hourly", "h100", cards, at(begin), end and at(end), spec, name)


def test_what_is_held_reserved_waiting_and_refused_is_told_apart(ledger, clock):
    pool.bind(ledger, "op", [pool.Seen(f"GPU-far-{i}", MODEL, "far00", "johor") for i in range(4)], at("2026-01-01"))
    lend(ledger, clock, "2026-03-01", CARDS[:2], name="held", end="2026-06-01")
    ask(ledger, "later", 4, "2026-04-10", "2026-05-10")
    leases.reserve(ledger, "op", "later", CARDS[4:8])
    ask(ledger, "waits", 5, "2026-03-05")
    ask(ledger, "near", 3, "2026-03-05", regions=["johor"])
    ask(ledger, "refused", 10, "2026-03-20")
    leases.end_early(ledger, "op", "refused", State.REJECTED, "full")
    ask(ledger, "taken-back", 10, "2026-03-20")
    leases.end_early(ledger, "op", "taken-back", State.CANCELLED, "their own choice")
    ask(ledger, "late", 1, "2026-03-02", "2026-07-01")
    clock.set("2026-03-09")
    leases.activate(ledger, "op", "late", CARDS[10:11], clock.us)
    clock.set("2026-04-01")
    found = facts(ledger)
    assert kinds(found) == [
        ("held", "held", "riyadh", 2), ("late", "held", "riyadh", 1), ("late", "queued", "johor", 0.2),
        ("late", "queued", "riyadh", 0.8), ("later", "reserved", "riyadh", 4), ("near", "queued", "johor", 3),
        ("refused", "rejected", "johor", 2), ("refused", "rejected", "riyadh", 8), ("waits", "queued", "johor", 1),
        ("waits", "queued", "riyadh", 4),
    ]  # fmt: skip
    waited = next(b for b in found.bookings if b.lease == "late" and b.kind is Kind.QUEUED)
    assert (waited.begin, waited.end) == (at("2026-03-02"), at("2026-03-09"))
    refused = next(b for b in found.bookings if b.kind is Kind.REJECTED)
    assert refused.end - refused.begin == 30 * DAY, "without an end it counts as a month"
    (one,) = [o for o in found.outlooks(90) if o.region == "riyadh"]
    told = told_outlook(one, found)
    assert (told["rentable"], told["leased"], told["free"], told["queued"], told["reserved_to_come"]) == (
        16,
        3,
        13,
        4,
        4,
    )
    assert told["shortage_index"] > 0
    ends = [(e["lease"], e["cards"], e["end"][:10]) for e in expiries(found, 100)]
    assert ends == [("later", 4, "2026-05-10"), ("held", 2, "2026-06-01"), ("late", 1, "2026-07-01")]


def test_a_lease_past_its_end_still_keeps_its_cards(ledger, clock):
    lend(ledger, clock, "2026-03-01", CARDS[:2], name="over", end="2026-03-10")
    clock.set("2026-04-01")
    (one,) = facts(ledger).bookings
    assert one.end == clock.us + DAY
    leases.give_back(ledger, "op", "over", clock.us)
    (one,) = facts(ledger).bookings
    assert one.end <= clock.us


def test_a_delivery_comes_is_put_off_and_ends(ledger, clock):
    pool.add_supplier(ledger, "op", "south")
    clock.set("2026-04-01")
    deliveries.order(ledger, "op", "D1", "north", "h100", "riyadh", 8, at("2026-05-01"))
    (due,) = [s for s in facts(ledger).supply if s.delivery]
    assert (due.begin, due.end, due.cards, due.supplier) == (at("2026-05-01"), FOREVER, 8, "north")
    made = deliveries.change(ledger, "op", "D1", "due", "customs", at("2026-06-01"))
    assert (made.due, made.put_off, made.reason) == (at("2026-06-01"), 1, "customs")
    clock.set("2026-07-01")
    (due,) = [s for s in facts(ledger).supply if s.delivery]
    assert due.begin == clock.us + DAY, "what is overdue is not there"
    deliveries.change(ledger, "op", "D1", "arrived", "at last")
    assert not [s for s in facts(ledger).supply if s.delivery]
    for call, says in (
        (lambda: deliveries.change(ledger, "op", "D1", "cancelled", "x"), "is arrived"),
        (lambda: deliveries.change(ledger, "op", "D9", "arrived", "x"), "D9"),
        (lambda: deliveries.order(ledger, "op", "D2", "nobody", "h100", "riyadh", 8, 1), "nobody"),
        (lambda: deliveries.order(ledger, "op", "D2", "north", "h100", "riyadh", 0, 1), "1 card"),
    ):
        with pytest.raises(LedgerError, match=says):
            call()
    with ledger.writing() as connection, pytest.raises(Exception, match="over"):
        connection.execute("INSERT INTO delivery_event VALUES(NULL,'D1','due',1,1,'op','')")


PLANS = {
    "daily": {"kind": "payg", "price_per_card_hour": "1.237", "granularity_s": 60},
    "sub": {"kind": "subscription", "price_per_card": "999.99"},
    "commit": {
        "kind": "commit", "price_per_card_hour": "3", "committed_card_hours": "900", "committed_price_per_card_hour": "1.7",
    },
}  # fmt: skip


@given(st.lists(
    st.tuples(st.sampled_from(sorted(PLANS)), st.sampled_from(["atlas", "berlin"]), st.integers(1, 3), st.integers(0, 70 * 24),
              st.one_of(st.none(), st.integers(1, 150 * 24))),
    min_size=1, max_size=4,
))  # fmt: skip
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_revenue_to_come_is_what_the_invoices_then_say(tmp_path_factory, asked):
    clock = Clock("2026-01-01")
    with Ledger(tmp_path_factory.mktemp("r"), wall_ns=clock) as ledger:
        fill(ledger)
        for name, spec in PLANS.items():
            tenants.add_plan(ledger, "op", name, spec | {"currency": "USD"}, at("2026-01-01"))
        cards = list(CARDS)
        made = []
        for i, (plan, tenant, count, begin, length) in enumerate(sorted(asked, key=lambda a: a[3])):
            since = at("2026-01-05") + begin * 3600 * 10**6
            mine, cards = cards[:count], cards[count:]
            clock.set(since)
            until = None if length is None else at("2026-03-20") + length * 3600 * 10**6
            lease = leases.request(ledger, "op", tenant, plan, "h100", count, since, until, name=f"L{i}")
            leases.activate(ledger, "op", lease.id, mine, since)
            made.append((lease.id, until))
        clock.set("2026-03-20")
        told = {(m, c): n for m, c, n in revenue(ledger, Scenario("as it is"), 2)}
        # What happens if nothing else changes: leases end when they should.
        for lease, until in sorted((m for m in made if m[1] is not None), key=lambda m: m[1]):
            if until < at("2026-06-03"):
                clock.set(until)
                leases.give_back(ledger, "op", lease, until)
        clock.set("2026-06-03")
        meter.tick(ledger)
        for month in ("2026-04", "2026-05"):
            real = sum(invoices.draft(ledger, t, month).total for t in ("atlas", "berlin"))
            assert told.get((month, "USD"), 0) == real, month


def test_scenarios_change_what_they_say(ledger, clock):
    spec = {"kind": "subscription", "currency": "USD", "price_per_card": "1000"}
    tenants.add_plan(ledger, "op", "sub", spec)
    # March to May as Berlin's clocks have it.
    months = ("2026-02-28T23:00:00Z", "2026-05-31T22:00:00Z")
    lend(ledger, clock, months[0], CARDS[2:6], tenant="berlin", plan="sub", end=months[1], name="sub")
    lend(ledger, clock, "2026-03-01", CARDS[:2], name="pay")
    ask(ledger, "waits", 10, "2026-05-10")
    clock.set("2026-04-15")
    deliveries.order(ledger, "op", "D1", "north", "h100", "riyadh", 8, at("2026-05-01"))
    made = scenarios(ledger, Fraction(1, 5), {"north": 30}, ["atlas"], Fraction(1, 2))
    assert [s.name for s in made] == ["as it is", "price drop", "north late", "atlas leaves", "all together"]
    rows = {r["scenario"]: r for r in compare(ledger, facts(ledger), made, 4)}

    def month(name, of):
        return next((Fraction(r["amount"]) for r in rows[name]["revenue"] if r["month"] == of), Fraction(0))

    hours = 31 * 24 * 2 * 2
    assert month("as it is", "2026-05") == hours + 4000
    assert month("as it is", "2026-06") == 30 * 24 * 2 * 2 + 2000, "half of it is renewed"
    assert month("price drop", "2026-05") == hours * Fraction(4, 5) + 4000, "a subscription keeps its price to its end"
    assert month("price drop", "2026-06") == (30 * 24 * 2 * 2 + 2000) * Fraction(4, 5)
    assert month("atlas leaves", "2026-05") == 4000
    assert rows["as it is"]["totals"][0]["difference"] == "0.00"
    assert Fraction(rows["price drop"]["totals"][0]["difference"]) < 0
    late = next(p for p in rows["north late"]["pools"] if p["sku"] == "h100")
    base = next(p for p in rows["as it is"]["pools"] if p["sku"] == "h100")
    assert base["full"] is None
    assert late["full"] == "2026-05-10T00:00:00Z"
    gone = changed(facts(ledger), made[3])
    assert not [b for b in gone.bookings if b.tenant == "atlas" and b.end > clock.us]
    assert rows["all together"]["changes"] == "prices fall by 20 %; north is 30 days late; atlas leaves"
    for arguments, says in (
        ((Fraction(0), {}, [], Fraction(0)), "say what changes"),
        ((Fraction(0), {"x": 1}, [], Fraction(0)), "x"),
        ((Fraction(0), {}, ["nobody"], Fraction(0)), "nobody"),
    ):
        with pytest.raises(LedgerError, match=says):
            scenarios(ledger, *arguments)
