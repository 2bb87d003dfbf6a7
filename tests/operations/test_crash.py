"""R2: a console killed at any step boundary. Another start of it looks, goes on or undoes, and one legal state results."""

import contextlib
import itertools

import pytest

from console.operations import recovery
from console.operations.journal import OpState, StepState
from console.operations.plan import make
from console.operations.scheduler import Place, SchedulerState
from console.operations.states import NODE, Admin, Refusal
from plugins.slurm import PLUGIN
from tests.operations.conftest import Desk, NotSent, Unsure

CHANGES = ("book.change", "do", "exec")


class Killed(BaseException):
    """What ends a console between two steps."""


def cutter(site, at, how):
    """Cuts at the `at`-th changing question: before it is sent, after it was done, or with its reply lost."""
    count = itertools.count()
    killed = []

    def cut(when, node, request):
        if killed and how == "kill":
            raise Killed
        if request["verb"] not in CHANGES or (request["verb"] == "exec" and request["calls"][0][1] != "update"):
            return
        if when == "before" and next(count) == at:
            killed.append(1)
            if how == "not sent":
                raise NotSent(f"{node}: gone")
            if how == "kill before":
                raise Killed
        elif when == "after" and killed == [1]:
            killed.append(2)
            if how == "reply lost":
                raise Unsure(f"{node}: no answer")
            if how == "kill after":
                raise Killed

    site.cut = cut


def again(desk):
    """The console started anew over the same journal."""
    desk.journal.close()
    return Desk(desk.site, desk.folder, session=desk.session + "'", by=desk.by, now=desk.now, count=desk.count)


def resume(desk, op, view):
    """What Operations.resume does, over this site."""
    state = recovery.reconcile(desk.steps, op)
    op = desk.journal.operation(op.id)
    assert state is not OpState.AMBIGUOUS
    if state not in (OpState.PARTIAL, OpState.FAILED, OpState.RUNNING):
        return op
    was = op.session
    desk.journal.take_over(op.id, desk.session, desk.by)
    op = desk.journal.operation(op.id)
    p = op.params
    asked = desk.asked(op.verb, op=op.id, reason=op.reason, takes_from=was, tenant=p["tenant"], users=tuple(p["users"]))
    written = {s.node for s in desk.journal.steps(op.id) if s.verb == "book.change" and s.state is StepState.CONFIRMED}
    nodes = [n for n in op.targets if op.verb in ("drain", "assign") or n not in written]
    return desk.executor.go_on(op, make(asked, [view(n) for n in nodes]))


WAYS = ("kill before", "kill after", "reply lost", "not sent")


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("end", ["resume", "undo"])
@pytest.mark.parametrize("at", range(12))
def test_a_drain_killed_anywhere_is_gone_on_with_or_undone(site, desk, how, end, at):
    cutter(site, at, how)
    targets = [(n, NODE) for n in site.names]
    plan = desk.plan(desk.asked("drain"), *targets)
    with contextlib.suppress(Killed):
        desk.executor.run(plan, plan)
    site.cut = lambda *_: None
    fresh = again(desk)
    op = fresh.journal.operations()[0]
    if end == "resume":
        done = resume(fresh, op, lambda n: site.view(n))
        assert done.state is OpState.WAITING
        for name in site.names:
            entry = site.book(name).entry(NODE)
            assert (entry.admin, len(entry.holds), entry.holds[0].op) == (Admin.DRAINING, 1, op.id)
            assert set(dict(entry.modes).values()) == {"default"}, "the mode before the drain was lost"
            assert site.modes(name) == [2, 2]
        fresh.do("undrain", *targets)
    else:
        recovery.reconcile(fresh.steps, op)
        assert recovery.undo(fresh.steps, fresh.journal.operation(op.id), fresh.session, fresh.by) == {}
    for name in site.names:
        assert site.book(name).entries == {}
        assert site.modes(name) == [0, 0]
    assert fresh.journal.verify().fault == ""


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("at", range(3))
def test_an_undrain_killed_anywhere_converges(site, desk, how, at):
    desk.do("drain", ("gpu01", NODE))
    desk.now += 1
    cutter(site, at, how)
    with contextlib.suppress(Killed):
        desk.do("undrain", ("gpu01", NODE))
    site.cut = lambda *_: None
    fresh = again(desk)
    op = fresh.journal.operations()[0]
    assert op.verb == "undrain"
    assert resume(fresh, op, lambda n: site.view(n)).state is OpState.DONE
    assert (site.book("gpu01").entries, site.modes("gpu01")) == ({}, [0, 0])


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("verb", ["reset", "kill", "reboot"])
def test_what_destroys_is_never_sent_twice(site, desk, how, verb):
    import subprocess

    process = subprocess.Popen(["sleep", "60"])
    try:
        desk.executor.prove(desk.do("drain", ("gpu01", NODE)), desk.uuids_of, needs_fds=False)
        from console.agent.answer import started_of

        more = {"pid": process.pid, "started": started_of(process.pid)} if verb == "kill" else {}
        if verb == "kill":
            site.drivers["gpu01"].pids["GPU-gpu01-0"] = [process.pid]
        (site.folder / "gpu01" / "bin" / "systemctl").write_text(
            f"#!/bin/sh\necho reboot >> {site.folder}/gpu01/calls\n"
        )
        (site.folder / "gpu01" / "bin" / "systemctl").chmod(0o755)
        desk.now += 1
        cutter(site, 0, how)
        target = ("gpu01", NODE) if verb != "reset" else ("gpu01", "GPU-gpu01-0")
        with contextlib.suppress(Killed):
            desk.do(verb, target, **more)
        site.cut = lambda *_: None
        fresh = again(desk)
        op = fresh.journal.operations()[0]
        state = recovery.reconcile(fresh.steps, op)
        steps = fresh.journal.steps(op.id)
        if state is not OpState.AMBIGUOUS and not recovery.may_go_on(fresh.journal.operation(op.id), steps):
            resume(fresh, op, lambda n: site.view(*target))
        sent = sum(r["verb"] == "do" and r["do"] == verb for _, r in site.asked)
        assert sent <= 1
        if how == "kill after" and verb != "kill":
            assert state is OpState.AMBIGUOUS, "nobody can know, so nobody may claim"
            assert "may have been done" in recovery.may_go_on(fresh.journal.operation(op.id), steps)
    finally:
        process.kill()
        process.wait()


class FakeSlurm:
    """A controller that counts: its state, and how often each node was told to drain."""

    def __init__(self, site):
        self.reason = {}
        self.updates = []
        self.site = site
        self.ask, site.ask = site.ask, self.answer

    def answer(self, node, request, timeout_s=30.0):
        if request["verb"] != "exec":
            return self.ask(node, request, timeout_s)
        self.site.cut("before", node, request)
        out = []
        for call in request["calls"]:
            out.append({"status": 0, "output": self.run(node, call)})
        self.site.cut("after", node, request)
        return {"ok": True, "calls": out}

    def run(self, node, call):
        if call[:2] == ["scontrol", "update"]:
            self.updates.append(call)
            if "State=DRAIN" in call:
                self.reason[node] = next(c for c in call if c.startswith("Reason=")).removeprefix("Reason=")
            else:
                self.reason.pop(node, None)
            return ""
        if call[:4] == ["scontrol", "-o", "show", "node"]:
            reason = self.reason.get(node)
            state = "IDLE" if reason is None else "IDLE+DRAIN"
            return f"NodeName={node} State={state}" + (
                "" if reason is None else f" Reason={reason} [root@2026-01-01T00:00:00]"
            )
        return ""

    def view(self, node):
        state = PLUGIN.state(node, [self.run(node, list(c)) for c in PLUGIN.looks(node)])
        assert isinstance(state, SchedulerState)
        return self.site.view(node, place=Place("slurm", node, node), scheduler=PLUGIN, seen=state)


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("at", range(8))
def test_a_slurm_drain_killed_anywhere_converges_and_is_sent_once(site, desk, how, at):
    site.rights = False
    fake = FakeSlurm(site)
    desk.steps._plugins = lambda _: PLUGIN
    cutter(site, at, how)
    try:
        plan = make(desk.asked("drain"), [fake.view(n) for n in site.names])
        desk.executor.run(plan, plan)
    except Killed:
        pass
    site.cut = lambda *_: None
    fresh = again(desk)
    fresh.steps._plugins = lambda _: PLUGIN
    op = fresh.journal.operations()[0]
    assert resume(fresh, op, fake.view).state is OpState.WAITING
    for name in site.names:
        assert fake.reason[name].startswith(f"cardkeeper:{op.id}:")
        assert sum(f"NodeName={name}" in c for c in fake.updates) == 1, "told twice"
    assert recovery.undo(fresh.steps, fresh.journal.operation(op.id), fresh.session, fresh.by) == {}
    assert (fake.reason, [site.book(n).entries for n in site.names]) == ({}, [{}, {}, {}])


def test_a_resumed_operation_that_another_took_over_is_left_alone(site, desk, other):
    cutter(site, 1, "kill before")
    plan = desk.plan(desk.asked("drain"), ("gpu01", NODE))
    with pytest.raises(Killed):
        desk.executor.run(plan, plan)
    site.cut = lambda *_: None
    op = desk.journal.operations()[0]
    other.journal.begin(op, {"verb": "adopt"})
    recovery.adopt(other.steps, op.id, ["gpu01"], other.session, other.by)
    fresh = again(desk)
    done = resume(fresh, op, lambda n: site.view(n))
    assert done.state is OpState.PARTIAL
    assert site.book("gpu01").entry(NODE).holds[0].session == other.session


def test_an_unreachable_node_stays_ambiguous_until_it_answers(site, desk):
    def lost(when, node, request):
        if request["verb"] == "book.change" and when == "after":
            raise Unsure("gpu01: no answer")
        if request["verb"] == "book.read" and desk.journal.operations():
            raise NotSent("gpu01: not connected")

    plan = desk.plan(desk.asked("drain"), ("gpu01", NODE))
    site.cut = lost
    done = desk.executor.run(plan, plan)
    assert done.state is OpState.AMBIGUOUS
    assert recovery.reconcile(desk.steps, done) is OpState.AMBIGUOUS
    site.cut = lambda *_: None
    assert recovery.reconcile(desk.steps, done) is OpState.PARTIAL
    with pytest.raises(Refusal):
        desk.do("undrain", ("gpu02", NODE))
