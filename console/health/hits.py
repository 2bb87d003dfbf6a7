"""What every test of a rule is made of: a hit, what a rule remembers, and who its peers are. Pure but for that memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_METRIC, HOST_METRIC
from console.fleet.show import reading
from console.health.facts import F8, Facts
from console.health.memory import Beyond, Held, Rise
from console.health.triage import Rule, Triage

LEAST_PEERS = 3
AT_ONCE_S = 10.0
LOOK_S = 0.8
"""Looks come about once a second; a little less, so that none is skipped."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule holds for a row of cards or nodes (`at`), since a unix second."""

    at: int
    evidence: str
    since: float
    severity: int = 0
    action: str = ""
    do: str = ""
    code: int | None = None
    signal: str = ""
    differs: str = ""


Test = Callable[[Rule, Facts, "State", Triage], Iterator[Hit]]


class State:
    """What one rule remembers."""

    def __init__(self, rule: Rule, at_once: bool = False) -> None:
        """`at_once`: there is one look only; rules that need seconds take it for all, rules that need minutes do not."""
        n, m = rule.params.get("on", (1, 1))
        every = float(rule.params.get("every_s", LOOK_S))
        if at_once and n * every <= AT_ONCE_S:
            n, m = 1, 1
        self.held = Held(int(n), int(m), every, float(rule.params.get("off_s", 0.0)))
        self.rise = Rise(float(rule.params.get("window_s", 3600.0)))
        self.beyond = Beyond(
            float(rule.params.get("value", 0.0)), float(rule.params.get("clear", rule.params.get("value", 0.0)))
        )

    def resize(self, place: npt.NDArray[np.intp]) -> None:
        """Rows are others now; see Held.resize."""
        self.held.resize(place)
        self.rise.resize(place)
        self.beyond.resize(place)


def value_text(metric: str, value: float) -> str:
    """A reading with its unit."""
    found = CARD_METRIC.get(metric) or HOST_METRIC[metric]
    return reading(metric, value, found.unit)


def hits(facts: Facts, state: State, is_so: npt.NDArray[np.bool_], text: Callable[[int], str]) -> Iterator[Hit]:
    """The rows for which it holds long enough, with the evidence `text(row)`."""
    holds, since = state.held.look(facts.now, is_so)
    for row in np.flatnonzero(holds).tolist():
        yield Hit(row, text(row), float(since[row]))


def commonest(values: F8, kinds: Sequence[str]) -> F8:
    """Of each row the value that more than half of its kind have; NaN where none is, or fewer than LEAST_PEERS are known."""
    names = np.array(kinds)
    most = np.full(len(kinds), np.nan)
    for kind in set(kinds):
        same = names == kind
        known = values[same & ~np.isnan(values)]
        if len(known) >= LEAST_PEERS:
            value, count = Counter(known.tolist()).most_common(1)[0]
            if 2 * count > len(known):
                most[same] = value
    return most
