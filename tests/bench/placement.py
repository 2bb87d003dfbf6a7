"""Placement on the public openb trace: every policy on every workload and load of one run, inflation, and what a decision
costs.

Workloads that the trace's folder lacks are made from those it has, as the FGD paper makes them: the share of multi-card
requests, or of requests that name a model, is raised. `steady` leaves out the first three mean leases of twelve.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean, pstdev
from typing import Any

from console.placement.inflation import inflate
from console.placement.policies import POLICIES
from console.placement.replay import LIVES, replay
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


def all_of_it() -> dict[str, Any]:
    """Blocked demand by policy, workload and load, from an empty pool and in the steady state, and inflation."""
    if not traces.NODES.exists():
        return {"skipped": f"the openb trace is not in {traces.OPENB}; set CARDKEEPER_TRACES"}
    nodes = read_nodes(traces.NODES)
    units = units_of(nodes)
    filled = [inflate(nodes, read_pods(traces.pods("default")), seed=seed) for seed in range(10)]
    return {
        "seeds": SEEDS, "nodes": len(units), "cards": sum(u.cards for u in units),
        "from_empty": _table(units, nodes, LIVES, 0.0), "steady": _table(units, nodes, 12.0, 3.0),
        "inflation": {"allocated_pct": round(fmean(filled), 2), "spread": round(pstdev(filled), 2), "seeds": len(filled)},
    }  # fmt: skip
