"""What fails again and again, and when mending once more does not help."""

from hypothesis import given
from hypothesis import strategies as st

from console.health.lemons import SPAN_S, Fault, Mend, escalation, lemons, mtbf

DAY = 86_400.0
NOW = 200 * DAY


def fault(days_ago, node="gpu01", card="GPU-a", what="XID 79", slot=None):
    return Fault(NOW - days_ago * DAY, node, card, slot or f"{node} / 0", what)


def test_one_that_fails_thrice_as_often_as_its_peers_is_named_with_its_slot():
    faults = [fault(d) for d in (40, 20, 3, 1)] + [fault(10, "gpu02", "GPU-b"), fault(9, "gpu03", "GPU-c")]
    found = lemons(faults, [], {"node": 50, "card": 400, "slot": 400}, NOW)
    assert {(x.kind, x.name) for x in found} == {("node", "gpu01"), ("card", "GPU-a"), ("slot", "gpu01 / 0")}
    first = found[0]
    assert (first.faults, first.often, first.escalate) == (4, (4, "XID 79"), "")
    assert 12.9 * DAY < first.mtbf_s < 13.1 * DAY


def test_a_slot_fails_with_any_card_in_it():
    faults = [fault(30, card="GPU-a"), fault(20, card="GPU-b"), fault(10, card="GPU-c")]
    kinds = {x.kind for x in lemons(faults, [], {"node": 50, "card": 400, "slot": 400}, NOW)}
    assert kinds == {"node", "slot"}


def test_what_everybody_has_and_what_is_long_ago_is_no_lemon():
    everybody = [fault(d, f"gpu{n:02d}", f"GPU-{n}") for n in range(10) for d in (30, 20, 10)]
    assert lemons(everybody, [], {"node": 10, "card": 10, "slot": 10}, NOW) == []
    old = [fault(100 + d) for d in range(5)]
    assert lemons(old, [], {"node": 50, "card": 400, "slot": 400}, NOW) == []


def test_two_reboots_and_the_same_again_escalate():
    faults = [fault(5), fault(4), fault(3)]
    reboots = [Mend(NOW - 4.5 * DAY, "gpu01", "gpu01", "reboot"), Mend(NOW - 3.5 * DAY, "gpu01", "gpu01", "reboot")]
    assert "after 2 reboots" in escalation(faults, reboots)
    assert escalation(faults, reboots[:1]) == ""
    assert escalation([fault(5), fault(4, what="XID 48"), fault(3)], reboots) == ""


@given(st.lists(st.tuples(st.floats(0, 200), st.integers(0, 4)), max_size=40))
def test_a_lemon_failed_often_and_lately(rows):
    faults = [fault(d, f"gpu{n}", f"GPU-{n}") for d, n in rows]
    for found in lemons(faults, [], {"node": 5, "card": 5, "slot": 5}, NOW):
        recent = [f for f in faults if found.name in (f.node, f.target, f.slot) and NOW - f.at <= SPAN_S]
        assert found.faults == len(recent) >= 3
        assert found.mtbf_s >= 0.0


def test_mean_time_between_faults_of_a_model():
    faults = [fault(1), fault(2)]
    found = mtbf(faults, {"GPU-a": "H100", "GPU-b": "H200"}, {"H100": 100, "H200": 8}, NOW - 10 * DAY, NOW)
    assert found == {"H100": 500 * DAY, "H200": float("inf")}
