"""What rules cost, how quiet they are over a busy and healthy day, and what they find of planted faults."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from console.health.alarms import Alarms
from tests.health.incidents import INCIDENTS
from tests.health.ward import TRIAGE, Ward

NODES = 400


def _busy(ward: Ward, rng: np.random.Generator, temperature: np.ndarray) -> None:
    """One step of a fleet that works: clocks, power capping, idle gaps, drifting temperatures, replays now and then."""
    count = ward.count
    temperature += rng.normal(0, 0.4, count) - 0.02 * (temperature - 64.0)
    ward.column("temperature_gpu")[0][:] = temperature
    ward.column("clock_sm")[0][:] = rng.normal(1890, 45, count)
    ward.column("utilization_gpu")[0][:] = rng.choice([97.0, 99.0, 72.0, 0.0], count, p=[0.5, 0.3, 0.12, 0.08])
    ward.column("clocks_event_reasons")[0][:] = rng.choice([0x0, 0x4, 0x1], count, p=[0.6, 0.3, 0.1])
    ward.column("pcie_replay")[0][:] += rng.random(count) < 2e-5
    ward.column("ecc_corrected_volatile")[0][:] += rng.random(count) < 1e-4


def cost(seconds: int = 60) -> dict[str, Any]:
    """Milliseconds of one look at 3,200 cards, and its share of one core at one look a second."""
    rng, ward = np.random.default_rng(3), Ward(nodes=NODES)
    temperature = np.full(ward.count, 62.0)
    took = []
    for _ in range(seconds):
        _busy(ward, rng, temperature)
        ward.now += 1.0
        facts = ward.facts()
        begun = time.process_time()
        ward.examiner.look(facts)
        took.append(time.process_time() - begun)
    middle = float(np.median(took[5:]))
    return {
        "cards": ward.count,
        "rules": len(TRIAGE.rules),
        "look_ms": round(middle * 1e3, 2),
        "of_a_core": round(middle, 4),
    }


def day(hours: float = 24.0, step_s: float = 15.0) -> dict[str, Any]:
    """Alarms of a simulated day of 3,200 busy and healthy cards with ordinary application errors."""
    rng, ward, alarms = np.random.default_rng(5), Ward(nodes=NODES), Alarms()
    temperature = np.full(ward.count, 62.0)
    raised: dict[int, int] = {1: 0, 2: 0, 3: 0}
    for _ in range(int(hours * 3600.0 / step_s)):
        _busy(ward, rng, temperature)
        ward.now += step_s
        if rng.random() < 12.0 * step_s / 86_400.0:
            # Users' programs fail on healthy cards, too: about a dozen a day.
            ward.happens(
                "xid", int(rng.choice([13, 31, 43, 45])), int(rng.integers(ward.count)), "pid=4711, name=python3"
            )
            ward.events = ward.events[-200:]
        ward.look()
        for change in alarms.update(ward.examiner.causes, (), ward.now):
            if change.what in ("raised", "raised again"):
                raised[change.alarm.severity] += 1
    total = sum(raised.values())
    return {"hours": hours, "cards": ward.count, "raised": raised, "per_10_min": round(total / (hours * 6.0), 4)}


def recall() -> dict[str, Any]:
    """Planted faults that are found, and how long after."""
    found, late = 0, []
    for name, play in INCIDENTS.items():
        ward = Ward(nodes=8)
        ward.look(5)
        begun = ward.now
        play(ward)
        if name in ward.rules():
            found += 1
            since = next(f.since for f in ward.examiner.findings if f.rule == name)
            late.append((name, round(max(0.0, since - begun), 1)))
    return {"planted": len(INCIDENTS), "found": found, "slowest": sorted(late, key=lambda e: -e[1])[:6]}


def all_of_it() -> dict[str, Any]:
    """Cost, quiet and recall."""
    return {"cost": cost(), "day": day(), "recall": recall()}
