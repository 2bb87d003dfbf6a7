"""What cards are and how they compare, as resources say with sources. Ranges, never a scalar; unknown stays unknown."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[2] / "resources"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A model of card. `bf16_tflops` is the dense peak, (least, most) as sources say; None where nobody says it."""

    id: str
    words: tuple[str, ...]
    vendor: str
    arch: str
    bf16_tflops: tuple[float, float] | None
    mem_gb: int | None
    limit_w: float | None
    mig: bool | None
    interconnect: str
    source: str
    date: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Substitute:
    """A card in another's place: how fast it is beside it, from least to most, on what ground, and whose words that is."""

    id: str
    least: float
    most: float
    ground: str
    source: str
    confidence: str


@lru_cache(maxsize=1)
def accelerators() -> tuple[Accelerator, ...]:
    """All that the resources know."""
    table = tomllib.loads((RESOURCES / "accelerators.toml").read_text("utf-8"))
    found = []
    for row in table["accelerator"]:
        peak = row.get("bf16_tflops")
        found.append(Accelerator(
            row["id"], tuple(row["words"]), row["vendor"], row.get("arch", ""), None if peak is None else (peak[0], peak[1]),
            row.get("mem_gb"), row.get("limit_w"), row.get("mig"), row.get("interconnect", ""), row["source"], row["date"],
            row["confidence"],
        ))  # fmt: skip
    return tuple(found)


def known(model: str) -> Accelerator | None:
    """The card that a driver's name of a model is, None where it is none of them."""
    words = model.lower().replace("-", " ").replace("/", " ").split()
    return next((a for a in accelerators() if all(any(w.startswith(k) for w in words) for k in a.words)), None)


def substitutes(model: str) -> list[Substitute]:
    """Cards that could stand for a model, the likest first: measured ratios, then peaks, which are only an upper bound.

    Peaks are of the data sheets and for no bill; jobs differ among themselves by more than cards do.
    """
    asked = known(model)
    if asked is None or asked.bf16_tflops is None:
        return []
    least, most = asked.bf16_tflops
    out = []
    for one in accelerators():
        if one.id == asked.id or one.bf16_tflops is None:
            continue
        out.append(Substitute(
            one.id, round(one.bf16_tflops[0] / most, 2), round(one.bf16_tflops[1] / least, 2),
            "dense BF16 peak only: an upper bound, not for billing", one.source, one.confidence,
        ))  # fmt: skip
    return sorted(out, key=lambda s: (abs((s.least + s.most) / 2 - 1.0), s.id))
