"""The journal and the audit log: nothing acknowledged is lost, nothing written is changed unseen."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.operate import Operations
from console.operations import audit
from console.operations.journal import FILE, Journal, JournalError, Operation, OpState, StepState

ROOT = Path(__file__).resolve().parents[2]
KILLS = 200 if os.environ.get("CARDKEEPER_LONG") else 12
WRITER = """
import sys
from pathlib import Path
from console.operations.journal import Journal, Operation, OpState, StepState
journal, first = Journal(Path(sys.argv[1])), int(sys.argv[2])
for i in range(first, first + 100000):
    op = Operation("op%d" % i, "s", "drain", "amal@ws1", "r", {}, "d", {"n": ("node",)}, OpState.RUNNING, 1.0, 1.0)
    journal.begin(op, {"verb": "drain"})
    step = journal.plan_step(op.id, "n", "book.change", {}, {})
    journal.set_step(step, StepState.SENT, "", {"what": "sent"})
    print(i, flush=True)
"""


def operation(op="op1", **more):
    fields = {"session": "s1", "verb": "drain", "by": "amal@ws1", "reason": "xid 79", "params": {}, "digest": "d"}
    fields |= {"targets": {"gpu01": ("node",)}, "state": OpState.RUNNING, "made_at": 1.0, "changed_at": 1.0} | more
    return Operation(op, **fields)


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path)
    yield made
    made.close()


def written(folder, rows=6):
    journal = Journal(folder)
    for i in range(rows):
        journal.begin(operation(f"op{i}"), {"verb": "drain", "reason": f"r{i}"})
    assert journal.verify() == audit.Verdict(rows, journal.head(), "")
    journal.close()
    return folder / FILE


def test_what_was_acknowledged_outlives_a_kill_at_any_moment(tmp_path):
    """Kill -9 right after an acknowledgement, again and again, on one growing file."""
    done = -1
    for kill in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(done + 2)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for _ in range(1 + kill % 7):
            done = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
        done = int(rest[-1]) if rest else done
        journal = Journal(tmp_path)
        assert journal.verify().fault == ""
        (step,) = journal.steps(f"op{done}")
        assert step.state is StepState.SENT
        # One more may have been written than was told.
        assert {o.id for o in journal.operations()} >= {f"op{done}"}
        journal.close()


@pytest.mark.parametrize("at", range(1, 7))
@pytest.mark.parametrize("how", ["body", "delete", "renumber", "swap", "hash"])
def test_a_changed_row_is_found_wherever_it_is(tmp_path, how, at):
    path = written(tmp_path)
    db = sqlite3.connect(path)
    for name in ("audit_never_changes", "audit_never_shrinks", "audit_has_no_gap"):
        db.execute(f"DROP TRIGGER {name}")
    if how == "body":
        body = json.loads(db.execute("SELECT body FROM audit WHERE seq = ?", (at,)).fetchone()[0]) | {"by": "mallory"}
        db.execute("UPDATE audit SET body = ? WHERE seq = ?", (audit.canonical(body), at))
    elif how == "delete":
        db.execute("DELETE FROM audit WHERE seq = ?", (at,))
    elif how == "renumber":
        db.execute("DELETE FROM audit WHERE seq = ?", (at,))
        db.execute("UPDATE audit SET seq = seq - 1 WHERE seq > ?", (at,))
    elif how == "swap":
        other = at % 6 + 1
        bodies = dict(db.execute("SELECT seq, body FROM audit").fetchall())
        db.execute("UPDATE audit SET body = ? WHERE seq = ?", (bodies[other], at))
        db.execute("UPDATE audit SET body = ? WHERE seq = ?", (bodies[at], other))
    else:
        db.execute("UPDATE audit SET hash = ? WHERE seq = ?", ("0" * 64, at))
    db.commit()
    db.close()
    heads = {} if (how, at) not in (("delete", 6), ("renumber", 6)) else None
    journal = Journal(tmp_path)
    try:
        if heads is None:
            # Cut off at the end: only a card book that knows of the last row can tell.
            assert journal.verify().fault == ""
            assert "gpu01" in journal.verify({"gpu01": "f" * 64}).fault
        else:
            assert journal.verify().fault != ""
    finally:
        journal.close()
    if heads is not None:
        with pytest.raises(JournalError, match="does not hold together"):
            Operations(None, tmp_path)


def test_rows_cut_off_are_missed_by_the_card_books(tmp_path):
    path = written(tmp_path)
    journal = Journal(tmp_path)
    head = journal.head()
    assert journal.verify({"gpu01": head, "gpu02": ""}).fault == ""
    journal.close()
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER audit_never_shrinks")
    db.execute("DELETE FROM audit WHERE seq > 4")
    db.commit()
    db.close()
    journal = Journal(tmp_path)
    assert journal.verify().fault == ""
    assert journal.verify({"gpu01": head}).fault.endswith("the card books of gpu01 know of later or other ones")
    journal.close()


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET body = '{}'", "DELETE FROM audit", "INSERT INTO audit VALUES (9, 'a', 'b', '{}')"]
)
def test_the_file_itself_refuses_changes_to_the_audit(tmp_path, statement):
    db = sqlite3.connect(written(tmp_path))
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)
    db.close()


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.text(max_size=8), JSON, max_size=4), min_size=1, max_size=5))
def test_any_body_is_kept_and_bound(tmp_path_factory, bodies):
    journal = Journal(tmp_path_factory.mktemp("audit"))
    try:
        for body in bodies:
            journal.note(body)
        rows = journal.audit_rows()
        assert journal.verify() == audit.Verdict(len(bodies), journal.head(), "")
        assert [{k: v for k, v in r.body.items() if k != "at"} for r in rows] == [
            {k: v for k, v in json.loads(audit.canonical(b)).items() if k != "at"} for b in bodies
        ]
        assert [r.prev for r in rows[1:]] == [r.hash for r in rows[:-1]]
    finally:
        journal.close()


def test_a_full_disk_refuses_before_anything_is_done(journal):
    journal.begin(operation(), {})
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")

    def fill():
        for i in range(2, 500):
            journal.begin(operation(f"op{i}", reason="x" * 4000), {"reason": "x" * 4000})

    with pytest.raises(JournalError, match="nothing was done"):
        fill()
    assert journal.verify().fault == ""
    journal._db.execute("PRAGMA max_page_count = 1000000")
    journal.begin(operation("later"), {})
    assert journal.operation("later").state is OpState.RUNNING


def test_a_node_is_not_touched_when_the_journal_refuses(site, desk):
    plan = desk.plan(desk.asked("drain"), ("gpu01", "node"))
    asked = len(site.asked)
    desk.journal._db.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalError):
        desk.executor.run(plan, plan)
    assert all(request["verb"] == "book.read" for _, request in site.asked[asked:])
    assert site.book("gpu01").generation == 0


def test_a_newer_file_and_a_damaged_one_are_refused_in_words(tmp_path):
    path = written(tmp_path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalError, match="newer Cardkeeper"):
        Journal(tmp_path)
    path.write_bytes(b"not a database at all" * 400)
    for rest in tmp_path.glob(FILE + "-*"):
        rest.unlink()
    with pytest.raises(JournalError, match="nothing can be done to nodes"):
        Journal(tmp_path)


def test_only_the_owner_may_read_it(journal):
    assert journal.path.stat().st_mode & 0o077 == 0


def test_an_operation_is_found_by_how_its_id_begins(journal):
    journal.begin(operation("abcd1"), {})
    journal.begin(operation("abcx2"), {})
    journal.begin(operation("abcx3"), {})
    assert journal.operation("abcd").id == "abcd1"
    assert journal.operation("abcx2").id == "abcx2"
    for text in ("abc", "abcx", "zzzz", ""):
        with pytest.raises(KeyError):
            journal.operation(text)
