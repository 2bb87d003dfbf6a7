"""Placement on the public openb trace: every policy on every workload and load of one run, inflation, and what a decision
costs.

Workloads that the trace's folder lacks are made from those it has, as the FGD paper makes them: the share of multi-card
requests, or of requests that name a model, is raised. `steady` leaves out the first three mean leases of twelve.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from statistics import fmean, pstdev
from typing import Any

from console.placement.decision import decide
from console.placement.inflation import inflate
from console.placement.inventory import Card, Held, Inventory, Link, Place, Region, Sku
from console.placement.mix import mix_of
from console.placement.policies import POLICIES
from console.placement.replay import LIVES, replay
from console.placement.request import parse
from console.placement.stock import Unit
from console.placement.traces import TraceNode, read_nodes, read_pods, units_of, whole_card_counts
from tests import traces

SEEDS = 5
Counts = Mapping[tuple[int, frozenset[str]], float]
CASES = (
    ("gpuspec10", 0.9), ("gpuspec10", 1.0), ("multigpu20", 0.9), ("multigpu20", 1.0), ("multigpu50", 0.9),
    ("multigpu50", 1.0), ("gpuspec33", 0.8), ("gpuspec33", 0.9), ("gpuspec33", 1.0), ("both", 0.9), ("both", 1.0),
)  # fmt: skip


def with_multi(counts: Counts, share: float) -> Counts:
    """The same list with so much of its card demand in requests of several cards."""
    several = sum(n * k for (n, _), k in counts.items() if n > 1)
    single = sum(k for (n, _), k in counts.items() if n == 1)
    grow = share / (1.0 - share) * single / several
    return {(n, types): k * (grow if n > 1 else 1.0) for (n, types), k in counts.items()}


def with_models(counts: Counts, share: float) -> Counts:
    """The same list with such a share of requests that name models."""
    every = max((types for _, types in counts), key=len)
    named = sum(k for (_, types), k in counts.items() if types != every)
    total = sum(counts.values())
    more, less = share * total / named, (1.0 - share) * total / (total - named)
    return {(n, types): k * (less if types == every else more) for (n, types), k in counts.items()}


def workload(name: str, nodes: list[TraceNode]) -> Counts:
    """Requests of a workload, from its list or made from another."""
    path = traces.pods(name)
    if path.exists():
        return whole_card_counts(nodes, read_pods(path))
    given = whole_card_counts(nodes, read_pods(traces.pods("multigpu20" if name == "multigpu50" else "gpuspec10")))
    made: Counts = given
    if name in ("gpuspec33", "both"):
        made = with_models(made, 0.33)
    return with_multi(made, 0.5) if name == "multigpu50" else with_multi(made, 0.4) if name == "both" else made


def _table(units: list[Unit], nodes: list[TraceNode], lives: float, warm_up: float) -> dict[str, Any]:
    out: dict[str, Any] = {}
    behind = 0.0
    for name, load in CASES:
        counts = workload(name, nodes)
        row: dict[str, Any] = {}
        means = {}
        for policy in POLICIES:
            runs = [replay(units, counts, load, policy, seed, lives, warm_up) for seed in range(SEEDS)]
            blocked = [r.blocked_card_demand_pct for r in runs]
            means[policy] = fmean(blocked)
            row[policy] = {
                "blocked_pct": round(means[policy], 2), "spread": round(pstdev(blocked), 2),
                "blocked_8card_pct": round(fmean(r.blocked_8card_demand_pct for r in runs), 1),
                "us_per_decision": round(fmean(r.us_per_decision for r in runs), 1),
            }  # fmt: skip
        best = min(v for p, v in means.items() if not p.startswith("slot-price"))
        row["behind_best_rule_points"] = round(means["slot-price"] - best, 2)
        behind = max(behind, means["slot-price"] - best)
        out[f"{name} {load}"] = row
    return {"most_behind_points": round(behind, 2), "cases": out}


def pool_of(nodes: list[TraceNode], times: int, seed: int = 0) -> Inventory:
    """A pool with the trace's nodes, so many times over, in three regions, four fifths of its cards on lease."""
    rng = random.Random(seed)
    regions = [Region(name, country) for name, country in (("east", "SA"), ("north", "DE"), ("south", "MY"))]
    links = {("east", "north"): Link(71_000, 10_000, 0), ("east", "south"): Link(84_000, 10_000, 0)}
    cards, places, held = [], [], []
    for copy in range(times):
        for i, unit in enumerate(units_of(nodes)):
            name, taken = f"n{copy}-{i:05d}", rng.choice((0, 1, 1, 1, 1))
            places.append(Place(name, regions[i % 3].id, f"r{i // 8}", f"i{i // 4}"))
            for k in range(unit.cards):
                cards.append(Card(f"{name}-{k}", name, unit.type))
                if taken or rng.random() < 0.2:
                    held.append(Held(f"{name}-{k}", f"L{i}", "t", 0, None))
    skus = [Sku(name, name, mem_mib=40_000) for name in sorted({c.sku for c in cards})]
    return Inventory(cards, places, skus, regions, links, held)


def _decisions(nodes: list[TraceNode], times: int, rounds: int = 200) -> dict[str, Any]:
    """Milliseconds of one decision with its full explanation."""
    pool = pool_of(nodes, times)
    counts = {
        (n, frozenset(f"{t}@{r}" for t in types for r in pool.regions)): k
        for (n, types), k in workload("gpuspec10", nodes).items()
    }
    mix = mix_of({k: v for k, v in counts.items() if v}, len(pool.cards) * 0.8)
    texts = ("8 x any, one node", "2 x any", "4 x V100M32 or G2, one node", "16 x any, one region", "1 x T4, in east")
    asked = [parse(t, lambda _: 1) for t in texts]
    spent = []
    for i in range(rounds):
        begun = time.perf_counter()
        found = decide(pool, asked[i % len(asked)], mix, 1)
        spent.append((time.perf_counter() - begun) * 1000)
        assert found.candidates or found.misses
    spent.sort()
    return {
        "nodes": len(pool.places), "cards": len(pool.cards), "p50_ms": round(spent[rounds // 2], 2),
        "p99_ms": round(spent[int(rounds * 0.99)], 2), "first_ms": round(max(spent), 1),
    }  # fmt: skip


def all_of_it() -> dict[str, Any]:
    """Blocked demand by policy, workload and load, from an empty pool and in the steady state, and inflation."""
    if not traces.NODES.exists():
        return {"skipped": f"the openb trace is not in {traces.OPENB}; set CARDKEEPER_TRACES"}
    nodes = read_nodes(traces.NODES)
    units = units_of(nodes)
    filled = [inflate(nodes, read_pods(traces.pods("default")), seed=seed) for seed in range(10)]
    return {
        "decision": [_decisions(nodes, 1), _decisions(nodes, 9)],
        "seeds": SEEDS, "nodes": len(units), "cards": sum(u.cards for u in units),
        "from_empty": _table(units, nodes, LIVES, 0.0), "steady": _table(units, nodes, 12.0, 3.0),
        "inflation": {"allocated_pct": round(fmean(filled), 2), "spread": round(pstdev(filled), 2), "seeds": len(filled)},
    }  # fmt: skip
