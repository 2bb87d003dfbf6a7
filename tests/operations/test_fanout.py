"""How many nodes are touched at once, and when to stop."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from console.operations.door import NotSent
from console.operations.fanout import BREAKER_SHARE, MOST_A_BATCH, batches, breaker_text
from console.operations.journal import OpState
from console.operations.plan import MOST_NODES


@given(st.lists(st.text(max_size=5), unique=True, max_size=600))
def test_a_canary_then_a_tenth_at_a_time_and_everybody_once(nodes):
    found = list(batches(nodes))
    assert list(itertools.chain(*found)) == nodes
    if nodes:
        assert found[0] == (nodes[0],)
        assert all(1 <= len(b) <= min(MOST_A_BATCH, max(1, len(nodes) // 10)) for b in found[1:])


@given(st.integers(0, 500), st.integers(1, 64), st.integers(1, 500), st.integers(1, 16))
def test_a_fifth_of_a_group_and_always_one_node(touched, adding, cards, largest):
    text = breaker_text("g", touched, adding, cards, largest)
    assert (text == "") == (touched + adding <= max(largest, int(cards * BREAKER_SHARE)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 24), st.integers(2, 25))
def test_the_first_failure_stops_everything_after_its_batch(tmp_path_factory, bad, count):
    from tests.operations.conftest import Desk, Site

    folder = tmp_path_factory.mktemp("fan")
    names = [f"n{i:02d}" for i in range(count)]
    site = Site(folder / "nodes", names, cards_a_node=1)
    desk = Desk(site, folder / "ws")

    def cut(when, node, request):
        if node == names[bad % count] and request["verb"] == "book.change" and when == "before":
            raise NotSent(f"{node}: gone")

    plan = desk.plan(desk.asked("drain"), *((n, "node") for n in names))
    assert len(names) <= MOST_NODES
    site.cut = cut
    done = desk.executor.run(plan, plan)
    site.cut = lambda *_: None
    touched = {n for n in names if site.book(n).generation}
    whole = list(batches(names))
    reached = next(i for i, b in enumerate(whole) if names[bad % count] in b)
    assert touched == set(itertools.chain(*whole[: reached + 1])) - {names[bad % count]}
    assert done.state is (OpState.PARTIAL if touched else OpState.FAILED)
    desk.journal.close()
