"""Cards, slots and nodes that fail again and again: counted from what happened to alarms and to nodes. Suggests only.

After Meta's lemon nodes (arXiv 2410.21680): faults and returns of a node over weeks, ranked against others of its kind. Pure.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SPAN_S = 90 * 86_400.0
FAULTS = 3
AGAIN_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that failed: `target` a card's UUID or a node; `slot` "NODE / INDEX" where it is of a card."""

    at: float
    node: str
    target: str
    slot: str
    what: str


@dataclass(frozen=True, slots=True)
class Mend:
    """A node was rebooted, or a card reset."""

    at: float
    target: str
    node: str
    what: str


@dataclass(frozen=True, slots=True)
class Lemon:
    """Something that fails again and again.

    Attributes:
        kind: "node", "card" or "slot"; name: which.
        faults: how many within SPAN_S; often: of its commonest fault, and what.
        peers: mean number of faults of the others of its kind.
        mtbf_s: mean seconds between faults.
        escalate: why more of the same does not help, "" otherwise.
    """

    kind: str
    name: str
    faults: int
    often: tuple[int, str]
    peers: float
    mtbf_s: float
    escalate: str = ""


def lemons(faults: Iterable[Fault], mends: Iterable[Mend], counts: Mapping[str, int], now: float) -> list[Lemon]:
    """What failed at least FAULTS times and three times as often as others of its kind, worst first.

    Args:
        counts: how many there are of each kind {"node", "card", "slot"}.
    """
    recent = [f for f in faults if now - f.at <= SPAN_S]
    by: dict[tuple[str, str], list[Fault]] = defaultdict(list)
    for one in recent:
        by["node", one.node].append(one)
        if one.slot:
            by["card", one.target].append(one)
            by["slot", one.slot].append(one)
    mended = list(mends)
    out = []
    for (kind, name), mine in by.items():
        others = sum(len(v) for (k, n), v in by.items() if k == kind and n != name)
        mean = others / max(1, counts.get(kind, 1) - 1)
        if len(mine) < FAULTS or len(mine) < 3.0 * mean:
            continue
        whats: dict[str, int] = defaultdict(int)
        for one in mine:
            whats[one.what] += 1
        what, count = max(whats.items(), key=lambda e: e[1])
        times = sorted(f.at for f in mine)
        mtbf = (times[-1] - times[0]) / (len(times) - 1)
        out.append(Lemon(kind, name, len(mine), (count, what), mean, mtbf, escalation(mine, mended)))
    return sorted(out, key=lambda x: (-x.faults, x.kind, x.name))


def escalation(faults: Iterable[Fault], mends: Iterable[Mend]) -> str:
    """Why mending once more does not help: the same fault came again after two reboots or resets within AGAIN_S."""
    done = sorted(mends, key=lambda m: m.at)
    by: dict[str, list[Fault]] = defaultdict(list)
    for one in faults:
        by[one.what].append(one)
    for what, mine in by.items():
        mine.sort(key=lambda f: f.at)
        again = 0
        for before, after in itertools.pairwise(mine):
            here = [m for m in done if m.target == before.target or m.node == before.node]
            between = any(before.at < m.at < after.at for m in here)
            again += between and after.at - before.at <= AGAIN_S
        if again >= 2:
            return f"{what} came again after {again} reboots or resets: it is the hardware's"
    return ""


def mtbf(
    faults: Iterable[Fault], kinds: Mapping[str, str], counts: Mapping[str, int], begun: float, now: float
) -> dict[str, float]:
    """Mean seconds between faults of one card, for each model: cards times time over faults. inf without faults.

    Args:
        kinds: model of each card; counts: cards of each model; begun: since when faults were written down.
    """
    seen: dict[str, int] = defaultdict(int)
    for one in faults:
        model = kinds.get(one.target)
        if model is not None and one.at >= begun:
            seen[model] += 1
    return {m: counts[m] * (now - begun) / seen[m] if seen[m] else float("inf") for m in counts}
