"""Drain, undrain and reserve on a real Slurm, through the program that runs on nodes."""

import time

import pytest

from console.agent import answer as program
from console.operations import recovery
from console.operations.journal import OpState
from console.operations.scheduler import Place
from console.operations.states import NODE, Refusal
from plugins.slurm import PLUGIN
from tests.operations.conftest import Desk, Site
from tests.real import slurm

pytestmark = pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not() or "-")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with slurm.Cluster(tmp_path_factory.mktemp("slurm") / "c") as found:
        yield found


@pytest.fixture
def desk(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", str(cluster.folder / "slurm.conf"))
    site = Site(tmp_path / "nodes", ["gpu01", "gpu02"])
    made = Desk(site, tmp_path / "ws1")
    made.steps._plugins = lambda name: {"slurm": PLUGIN}[name]
    yield made
    for name in ("gpu01", "gpu02"):
        cluster.run("scontrol", "update", f"nodename={name}", "state=undrain")
    for line in cluster.run("scontrol", "-o", "show", "reservation").splitlines():
        cluster.run("scontrol", "delete", line.split()[0])


def see(desk, node):
    return desk.steps.scheduler_state("slurm", node, node)


def with_slurm(desk, node):
    return {"place": Place("slurm", node, node), "scheduler": PLUGIN, "seen": see(desk, node)}


def do(desk, verb, node="gpu01", target=NODE, **more):
    return desk.do(verb, (node, target), view=with_slurm(desk, node), **more)


def place_of(node):
    return Place("slurm", node, node)


def test_a_drain_lets_the_job_end_and_undrain_gives_work_again(desk, cluster):
    job = cluster.job("gpu01")
    seen = see(desk, "gpu01")
    assert [(j.id, j.cards) for j in seen.jobs] == [(job, 2)]
    plan = desk.plan(desk.asked("drain"), ("gpu01", NODE), **with_slurm(desk, "gpu01"))
    assert any(job in w for w in plan.warnings)
    assert any(c.startswith("scontrol update NodeName=gpu01 State=DRAIN") for c in plan.changes[0].commands)
    op = do(desk, "drain")
    assert op.state is OpState.WAITING
    seen = see(desk, "gpu01")
    assert (seen.is_blocked, seen.is_empty, seen.is_of(op.id)) == (True, False, True)
    assert job in desk.executor.prove(op, desk.uuids_of, place_of=place_of)
    cluster.run("scancel", job)
    end = time.monotonic() + 30
    while (
        waiting := desk.executor.prove(op, desk.uuids_of, needs_fds=False, place_of=place_of)
    ) and time.monotonic() < end:
        time.sleep(0.5)
    assert waiting == ""
    assert do(desk, "undrain").state is OpState.DONE
    assert "DRAIN" not in see(desk, "gpu01").text


def test_anothers_drain_is_shown_and_never_touched(desk, cluster):
    cluster.run("scontrol", "update", "nodename=gpu01", "state=drain", "reason=xid 79, Reason=ask bea")
    seen = see(desk, "gpu01")
    assert seen.is_foreign
    assert seen.reason == "xid 79, Reason=ask bea"
    op = do(desk, "drain")
    assert not any(s.verb == "exec" for s in desk.journal.steps(op.id))
    do(desk, "undrain")
    after = see(desk, "gpu01")
    assert (after.reason, after.is_blocked) == (seen.reason, True)


def test_a_reason_rewritten_meanwhile_is_left_alone(desk, cluster):
    op = do(desk, "drain")
    cluster.run("scontrol", "update", "nodename=gpu01", "state=drain", "reason=now it is mine")
    failures = recovery.undo(desk.steps, op, desk.session, desk.by)
    assert "not ours any more" in failures["gpu01"]
    assert see(desk, "gpu01").reason == "now it is mine"


def test_undo_of_a_drain_gives_the_node_back(desk):
    op = do(desk, "drain", "gpu02")
    assert recovery.undo(desk.steps, op, desk.session, desk.by) == {}
    assert not see(desk, "gpu02").is_blocked
    assert desk.site.book("gpu02").entries == {}


def test_one_card_cannot_be_drained_and_the_plan_says_so(desk):
    plan = desk.plan(desk.asked("drain"), ("gpu01", "GPU-gpu01-0"), **with_slurm(desk, "gpu01"))
    assert any("cannot drain one card" in w for w in plan.warnings)
    assert not any(a.kind == "exec" for a in plan.changes[0].actions)


def test_an_assignment_is_a_reservation_for_its_logins(desk, cluster):
    with pytest.raises(Refusal, match="for logins"):
        do(desk, "assign", "gpu02", tenant="atlas")
    op = do(desk, "assign", "gpu02", tenant="atlas", users=("munge",), until=desk.now + 7200)
    assert op.state is OpState.DONE, [s.evidence for s in desk.journal.steps(op.id)]
    seen = see(desk, "gpu02")
    assert seen.reservations == (f"cardkeeper_{op.id}",)
    assert see(desk, "gpu01").reservations == ()
    # Slurm holds it: root's job for that node stays pending.
    job = cluster.run("sbatch", "--parsable", "-o", "/dev/null", "-w", "gpu02", "--wrap", "sleep 5").strip()
    time.sleep(2)
    assert cluster.run("squeue", "-h", "-j", job, "-o", "%T").strip() in ("PENDING", "")
    cluster.run("scancel", job)
    assert do(desk, "release", "gpu02").state is OpState.DONE
    assert see(desk, "gpu02").reservations == ()


@pytest.mark.parametrize(
    "reason", ["a'; touch /tmp/x; '", 'x" State=RESUME', "Reason=y State=RESUME", "a\nb", "[root@2026-01-01T00:00:00]"]
)
def test_reasons_cannot_become_commands_or_fields(desk, reason):
    op = do(desk, "drain", reason=reason)
    seen = see(desk, "gpu01")
    assert seen.is_blocked
    assert seen.is_of(op.id)
    do(desk, "undrain")


def test_only_a_schedulers_programs_are_run(tmp_path):
    mark = tmp_path / "mark"
    for call in (["touch", str(mark)], ["/usr/bin/scontrol", "show", "node"], ["sh", "-c", f"touch {mark}"], []):
        reply = program.answer({"verb": "exec", "calls": [call]}, str(tmp_path), "/nonexistent")
        assert reply["ok"] is False
    assert not mark.exists()
