"""A node's stream, from bytes to readings."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.fleet.model import Node
from console.fleet.state import LinkState, Problem, ProblemCode, ReadingState
from tests.node_stream import FleetInOneProcess


def test_a_reading_has_value_unit_state_and_age(live_fleet):
    reading = live_fleet.live.reading("GPU-gpu01-3", "power_draw")
    assert (reading.value, reading.unit, reading.state) == (612.5, "W", ReadingState.FRESH)
    assert 0 <= reading.age_s < 5


def test_link_is_live_only_after_the_hello(make_fleet):
    fleet = make_fleet(["a"])
    fleet.collector.link_state("a", LinkState.LIVE, None)
    fleet.pump()
    assert fleet.live.nodes[0].link is LinkState.CONNECTING
    fleet.feed("a", fleet.streams["a"].hello())
    assert fleet.live.nodes[0].link is LinkState.LIVE


def test_banner_text_before_the_hello_is_skipped_without_a_count(make_fleet):
    fleet = make_fleet(["a"])
    fleet.collector.link_state("a", LinkState.LIVE, None)
    fleet.feed("a", b"Welcome to gpu01!\n\x1b[31mmotd\n" + fleet.streams["a"].everything())
    assert fleet.live.nodes[0].link is LinkState.LIVE
    fleet.collector.tick()
    fleet.pump()
    assert fleet.live.nodes[0].counters.dropped == {}


def test_unknown_is_never_zero(live_fleet):
    uuid = "GPU-gpu01-0"
    stream = live_fleet.streams["gpu01"]
    marks = {uuid: {"utilization_gpu": "n", "power_draw": "p", "temperature_gpu": "l", "clock_sm": "e"}}
    live_fleet.feed("gpu01", stream.sample("fast", {uuid: {"pcie_tx": None}}, marks))
    live = live_fleet.live
    expected = {
        "utilization_gpu": ReadingState.NOT_SUPPORTED,
        "power_draw": ReadingState.NO_PERMISSION,
        "temperature_gpu": ReadingState.LOST,
        "clock_sm": ReadingState.ERROR,
        "pcie_tx": ReadingState.NONE,
    }
    for metric, state in expected.items():
        reading = live.reading(uuid, metric)
        assert (reading.value, reading.state) == (None, state)
        column = live.column(metric)
        assert math.isnan(column.values[live.row_of[uuid]])
    assert live.reading("GPU-gpu01-1", "power_draw").value == 612.5


@pytest.mark.parametrize("bad", [0x7FFFFFFFFFFFFFF0, -1.0, 1e300])
def test_sentinels_and_wild_numbers_are_errors_not_readings(live_fleet, bad):
    uuid = "GPU-gpu01-2"
    live_fleet.feed("gpu01", live_fleet.streams["gpu01"].sample("fast", {uuid: {"power_draw": bad}}))
    reading = live_fleet.live.reading(uuid, "power_draw")
    assert (reading.value, reading.state) == (None, ReadingState.ERROR)


def test_values_go_stale_after_three_periods_and_leave_averages(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    fleet.connect("a")
    uuid = "GPU-a-0"
    fleet.pass_time(3.5)
    assert fleet.live.reading(uuid, "power_draw").state is ReadingState.FRESH
    fleet.pass_time(1.0)
    stale = fleet.live.reading(uuid, "power_draw")
    assert (stale.state, stale.value) == (ReadingState.STALE, 612.5)
    assert np.isnan(fleet.live.column("power_draw").fresh).all()
    assert fleet.live.reading(uuid, "power_limit").state is ReadingState.FRESH  # slow tier: 30 s


def test_a_silent_node_is_stale_then_restarted(make_fleet):
    fleet = make_fleet(["a", "b"], steady=False)
    fleet.connect_all()
    for _ in range(10):
        fleet.pass_time(0.5)
        fleet.feed("b", fleet.streams["b"].sample())
        fleet.collector.tick()
    fleet.pump()
    assert [n.link for n in fleet.live.nodes] == [LinkState.STALE, LinkState.LIVE]
    for _ in range(20):
        fleet.pass_time(0.5)
        fleet.feed("b", fleet.streams["b"].sample())
        fleet.collector.tick()
    fleet.pump()
    assert [n.link for n in fleet.live.nodes] == [LinkState.LOST, LinkState.LIVE]
    assert [(name, p.code) for name, p in fleet.links.restarted] == [("a", ProblemCode.FROZEN)]
    fleet.connect("a")
    assert fleet.live.nodes[0].link is LinkState.LIVE
    assert fleet.live.nodes[0].counters.reconnects == 1


def test_a_stream_that_never_greets_is_restarted(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    fleet.collector.link_state("a", LinkState.LIVE, None)
    for _ in range(50):
        fleet.pass_time(0.5)
        fleet.collector.tick()
    assert [p.code for _, p in fleet.links.restarted] == [ProblemCode.AGENT]


def test_replayed_and_skipped_sequences_are_counted(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    stream = fleet.connect("a")
    old = stream.sample("fast", {"GPU-a-0": {"power_draw": 1.0}})
    fleet.feed("a", old)
    fleet.feed("a", old)
    stream.sequence += 4
    fleet.feed("a", stream.sample())
    fleet.pass_time(3)
    fleet.collector.tick()
    fleet.pump()
    counters = fleet.live.nodes[0].counters
    assert counters.dropped == {"sequence": 1}
    assert counters.missed == 4


def test_a_focused_card_leaves_no_holes_in_its_neighbours(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    stream = fleet.connect("a")
    for _ in range(5):
        fleet.pass_time(0.5)
        fleet.feed("a", stream.sample(only=["GPU-a-1"]))
        fleet.pass_time(0.5)
        fleet.feed("a", stream.sample())
    focused, neighbour = (fleet.live.series(f"GPU-a-{i}", "power_draw", 60) for i in (1, 0))
    assert (len(focused.v), len(neighbour.v)) == (11, 6)
    assert not np.isnan(focused.v).any()
    assert not np.isnan(neighbour.v).any()
    assert np.diff(neighbour.t) == pytest.approx(1.0)


def test_a_gap_stays_a_gap(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    stream = fleet.connect("a")
    fleet.pass_time(1)
    fleet.feed("a", stream.sample())
    fleet.pass_time(20)
    fleet.feed("a", stream.sample())
    values = fleet.live.series("GPU-a-0", "power_draw", 60).v
    assert np.isnan(values).tolist() == [False, False, True, False]


def test_a_card_that_is_reported_no_more_keeps_its_place_as_lost(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    stream = fleet.connect("a")
    whole = list(stream.entities)
    del stream.entities[3]
    fleet.pass_time(5)
    fleet.connect("a")
    live = fleet.live
    assert [e.entity.index for e in live.entities] == list(range(8))
    assert live.reading("GPU-a-3", "power_draw").state is ReadingState.LOST
    assert live.reading("GPU-a-4", "power_draw").value == 612.5
    assert [e.uuid for e in live.events if e.kind == "card_lost"] == ["GPU-a-3"]
    fleet.feed("a", stream.sample("fast", {"GPU-a-4": {"power_draw": 99.0}}))
    assert live.reading("GPU-a-3", "power_draw").state is ReadingState.LOST
    assert live.reading("GPU-a-4", "power_draw").value == 99.0
    assert np.isnan(live.series("GPU-a-3", "power_draw", 60).v).all()
    stream.entities = whole
    fleet.pass_time(5)
    fleet.connect("a")
    assert live.reading("GPU-a-3", "power_draw").value == 612.5
    assert len(live.entities) == 8


def test_cards_stay_as_lost_while_the_driver_is_away(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    stream = fleet.connect("a")
    whole, stream.entities, stream.mode = list(stream.entities), [], "none"
    fleet.feed("a", stream.hello())
    assert {fleet.live.reading(f"GPU-a-{i}", "power_draw").state for i in range(8)} == {ReadingState.LOST}
    assert not [e for e in fleet.live.events if e.kind == "card_lost"]
    stream.entities, stream.mode = whole, "nvml"
    fleet.connect("a")
    assert fleet.live.reading("GPU-a-3", "power_draw").value == 612.5


def test_reconnecting_keeps_the_ring_and_another_layout_replaces_it(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    stream = fleet.connect("a")
    fleet.pass_time(5)
    fleet.connect("a")
    assert np.isfinite(fleet.live.series("GPU-a-0", "power_draw", 60).v).sum() == 2
    stream.entities = stream.entities[:3]
    version = fleet.live.version
    fleet.pass_time(5)
    fleet.connect("a")
    assert [e.entity.uuid for e in fleet.live.entities] == [f"GPU-a-{i}" for i in range(8)]
    fleet.collector.forget_gone("a")
    fleet.pass_time(5)
    fleet.connect("a")
    assert [e.entity.uuid for e in fleet.live.entities] == stream.uuids
    assert fleet.live.version > version
    assert fleet.live.series("GPU-a-7", "power_draw", 60).v.size == 0


def test_slices_stand_under_their_card(make_fleet):
    fleet = make_fleet(["a"])
    stream = fleet.streams["a"]
    stream.entities += [
        {"uuid": f"MIG-{i}", "kind": "slice", "index": i, "name": "1g.10gb", "parent": "GPU-a-0"} for i in range(2)
    ]
    fleet.connect("a")
    assert [e.entity.uuid for e in fleet.live.entities][:4] == ["GPU-a-0", "MIG-0", "MIG-1", "GPU-a-1"]
    fleet.feed("a", stream.sample("fast", {"MIG-1": {"memory_used": 7.0}, "GPU-a-1": {"memory_used": 9.0}}))
    assert fleet.live.reading("MIG-1", "memory_used").value == 7.0
    assert fleet.live.reading("GPU-a-1", "memory_used").value == 9.0
    assert fleet.live.series("MIG-1", "memory_used", 60).v[-1] == 7.0


def test_a_card_claimed_by_two_nodes_stays_with_the_first(make_fleet):
    fleet = make_fleet(["a", "b"])
    fleet.connect("a")
    fleet.streams["b"].entities = list(fleet.streams["a"].entities)
    fleet.connect("b")
    node = fleet.live.nodes[1]
    assert node.problem is not None
    assert node.problem.code is ProblemCode.CONFIG
    assert "GPU-a-0" in node.problem.what
    assert {e.node_index for e in fleet.live.entities} == {0}
    fleet.feed("b", fleet.streams["b"].sample("fast", {"GPU-a-0": {"power_draw": 1.0}}))
    assert fleet.live.reading("GPU-a-0", "power_draw").value == 612.5


def test_reboot_and_driver_change_are_events(live_fleet):
    stream = live_fleet.streams["gpu01"]
    stream.boot_id, stream.versions = "other", {**stream.versions, "driver": "590.1"}
    live_fleet.connect("gpu01")
    kinds = [e.kind for e in live_fleet.live.events if e.node == "gpu01"]
    assert {"reboot", "driver"} <= set(kinds)


def test_an_xid_keeps_its_raw_text(live_fleet):
    stream = live_fleet.streams["gpu01"]
    text = "NVRM: Xid (PCI:0000:3b:00): 79, <b>gone</b>\x1b[31m"
    fields = {"kind": "xid", "uuid": "GPU-gpu01-0", "at": stream.wall, "source": "kernel", "text": text, "code": 79}
    live_fleet.feed("gpu01", stream.line("event", **fields))
    event = live_fleet.live.events[-1]
    assert (event.kind, event.code, event.text, event.source) == ("xid", 79, text, "kernel")


def test_clock_offset_and_step(make_fleet):
    fleet = make_fleet(["a"], steady=False)
    stream = fleet.streams["a"]
    stream.wall = fleet.wall() + 3.0
    fleet.connect("a")
    assert fleet.live.nodes[0].counters.clock_offset_s == pytest.approx(3.0, abs=0.01)
    fleet.pass_time(1.0)
    stream.wall += 60.0
    fleet.feed("a", stream.sample())
    assert [e.text for e in fleet.live.events if e.kind == "clock_step"] == ["the node's clock was stepped by +60.0 s"]
    assert np.diff(fleet.live.series("GPU-a-0", "power_draw", 60).t) == pytest.approx(1.0)


def test_nodes_come_and_go_without_mixing_their_numbers(make_fleet):
    fleet = make_fleet(["a", "b"], steady=False)
    fleet.connect_all()
    fleet.collector.remove("a")
    fleet.pump()
    assert [n.node.name for n in fleet.live.nodes] == ["b"]
    assert fleet.live.reading("GPU-b-0", "power_draw").value == 612.5
    fleet.collector.add(Node("c", "c.example"))
    fleet.streams["c"] = type(fleet.streams["b"])("c")
    fleet.pump()
    assert fleet.live.column("power_draw").values.tolist() == [612.5] * 8
    fleet.connect("c")
    assert [n.node.name for n in fleet.live.nodes] == ["b", "c"]
    assert fleet.live.column("power_draw").values.tolist() == [612.5] * 16


def test_many_nodes_grow_the_board(make_fleet):
    fleet = make_fleet([f"n{i:03d}" for i in range(3)])
    for i in range(3, 40):
        name = f"n{i:03d}"
        fleet.streams[name] = type(fleet.streams["n000"])(name)
        fleet.collector.add(Node(name, name))
    fleet.pump()
    fleet.connect_all()
    assert len(fleet.live.entities) == 320
    assert (fleet.live.column("power_draw").values == 612.5).all()
    assert (fleet.live.host_column("cpu_utilization").values == 22).all()


def test_sparks_line_up_with_their_cards(make_fleet):
    fleet = make_fleet(["a", "b"], steady=False)
    fleet.connect_all()
    for k in range(5):
        fleet.pass_time(1.0)
        for name, base in (("a", 100), ("b", 200)):
            values = {f"GPU-{name}-{i}": {"power_draw": float(base + 10 * i + k)} for i in range(8)}
            fleet.feed(name, fleet.streams[name].sample("fast", values))
    rows = np.array([fleet.live.row_of["GPU-b-2"], fleet.live.row_of["GPU-a-7"]])
    sparks = fleet.live.sparks(rows, "power_draw", 4)
    assert sparks.tolist() == [[221, 222, 223, 224], [171, 172, 173, 174]]


def test_losing_the_collector_shows_nothing_as_live(live_fleet):
    live_fleet.live.collector_lost("it died")
    changes = live_fleet.live.pump()
    assert changes.collector == "it died"
    assert live_fleet.live.entities == []
    assert {n.link for n in live_fleet.live.nodes} == {LinkState.LOST}
    assert live_fleet.live.reading("GPU-gpu01-0", "power_draw").state is ReadingState.NONE


def test_a_failed_retry_of_a_node_that_was_live_is_lost_not_failed(make_fleet):
    fleet = make_fleet(["a"])
    fleet.connect("a")
    gone = Problem(ProblemCode.PORT, "a: connection refused", "", "")
    fleet.collector.link_state("a", LinkState.LOST, gone)
    fleet.collector.link_state("a", LinkState.FAILED, gone)
    fleet.pump()
    assert fleet.live.nodes[0].link is LinkState.LOST


def test_focus_reaches_only_the_nodes_that_hold_the_cards(live_fleet):
    live_fleet.collector.focus(["GPU-gpu02-1"], 0.1)
    sent = [(n, json.loads(line)) for n, line in live_fleet.links.sent]
    assert sent == [("gpu02", {"c": "focus", "uuids": ["GPU-gpu02-1"], "period": 0.5})]
    live_fleet.collector.focus([], 0.5)
    assert json.loads(live_fleet.links.sent[-1][1])["uuids"] == []


hostile = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=80).map(lambda s: s.encode("utf-8", "surrogatepass")),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda c: st.lists(c, max_size=4) | st.dictionaries(st.sampled_from("tnwmkcqihp"), c, max_size=6),
        max_leaves=12,
    ).map(lambda v: json.dumps(v).encode()),
    st.fixed_dictionaries(
        {"t": st.sampled_from(["s", "beat", "procs", "event", "hello", "bye", "detail"]), "n": st.integers(0, 9)},
        optional={
            "w": st.floats(), "m": st.floats(), "k": st.sampled_from(["fast", "slow"]),
            "c": st.lists(st.lists(st.floats() | st.none(), max_size=20), max_size=9),
            "i": st.lists(st.integers(-3, 9), max_size=3), "q": st.none() | st.lists(st.text(max_size=20)),
            "h": st.lists(st.floats(), max_size=20), "v": st.integers(),
        },
    ).map(lambda v: json.dumps(v).encode()),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(lines=st.lists(hostile, max_size=8))
def test_nothing_a_node_sends_raises_or_touches_another_node(tmp_path_factory, lines):
    fleet = FleetInOneProcess(tmp_path_factory.mktemp("hostile"), ["a", "b"])
    fleet.connect_all()
    for line in lines:
        fleet.feed("a", line + b"\n")
    assert fleet.live.reading("GPU-b-0", "power_draw").value == 612.5
    column = fleet.live.column("power_draw")
    seen = column.values[column.states == ReadingState.FRESH]
    assert ((seen >= 0) & (seen <= 10_000)).all()
