"""Plans carried out on nodes: what stands in the card book and the driver afterwards, and what is refused."""

import pytest

from console.operations import recovery
from console.operations.door import Declined
from console.operations.journal import OpState
from console.operations.states import NODE, Admin, Health, Refusal


def test_a_drain_blocks_the_driver_and_undrain_puts_each_mode_back(site, desk):
    (site.folder / "gpu01" / "mode.GPU-gpu01-1").write_text("3")
    drained = desk.do("drain", ("gpu01", NODE))
    assert drained.state is OpState.WAITING
    entry = site.book("gpu01").entry(NODE)
    assert (entry.admin, entry.holds[0].owner, entry.holds[0].reason) == (Admin.DRAINING, "amal@ws1", "xid 79")
    assert site.modes("gpu01") == [2, 2]
    assert dict(entry.modes) == {"GPU-gpu01-0": "default", "GPU-gpu01-1": "exclusive_process"}
    assert desk.do("undrain", ("gpu01", NODE)).state is OpState.DONE
    assert site.modes("gpu01") == [0, 3]
    assert site.book("gpu01").entries == {}
    assert desk.journal.operation(drained.id).state is OpState.UNDONE
    assert desk.journal.verify().fault == ""


def test_a_drain_is_proven_over_three_looks(site, desk):
    site.drivers["gpu01"].pids["GPU-gpu01-0"] = [4321]
    op = desk.do("drain", ("gpu01", NODE))
    assert "4321" in desk.executor.prove(op, desk.uuids_of)
    assert site.book("gpu01").entry(NODE).admin is Admin.DRAINING
    site.drivers["gpu01"].pids.clear()
    begun = desk.mono
    assert desk.executor.prove(op, desk.uuids_of) == ""
    assert desk.mono - begun >= 10.0
    assert site.book("gpu01").entry(NODE).admin is Admin.DRAINED
    assert desk.journal.operation(op.id).state is OpState.DONE


def test_without_rights_the_plan_says_advisory_and_nothing_is_blocked(site, desk):
    site.rights = False
    plan = desk.plan(desk.asked("drain"), ("gpu01", NODE))
    assert "advisory" in plan.changes[0].effect
    desk.executor.run(plan, plan)
    assert site.modes("gpu01") == [0, 0]


def test_a_card_handed_over_stays_blocked_while_the_other_hold_stands(site, desk):
    desk.do("drain", ("gpu01", "GPU-gpu01-0"))
    desk.do("drain", ("gpu01", NODE))
    desk.do("undrain", ("gpu01", "GPU-gpu01-0"))
    assert site.modes("gpu01") == [2, 2]
    desk.do("undrain", ("gpu01", NODE))
    assert site.modes("gpu01") == [0, 0]
    assert site.book("gpu01").entries == {}


def test_another_persons_hold_is_never_lifted(site, desk, other):
    desk.do("drain", ("gpu01", NODE))
    other.do("drain", ("gpu01", NODE), reason="firmware")
    desk.do("drain", ("gpu02", NODE))
    with pytest.raises(Refusal, match="no hold of yours is on it; it is held by amal@ws1"):
        other.do("undrain", ("gpu02", NODE))
    other.do("undrain", ("gpu01", NODE))
    entry = site.book("gpu01").entry(NODE)
    assert [h.owner for h in entry.holds] == ["amal@ws1"]
    assert entry.admin is Admin.DRAINING
    assert site.modes("gpu01") == [2, 2]


def test_what_changed_since_the_plan_means_look_again(site, desk, other):
    asked = desk.asked("drain")
    plan = desk.plan(asked, ("gpu01", NODE))
    other.do("drain", ("gpu01", NODE), reason="firmware")
    with pytest.raises(Refusal, match="another in the card book"):
        desk.executor.run(plan, desk.plan(asked, ("gpu01", NODE)))
    assert desk.journal.operations() == []


def test_a_change_between_guard_and_write_is_refused_by_the_node(site, desk, other):
    asked = desk.asked("assign", tenant="atlas")
    plan = desk.plan(asked, ("gpu01", "GPU-gpu01-0"))
    other.do("assign", ("gpu01", "GPU-gpu01-0"), tenant="borealis")
    done = desk.executor.run(plan, plan)
    assert done.state is OpState.FAILED
    assert "changed since it was looked at" in desk.journal.steps(done.id)[0].evidence
    assert site.book("gpu01").entry("GPU-gpu01-0").assignment.tenant == "borealis"


def test_stale_readings_refuse_every_verb(site, desk):
    from console.operations.verbs import VERBS

    for verb in VERBS:
        plan = desk.plan(desk.asked(verb, tenant="t"), ("gpu01", NODE), is_stale=True)
        assert plan.changes == ()
        assert "not fresh" in plan.refused[0][1]


def test_the_canary_fails_alone(site, desk, monkeypatch):
    def cut(when, node, request):
        if node == "gpu01" and request["verb"] == "book.change":
            raise Declined("locked", "gpu01: locked")

    plan = desk.plan(desk.asked("drain"), *((n, NODE) for n in site.names))
    site.cut = cut
    done = desk.executor.run(plan, plan)
    assert done.state is OpState.FAILED
    assert [s.node for s in desk.journal.steps(done.id)] == ["gpu01"]
    assert site.book("gpu02").entries == {}


def test_the_breaker_opens_and_stays_open_until_reset(site, desk):
    group = {"group": "riyadh", "group_cards": 8}
    desk.do("drain", ("gpu01", NODE), view=group)
    with pytest.raises(Refusal, match="breaker of riyadh"):
        desk.do("drain", ("gpu02", NODE), view=group)
    desk.now += 10_000
    with pytest.raises(Refusal, match="breaker of riyadh"):
        desk.do("drain", ("gpu02", NODE), view=group)
    assert desk.journal.reset_breaker("amal@ws1") == ["riyadh"]
    assert desk.do("drain", ("gpu02", NODE), view=group).state is OpState.WAITING


def test_limits_of_a_command(site, desk):
    views = [site.view("gpu01", NODE)]
    from dataclasses import replace

    from console.operations.plan import make

    many = [replace(views[0], node=f"n{i}", label=f"n{i}") for i in range(26)]
    assert make(desk.asked("drain"), many).changes == ()
    assert "at most 25" in make(desk.asked("drain"), many).refused[0][1]
    assert "at most 5" in make(desk.asked("reboot"), many[:6]).refused[0][1]
    assert "at most 5" in make(desk.asked("drain", on_deadline="force"), many[:6]).refused[0][1]


def test_the_word_that_confirms_grows(site, desk):
    assert desk.plan(desk.asked("drain"), ("gpu01", NODE)).word == "gpu01"
    assert desk.plan(desk.asked("drain"), ("gpu01", NODE), ("gpu02", NODE)).word == "2 nodes"
    desk.executor.prove(desk.do("drain", ("gpu01", NODE)), desk.uuids_of)
    assert desk.plan(desk.asked("reset"), ("gpu01", "GPU-gpu01-0")).word == "reset gpu01"
    assert desk.plan(desk.asked("drain", on_deadline="force"), ("gpu02", NODE)).word == "force gpu02"


def test_the_way_through_maintenance_and_back(site, desk):
    op = desk.do("drain", ("gpu01", NODE))
    with pytest.raises(Refusal, match="draining, not drained"):
        desk.do("maintenance-begin", ("gpu01", NODE))
    desk.executor.prove(op, desk.uuids_of)
    assert desk.do("maintenance-begin", ("gpu01", NODE)).state is OpState.DONE
    with pytest.raises(Refusal, match="returns through verification"):
        desk.do("undrain", ("gpu01", NODE))
    desk.do("maintenance-end", ("gpu01", NODE))
    failed = {f"gpu01 {NODE}": "card 0 does not answer"}
    desk.do("return", ("gpu01", NODE), passed=failed)
    assert site.book("gpu01").entry(NODE).admin is Admin.MAINTENANCE
    desk.do("maintenance-end", ("gpu01", NODE))
    desk.do("return", ("gpu01", NODE), passed={f"gpu01 {NODE}": ""})
    assert site.book("gpu01").entry(NODE).admin is Admin.PROBATION
    assert site.modes("gpu01") == [0, 0]
    with pytest.raises(Refusal, match="clean for a day"):
        desk.do("return", ("gpu01", NODE))
    desk.now += 90_000
    desk.do("return", ("gpu01", NODE))
    assert site.book("gpu01").entry(NODE).admin is Admin.IN_SERVICE


def test_maintenance_needs_a_fresh_proof(site, desk):
    desk.executor.prove(desk.do("drain", ("gpu01", NODE)), desk.uuids_of)
    site.drivers["gpu01"].pids["GPU-gpu01-1"] = [7]
    done = desk.do("maintenance-begin", ("gpu01", NODE))
    assert done.state is OpState.FAILED
    assert site.book("gpu01").entry(NODE).admin is Admin.DRAINED


def test_a_failed_verification_keeps_the_hold(site, desk):
    desk.executor.prove(desk.do("drain", ("gpu01", NODE)), desk.uuids_of)
    with pytest.raises(Refusal, match="verification failed: PCIe width"):
        desk.do("return", ("gpu01", NODE), passed={f"gpu01 {NODE}": "PCIe width: 8; elsewhere 16"})
    assert site.book("gpu01").entry(NODE).holds


def test_reset_needs_a_drained_idle_card_and_is_counted_once(site, desk):
    with pytest.raises(Refusal, match="drain it first"):
        desk.do("reset", ("gpu01", "GPU-gpu01-0"))
    desk.executor.prove(desk.do("drain", ("gpu01", "GPU-gpu01-0")), desk.uuids_of)
    assert desk.do("reset", ("gpu01", "GPU-gpu01-0")).state is OpState.DONE
    calls = (site.folder / "gpu01" / "calls").read_text().splitlines()
    assert calls.count("--gpu-reset -i GPU-gpu01-0") == 1


def test_release_of_a_busy_card_wants_force(site, desk):
    card = ("gpu01", "GPU-gpu01-0")
    desk.do("assign", card, tenant="atlas")
    site.drivers["gpu01"].pids["GPU-gpu01-0"] = [7]
    with pytest.raises(Refusal, match="still in use"):
        desk.do("release", card)
    desk.do("release", card, force=True)
    assert site.book("gpu01").entries == {}


def test_a_sick_card_is_assigned_only_when_acknowledged_or_marked_healthy(site, desk):
    card, sick = ("gpu01", "GPU-gpu01-0"), {"health": Health.FAULT}
    with pytest.raises(Refusal, match="acknowledge"):
        desk.do("assign", card, tenant="atlas", view=sick)
    desk.do("mark-healthy", card, view=sick, reason="false alarm of the sensor")
    desk.do("assign", card, tenant="atlas", view=sick)
    assert site.book("gpu01").entry(card[1]).assignment.tenant == "atlas"


def test_an_assigned_card_blocks_its_node_and_the_other_way_round(site, desk):
    desk.do("assign", ("gpu01", "GPU-gpu01-0"), tenant="atlas")
    with pytest.raises(Refusal, match="assigned to atlas already"):
        desk.do("assign", ("gpu01", NODE), tenant="borealis")
    desk.do("assign", ("gpu02", NODE), tenant="borealis")
    with pytest.raises(Refusal, match="as a whole is assigned"):
        desk.do("assign", ("gpu02", "GPU-gpu02-0"), tenant="atlas")


def test_undo_restores_what_was(site, desk):
    (site.folder / "gpu01" / "mode.GPU-gpu01-0").write_text("3")
    op = desk.do("drain", ("gpu01", NODE))
    assert recovery.undo(desk.steps, op, desk.session, desk.by) == {}
    assert (site.modes("gpu01"), site.book("gpu01").entries) == ([3, 0], {})
    given = desk.do("assign", ("gpu01", NODE), tenant="atlas")
    recovery.undo(desk.steps, given, desk.session, desk.by)
    assert site.book("gpu01").entries == {}
    with pytest.raises(Refusal, match="cannot be undone"):
        recovery.undo(desk.steps, desk.do("drain", ("gpu02", NODE)) and desk.do("undrain", ("gpu02", NODE)), "s", "b")


def test_an_adopted_hold_obeys_its_new_session_only(site, desk, other):
    op = desk.do("drain", ("gpu01", NODE))
    other.journal.begin(op, {"verb": "adopt"})
    assert recovery.adopt(other.steps, op.id, ["gpu01"], other.session, other.by) == ["gpu01 node"]
    assert "taken over" in desk.executor.prove(op, desk.uuids_of)
    assert site.book("gpu01").entry(NODE).admin is Admin.DRAINING
    assert "taken over by bea@ws2" in recovery.undo(desk.steps, op, desk.session, desk.by)["gpu01"]
    assert site.modes("gpu01") == [2, 2]


def test_a_reboot_lifts_the_block_and_undrain_does_not_touch_the_mode(site, desk):
    desk.do("drain", ("gpu01", NODE))
    site.boots["gpu01"] = "boot-2"
    for card in site.drivers["gpu01"].cards:
        (site.folder / "gpu01" / f"mode.{card}").write_text("0")
    before = len((site.folder / "gpu01" / "calls").read_text().splitlines())
    desk.do("undrain", ("gpu01", NODE))
    assert len((site.folder / "gpu01" / "calls").read_text().splitlines()) == before


def test_a_process_is_killed_only_by_number_and_start(site, desk):
    import subprocess

    from console.agent.answer import started_of

    process = subprocess.Popen(["sleep", "60"])
    try:
        site.drivers["gpu01"].pids["GPU-gpu01-0"] = [process.pid]
        done = desk.do("kill", ("gpu01", NODE), pid=process.pid, started=started_of(process.pid) + 1)
        assert done.state is OpState.FAILED
        assert "another process" in desk.journal.steps(done.id)[0].evidence
        # It has no card's device file open, so the helper refuses it even so.
        done = desk.do("kill", ("gpu01", NODE), pid=process.pid, started=started_of(process.pid))
        assert "no card open" in desk.journal.steps(done.id)[0].evidence
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
