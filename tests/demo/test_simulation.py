"""The simulation: the same for a seed whoever asks, within what such cards can do, and with the work of real fleets."""

import dataclasses

import pynvml
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.demo.fleet import plan_fleet
from console.demo.simulation import skus
from console.demo.simulation.card import BRAKE, HW_THERMAL, IDLE, SW_THERMAL
from console.demo.simulation.incidents import CYCLE_S, Trouble, faults_at
from console.demo.simulation.load import Kind, daylight, inference
from console.demo.simulation.node import SLICES
from console.demo.simulation.nvml import SimulatedNvml
from tests.demo.conftest import Clock, node_of

PLACES = st.integers(0, 11)


def state(node):
    node.advance()
    return [(dataclasses.astuple(c.counters), dataclasses.astuple(c.faults)) for c in node.cards], [
        (c.uuid, c.power, c.temperature, c.clock, c.reasons, c.doing, c.memory_used) for c in node.cards
    ]


@given(PLACES, st.integers(0, 1000), st.lists(st.floats(0.0, 40.0), max_size=8))
@settings(max_examples=30, deadline=None)
def test_state_depends_on_seed_and_time_and_not_on_who_asks_when(place, seed, steps):
    clock = Clock()
    often = node_of(plan_fleet(12, 4, seed)[place], clock)
    for step in steps:
        clock.t += step
        often.advance()
        SimulatedNvml(often).nvmlDeviceGetCount()
    once = node_of(plan_fleet(12, 4, seed)[place], clock)
    assert state(often) == state(once)
    assert often.xids(-1.0) == once.xids(-1.0)
    assert often.boot_id() == once.boot_id()


def test_another_seed_is_another_fleet():
    one, two = plan_fleet(12, 8, 1), plan_fleet(12, 8, 2)
    assert one == plan_fleet(12, 8, 1)
    clock = Clock(20.0)
    for a, b in zip(one, two, strict=True):
        assert {c.uuid for c in node_of(a, clock).cards}.isdisjoint(c.uuid for c in node_of(b, clock).cards)
    assert [p.jobs for p in one] != [p.jobs for p in two]


@given(PLACES, st.integers(0, 50), st.floats(0.0, 1500.0))
@settings(max_examples=25, deadline=None)
def test_cards_stay_within_what_they_can_do(place, seed, t):
    clock = Clock(t)
    node = node_of(plan_fleet(12, 4, seed)[place], clock)
    energy = [0.0] * len(node.cards)
    for _ in range(20):
        clock.t += 1.0
        node.advance()
        for i, card in enumerate(node.cards):
            sku = card.sku
            assert sku.idle_w * 0.9 <= card.power <= sku.limit_w
            assert 20.0 <= card.temperature <= sku.slowdown_c + 8.0
            assert 0 < card.clock <= sku.sm_mhz
            assert all(0.0 <= share <= 1.0 for share in card.doing)
            assert 0 < card.memory_used < sku.memory * 0.99
            if node.uptime() > 2.0:
                assert card.counters.energy >= energy[i]
            energy[i] = card.counters.energy
            # Idle and held clocks do not go together but for a power brake, which takes no account of work.
            if card.reasons & IDLE:
                assert card.doing.busy < 0.01
                assert not card.reasons & (SW_THERMAL | HW_THERMAL)
            if card.reasons & HW_THERMAL:
                assert card.clock < sku.sm_mhz * 0.8


def test_energy_is_the_integral_of_power(make_node, clock):
    node = make_node(0)
    clock.t = 30.0
    node.advance()
    before, summed = node.cards[0].counters.energy, 0.0
    for _ in range(120):
        clock.t += 0.5
        node.advance()
        summed += node.cards[0].power * 0.5
    assert node.cards[0].counters.energy - before == pytest.approx(summed)


def test_temperature_follows_power_with_a_lag(make_node, clock):
    node = make_node(0)
    card = node.cards[0]
    drops = []
    for _ in range(2400):
        clock.t += 0.5
        was_hot, was_drawing = card.temperature, card.power
        node.advance()
        if was_drawing > 500 and card.power < 200:  # a checkpoint begins
            drops.append(clock.t)
            assert was_hot - card.temperature < 3.0
            hot = was_hot
        if drops and clock.t == drops[-1] + 12.0:
            assert hot - card.temperature > 6.0
    assert drops


def test_cards_of_one_job_move_together_and_dip_for_checkpoints(make_node, clock):
    here, there = make_node(0), make_node(1, script=())
    assert here.plan.jobs[0].number == there.plan.jobs[0].number
    lows = 0
    for _ in range(1400):
        clock.t += 1.0
        here.advance()
        there.advance()
        busy = [c.doing.busy for c in here.cards + there.cards]
        assert max(busy) - min(busy) < 0.05
        lows += busy[0] < 0.1
    assert 14 <= lows <= 60


def test_two_in_three_samples_of_inference_are_zero_and_nights_are_quiet():
    def zeros(hours):
        # A time that no one period divides, over many cards.
        times = [h * 3600.0 + 7.3 * k for h in hours for k in range(40)]
        found = [round(100 * inference(977 * s, t, daylight(t, 1.0)).busy) == 0 for s in range(30) for t in times]
        return sum(found) / len(found)

    assert 0.62 < zeros(range(24)) < 0.71
    assert zeros([12]) - zeros([0]) > 0.25


def test_a_day_can_pass_faster():
    assert daylight(600.0, 72.0) == pytest.approx(daylight(43_200.0, 1.0))
    quiet = plan_fleet(12, 8, 1, speed=72.0)[5]
    assert quiet.speed == 72.0


def test_every_size_of_demo_has_its_parts():
    plans = plan_fleet(12, 8, 1)
    assert {p.sku.name for p in plans} == {s.name for s in (skus.H100, skus.H200, skus.A100, skus.L40S, skus.RTX4090)}
    assert len({p.region for p in plans}) == 3
    assert len({p.name for p in plans}) == 12
    assert {j.kind for p in plans for j in p.jobs if j} == set(Kind)
    for nodes, cards in ((1, 1), (2, 2), (40, 8), (97, 16)):
        for plan in plan_fleet(nodes, cards, 3):
            node = node_of(plan, Clock(10.0))
            node.advance()
            assert len({c.pci for c in node.cards}) == len(node.cards)
            assert all(-1 <= i.card < plan.cards for i in plan.script)


def test_a_thermal_fault_comes_and_goes(make_node, clock):
    node = make_node(2)
    clock.t = 200.0
    node.advance()
    held = [c.reasons & SW_THERMAL for c in node.cards]
    assert all(held)
    assert any(c.reasons & HW_THERMAL for c in node.cards)
    assert node.cards[0].clock < 0.85 * node.plan.sku.sm_mhz
    clock.t = 700.0
    node.advance()
    assert not any(c.reasons & (SW_THERMAL | HW_THERMAL) for c in node.cards)


def test_a_power_brake_hits_one_rack(clock):
    plans = plan_fleet(12, 8, 1)
    clock.t = 510.0
    braked = set()
    for plan in plans:
        node = node_of(plan, clock)
        node.advance()
        if any(c.reasons & BRAKE for c in node.cards):
            braked.add(plan.name)
    assert braked == {p.name for p in plans if p.rack == plans[4].rack}
    assert len(braked) == 4


def is_sick(plan, t):
    node = node_of(plan, Clock(t))
    faults = [faults_at(plan.script, i, t) for i in range(plan.cards)]
    broken = any(f.lost or f.halted or f.brake or f.remap_pending or f.links_down or f.inlet_c > 10 for f in faults)
    return not plan.has_driver or broken or node.is_away() or node.is_hanging()


def test_most_of_the_default_fleet_is_well_at_any_time():
    plans = plan_fleet(12, 8, 1)
    counts = [sum(is_sick(p, float(t)) for p in plans) for t in range(30, 2730, 10)]
    assert max(counts) <= 5  # five while a whole rack is braked
    assert sum(2 <= c <= 4 for c in counts) / len(counts) > 0.75


def test_troubles_of_a_large_fleet_do_not_come_all_at_once():
    starts = [i.start for p in plan_fleet(400, 1, 1) for i in p.script if i.trouble is Trouble.DROP]
    assert len(starts) == 10
    assert len(set(starts)) == 10
    assert all(0 <= s < CYCLE_S for s in starts)


def test_missing_functions_and_errors_are_pynvmls(make_node, clock):
    nvml = SimulatedNvml(make_node(11))
    card = nvml.nvmlDeviceGetHandleByIndex(0)
    with pytest.raises(pynvml.NVMLError_NotSupported):
        nvml.nvmlDeviceGetTotalEccErrors(card, 0, 0)
    with pytest.raises(pynvml.NVMLError_FunctionNotFound):
        nvml.nvmlDeviceGetRetiredPagesPendingStatus(card)
    with pytest.raises(AttributeError):
        nvml.nvmlNoSuchFunctionAtAll  # noqa: B018
    assert nvml.nvmlDeviceGetRemappedRows(card) == (0, 0, 0, 0)
    with pytest.raises(pynvml.NVMLError_DriverNotLoaded):
        SimulatedNvml(make_node(9)).nvmlInit()


def test_every_simulated_function_is_one_of_pynvml():
    for name in dir(SimulatedNvml):
        if name.startswith(("nvml", "c_nvml", "NVML")):
            assert hasattr(pynvml, name), name


def test_slices_share_their_card(make_node, clock):
    node = make_node(4)
    nvml = SimulatedNvml(node)
    card = nvml.nvmlDeviceGetHandleByIndex(0)
    slices = [nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, i) for i in range(len(SLICES))]
    with pytest.raises(pynvml.NVMLError_NotFound):
        nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, len(SLICES))
    for call in (nvml.nvmlDeviceGetUtilizationRates, nvml.nvmlDeviceGetRemappedRows):
        with pytest.raises(pynvml.NVMLError_NotSupported):
            call(card)
    used = [nvml.nvmlDeviceGetMemoryInfo(s).used for s in slices]
    assert nvml.nvmlDeviceGetMemoryInfo(card).used == sum(used)
    for piece, own in zip(slices, used, strict=True):
        assert own <= nvml.nvmlDeviceGetMemoryInfo(piece).total
    pids = [p.pid for s in slices for p in nvml.nvmlDeviceGetComputeRunningProcesses_v3(s)]
    assert pids
    assert len(pids) == len(set(pids))
