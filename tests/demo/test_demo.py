"""The simulation is believable, the same for the same seed, and seen through the real agent."""

import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.agent import main as agent
from console.demo.fleet import plan_fleet
from console.demo.simulation.card import SimulatedCard
from console.demo.simulation.host import SimulatedHost
from console.demo.simulation.load import Kind, activity
from console.demo.simulation.node import SimulatedNode
from console.demo.simulation.nvml import SimulatedNvml
from console.telemetry.wire import Hello, Sample, WireEvent, decode


def frames_of(node, seconds=1.2):
    lines = []
    stop = SimpleNamespace(is_set=lambda: time.monotonic() > end)
    end = time.monotonic() + seconds
    config = {"isolate": False, "period": {"fast": 0.5, "medium": 0.5, "slow": 0.6}}
    agent.run(config, None, lines.append, SimulatedNvml(node), SimulatedHost(node), wall=node.wall, stop=stop)
    return [decode(line.rstrip(b"\n")) for line in lines]


@pytest.mark.parametrize("place", range(12))
def test_every_node_of_the_demo_speaks_through_the_real_agent(place):
    plan = plan_fleet(12, 8, 1)[place]
    frames = frames_of(SimulatedNode(plan, time.monotonic()))
    assert isinstance(frames[0], Hello)
    assert frames[0].mode == ("nvml" if plan.has_driver else "none")
    samples = [f for f in frames if isinstance(f, Sample)]
    assert {s.k for s in samples} == {"fast", "medium", "slow"}
    letters = {c for s in samples for q in (s.q or []) if q for c in q}
    assert letters <= set(".nl")


def test_a_seed_is_a_fleet():
    assert plan_fleet(12, 8, 1) == plan_fleet(12, 8, 1)
    assert plan_fleet(12, 8, 1) != plan_fleet(12, 8, 2)


def test_most_of_it_is_well_and_some_of_it_is_not():
    plans = plan_fleet(12, 8, 1)
    assert 3 <= sum(bool(p.script) for p in plans) <= 8


def test_a_lost_card_shows_as_an_xid_and_as_lost():
    plan = next(p for p in plan_fleet(12, 8, 1) if any(i.trouble == "lost" for i in p.script))
    node = SimulatedNode(plan, time.monotonic() - plan.script[0].start + 0.4)
    frames = frames_of(node, 2.2)
    events = {(f.kind, f.code) for f in frames if isinstance(f, WireEvent)}
    assert ("xid", 79) in events
    assert ("card_lost", None) in events


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(Kind)), st.integers(0, 10**6), st.floats(0, 10**6))
def test_activity_stays_within_its_bounds(kind, seed, t):
    found = activity(kind, seed, seed + 1, t)
    for share in (found.busy, found.bandwidth, found.held, found.links, found.host):
        assert -0.05 <= share <= 1.05


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 11), st.integers(0, 3), st.lists(st.floats(0.25, 30.0), min_size=5, max_size=40))
def test_energy_only_grows_and_heat_stays_sane(place, index, steps):
    plan = plan_fleet(12, 4, 1)[place]
    card: SimulatedCard = SimulatedNode(plan, time.monotonic()).cards[index % plan.cards]
    t, energy = card.now, card.energy
    for step in steps:
        t += step
        card.advance(t)
        assert card.energy >= energy
        energy = card.energy
        assert 15 <= card.temperature <= 100
        assert 0 < card.power <= card.sku.limit_w
        assert 0 <= card.clock <= card.sku.sm_mhz


def test_public_duty_cycles_are_mostly_zero_and_so_are_ours():
    values = [activity(Kind.INFERENCE, 0, seed, float(t)).busy for seed in range(20) for t in range(0, 86400, 60)]
    assert 0.35 < sum(v == 0 for v in values) / len(values) < 0.85
