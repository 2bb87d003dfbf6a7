"""A ledger with a clock of its own, a pool of sixteen cards and two tenants."""

import pytest

from console.ledger import leases, pool, tenants
from console.ledger.store import Ledger
from console.ledger.times import parse_instant

MODEL = "NVIDIA H100 80GB HBM3"
CARDS = [f"GPU-{n:02d}" for n in range(16)]


def at(text):
    """Microseconds of "2026-03-01" or a longer instant, in UTC."""
    return parse_instant(text if "T" in text else f"{text}T00:00:00Z", "t")


class Clock:
    """A wall clock that a test sets."""

    def __init__(self, text):
        self.set(text)

    def set(self, text):
        self.us = at(text) if isinstance(text, str) else text

    def __call__(self):
        return self.us * 1000


@pytest.fixture
def clock():
    return Clock("2026-01-01")


@pytest.fixture
def ledger(tmp_path, clock):
    with Ledger(tmp_path, wall_ns=clock) as made:
        fill(made)
        yield made


def fill(made):
    pool.add_sku(made, "op", "h100", "NVIDIA", "Hopper", MODEL, 81_559, "NVIDIA H100 data sheet")
    pool.add_sku(made, "op", "a100", "NVIDIA", "Ampere", "NVIDIA A100", 81_920)
    seen = [pool.Seen(u, MODEL, f"gpu{i // 8:02d}", "riyadh", "north", f"r{i // 8}") for i, u in enumerate(CARDS)]
    pool.bind(made, "op", seen)
    tenants.add(made, "op", "atlas", "Atlas Weather", "Asia/Riyadh", "USD", "weather")
    tenants.add(made, "op", "berlin", "Berlin Robotics", "Europe/Berlin", "USD", "robotics")
    tenants.add_plan(made, "op", "hourly", {"kind": "payg", "currency": "USD", "price_per_card_hour": "2"})
    tenants.add_plan(made, "op", "monthly", {"kind": "subscription", "currency": "USD", "price_per_card": "1000"})


def lend(made, clock, begin, cards=CARDS[:2], tenant="atlas", plan="hourly", end=None, name=""):
    """An active lease from an instant on."""
    clock.set(max(clock.us, at(begin)))
    lease = leases.request(
        made, "op", tenant, plan, "h100", len(cards), at(begin), None if end is None else at(end), name=name
    )
    return leases.activate(made, "op", lease.id, cards, at(begin))
