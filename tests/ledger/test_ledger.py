"""The ledger's file: what it refuses, leases and their holds, the meter, invoices, corrections, and the check of all of it."""

import csv
import io
import json
import random
import shutil
import sqlite3
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.ledger import focus, invoices, leases, meter, pool, schema, tenants
from console.ledger.errors import LedgerError
from console.ledger.leases import State
from console.ledger.meter import Event
from console.ledger.spans import cut
from console.ledger.store import Ledger
from tests.ledger.conftest import CARDS, MODEL, Clock, at, fill, lend

HOUR = 3_600_000_000


def total(ledger, tenant="atlas", period="2026-03"):
    return invoices.told_draft(ledger, invoices.draft(ledger, tenant, period))["total"]


# The file itself


@pytest.mark.parametrize(
    "table", ["meter", "charge", "invoice", "lease_event", "lease_terms", "plan", "rating_run", "audit", "hold_log"]
)
def test_what_is_recorded_is_never_changed(ledger, clock, table):
    lend(ledger, clock, "2026-02-01")
    clock.set("2026-03-05")
    invoices.issue(ledger, "op", "atlas", "2026-02")
    columns = [r["name"] for r in ledger.rows(f"SELECT name FROM pragma_table_info('{table}')")]
    for sql in (
        f"DELETE FROM {table}",
        f"UPDATE {table} SET {columns[-1]}={columns[-1]}",
        f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
    ):
        with pytest.raises(LedgerError, match=r"never changed|refuses|meanwhile"), ledger.writing() as connection:
            connection.execute(sql)
    assert ledger.rows(f"SELECT * FROM {table}")


def test_15_one_changed_byte_is_found_at_its_row(ledger, clock, tmp_path):
    lend(ledger, clock, "2026-02-01", CARDS[:8])
    clock.set("2026-02-10")
    for day in range(2, 9):
        meter.tick(ledger, at(f"2026-02-0{day}"))
    assert meter.verify(ledger) == (56, None)
    rng = random.Random(5)
    ledger.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for column, value in (
        ("from_us", 1), ("card_uuid", "'GPU-09'"), ("note", "'x'"), ("recorded_us", 7), ("quantity", 3), ("event_id", "'e'"),
        ("cause", "''"), ("hash", "x'01'"), ("prev_hash", "x'02'"), ("lease_id", "lease_id||''"),
    ):  # fmt: skip
        folder = tmp_path / column
        folder.mkdir()
        shutil.copy(ledger.path, folder / ledger.path.name)
        row = rng.randint(1, 56)
        with sqlite3.connect(folder / ledger.path.name) as connection:
            connection.execute("DROP TRIGGER meter_no_u")
            connection.execute(f"UPDATE meter SET {column}={value} WHERE seq={row}")
        with Ledger(folder, writes=False) as changed:
            expected = None if column in ("cause", "lease_id") else row
            assert meter.verify(changed)[1] == expected, column
        connection.close()


def test_a_row_that_was_taken_out_is_found(ledger, clock):
    lend(ledger, clock, "2026-02-01", CARDS[:4])
    clock.set("2026-02-02")
    meter.tick(ledger)
    with ledger.writing() as connection:
        connection.execute("DROP TRIGGER meter_no_d")
        connection.execute("DELETE FROM meter WHERE seq=2")
    assert meter.verify(ledger) == (1, 3)
    assert not invoices.verify(ledger)["ok"]


def test_another_programs_file_and_a_newer_one_are_refused(tmp_path):
    with sqlite3.connect(tmp_path / "ledger.sqlite") as connection:
        connection.execute("CREATE TABLE t(x)")
    with pytest.raises(LedgerError, match="another program"):
        Ledger(tmp_path)
    other = tmp_path / "new"
    Ledger(other).close()
    with sqlite3.connect(other / "ledger.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="newer"):
        Ledger(other)
    with pytest.raises(LedgerError, match="no ledger yet"):
        Ledger(tmp_path / "none", writes=False)
    connection.close()


@pytest.mark.parametrize("writes", [True, False])
def test_a_ledger_of_the_first_version_is_brought_up_to_date(tmp_path, monkeypatch, clock, writes):
    monkeypatch.setattr(schema, "VERSION", 1)
    with Ledger(tmp_path, wall_ns=clock) as old:
        assert old.one("SELECT 1 AS x FROM sqlite_master WHERE name='quote'") is None
        pool.add_region(old, "op", "riyadh")
    monkeypatch.undo()
    with Ledger(tmp_path, writes=writes, wall_ns=clock) as new:
        assert new.known("region", "riyadh", "region")["country"] == ""
        assert new.rows("SELECT * FROM quote") == new.rows("SELECT * FROM delivery_event") == []
        assert new.rows("PRAGMA user_version")[0]["user_version"] == schema.VERSION


# Leases


def test_a_moved_lease_costs_what_it_would_have_cost_where_it_was(ledger, clock):
    lend(ledger, clock, "2026-03-01", CARDS[:2], plan="monthly", name="sub")
    lend(ledger, clock, "2026-03-01", CARDS[2:4], name="pay")
    lend(ledger, clock, "2026-03-01", CARDS[4:5], tenant="berlin", name="other")
    clock.set("2026-03-11T07:00:00Z")
    leases.move(ledger, "op", "sub", [CARDS[0], CARDS[9]], "room")
    made = leases.move(ledger, "op", "pay", CARDS[10:12], "room")
    assert made.held == tuple(CARDS[10:12])
    assert leases.get(ledger, "sub").held == (CARDS[0], CARDS[9])
    lend(ledger, clock, "2026-03-11T08:00:00Z", CARDS[1:4], tenant="berlin", name="after")
    for cards, says in (
        (CARDS[10:12], "already"), (CARDS[11:13] + CARDS[14:15], "as many"), (CARDS[4:6], "held by lease other"),
        ([CARDS[11], "GPU-none"], "not in the pool"),
    ):  # fmt: skip
        with pytest.raises(LedgerError, match=says):
            leases.move(ledger, "op", "pay", cards, "x")
    clock.set("2026-04-01")
    made = leases.give_back(ledger, "op", "pay", clock.us)
    assert made.held == tuple(CARDS[10:12]), "what it held last"
    with pytest.raises(LedgerError, match="only an active one"):
        leases.move(ledger, "op", "pay", CARDS[2:4], "x")
    clock.set("2026-04-02")
    meter.tick(ledger)
    lines = invoices.draft(ledger, "atlas", "2026-03").lines
    billed = {line.lease: line.billed for line in lines}
    # Atlas' March ends at 21:00 UTC; its leases began with March in UTC.
    assert billed == {"pay": 2 * 2 * (31 * 24 - 3) * 100, "sub": 2 * 1000_00}


def test_a_lease_on_a_plan_that_is_not_prorated_is_not_moved(ledger, clock):
    spec = {"kind": "subscription", "currency": "USD", "price_per_card": "1000", "prorate": False}
    tenants.add_plan(ledger, "op", "whole", spec)
    lend(ledger, clock, "2026-03-01", CARDS[:1], plan="whole", name="w")
    with pytest.raises(LedgerError, match="paid for twice"):
        leases.move(ledger, "op", "w", CARDS[1:2], "x")


@given(steps=st.lists(st.sampled_from(list(State)), max_size=12))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_only_legal_steps_happen_and_the_file_agrees(tmp_path_factory, steps):
    with Ledger(tmp_path_factory.mktemp("l"), wall_ns=Clock("2026-03-01")) as ledger:
        fill(ledger)
        lease = leases.request(ledger, "op", "atlas", "hourly", "h100", 1, at("2026-03-01"))
        acts = {
            State.RESERVED: lambda: leases.reserve(ledger, "op", lease.id, CARDS[:1]),
            State.DRAINING: lambda: leases.drain(ledger, "op", lease.id, "why"),
            State.RETURNED: lambda: leases._to(ledger, "op", lease.id, State.RETURNED, None, ""),
        }
        for step in steps:
            before = leases.get(ledger, lease.id).state
            act = acts.get(step)
            if step is State.ACTIVE:
                first = before in (State.REQUESTED, State.RESERVED)

                def act(first=first):
                    if first:
                        return leases.activate(ledger, "op", lease.id, CARDS[:1])
                    return leases.change(ledger, "op", lease.id, State.ACTIVE, "again")
            elif step in (State.SUSPENDED, State.FAILED):
                act = lambda step=step: leases.change(ledger, "op", lease.id, step, "why")  # noqa: E731
            elif step in (State.REJECTED, State.CANCELLED, State.EXPIRED):
                act = lambda step=step: leases.end_early(ledger, "op", lease.id, step, "why")  # noqa: E731
            elif step is State.REQUESTED:
                act = lambda: leases._to(ledger, "op", lease.id, State.REQUESTED, None, "")  # noqa: E731
            if step in leases.NEXT[before]:
                act()
                assert leases.get(ledger, lease.id).state is step
            else:
                with pytest.raises(LedgerError):
                    act()
                assert leases.get(ledger, lease.id).state is before
                for prev in (before, step):
                    with pytest.raises(LedgerError), ledger.writing():
                        leases._event(ledger, lease.id, str(prev), step, at("2026-03-01"), "op", "")
        if leases.get(ledger, lease.id).state in (State.REJECTED, State.CANCELLED, State.EXPIRED):
            assert leases.get(ledger, lease.id).held == ()


spans = st.tuples(st.integers(0, 50), st.integers(1, 20)).map(lambda s: (s[0], s[0] + s[1]))


@given(st.lists(st.tuples(spans, st.integers(0, 2)), max_size=14))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_9_no_card_is_in_two_leases_at_one_instant(tmp_path_factory, asked):
    with Ledger(tmp_path_factory.mktemp("l"), wall_ns=Clock("2026-01-01")) as ledger:
        fill(ledger)
        begin, taken = at("2026-03-01"), []
        for (a, b), card in asked:
            lease = leases.request(ledger, "op", "atlas", "hourly", "h100", 1, begin + a * HOUR, begin + b * HOUR)
            is_free = all(c != card or b <= x or y <= a for (x, y), c in taken)
            if is_free:
                leases.reserve(ledger, "op", lease.id, [CARDS[card]])
                taken.append(((a, b), card))
            else:
                with pytest.raises(LedgerError, match="is held by lease"):
                    leases.reserve(ledger, "op", lease.id, [CARDS[card]])
                with pytest.raises(LedgerError, match="held by another lease"):
                    ledger.insert("hold", {"lease_id": lease.id, "card_uuid": CARDS[card], "from_us": begin + a * HOUR,
                                           "to_us": begin + b * HOUR})  # fmt: skip


def test_9_a_slice_is_not_sold_while_its_card_is_nor_the_other_way(ledger, clock):
    pool.add_sku(ledger, "op", "h100-1g", "NVIDIA", "Hopper", "MIG 1g.10gb", 10_240)
    pool.bind(ledger, "op", [pool.Seen("MIG-1", "MIG 1g.10gb", "gpu00", "riyadh", parent=CARDS[0])])
    lend(ledger, clock, "2026-02-01", CARDS[:1])
    other = leases.request(ledger, "op", "berlin", "hourly", "h100-1g", 1, at("2026-02-03"))
    with pytest.raises(LedgerError, match="is held by lease"):
        leases.activate(ledger, "op", other.id, ["MIG-1"], at("2026-02-03"))
    with pytest.raises(LedgerError, match="slice"):
        ledger.insert("hold", {"lease_id": other.id, "card_uuid": "MIG-1", "from_us": at("2026-02-03"), "to_us": None})


def test_a_cancelled_reservation_frees_its_cards(ledger):
    first = leases.request(ledger, "op", "atlas", "hourly", "h100", 2, at("2026-03-01"), at("2026-04-01"))
    leases.reserve(ledger, "op", first.id, CARDS[:2])
    second = leases.request(ledger, "op", "berlin", "hourly", "h100", 1, at("2026-03-05"), at("2026-03-09"))
    with pytest.raises(LedgerError, match=first.id):
        leases.reserve(ledger, "op", second.id, CARDS[:1])
    assert leases.get(ledger, second.id).state is State.REQUESTED, "nothing of it was kept"
    leases.end_early(ledger, "op", first.id, State.CANCELLED, "the tenant changed its mind")
    assert leases.reserve(ledger, "op", second.id, CARDS[:1]).held == (CARDS[0],)


def test_quotas_lend_and_borrow(ledger, clock):
    tenants.set_quota(ledger, "op", "atlas", "h100", 2, borrow=4)
    tenants.set_quota(ledger, "op", "berlin", "h100", 4, lend=3)
    lend(ledger, clock, "2026-02-01", CARDS[:5])
    with pytest.raises(LedgerError, match="beyond its quota"):
        lend(ledger, clock, "2026-02-02", CARDS[5:6])
    with pytest.raises(LedgerError, match="not negative"):
        tenants.set_quota(ledger, "op", "berlin", "h100", 1, lend=2)


def test_two_operators_do_not_both_change_a_lease(ledger, clock):
    lease = lend(ledger, clock, "2026-02-01")
    with ledger.writing():
        leases.drain(ledger, "op", lease.id, "over")
    with pytest.raises(LedgerError, match="changed this lease meanwhile"):
        leases._event(ledger, lease.id, "active", State.SUSPENDED, at("2026-02-02"), "other", "")


def test_retired_moved_and_unknown_cards(ledger, clock):
    lease = lend(ledger, clock, "2026-02-01", CARDS[:1])
    with pytest.raises(LedgerError, match="held by lease"):
        pool.retire(ledger, "op", CARDS[0], "worn out")
    clock.set("2026-02-03")
    leases.give_back(ledger, "op", lease.id)
    pool.retire(ledger, "op", CARDS[0], "worn out", "GPU-99")
    assert CARDS[0] not in {c["uuid"] for c in pool.listing(ledger)}
    found = pool.bind(ledger, "op", [
        pool.Seen(CARDS[1], MODEL, "gpu09", "riyadh"), pool.Seen("GPU-x", "Unheard of", "gpu09", "riyadh"),
    ])  # fmt: skip
    assert found == {"commissioned": [], "moved": [CARDS[1]], "unknown": ["GPU-x"]}
    again = leases.request(ledger, "op", "atlas", "hourly", "h100", 1, at("2026-02-04"))
    with pytest.raises(LedgerError, match="not in the pool"):
        leases.activate(ledger, "op", again.id, CARDS[:1])


# The meter


def test_13_the_same_event_twice_changes_nothing_and_another_content_is_refused(ledger, clock):
    lease = lend(ledger, clock, "2026-02-01")
    one = Event("agent", "e1", "usage", lease.id, at("2026-02-01"), at("2026-02-02"), CARDS[0])
    clock.set("2026-02-03")
    assert meter.append(ledger, [one, one]) == {"recorded": 1, "known": 1, "quarantined": 0}
    other = Event("agent", "e1", "usage", lease.id, at("2026-02-01"), at("2026-02-03"), CARDS[0])
    fresh = Event("agent", "e2", "usage", lease.id, at("2026-02-01"), at("2026-02-02"), CARDS[1])
    with pytest.raises(LedgerError, match="other contents"):
        meter.append(ledger, [fresh, other])
    assert len(ledger.rows("SELECT * FROM meter")) == 1, "all or none"


def test_11_events_of_the_future_are_set_aside(ledger, clock):
    lease = lend(ledger, clock, "2026-02-01")
    late = Event("agent", "e1", "usage", lease.id, at("2026-02-01"), at("2026-02-01") + 301_000_000, CARDS[0])
    assert meter.append(ledger, [late])["quarantined"] == 1
    assert json.loads(ledger.rows("SELECT body FROM quarantine")[0]["body"])[1] == "e1"
    clock.set("2026-02-02")
    assert meter.append(ledger, [late])["recorded"] == 1


def test_14_a_voided_row_is_worth_nothing(ledger, clock):
    lend(ledger, clock, "2026-03-01", CARDS[:1])
    clock.set("2026-03-02")
    meter.tick(ledger)
    assert total(ledger) == "48.00"
    meter.void(ledger, 1, "billed by mistake", "op")
    assert total(ledger) == "0.00"
    for seq in (1, 2, 99):
        with pytest.raises(LedgerError, match=r"voided before|no row"):
            meter.void(ledger, seq, "again", "op")


def test_10_a_gap_in_telemetry_reduces_no_bill_and_an_outage_does(ledger, clock):
    lease = lend(ledger, clock, "2026-03-01", CARDS[:1])
    clock.set("2026-03-02")
    meter.tick(ledger)
    gap = Event("telemetry", "g1", "gap", lease.id, at("2026-03-01"), at("2026-03-02"), CARDS[0], evidence="telemetry")
    meter.append(ledger, [gap])
    assert total(ledger) == "48.00"
    down = Event("health", "o1", "outage", lease.id, at("2026-03-01"), at("2026-03-01") + 6 * HOUR, CARDS[0], cause="provider",
                 evidence="telemetry", note="XID 79")  # fmt: skip
    meter.append(ledger, [down])
    assert total(ledger) == "36.00"


def test_21_maintenance_is_excused_only_when_announced_in_time(ledger, clock):
    sla = [{"below_percent": "99.9", "credit_percent": "50"}]
    spec = {"kind": "payg", "currency": "USD", "price_per_card_hour": "2", "sla": sla, "maintenance_notice_h": 48}
    tenants.add_plan(ledger, "op", "served", spec)
    for n, (hours, credits) in enumerate(((72, 0), (24, 1))):
        lease = lend(ledger, clock, f"2026-0{n + 2}-01", CARDS[n : n + 1], plan="served", tenant=("atlas", "berlin")[n])
        begin = at(f"2026-0{n + 2}-03")
        clock.set(begin + 48 * HOUR)
        meter.append(ledger, [Event("ops", f"m{n}", "outage", lease.id, begin, begin + 4 * HOUR, CARDS[n], cause="maintenance",
                                    announced=begin - hours * HOUR)])  # fmt: skip
        meter.tick(ledger)
        made = invoices.draft(ledger, ("atlas", "berlin")[n], f"2026-0{n + 2}")
        assert sum(line.category == "Credit" for line in made.lines) == credits
        assert made.lines[0].quantity % HOUR == 0


def test_the_lease_clock_says_each_span_once(ledger, clock):
    lease = lend(ledger, clock, "2026-03-01", CARDS[:2])
    for day in ("2026-03-02", "2026-03-02", "2026-03-05"):
        clock.set(day)
        meter.tick(ledger)
    clock.set("2026-03-06")
    leases.change(ledger, "op", lease.id, State.FAILED, "node lost", at("2026-03-05"))
    clock.set("2026-03-08")
    leases.change(ledger, "op", lease.id, State.ACTIVE, "back", at("2026-03-07"))
    leases.give_back(ledger, "op", lease.id, at("2026-03-08"))
    clock.set("2026-03-20")
    meter.tick(ledger)
    assert total(ledger) == str(Decimal(2 * 2 * 24 * 5) + Decimal("0.00"))
    assert meter.tick(ledger)["recorded"] == 0


@given(st.lists(st.integers(1, 30 * 24), max_size=20), st.randoms())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_13_any_order_and_any_cuts_give_the_same_lines(tmp_path_factory, cuts, rng):
    def digest(parts, shuffled):
        clock = Clock("2026-01-01")
        with Ledger(tmp_path_factory.mktemp("l"), wall_ns=clock) as ledger:
            fill(ledger)
            lease = lend(ledger, clock, "2026-03-01", CARDS[:2], name="L1")
            clock.set("2026-05-01")
            events = [Event("x", f"{c}{a}", "usage", lease.id, a, b, c) for c in CARDS[:2] for a, b in parts]
            if shuffled:
                events += events[:2]
                rng.shuffle(events)
            meter.append(ledger, events)
            return invoices.digest(invoices.draft(ledger, "atlas", "2026-03").lines)

    whole = (at("2026-03-01"), at("2026-04-10"))
    assert digest(cut([whole], [whole[0] + c * HOUR for c in cuts]), True) == digest([whole], False)


# Invoices


def test_an_invoice_is_frozen_and_late_data_is_a_correction_on_the_next(ledger, clock):
    lease = lend(ledger, clock, "2026-02-01T00:00:00+03:00", CARDS[:1])
    with pytest.raises(LedgerError, match="ends at"):
        invoices.issue(ledger, "op", "atlas", "2026-02")
    clock.set("2026-03-02")
    first = invoices.issue(ledger, "op", "atlas", "2026-02")
    assert first["total"] == str(Decimal(28 * 24 * 2) + Decimal("0.00"))
    with pytest.raises(LedgerError, match="is invoiced"):
        invoices.issue(ledger, "op", "atlas", "2026-02")
    down = at("2026-02-10")
    meter.append(
        ledger, [Event("health", "late", "outage", lease.id, down, down + 10 * HOUR, CARDS[0], cause="provider")]
    )
    assert invoices.get(ledger, first["invoice"]) == first
    clock.set("2026-04-02")
    second = invoices.issue(ledger, "op", "atlas", "2026-03")
    late = [line for line in second["lines"] if line["class"] == "Correction"]
    assert [(line["period"], line["amount"], line["quantity"]) for line in late] == [("2026-02", "-20.00", "-10")]
    assert Decimal(second["total"]) == 31 * 24 * 2 - 20
    clock.set("2026-05-02")
    third = invoices.issue(ledger, "op", "atlas", "2026-04")
    assert not [line for line in third["lines"] if line["class"]], "a correction is made once"
    assert invoices.verify(ledger) == {"ok": True, "meter_rows": 4, "broken_row": None, "invoices": 3, "wrong": []}


def test_23_rerated_less_original_is_the_correction(ledger, clock):
    rng = random.Random(11)
    lease = lend(ledger, clock, "2026-01-31T21:00:00Z", CARDS[:3])
    billed = Decimal(0)
    for month, after in (("2026-02", "2026-03-02"), ("2026-03", "2026-04-02"), ("2026-04", "2026-05-02")):
        clock.set(after)
        billed += Decimal(invoices.issue(ledger, "op", "atlas", month)["total"])
        for n in range(3):
            begin = at("2026-02-03") + rng.randrange(20) * 24 * HOUR + n
            meter.append(ledger, [Event("health", f"{month}{n}", "outage", lease.id, begin, begin + rng.randrange(1, 9) * HOUR,
                                        CARDS[n], cause="provider")])  # fmt: skip
    leases.give_back(ledger, "op", lease.id, at("2026-05-01"))
    clock.set("2026-06-02")
    billed += Decimal(invoices.issue(ledger, "op", "atlas", "2026-05")["total"])
    exact = sum(
        Decimal(invoices.told_draft(ledger, d)["total"])
        for d in (_alone(ledger, period) for period in ("2026-02", "2026-03", "2026-04", "2026-05"))
    )
    assert billed == exact
    assert invoices.verify(ledger)["ok"]


def _alone(ledger, period):
    """A month as it would be rated now, with no months before it."""
    from console.ledger.assemble import Assembly, mark
    from console.ledger.rating import rate

    work = Assembly(ledger, "atlas", period, mark(ledger))
    lines = tuple(rate(work.terms(), period, work.tz))
    return invoices.Draft("atlas", period, "USD", 2, lines, 0, 0, mark(ledger))


def test_a_subscription_that_ends_early_is_corrected_and_never_below_nothing(ledger, clock):
    lease = lend(ledger, clock, "2026-02-01T00:00:00+03:00", CARDS[:2], plan="monthly")
    clock.set("2026-03-02")
    assert invoices.issue(ledger, "op", "atlas", "2026-02")["total"] == "2000.00"
    leases.give_back(ledger, "op", lease.id, at("2026-02-15T00:00:00+03:00"))
    clock.set("2026-04-02")
    made = invoices.issue(ledger, "op", "atlas", "2026-03")
    assert (made["total"], made["carried"]) == ("0.00", "1000.00")
    lend(ledger, clock, "2026-04-02", CARDS[:1])
    leases.give_back(ledger, "op", leases.listing(ledger, "atlas")[0].id, at("2026-04-30"))
    clock.set("2026-05-02")
    made = invoices.issue(ledger, "op", "atlas", "2026-04")
    assert (made["total"], made["carried"]) == (str(28 * 48 - 1000) + ".00", "0.00")
    assert invoices.verify(ledger)["ok"]


def test_22_a_change_of_plan_cuts_the_lease_at_its_instant(ledger, clock):
    tenants.add_plan(ledger, "op", "hourly", {"kind": "payg", "currency": "USD", "price_per_card_hour": "3"})
    lease = lend(ledger, clock, "2026-03-01T00:00:00+03:00", CARDS[:1])
    tenants.add_plan(ledger, "op", "hourly", {"kind": "payg", "currency": "USD", "price_per_card_hour": "5"})
    clock.set("2026-03-11")
    meter.tick(ledger)
    before = total(ledger)
    assert before == str((10 * 24 + 3) * 3) + ".00", "a lease keeps the version that it began with"
    leases.change_plan(ledger, "op", lease.id, "hourly", at("2026-03-06T00:00:00+03:00"))
    meter.tick(ledger)
    lines = invoices.draft(ledger, "atlas", "2026-03").lines
    assert [(line.version, line.quantity // HOUR) for line in lines] == [(2, 120), (3, 123)]


def test_months_are_invoiced_one_after_the_other(ledger, clock):
    lend(ledger, clock, "2026-02-10")
    clock.set("2026-05-01")
    with pytest.raises(LedgerError, match="2026-02 of atlas is not invoiced yet"):
        invoices.issue(ledger, "op", "atlas", "2026-03")
    for period in ("2026-02", "2026-03"):
        invoices.issue(ledger, "op", "atlas", period)


@pytest.mark.parametrize("what", ["charge", "invoice", "plan"])
def test_a_forged_invoice_is_found(ledger, clock, what):
    lend(ledger, clock, "2026-02-01")
    clock.set("2026-03-02")
    made = invoices.issue(ledger, "op", "atlas", "2026-02")
    change = {
        "charge": "UPDATE charge SET billed_minor=billed_minor-100",
        "invoice": "UPDATE invoice SET total_minor=total_minor-100",
        "plan": "UPDATE plan SET spec_json=replace(spec_json,'\"2\"','\"1\"')",
    }[what]
    with ledger.writing() as connection:
        connection.execute(f"DROP TRIGGER {what}_no_u")
        connection.execute(change)
    found = invoices.verify(ledger)
    assert not found["ok"]
    assert [w["invoice"] for w in found["wrong"]] == [made["invoice"]]


def test_8_every_cards_time_is_accounted_for(ledger, clock):
    lease = lend(ledger, clock, "2026-03-03", CARDS[:4])
    clock.set("2026-03-20")
    leases.give_back(ledger, "op", lease.id, at("2026-03-20"))
    meter.tick(ledger)
    used = sum(r["to_us"] - r["from_us"] for r in ledger.rows("SELECT from_us,to_us FROM meter WHERE kind='usage'"))
    held = sum(r["to_us"] - r["from_us"] for r in ledger.rows("SELECT from_us,to_us FROM hold"))
    owned = sum(at("2026-04-01") - r["commissioned_us"] for r in ledger.rows("SELECT commissioned_us FROM card"))
    assert used == held == 4 * 17 * 24 * HOUR
    assert used <= owned


def test_24_currencies_are_never_mixed(ledger):
    tenants.add(ledger, "op", "tokyo", "", "Asia/Tokyo", "JPY")
    with pytest.raises(LedgerError, match="pays in JPY"):
        leases.request(ledger, "op", "tokyo", "hourly", "h100", 1, at("2026-03-01"))
    with pytest.raises(LedgerError, match="needs another name"):
        tenants.add_plan(ledger, "op", "hourly", {"kind": "payg", "currency": "JPY", "price_per_card_hour": "300"})


MANDATORY = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd",
    "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodStart", "ChargePeriodEnd", "ContractedCost",
    "EffectiveCost", "InvoiceIssuer", "ListCost", "PricingQuantity", "PricingUnit", "Provider", "Publisher",
    "ServiceCategory", "ServiceName",
)  # fmt: skip
"""Of FOCUS 1.2."""


def test_25_focus_rows_sum_to_the_invoice(ledger, clock):
    spec = {
        "kind": "payg", "currency": "USD", "price_per_card_hour": "2.345678901", "tax_percent": "15",
        "discounts": [{"name": "volume", "percent": "12.5"}], "sla": [{"below_percent": "99.9", "credit_percent": "10"}],
        "storage_price_per_gib_hour": "0.0001", "egress_price_per_gib": "0.05",
    }  # fmt: skip
    tenants.add_plan(ledger, "op", "full", spec)
    lease = lend(ledger, clock, "2026-02-01T00:00:00+03:00", CARDS[:3], plan="full")
    pool.add_volume(ledger, "op", "vol1", "riyadh", 500)
    begin, end = at("2026-02-03"), at("2026-02-20")
    clock.set("2026-03-02")
    meter.append(ledger, [
        Event("h", "o", "outage", lease.id, begin, begin + 20 * HOUR, CARDS[0], cause="provider"),
        Event("s", "v", "usage", lease.id, begin, end, resource="volume", volume="vol1", quantity=500),
        Event("n", "e", "usage", lease.id, begin, end, resource="egress", quantity=7 * 2**30 + 1),
    ])  # fmt: skip
    invoices.issue(ledger, "op", "atlas", "2026-02")
    meter.append(ledger, [Event("h", "o2", "outage", lease.id, end, end + HOUR, CARDS[1], cause="provider")])
    clock.set("2026-04-02")
    for period in ("2026-02", "2026-03"):
        if period != "2026-02":
            invoices.issue(ledger, "op", "atlas", period)
        made = invoices.get(ledger, f"{period}-atlas")
        rows = list(csv.DictReader(io.StringIO(focus.table(focus.rows(ledger, made["invoice"], "Gulf Compute")))))
        assert sum(Decimal(r["BilledCost"]) for r in rows) == Decimal(made["total"])
        assert sum(Decimal(line["amount"]) for line in made["lines"]) == Decimal(made["total"])
        for r in rows:
            assert all(c in r and (r[c] or c in ("ChargeClass", "PricingQuantity", "PricingUnit")) for c in MANDATORY)
            assert r["ChargePeriodStart"].endswith("Z")
            assert "," not in r["BilledCost"]
            if r["PricingUnit"] and not r["ChargeClass"]:
                assert Decimal(r["ListCost"]) >= Decimal(r["ContractedCost"])
    whats = [line["what"] for line in invoices.get(ledger, "2026-02-atlas")["lines"]]
    assert {"Card time", "Storage", "Data sent"} <= set(whats)
    assert any(r["ChargeClass"] == "Correction" for r in rows)
    assert invoices.verify(ledger)["ok"]


def test_22_a_month_under_another_plan_touches_nothing(ledger, clock):
    lend(ledger, clock, "2026-02-01T00:00:00+03:00", CARDS[:2])
    clock.set("2026-03-02")
    made = invoices.issue(ledger, "op", "atlas", "2026-02")
    tenants.add_plan(ledger, "op", "cheap", {"kind": "payg", "currency": "USD", "price_per_card_hour": "1.5"})
    found = invoices.under(ledger, "atlas", "2026-02", tenants.plan(ledger, "cheap"))
    assert Decimal(found.total) / 100 == Decimal(made["total"]) * 3 / 4
    monthly = invoices.under(ledger, "atlas", "2026-02", tenants.plan(ledger, "monthly"))
    assert monthly.total == 2 * 1000 * 100
    assert invoices.get(ledger, made["invoice"]) == made
    assert invoices.verify(ledger)["ok"]
    tenants.add_plan(ledger, "op", "yen", {"kind": "payg", "currency": "JPY", "price_per_card_hour": "300"})
    with pytest.raises(LedgerError, match="pays in USD"):
        invoices.under(ledger, "atlas", "2026-02", tenants.plan(ledger, "yen"))
