"""Commands that run placement against a list of nodes and requests: a load that comes and goes, or one that only grows."""

from __future__ import annotations

from dataclasses import asdict
from statistics import fmean, pstdev
from typing import Any

from console.app import Console, ConsoleError
from console.placement.inflation import ARRIVED, inflate
from console.placement.policies import POLICIES
from console.placement.replay import LIVES, replay
from console.placement.traces import read_nodes, read_pods, units_of, whole_card_counts
from console.registry import registry

MOST_SEEDS = 100


@registry.command("place.replay", "Replay a load against a pool", reads=False)
def place_replay(
    console: Console, *, nodes: str, pods: str, load: float, seeds: int = 5, policy: str = "slot-price",
    lives: float = LIVES, warm_up: float = 0.0,
) -> Any:  # fmt: skip
    """Whole-card leases that come and go, and what of their demand a policy has to refuse.

    Requests are drawn from the list, arrive as a Poisson process, last exponentially long, and are not queued.

    Args:
        nodes: CSV of nodes with sn, model and gpu, as the openb trace has it
        pods: CSV of requests with num_gpu and, where models are named, gpu_spec
        load: cards asked for at once over the cards there are, like 0.9
        seeds: how many runs; means of them are told, and their standard deviation
        policy: slot-price, slot-price-now, best-fit, first-fit, random, fgd, or all
        lives: how long, in mean leases, from an empty pool on
        warm_up: so many of them do not count, for the steady state
    """
    _check(seeds)
    listed = read_nodes(nodes)
    counts, units = whole_card_counts(listed, read_pods(pods)), units_of(listed)

    def told(name: str) -> dict[str, Any]:
        runs = [asdict(replay(units, counts, load, name, seed, lives, warm_up)) for seed in range(seeds)]
        row: dict[str, Any] = {"policy": name, "load": load, "seeds": seeds, "nodes": len(units)}
        row["cards"] = sum(u.cards for u in units)
        for key in ("blocked_card_demand_pct", "blocked_8card_demand_pct", "allocated_pct", "us_per_decision"):
            row[key] = round(fmean(r[key] for r in runs), 4)
            row[f"{key}_spread"] = round(pstdev(r[key] for r in runs), 4)
        return row

    return [told(name) for name in POLICIES] if policy == "all" else told(policy)


@registry.command("place.inflate", "Fill a cluster with shared cards", reads=False)
def place_inflate(
    console: Console, *, nodes: str, pods: str, arrived: float = ARRIVED, seeds: int = 5
) -> dict[str, Any]:
    """Pods with parts of cards, CPUs and memory that never leave: how much of the cards gets allocated.

    Args:
        nodes: CSV of nodes with sn, model, gpu, cpu_milli and memory_mib
        pods: CSV of requests with cpu_milli, memory_mib, num_gpu and gpu_milli
        arrived: until so much has come, as a multiple of the cluster's cards
        seeds: how many runs
    """
    _check(seeds)
    listed, asked = read_nodes(nodes), read_pods(pods)
    runs = [inflate(listed, asked, arrived, seed) for seed in range(seeds)]
    return {
        "allocated_pct": round(fmean(runs), 4), "allocated_pct_spread": round(pstdev(runs), 4), "arrived": arrived,
        "seeds": seeds,
    }  # fmt: skip


def _check(seeds: int) -> None:
    if not 0 < seeds <= MOST_SEEDS:
        raise ConsoleError(f"--seeds: 1 to {MOST_SEEDS}")
