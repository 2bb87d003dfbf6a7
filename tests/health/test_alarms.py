"""Alarms: acknowledged and cleared in either order, latched, shelved with a reason and an end, one cause one alarm, floods."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.health.alarms import MOST_ROWS, MOST_SHELVED_S, AlarmError, Alarms, alarm_id, grouped
from console.health.findings import Cause, Finding, causes
from console.health.store import FILE, AlarmStore, AlarmStoreError
from tests.health.ward import Ward


def finding(card="GPU-0", severity=1, rule="card-lost", node="gpu000", since=0.0, family="bus"):
    return Finding(
        rule, card, node, severity, f"Signal {rule}", "A", "Do it", "seen", since, "high", "somebody", family
    )


def cause(card="GPU-0", severity=1, rule="card-lost", node="gpu000", since=0.0):
    return Cause(f"card:{card}:{rule}", finding(card, severity, rule, node, since))


def whats(changes):
    return [c.what for c in changes]


def test_acknowledge_then_clear_and_clear_then_acknowledge_end_alike():
    ends = []
    for order in ("ack first", "clear first"):
        alarms = Alarms()
        assert whats(alarms.update([cause()], (), 1.0)) == ["raised"]
        (alarm,) = alarms.shown()
        assert alarm.state == "unacknowledged"
        if order == "ack first":
            alarms.acknowledge(alarm.id, "amal", "on it", 2.0)
            assert alarms.shown()[0].state == "acknowledged"
            assert whats(alarms.update([], (), 3.0)) == ["cleared", "gone"]
        else:
            assert whats(alarms.update([], (), 2.0)) == ["cleared"]
            assert alarms.shown()[0].state == "cleared, unacknowledged"
            assert whats(alarms.acknowledge(alarm.id, "amal", "", 3.0)) == ["acknowledged", "gone"]
        ends.append(alarms.standing)
    assert ends == [{}, {}]


def test_only_the_top_severity_latches():
    for severity, stays in ((1, True), (2, False), (3, False)):
        alarms = Alarms()
        alarms.update([cause(severity=severity)], (), 1.0)
        alarms.update([], (), 2.0)
        assert bool(alarms.standing) == stays


def test_it_comes_again_and_worse_and_asks_anew():
    alarms = Alarms()
    alarms.update([cause(severity=2)], (), 1.0)
    alarms.acknowledge(alarm_id(cause().key), "amal", "", 2.0)
    assert whats(alarms.update([cause(severity=1)], (), 3.0)) == ["worse"]
    assert alarms.shown()[0].state == "unacknowledged"
    alarms.update([], (), 4.0)
    assert whats(alarms.update([cause(severity=2)], (), 5.0)) == ["raised again"]
    assert (alarms.shown()[0].severity, alarms.shown()[0].times) == (1, 2)


def test_a_shelf_has_a_reason_and_an_end_and_returns_by_itself():
    alarms = Alarms()
    alarms.update([cause()], (), 0.0)
    name = alarms.shown()[0].id
    for why, until in (("", 60.0), ("  ", 60.0), ("later", MOST_SHELVED_S + 60.0), ("later", -1.0)):
        with pytest.raises(AlarmError):
            alarms.shelve(name, "amal", why, until, 0.0)
    alarms.shelve(name, "amal", "new fans tomorrow", 3600.0, 0.0)
    assert alarms.shown() == []
    assert alarms.set_aside()[0].state == "shelved"
    assert whats(alarms.update([cause()], (), 1800.0)) == []
    assert whats(alarms.update([cause()], (), 3600.0)) == ["unshelved"]
    assert len(alarms.shown()) == 1
    with pytest.raises(AlarmError, match="no alarm zzzzzz"):
        alarms.find("zzzzzz")


def test_what_comes_and_goes_chatters_and_wants_tuning():
    alarms = Alarms()
    for second in range(0, 30, 10):
        alarms.update([cause(since=0.0)], (), 1.0 + second)
        assert alarms.is_chattering(alarms.shown()[0], 1.0 + second) == (second == 20)
        alarms.update([], (), 6.0 + second)
    assert not alarms.is_chattering(alarms.shown()[0], 1000.0)


def test_what_is_out_of_service_on_purpose_is_suppressed():
    alarms = Alarms()
    alarms.update([cause()], {"GPU-0"}, 1.0)
    assert alarms.shown() == []
    assert alarms.set_aside()[0].state == "suppressed"
    assert whats(alarms.update([cause()], (), 2.0)) == ["unsuppressed"]
    assert len(alarms.shown()) == 1


def test_a_racks_trouble_is_not_hidden_by_its_first_node_alone():
    ward = Ward(nodes=16)
    for node in (1, 2, 5):
        ward.set("clocks_event_reasons", 0x80, *range(node * 8, node * 8 + 8))
    ward.look(6)
    for out, shown in (({"gpu001"}, 1), ({"gpu001", "gpu002", "gpu005"}, 0)):
        alarms = Alarms()
        alarms.update(ward.examiner.causes, out, ward.now)
        assert len(alarms.shown()) == shown


KEYS = ("a", "b", "c")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("holds"), st.sets(st.tuples(st.sampled_from(KEYS), st.integers(1, 3)), max_size=3)),
        st.tuples(st.sampled_from(["ack", "shelve", "unshelve"]), st.sampled_from(KEYS)),
        st.tuples(st.just("out"), st.sets(st.sampled_from(KEYS))),
    ),
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_whatever_happens_nothing_that_holds_is_lost_and_nothing_latched_goes_unseen(steps):
    alarms, holding, out, now = Alarms(), {}, set(), 0.0
    for what, value in steps:
        now += 600.0
        if what == "holds":
            holding = dict(value)
        elif what == "out":
            out = value
        else:
            name = alarm_id(cause(value).key)
            try:
                if what == "ack":
                    alarms.acknowledge(name, "amal", "", now)
                elif what == "shelve":
                    alarms.shelve(name, "amal", "later", now + 3600.0, now)
                else:
                    alarms.unshelve(name, "amal", now)
            except AlarmError:
                assert cause(value).key not in alarms.standing
        unseen = {k for k, a in alarms.standing.items() if a.severity == 1 and a.acked_at is None and a.is_shown}
        alarms.update([cause(k, s) for k, s in holding.items()], out, now)
        for key in holding:
            alarm = alarms.standing[cause(key).key]
            assert alarm.is_active
            assert alarm.severity <= holding[key]
            assert alarm.is_suppressed == (key in out)
        assert {k for k in unseen if k not in alarms.standing} == set()
        for alarm in alarms.standing.values():
            if not alarm.is_active:
                assert alarm.shelved_until or (alarm.severity == 1 and alarm.acked_at is None)
            assert not alarm.shelved_until or now < alarm.shelved_until


def test_they_outlive_the_window(tmp_path):
    store, alarms = AlarmStore(tmp_path), Alarms()
    store.write(alarms.update([cause(), cause("GPU-1", 2)], (), 1.0))
    store.write(alarms.acknowledge(alarm_id(cause().key), "amal", "on it", 2.0))
    store.write(alarms.shelve(alarm_id(cause("GPU-1").key), "amal", "later", 1000.0, 3.0))
    store.close()
    again = AlarmStore(tmp_path)
    assert again.standing() == alarms.standing
    assert [r["what"] for r in again.happened(0.0)] == ["raised", "raised", "acknowledged", "shelved"]
    restored = Alarms(again.standing())
    assert whats(restored.update([cause()], (), 2000.0)) == ["unshelved", "cleared", "gone"]
    again.close()
    assert (tmp_path / FILE).stat().st_mode & 0o077 == 0
    (tmp_path / FILE).write_bytes(b"nonsense" * 600)
    for rest in tmp_path.glob(FILE + "-*"):
        rest.unlink()
    with pytest.raises(AlarmStoreError):
        AlarmStore(tmp_path)


# Causes


def test_one_cause_one_alarm_for_a_lost_card_with_all_that_follows():
    ward = Ward()
    from tests.health.incidents import INCIDENTS

    INCIDENTS["card-lost"](ward)
    for code in (79, 45, 154, 48):
        ward.happens("xid", code)
    ward.set("recovery_action", 2.0)
    ward.look(3)
    (one,) = ward.examiner.causes
    assert one.severity == 1
    assert one.lead.rule == "recovery-action", "when the driver speaks, it wins"
    assert len(one.others) == 5


def test_different_troubles_of_a_card_stay_apart():
    ward = Ward()
    ward.set("remap_pending", 1.0)
    ward.set("pcie_width", 8.0)
    ward.look(1)
    assert {c.lead.family for c in ward.examiner.causes} == {"memory", "bus"}


def test_a_node_that_is_lost_is_one_alarm_and_many_are_one():
    ward = Ward(nodes=12)
    ward.lose(3)
    ward.look(1)
    (one,) = ward.examiner.causes
    assert one.key == "node:gpu003:node-lost"
    ward.lose(4, 5, 6)
    ward.look(1)
    (one,) = ward.examiner.causes
    assert (one.key, one.severity, one.count) == ("fleet:many-lost", 1, 4)


def test_hot_cards_of_one_node_are_the_nodes():
    ward = Ward()
    ward.set("clocks_event_reasons", 0x40, 8, 9, 20)
    ward.look(6)
    assert {c.key: c.count for c in ward.examiner.causes} == {
        "node:gpu001:hw-thermal": 2,
        f"card:{ward.uuids[20]}:heat": 1,
    }


def test_a_brake_in_a_rack_is_the_racks():
    ward = Ward(nodes=16)
    for node in (1, 2, 5):
        ward.set("clocks_event_reasons", 0x80, *range(node * 8, node * 8 + 8))
    ward.set("clocks_event_reasons", 0x80, 12 * 8)
    ward.look(6)
    found = {c.key: c for c in ward.examiner.causes}
    assert set(found) == {"rack:r00:power-brake", f"card:{ward.uuids[96]}:power"}
    rack = found["rack:r00:power-brake"]
    assert (rack.severity, rack.count, "24 cards of 3 nodes" in rack.lead.evidence) == (1, 3, True)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["bus", "memory", "driver", "xid"]), st.integers(1, 3)),
        max_size=20,
    )
)
def test_every_finding_is_in_exactly_one_cause(rows):
    found = [
        dataclasses.replace(finding(f"GPU-{c}", s, "recovery-action" if f == "driver" else f"r{i}"), family=f)
        for i, (c, f, s) in enumerate(rows)
    ]
    # The driver has one answer a card.
    seen, whole = set(), []
    for one in found:
        if one.rule != "recovery-action" or one.card not in seen:
            whole.append(one)
            seen |= {one.card} if one.rule == "recovery-action" else set()
    made = causes(whole, {}, {})
    inside = [f for c in made for f in (c.lead, *c.others)]
    assert sorted(map(id, inside)) == sorted(map(id, whole))
    assert len({c.key for c in made}) == len(made)


def test_a_flood_is_few_rows_with_the_first_on_top():
    alarms = Alarms()
    many = [cause(f"GPU-{i}", 2, "hw-thermal", f"gpu{i // 8:03d}", since=10.0 + i) for i in range(480)]
    many += [cause(f"GPU-{i}", 1, "card-lost", f"gpu{i // 8:03d}", since=5.0 + i) for i in range(480, 500)]
    alarms.update(many, (), 1000.0)
    assert alarms.is_flood(1000.0)
    assert not alarms.is_flood(5000.0)
    racks = {f"gpu{n:03d}": f"r{n // 8}" for n in range(64)}
    rows = grouped(alarms.shown(), {"rack": racks, "node": {n: n for n in racks}})
    assert len(rows) <= MOST_ROWS
    assert rows[0].alarms == (min(alarms.shown(), key=lambda a: (a.severity, a.raised)),)
    assert sum(len(r.alarms) for r in rows[1:]) == 500
    quality = alarms.quality(1600.0)
    assert quality.per_10_min == pytest.approx(500.0)
    assert quality.mix == pytest.approx((0.04, 0.96, 0.0))
    assert quality.top_share == 1.0
