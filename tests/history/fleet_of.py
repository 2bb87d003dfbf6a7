"""A recorder over a clock of its own, fed with made-up passes whose every value is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from console.fleet.model import NodeEvent
from console.fleet.state import ReadingState
from console.history.reader import Reader
from console.history.recorder import Pass, Recorder
from console.history.retention import Limits
from console.history.store import tier_metrics

FAST = tier_metrics("card", "fast")
SLOW = tier_metrics("card", "slow")
T0 = 1_767_225_600.0 + 7 * 3600 + 13
"""2026-01-01 07:00:13 UTC: not on a minute, so that edges are met."""


class Taped:
    """Feeds one recorder. `values[node]` keeps what was fed: [(time, array [cards, metrics], states)]."""

    def __init__(self, folder: Path, nodes: int = 1, cards: int = 2, limits: Limits | None = None) -> None:
        self.folder = folder
        self.now = T0
        self.limits = limits or Limits()
        self.told: list[tuple[str, str]] = []
        self.events: list[NodeEvent] = []
        self.names = [f"n{i}" for i in range(nodes)]
        self.cards = cards
        self.fed: dict[str, list[tuple[float, np.ndarray, np.ndarray]]] = {n: [] for n in self.names}
        self._random = np.random.default_rng(7)
        self.recorder = self.open()

    def open(self) -> Recorder:
        recorder = Recorder(
            self.folder, self.limits, lambda *a: self.told.append(a), self.events.append, lambda: self.now
        )
        for name in self.names:
            cards = [(u, "card", i, "H100", "", {}) for i, u in enumerate(self.uuids(name))]
            recorder.describe(name, [(f"host:{name}", "host", 0, name, "", {}), *cards])
            recorder.set_periods(name, {"fast": 1.0, "medium": 5.0, "slow": 30.0})
        return recorder

    def uuids(self, name: str) -> tuple[str, ...]:
        return tuple(f"GPU-{name}-{i}" for i in range(self.cards))

    def values(self) -> np.ndarray:
        made = self._random.integers(0, 100, (self.cards, len(FAST))).astype(float)
        made[:, FAST.index("power_draw")] = np.round(600 + self._random.normal(0, 20, self.cards), 3)
        made[:, FAST.index("energy")] = 1.5e9 + (self.now - T0) * 600
        return made

    def second(self, states: dict[str, np.ndarray] | None = None, silent: tuple[str, ...] = ()) -> None:
        """One second passes; every node but the silent ones is sampled once."""
        self.now += 1.0
        for name in self.names:
            if name in silent:
                continue
            values = self.values()
            quality = np.full(values.shape, int(ReadingState.FRESH), dtype=np.uint8)
            if states and name in states:
                quality = states[name]
                values[quality != int(ReadingState.FRESH)] = np.nan
            self.fed[name].append((round(self.now, 3), values, quality))
            at = int(round(self.now, 3) * 1e6)
            self.recorder.sampled(Pass(name, self.uuids(name), "fast", at, 2_000_000, values, quality, None, None))

    def run(self, seconds: int, flush_every: int = 4, **options: object) -> None:
        for i in range(seconds):
            self.second(**options)  # type: ignore[arg-type]
            if (i + 1) % flush_every == 0:
                self.flush()
        self.flush()

    def flush(self) -> None:
        self.recorder.flush()
        self.recorder.tidy()

    def expected(self, name: str, card: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
        at = FAST.index(metric)
        fed = self.fed[name]
        return np.array([t for t, _, _ in fed]), np.array([v[card, at] for _, v, _ in fed])

    def reader(self) -> Reader:
        return Reader(self.folder)
