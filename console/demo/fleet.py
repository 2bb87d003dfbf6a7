"""The demo's fleet: which nodes there are, who works on them, and what goes wrong where. A function of the seed."""

from __future__ import annotations

import random

from console.demo.simulation.card import Job
from console.demo.simulation.incidents import Incident, Trouble
from console.demo.simulation.load import Kind
from console.demo.simulation.node import NodePlan
from console.demo.simulation.skus import A100, H100, H200, L40S, RTX4090, Sku

_REGIONS = (("riyadh-1", "r"), ("frankfurt-2", "f"), ("johor-1", "j"))
_SUPPLIERS = ("acme", "northstar", "gulf-compute")
_SKUS = (H100, H100, H100, H200, A100, L40S)
_TEAMS = ("atmos", "genomics", "vision", "llm", "speech", "finance")
_PEOPLE = ("amal", "chen", "dmitri", "fatima", "grace", "hiro", "lena", "noor", "omar", "priya", "sara", "wei")

_TRAINING = "python3 -m torch.distributed.run train.py --model {m} --tp 8 --precision bf16"
_SERVING = "/opt/vllm/bin/python -m vllm.entrypoints.openai.api_server --model {m} --port 8000"
_NOTEBOOK = "/opt/conda/bin/python -m ipykernel_launcher -f kernel-{n}.json"

# By place in the fleet, so that every size of demo has its troubles and most of it is well.
_SCRIPTS: dict[int, tuple[Incident, ...]] = {
    1: (Incident(Trouble.LOST, 25.0, 240.0, 3),),
    2: (Incident(Trouble.HOT, 0.0, 900.0),),
    4: (Incident(Trouble.ECC, 10.0, 880.0, 5),),
    5: (Incident(Trouble.DROP, 300.0, 40.0),),
    6: (Incident(Trouble.NVLINK, 120.0, 600.0, 1), Incident(Trouble.APPLICATION, 40.0, 30.0, 6)),
    7: (Incident(Trouble.BRAKE, 200.0, 90.0),),
    8: (Incident(Trouble.HANG, 420.0, 20.0),),
}


def plan_fleet(nodes: int, cards: int, seed: int) -> list[NodePlan]:
    """The nodes of a demo of that size."""
    rng = random.Random(seed)
    return [_plan(place, nodes, cards, rng, seed) for place in range(nodes)]


def _plan(place: int, nodes: int, cards: int, rng: random.Random, seed: int) -> NodePlan:
    region, letter = _REGIONS[place * len(_REGIONS) // max(1, nodes)]
    rack = f"{letter}{1 + place // 4:02d}"
    sku = _SKUS[place % len(_SKUS)]
    mig_on = 0 if place % 12 == 4 else -1
    if place % 12 == 11:
        sku = RTX4090
    count = min(cards, 4) if sku in (L40S, RTX4090) else cards
    node_seed = seed * 10_000 + place
    return NodePlan(
        name=f"gpu-{rack}-{1 + place % 4:02d}",
        region=region,
        rack=rack,
        supplier=_SUPPLIERS[place % len(_SUPPLIERS)],
        sku=sku,
        cards=count,
        jobs=_jobs(place, sku, count, rng),
        seed=node_seed,
        inlet=23.0 + 3.0 * rng.random(),
        labels={"room": f"{letter}{1 + place // 8}"},
        script=_clip(_SCRIPTS.get(place % 40, ()), count),
        mig_on=mig_on,
        has_driver=place % 40 != 9,
        has_python=place % 40 != 10,
        persistence=0 if place % 40 == 3 else 1,
        skew_s=3.2 if place % 40 == 8 else 0.0,
    )


def _clip(script: tuple[Incident, ...], cards: int) -> tuple[Incident, ...]:
    """The script on a node with fewer cards."""
    return tuple(i if i.card < cards else Incident(i.trouble, i.start, i.length, cards - 1) for i in script)


def _jobs(place: int, sku: Sku, count: int, rng: random.Random) -> tuple[Job | None, ...]:
    user = rng.choice(_PEOPLE)
    pid = 20_000 + place * 400
    if sku in (H100, H200) and place % 6 != 3:
        model = rng.choice(("llama-70b", "weather-swin", "moe-8x22b", "protein-3b"))
        number, slurm = 1000 + place // 2, str(4400 + place // 2)
        return tuple(
            Job(Kind.TRAINING, number, user, _TRAINING.format(m=model), pid + i, slurm_job=slurm) for i in range(count)
        )
    return tuple(_mixed(place, sku, i, pid + i, rng) for i in range(count))


def _mixed(place: int, sku: Sku, index: int, pid: int, rng: random.Random) -> Job | None:
    draw = rng.random()
    user = rng.choice(_PEOPLE)
    if sku is RTX4090 or draw > 0.75:
        if draw > 0.9:
            return None
        return Job(Kind.NOTEBOOK, pid, user, _NOTEBOOK.format(n=pid), pid)
    model = f"{rng.choice(_TEAMS)}/{rng.choice(('chat-8b', 'embed-1b', 'rerank-2b', 'asr-large'))}"
    pod = f"{rng.getrandbits(32):08x}-{place:04x}-4{index:03x}-8{pid % 4096:03x}-{rng.getrandbits(48):012x}"
    container = f"{rng.getrandbits(256):064x}"
    return Job(Kind.INFERENCE, pid, user, _SERVING.format(m=model), pid, pod=pod, container=container)
