"""Rules: each holds for its recorded trouble, none for a busy and healthy fleet, and every one of them is needed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.checkup import RESOURCES, judged
from console.fleet.condition import Condition
from console.fleet.state import ReadingState
from console.health.memory import Beyond, Held, Rise
from console.health.signals import TESTS
from console.health.triage import KINDS, TriageError, read
from tests.health.incidents import INCIDENTS
from tests.health.ward import TRIAGE, Ward


def test_every_rule_has_an_incident_and_every_kind_a_test():
    assert set(INCIDENTS) == {r.id for r in TRIAGE.rules}
    assert set(TESTS) == set(KINDS)


@pytest.mark.parametrize("name", INCIDENTS)
def test_the_rule_of_an_incident_holds_and_names_the_right_one(name):
    ward = Ward()
    ward.look(2)
    assert ward.rules() == set()
    INCIDENTS[name](ward)
    assert name in ward.rules()
    found = next(f for f in ward.examiner.findings if f.rule == name)
    rule = TRIAGE.rule(name)
    assert found.target == ("the fleet" if name == "many-lost" else ward.uuids[0] if rule.scope == "card" else "gpu000")
    assert found.severity in (1, 2, 3)
    assert found.evidence
    assert found.source
    assert found.do
    assert found.since <= ward.now


@pytest.mark.parametrize("name", INCIDENTS)
def test_without_its_rule_an_incident_is_not_found(name):
    """The mutation check: whoever deletes a row of the table breaks this test for that row."""
    ward = Ward(triage=TRIAGE.without(name))
    INCIDENTS[name](ward)
    assert name not in ward.rules()
    whole = Ward()
    INCIDENTS[name](whole)
    assert whole.rules() - ward.rules() >= {name}


def test_guidance_is_whole():
    for rule in TRIAGE.rules:
        assert rule.meaning
        assert rule.cause
        assert len(rule.acts) == 3
        assert rule.source
        assert rule.confidence in ("high", "medium", "low")


def test_the_catalogue_is_complete_and_each_code_has_an_answer():
    assert set(TRIAGE.xids) == set(range(1, 173))
    for found in TRIAGE.xids.values():
        assert found.do
        assert found.severity in (1, 2, 3)
    assert {c for c, x in TRIAGE.xids.items() if x.severity == 1} == {48, 54, 79, 95, 119, 120, 140}
    assert TRIAGE.xid(79).action == "RESTART_BM"
    assert "ask a person" in TRIAGE.xid(4242).do
    assert "sources differ" in TRIAGE.xid(109).differs


@pytest.mark.parametrize(
    ("values", "states", "condition", "words"),
    [
        ({}, {}, Condition.WELL, ""),
        ({"recovery_action": 2}, {}, Condition.CRITICAL, "reboot the node"),
        ({"recovery_action": 99}, {}, Condition.WARNING, "ask a person"),
        ({"remap_failure": 1}, {}, Condition.CRITICAL, "remap failed"),
        ({"remap_pending": 1}, {}, Condition.WARNING, "remap is pending"),
        ({"clocks_event_reasons": 0x4}, {}, Condition.WELL, ""),
        ({"clocks_event_reasons": 0x80}, {}, Condition.WARNING, "power brake"),
        ({}, {"memory_used": ReadingState.LOST}, Condition.CRITICAL, "lost the card"),
        ({}, {"memory_used": ReadingState.NONE}, Condition.UNKNOWN, "no fresh"),
        ({"recovery_action": 1}, {"recovery_action": ReadingState.NOT_SUPPORTED}, Condition.WELL, ""),
        ({"remap_pending": 1}, {"remap_pending": ReadingState.STALE}, Condition.WELL, ""),
    ],
)
def test_conditions(values, states, condition, words):
    ward = Ward()
    for metric, value in values.items():
        ward.set(metric, value)
    for metric, state in states.items():
        ward.state(metric, state)
    ward.look(6)
    made = judged(ward.facts(), ward.examiner.findings)
    assert Condition(int(made.conditions[0])) is condition
    assert words in " ".join(made.reasons[0])
    assert (made.conditions[1:] == Condition.WELL).all()


def test_an_xid_lasts_an_hour_and_unknown_ones_ask_for_a_person():
    for code, ago, severity in ((79, 100.0, 1), (4242, 100.0, 2), (13, 5.0, 3), (79, 4000.0, None)):
        ward = Ward()
        ward.happens("xid", code, ago=ago)
        found = ward.look()
        assert [f.severity for f in found] == ([] if severity is None else [severity])


def test_one_poll_of_a_brake_is_no_finding_and_a_pause_does_not_end_one():
    ward = Ward()
    ward.set("clocks_event_reasons", 0x80)
    ward.look()
    ward.set("clocks_event_reasons", 0)
    ward.look(3)
    assert ward.rules() == set()
    ward.set("clocks_event_reasons", 0x80)
    ward.look(4)
    assert "power-brake" in ward.rules()
    ward.set("clocks_event_reasons", 0)
    ward.look(50)
    assert "power-brake" in ward.rules()
    ward.look(30)
    assert ward.rules() == set()


def test_a_counter_that_was_reset_is_no_rise():
    ward = Ward()
    ward.set("pcie_fatal_errors", 5.0, *range(ward.count))
    ward.look(10)
    ward.set("pcie_fatal_errors", 0.0, *range(ward.count))
    ward.look(10)
    assert ward.rules() == set()


def test_unknown_is_never_a_finding_and_rows_keep_their_memory():
    ward = Ward()
    for metric in ("recovery_action", "remap_failure", "clocks_event_reasons", "pcie_width"):
        ward.set(metric, np.nan)
        ward.state(metric, ReadingState.ERROR)
    ward.look(5)
    assert ward.rules() == set()
    held = Held(2, 3, 1.0, 0.0)
    held.resize(np.array([-1, -1, -1]))
    held.look(0.0, np.array([True, False, False]))
    held.resize(np.array([2, 0, 1]))
    holds, _ = held.look(1.0, np.array([False, True, False]))
    assert holds.tolist() == [False, True, False]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-3, 6), min_size=1, max_size=60), st.integers(1, 30))
def test_a_rise_is_what_was_counted_within_the_window(steps, window):
    rise = Rise(float(window))
    rise.resize(np.array([-1]))
    value, history, got = 100.0, [], 0.0
    for now, step in enumerate(steps):
        if step < 0:
            value = 0.0
        else:
            value += step
        history.append((now, max(step, 0)))
        got = float(rise.look(float(now), np.array([value]))[0])
    assert 0.0 <= got <= sum(s for t, s in history)
    inside = sum(s for t, s in history[1:] if t > len(steps) - 1 - window * (1 - 1 / Rise.LOOKS) + 1)
    assert got >= inside


def test_a_site_overrides_rows_and_faults_are_said(tmp_path):
    site = tmp_path / "triage.toml"
    site.write_text('[[rule]]\nid = "disk-full"\nvalue = 95\n[[rule]]\nid = "idle-held"\noff = true\n')
    made = read(RESOURCES, site)
    assert made.rule("disk-full").params["value"] == 95
    assert made.rule("disk-full").do == TRIAGE.rule("disk-full").do
    with pytest.raises(KeyError):
        made.rule("idle-held")
    for text, words in (
        ('[[rule]]\nid = "new"\n', "signal is missing"),
        ('[[rule]]\nid = "disk-full"\nkind = "guess"\n', "there is no kind 'guess'"),
        ('[[rule]]\nid = "disk-full"\nseverity = 9\n', "severity"),
        ('[[rule]]\nid = "hw-thermal"\non = [9, 3]\n', "n of the last m"),
        ("[[rule", "triage.toml"),
    ):
        site.write_text(text)
        with pytest.raises(TriageError, match=words.replace("[", r"\[")):
            read(RESOURCES, site)


def test_a_busy_and_healthy_fleet_makes_no_noise():
    rng = np.random.default_rng(7)
    ward = Ward(nodes=40)
    for _ in range(300):
        ward.set("temperature_gpu", 60.0, *range(ward.count))
        ward.column("temperature_gpu")[0][:] += rng.normal(0, 4, ward.count)
        ward.column("clock_sm")[0][:] = rng.normal(1900, 40, ward.count)
        ward.column("utilization_gpu")[0][:] = rng.choice([96.0, 99.0, 0.0], ward.count, p=[0.45, 0.45, 0.1])
        ward.column("clocks_event_reasons")[0][:] = rng.choice([0, 0x4, 0x1], ward.count)
        ward.column("pcie_replay")[0][:] += rng.random(ward.count) < 0.001
        ward.now += 5.0
        ward.look()
        assert ward.examiner.findings == ()


LINE = "NVRM: Xid (PCI:0000:04:00): {}, {} {} XC0 i0 Link 00 ({} {} 0x00000000 0x00000000)"


@pytest.mark.parametrize(
    ("code", "unit", "word", "info", "status", "action", "severity"),
    [
        (144, "SAW_MVB", "Nonfatal", "0x00000001", "0x00000001", "IGNORE", 3),
        (144, "SAW_MVB", "Fatal", "0x00000001", "0x00000002", "RESET_GPU", 2),
        (145, "RLW_REMAP", "Nonfatal", "0x00000004", "0x00000001", "XID_154_EVAL", 2),
        (145, "RLW_REMAP", "Fatal", "0x00000004", "0x00000040", "RESET_GPU", 2),
        (145, "RLW_SRC_TRACK", "Nonfatal", "0x00000007", "0x00000002", "IGNORE", 3),
        (146, "TLW_RX/TLW_RX_PIPE0", "Fatal", "0x0000000a", "0x00000004", "RESET_GPU", 2),
        (147, "TREX", "Nonfatal", "0x0000000e", "0x00000001", "IGNORE", 3),
        (148, "NVLPW_CTRL/NVLPW", "Nonfatal", "0x0000000f", "0x80000000", "IGNORE", 3),
        (149, "NETIR_LINK_EVT/NETIR_LINK_DOWN", "Fatal", "0x00000011", "0x00000000", "RESET_GPU", 2),
        (149, "NETIR_LINK_EVT/NETIR_LINK_DOWN", "Fatal", "0x02500011", "0x00000000", "RESET_GPU", 2),
        (149, "NETIR_LINK_EVT/NETIR_LINK_DOWN", "Fatal", "0x02600011", "0x00000000", "IGNORE", 3),
        (149, "NETIR_MFDE_EVENT", "Nonfatal", "0x00000014", "0x00000003", "IGNORE", 3),
        (150, "MSE_WATCHDOG", "Fatal", "0x00000000", "0x00000000", "RESET_GPU", 2),
    ],
)
def test_a_link_error_is_decoded_to_its_unit_and_status(code, unit, word, info, status, action, severity):
    found = TRIAGE.told(code, LINE.format(code, unit, word, info, status))
    assert (found.action, found.severity) == (action, severity)
    assert unit in found.title


def test_a_status_that_is_not_listed_goes_to_a_person_and_the_worst_line_speaks():
    assert "ask a person" in TRIAGE.told(145, LINE.format(145, "RLW_REMAP", "Fatal", "0x4", "0x400000")).do
    assert TRIAGE.told(145, "NVRM: Xid (PCI:0000:04:00): 145, something else") == TRIAGE.xid(145)
    assert TRIAGE.told(79, LINE.format(79, "SAW_MVB", "Fatal", "0x1", "0x2")) == TRIAGE.xid(79)
    ward = Ward()
    ward.happens("xid", 144, text=LINE.format(144, "SAW_MVB", "Fatal", "0x1", "0x2"))
    ward.happens("xid", 144, text=LINE.format(144, "SAW_MVB", "Nonfatal", "0x1", "0x4"))
    (found,) = ward.look()
    assert (found.action, found.severity) == ("RESET_GPU", 2)


@settings(max_examples=300)
@given(st.sampled_from(range(144, 151)), st.text(max_size=80))
def test_any_line_is_read_without_an_error(code, text):
    assert TRIAGE.told(code, f"NVRM: Xid (PCI:0000:04:00): {code}, {text}").code == code


@given(st.lists(st.floats(0, 10) | st.just(float("nan")), max_size=40), st.floats(0, 4))
def test_a_deadband_ends_a_rule_only_below_where_it_clears(values, band):
    beyond, was = Beyond(5.0, 5.0 - band), False
    beyond.resize(np.array([-1]))
    for value in values:
        is_so = bool(beyond.above(np.array([value]))[0])
        if value != value:
            assert not is_so  # unknown is no finding, and does not end one either
            continue
        assert is_so == (value > 5.0 or (was and value > 5.0 - band))
        was = is_so


def test_a_reading_at_its_limit_does_not_chatter():
    ward = Ward()
    ward.look(2)
    for degrees in (1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0, 4.0, 3.0, 5.0, 3.0):
        ward.set("temperature_margin", degrees)
        ward.look(30, 10)
    assert "thermal-margin" in ward.rules()
    ward.set("temperature_margin", 9.0)
    ward.look(330, 10)
    assert "thermal-margin" not in ward.rules()


def test_a_finding_says_how_many_peers_have_the_same():
    ward = Ward()
    ward.set("remap_pending", 1.0, 0, 9)
    ward.look(1)
    assert [f.compared for f in ward.examiner.findings] == ["1 of 31 peers have the same"] * 2
    ward = Ward()
    ward.look(2)
    INCIDENTS["thermal-time"](ward)
    found = next(f for f in ward.examiner.findings if f.rule == "thermal-time")
    assert "above 100% of 31 peers" in found.evidence
    assert found.compared == "0 of 31 peers have the same"


def test_what_only_looks_like_trouble_is_none():
    ward = Ward()
    ward.set("pcie_generation", 1.0, 0)
    ward.set("utilization_gpu", 0.0, 0)  # an idle card lowers its link
    ward.jobs.pop(0)
    ward.set("process_count", 0.0, 1)
    ward.set("memory_used", 5e8, 1)  # what the driver itself keeps
    ward.host_column("ib_ports_active")[0][:2] = (
        4.0,
        4.0,
    )  # as many nodes with as without: nothing is known to be missing
    ward.look(600, 10)
    assert ward.rules() == set()
