"""The demo's fleet: which nodes there are, who works on them, and what goes wrong where. A function of the seed."""

from __future__ import annotations

import random

from console.demo.simulation.card import Job
from console.demo.simulation.incidents import CYCLE_S, Incident, Trouble
from console.demo.simulation.load import Kind
from console.demo.simulation.node import SLICES, NodePlan
from console.demo.simulation.skus import A100, H100, H200, L40S, RTX4090, Sku

_REGIONS = (("riyadh-1", "r"), ("frankfurt-2", "f"), ("johor-1", "j"))
_SUPPLIERS = ("acme", "northstar", "gulf-compute")
_SKUS = (H100, H100, H100, H200, A100, L40S)
_TEAMS = ("atmos", "genomics", "vision", "llm", "speech", "finance")
_PEOPLE = ("amal", "chen", "dmitri", "fatima", "grace", "hiro", "lena", "noor", "omar", "priya", "sara", "wei")

_TRAINING = "python3 -m torch.distributed.run train.py --model {m} --tp 8 --precision bf16"
_SERVING = "/opt/vllm/bin/python -m vllm.entrypoints.openai.api_server --model {m} --port 8000"
_NOTEBOOK = "/opt/conda/bin/python -m ipykernel_launcher -f kernel-{n}.json"

_BLOCK = 40
"""The script's troubles are laid out over this many nodes and repeat, later in the cycle, in the next so many."""

# By place in the block. Chosen so that in the default demo two to four things are wrong at any moment.
_SCRIPTS: dict[int, tuple[Incident, ...]] = {
    1: (Incident(Trouble.LOST, 25.0, 180.0, 3),),
    2: (Incident(Trouble.HOT, 0.0, 400.0),),
    4: (Incident(Trouble.ECC, 150.0, 330.0, 5),),
    5: (Incident(Trouble.DROP, 420.0, 40.0),),
    6: (Incident(Trouble.NVLINK, 580.0, 220.0, 1), Incident(Trouble.APPLICATION, 40.0, 30.0, 6)),
    7: (Incident(Trouble.HANG, 640.0, 20.0),),
}
_BRAKED = range(4, 8)  # one rack
_BRAKE = Incident(Trouble.BRAKE, 490.0, 60.0)
_NO_DRIVER, _NO_PYTHON, _NO_PERSISTENCE, _SKEWED = 9, 10, 3, 8
SKEW_S = 3.0


def plan_fleet(nodes: int, cards: int, seed: int, speed: float = 1.0) -> list[NodePlan]:
    """The nodes of a demo of that size; its days pass `speed` times as fast as real ones."""
    rng = random.Random(seed)
    return [_plan(place, nodes, cards, rng, seed, speed) for place in range(nodes)]


def _plan(place: int, nodes: int, cards: int, rng: random.Random, seed: int, speed: float) -> NodePlan:
    region, letter = _REGIONS[place * len(_REGIONS) // max(1, nodes)]
    rack = f"{letter}{1 + place // 4:02d}"
    sku = RTX4090 if place % 12 == 11 else _SKUS[place % len(_SKUS)]
    count = min(cards, 4) if sku in (L40S, RTX4090) else cards
    in_block = place % _BLOCK
    has_driver = in_block != _NO_DRIVER
    jobs = _jobs(place, sku, count, rng, seed)
    has_mig = place % 12 == 4
    return NodePlan(
        name=f"gpu-{rack}-{1 + place % 4:02d}",
        region=region,
        rack=rack,
        supplier=_SUPPLIERS[place % len(_SUPPLIERS)],
        sku=sku,
        cards=count,
        jobs=jobs if has_driver else (None,) * count,
        seed=seed * 10_000 + place,
        inlet=23.0 + 3.0 * rng.random(),
        labels={"room": f"{letter}{1 + place // 8}"},
        script=_script(place, count),
        mig_on=0 if has_mig else -1,
        slice_jobs=tuple(_mixed(place, sku, 100 + i, rng) for i in range(len(SLICES))) if has_mig else (),
        has_driver=has_driver,
        has_python=in_block != _NO_PYTHON,
        persistence=0 if in_block == _NO_PERSISTENCE else 1,
        skew_s=SKEW_S if in_block == _SKEWED else 0.0,
        speed=speed,
    )


def _script(place: int, cards: int) -> tuple[Incident, ...]:
    """The script of a place, later by the block, on the cards that are there."""
    script = _SCRIPTS.get(place % _BLOCK, ())
    if place % _BLOCK in _BRAKED:
        script += (_BRAKE,)
    later = 67.0 * (place // _BLOCK)
    return tuple(Incident(i.trouble, (i.start + later) % CYCLE_S, i.length, min(i.card, cards - 1)) for i in script)


def _jobs(place: int, sku: Sku, count: int, rng: random.Random, seed: int) -> tuple[Job | None, ...]:
    if sku in (H100, H200) and place % 6 != 3:
        user = rng.choice(_PEOPLE)
        model = rng.choice(("llama-70b", "weather-swin", "moe-8x22b", "protein-3b"))
        number, slurm = seed * 10_000 + place // 2, str(4400 + place // 2)
        command, pid = _TRAINING.format(m=model), _first_pid(place)
        return tuple(Job(Kind.TRAINING, number, user, command, pid + i, slurm_job=slurm) for i in range(count))
    return tuple(_mixed(place, sku, i, rng) for i in range(count))


def _first_pid(place: int) -> int:
    return 20_000 + place * 400


def _mixed(place: int, sku: Sku, index: int, rng: random.Random) -> Job | None:
    """Work of one card or slice: a model server, a notebook, or nothing."""
    draw, user, pid = rng.random(), rng.choice(_PEOPLE), _first_pid(place) + index
    if sku is RTX4090 or draw > 0.75:
        return None if draw > 0.9 else Job(Kind.NOTEBOOK, pid, user, _NOTEBOOK.format(n=pid), pid)
    model = f"{rng.choice(_TEAMS)}/{rng.choice(('chat-8b', 'embed-1b', 'rerank-2b', 'asr-large'))}"
    pod = f"{rng.getrandbits(32):08x}-{place:04x}-4{index:03x}-8{pid % 4096:03x}-{rng.getrandbits(48):012x}"
    container = f"{rng.getrandbits(256):064x}"
    return Job(Kind.INFERENCE, pid, user, _SERVING.format(m=model), pid, pod=pod, container=container)
