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


def _words(model: str) -> list[str]:
    return model.lower().replace("-", " ").replace("/", " ").split()


def known(model: str) -> Accelerator | None:
    """The card that a driver's name of a model is, None where it is none of them."""
    words = _words(model)
    return next((a for a in accelerators() if all(any(w.startswith(k) for w in words) for k in a.words)), None)


@dataclass(frozen=True, slots=True)
class Measured:
    """Throughput of one card over another's, by the same jobs: (least, median, most). Names are words of models."""

    of: str
    over: str
    ratio: tuple[float, float, float]
    jobs: str
    source: str
    date: str


@lru_cache(maxsize=1)
def measured() -> tuple[Measured, ...]:
    """All that was measured in public."""
    table = tomllib.loads((RESOURCES / "accelerators.toml").read_text("utf-8"))
    return tuple(
        Measured(r["of"], r["over"], (r["ratio"][0], r["ratio"][1], r["ratio"][2]), r["jobs"], r["source"], r["date"])
        for r in table["measured"]
    )


def _by_measure(model: str) -> list[Substitute]:
    words, out = _words(model), []
    for one in measured():
        least, _, most = one.ratio
        ground = f"measured with {one.jobs}"
        if any(w.startswith(one.over) for w in words):
            out.append(Substitute(one.of, least, most, ground, one.source, "high"))
        elif any(w.startswith(one.of) for w in words):
            out.append(Substitute(one.over, round(1 / most, 2), round(1 / least, 2), ground, one.source, "high"))
    return out


def substitutes(model: str) -> list[Substitute]:
    """Cards that could stand for a model, the likest first: measured ratios, then peaks, which are only an upper bound.

    Peaks are of the data sheets and for no bill; jobs differ among themselves by more than cards do.
    """
    asked, seen = known(model), _by_measure(model)
    if asked is None or asked.bf16_tflops is None:
        return seen
    least, most = asked.bf16_tflops
    out = []
    for one in accelerators():
        if one.id == asked.id or one.bf16_tflops is None:
            continue
        out.append(Substitute(
            one.id, round(one.bf16_tflops[0] / most, 2), round(one.bf16_tflops[1] / least, 2),
            "dense BF16 peak only: an upper bound, not for billing", one.source, one.confidence,
        ))  # fmt: skip
    return seen + sorted(out, key=lambda s: (abs((s.least + s.most) / 2 - 1.0), s.id))
