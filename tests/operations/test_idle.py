"""When running work is finished: never said while anything lives, never of what could not be looked at."""

import dataclasses
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from console.operations.idle import APART_S, BASELINE_BYTES, SAMPLES, SLACK_BYTES, Seen, look, proven, seen_of

TIMELINES = 50_000 if os.environ.get("CARDKEEPER_LONG") else 5_000
QUIET = Seen(0.0, (), True, (), True, 400 << 20, 2)


def quiet(n, apart=APART_S):
    return [dataclasses.replace(QUIET, at=i * apart) for i in range(n)]


def test_three_quiet_looks_five_seconds_apart_prove_it():
    assert proven(quiet(SAMPLES)).is_idle is True
    assert proven(quiet(SAMPLES - 1)).is_idle is None
    assert proven(quiet(SAMPLES, APART_S - 0.1)).is_idle is None


def test_a_ghost_that_holds_memory_is_not_idle():
    ghost = dataclasses.replace(QUIET, memory=BASELINE_BYTES + SLACK_BYTES + 1)
    assert look(ghost).is_idle is False
    assert "ghost" in look(ghost).text
    assert look(dataclasses.replace(QUIET, memory=(200 << 20) + SLACK_BYTES + 1), 200 << 20).is_idle is False


def test_what_cannot_be_seen_is_unknown_and_never_idle():
    for changed in ({"error": "no answer"}, {"is_complete": False}, {"memory": None}, {"all_seen": False}):
        seen = [dataclasses.replace(s, **changed) for s in quiet(SAMPLES)]
        assert proven(seen).is_idle is None, changed
    unreadable = [dataclasses.replace(s, all_seen=False) for s in quiet(SAMPLES)]
    assert proven(unreadable, needs_fds=False).is_idle is True


@settings(max_examples=TIMELINES, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 120.0), st.floats(0.0, 60.0), st.booleans(), st.booleans()), max_size=5),
    st.floats(0.0, 100.0),
    st.lists(st.floats(0.5, 12.0), min_size=1, max_size=12),
)
def test_a_drain_is_never_done_while_a_job_lives(jobs, begin, gaps):
    """Jobs as (start, length, named by the driver, has the device open), looked at from `begin` on after each gap.

    A job that neither the driver names nor the kernel shows holds memory, as a ghost does.
    """
    at, samples = begin, []
    for gap in gaps:
        at += gap
        alive = [(i, j) for i, j in enumerate(jobs) if j[0] <= at < j[0] + j[1]]
        pids = tuple(100 + i for i, j in alive if j[2])
        files = tuple(100 + i for i, j in alive if j[3])
        memory = (400 << 20) + sum(2 << 30 for _, j in alive if not j[2] and not j[3])
        samples.append(Seen(at, pids, True, files, True, memory, 2))
        if proven(samples).is_idle:
            assert not alive
            assert not any(start <= s.at < start + length for s in samples[-SAMPLES:] for start, length, *_ in jobs)


REPLY = {"pids": [], "complete": True, "open": [], "open_complete": True, "memory_used": 1, "mode": 2}


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.none(), st.text(), st.integers(), st.lists(st.integers()),
        st.dictionaries(
            st.sampled_from([*REPLY, "error", "x"]),
            st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=4), st.lists(st.integers(), max_size=3)),
        ),
    )
)  # fmt: skip
def test_an_answer_that_is_not_understood_is_never_idle(reply):
    seen = seen_of(reply, 1.0)
    whole = isinstance(reply, dict) and "error" not in reply and set(REPLY) - {"mode"} <= set(reply)
    if look(seen).is_idle is True:
        assert whole
        assert not reply["pids"]
        assert not reply["open"]
        assert reply["complete"] is True
    assert look(seen_of(REPLY, 1.0)).is_idle is True
