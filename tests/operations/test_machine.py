"""The state machine alone, and two consoles over real card books in any order (R3): no event sequence breaks a promise."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from console.agent import book as card_book
from console.operations import machine
from console.operations.states import (
    NODE,
    Admin,
    Assignment,
    Cleared,
    Entry,
    Health,
    Hold,
    Refusal,
    book_of,
    entry_of,
)

NOW = 1_800_000_000.0


def hold(op="op1", owner="amal@ws1", session="s1", reason="xid 79", expires=None):
    return Hold(op, owner, reason, session, NOW, expires)


ids = st.text("abcdef0123456789", min_size=1, max_size=8)
texts = st.text(max_size=40)
times = st.floats(0, 4e9)
holds = st.builds(Hold, ids, texts, texts, ids, times, st.none() | times)
assignments = st.builds(Assignment, texts, ids, times, st.none() | times, st.tuples() | st.tuples(texts))
entries = st.builds(
    Entry, ids, st.integers(1, 9999), st.sampled_from(Admin), st.sampled_from(Admin), st.lists(holds, max_size=3).map(tuple),
    st.none() | assignments, st.dictionaries(ids, texts, max_size=2).map(lambda d: tuple(sorted(d.items()))), texts,
    st.none() | times, st.none() | times, st.none() | st.builds(Cleared, times, texts, texts), st.tuples() | st.tuples(texts),
)  # fmt: skip


@given(entries)
def test_an_entry_survives_its_way_through_the_book(entry):
    told = entry.to_json()
    assert told is None if entry.is_blank else entry_of(entry.target, told) == entry


@given(st.recursive(st.none() | st.booleans() | st.integers() | texts,
                    lambda c: st.lists(c, max_size=3) | st.dictionaries(texts, c, max_size=3), max_leaves=8))  # fmt: skip
def test_a_malformed_entry_is_never_taken_for_in_service(data):
    try:
        found = entry_of("x", data)
    except ValueError:
        return
    assert data is None
    assert found == Entry("x")


def test_unknown_states_of_newer_versions_are_refused():
    told = Entry("x", 3, Admin.DRAINED, holds=(hold(),)).to_json()
    with pytest.raises(ValueError, match="not understood"):
        entry_of("x", {**told, "admin": "quarantined"})


@pytest.mark.parametrize("admin", list(Admin))
def test_undrain_leads_back_only_from_draining_and_drained(admin):
    entry = Entry("x", 1, admin, Admin.PROBATION, (hold(),))
    event = machine.Undrain("op1", "s1")
    if admin in (Admin.MAINTENANCE, Admin.VERIFYING):
        with pytest.raises(Refusal):
            machine.after(entry, event)
    elif admin in (Admin.DRAINING, Admin.DRAINED):
        assert machine.after(entry, event).admin is Admin.PROBATION
    else:
        assert machine.after(entry, event).admin is admin


def test_a_drain_of_another_session_has_no_effect():
    drained = machine.after(Entry("x"), machine.Drain(hold()))
    with pytest.raises(Refusal, match="taken over"):
        machine.after(drained, machine.Drain(hold(session="s2")))
    with pytest.raises(Refusal, match="taken over"):
        machine.after(drained, machine.ProvenIdle(NOW, "op1", "s2"))
    with pytest.raises(Refusal, match="taken over"):
        machine.after(drained, machine.Undrain("op1", "s2"))
    gone_on = machine.after(drained, machine.Drain(hold(session="s2"), takes_from="s1"))
    assert gone_on.holds == (hold(session="s2"),)


def test_guards_of_an_assignment():
    given_ = Assignment("atlas", "op2", NOW)
    ok = machine.Assign(given_, Health.OK, False, NOW)
    assert machine.after(Entry("x"), ok).assignment == given_
    for entry, why in (
        (Entry("x", assignment=given_), "assigned to atlas already"),
        (Entry("x", admin=Admin.PROBATION), "in service"),
        (Entry("x", holds=(hold(),)), "held by"),
    ):
        with pytest.raises(Refusal, match=why):
            machine.after(entry, ok)
    assert machine.after(Entry("x", holds=(hold(expires=NOW - 1),)), ok).assignment == given_
    for bad in (replace(ok, health=Health.UNKNOWN), replace(ok, assignment=replace(given_, tenant=" ")),
                replace(ok, assignment=replace(given_, until=NOW - 1))):  # fmt: skip
        with pytest.raises(Refusal):
            machine.after(Entry("x"), bad)


def test_a_day_of_probation_and_proof_of_idleness_expire():
    entry = Entry("x", 1, Admin.PROBATION, passed_at=NOW)
    with pytest.raises(Refusal):
        machine.after(entry, machine.CleanDay(NOW + machine.PROBATION_S - 1))
    assert machine.after(entry, machine.CleanDay(NOW + machine.PROBATION_S)).admin is Admin.IN_SERVICE
    drained = Entry("x", 1, Admin.DRAINED, holds=(hold(),), proven_at=NOW)
    with pytest.raises(Refusal, match="prove it again"):
        machine.after(drained, machine.BeginMaintenance(NOW + 31))
    assert machine.after(drained, machine.BeginMaintenance(NOW + 29)).admin is Admin.MAINTENANCE


class TwoConsoles(RuleBasedStateMachine):
    """Two consoles read, decide and write when they like: delays, duplicates and reordering are what happens between.

    Every write goes through the node's own compare-and-set on a real book. The invariants are the promises.
    """

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="r3."))
        self.pending = []
        self.sent = []
        self.count = 0
        self.sessions = {"amal": "a1", "bea": "b1"}
        self.truth = {}
        self.now = NOW

    @initialize()
    def begin(self):
        self.entry = Entry(NODE)

    def teardown(self):
        import shutil

        shutil.rmtree(self.folder)

    def read(self):
        reply = card_book.answer_book({"verb": "book.read", "node": "n"}, str(self.folder))
        return book_of("n", reply)

    def decide(self, who, make, ends=()):
        """A console reads and decides; it writes later, if ever."""
        entry = self.read().entry(NODE)
        try:
            done = machine.after(entry, make(entry))
        except Refusal:
            return
        self.count += 1
        gone = [h.op for h in entry.holds if done.hold_of(h.op) is None]
        assert all(self.owner(entry, op) == who for op in gone), "a foreign hold would be lifted"
        self.pending.append((f"k{self.count}", who, gone, entry, done))

    @staticmethod
    def owner(entry, op):
        return entry.hold_of(op).owner

    consoles = st.sampled_from(["amal", "bea"])

    @rule(who=consoles)
    def drain(self, who):
        self.count += 1
        one = Hold(f"op{self.count}", who, "why", self.sessions[who], self.now)
        self.decide(who, lambda e: machine.Drain(one))

    @rule(who=consoles, old=st.booleans())
    def undrain(self, who, old):
        def make(entry):
            mine = [h for h in entry.holds if h.owner == who]
            if not mine:
                raise Refusal("none")
            session = "gone" if old else mine[0].session
            return machine.Undrain(mine[0].op, session)

        self.decide(who, make)

    @rule(who=consoles)
    def restart(self, who):
        """A console dies and comes back: what it had not written is lost, what was on its way may still arrive."""
        self.sessions[who] += "'"

    @rule(who=consoles)
    def prove(self, who):
        self.decide(who, lambda e: machine.ProvenIdle(self.now))

    @rule(who=consoles)
    def begin_maintenance(self, who):
        self.decide(who, lambda e: machine.BeginMaintenance(self.now))

    @rule(who=consoles)
    def end_maintenance(self, who):
        self.decide(who, lambda e: machine.EndMaintenance(True))

    @rule(who=consoles, passed=st.booleans())
    def verified(self, who, passed):
        def make(entry):
            return machine.Verified(tuple(h.op for h in entry.holds if h.owner == who), passed, self.now)

        self.decide(who, make)

    @rule(who=consoles, tenant=st.sampled_from(["atlas", "borealis"]))
    def assign(self, who, tenant):
        self.count += 1
        given_ = Assignment(tenant, f"op{self.count}", self.now)
        self.decide(who, lambda e: machine.Assign(given_, Health.OK, False, self.now))

    @rule(who=consoles, busy=st.sampled_from([True, False, None]))
    def release(self, who, busy):
        self.decide(who, lambda e: machine.Release(busy))

    @rule(seconds=st.sampled_from([1.0, 40.0, 90_000.0]))
    def wait(self, seconds):
        self.now += seconds
        self.decide("amal", lambda e: machine.CleanDay(self.now))

    @precondition(lambda self: self.pending)
    @rule(place=st.integers(0, 99), again=st.booleans())
    def write(self, place, again):
        """Any pending write arrives; it may arrive twice."""
        one = self.pending.pop(place % len(self.pending))
        self.sent.append(one)
        for _ in range(1 + again):
            self.send(one)

    @precondition(lambda self: self.sent)
    @rule(place=st.integers(0, 99))
    def resend(self, place):
        """A write of long ago arrives once more."""
        self.send(self.sent[place % len(self.sent)])

    def send(self, one):
        key, who, gone, before, done = one
        was = self.read()
        request = {
            "verb": "book.change", "node": "n", "key": key, "ops": gone, "head": "",
            "changes": [{"target": NODE, "gen": before.gen, "entry": done.to_json()}],
        }  # fmt: skip
        try:
            reply = card_book.answer_book(request, str(self.folder))
        except card_book.Refused:
            assert self.read() == was
            return
        now = book_of("n", reply)
        if reply["again"]:
            assert now.entries == was.entries
            return
        entry, old = now.entry(NODE), was.entry(NODE)
        assert old.gen == before.gen
        lost = {h.op for h in old.holds} - {h.op for h in entry.holds}
        assert all(old.hold_of(op).owner == who for op in lost), "a foreign hold was cleared"
        out = (Admin.DRAINING, Admin.DRAINED, Admin.MAINTENANCE, Admin.VERIFYING)
        if old.admin in out and entry.admin not in out:
            assert not entry.holds, "returned with a hold left"
        if old.assignment is not None and entry.assignment is not None:
            assert old.assignment == entry.assignment, "given away twice"

    @invariant()
    def legal(self):
        entry = self.read().entry(NODE)
        if entry.holds:
            assert entry.admin not in (Admin.IN_SERVICE, Admin.PROBATION), "held and in service"
        if entry.admin in (Admin.DRAINING, Admin.DRAINED):
            assert entry.holds, "out of service and nobody says why"


SEQUENCES = 10_000 if os.environ.get("CARDKEEPER_LONG") else 600
R3 = TwoConsoles.TestCase
R3.settings = settings(
    max_examples=SEQUENCES, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
