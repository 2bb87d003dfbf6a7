"""Public lists of nodes and pods as the openb trace writes them (alibaba/clusterdata, cluster-trace-gpu-v2023)."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.placement.errors import PlacementError
from console.placement.stock import MOST_CARDS, Unit

WHOLE = 1000
"""gpu_milli of a whole card."""


@dataclass(frozen=True, slots=True)
class TraceNode:
    """A node: model of its cards, how many, milli-CPUs, MiB of memory."""

    name: str
    model: str
    cards: int
    cpu_milli: int
    memory_mib: int


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: cards, thousandths of each of them, accepted models (empty: any), milli-CPUs, MiB of memory."""

    cards: int
    card_milli: int
    models: frozenset[str]
    cpu_milli: int
    memory_mib: int


def read_nodes(path: str | Path) -> list[TraceNode]:
    """Nodes that have cards, in the order of the list.

    Raises:
        PlacementError: the file cannot be read, a column is missing, or a number is none.
    """
    found = []
    for where, row in _rows(path, ("sn", "model", "gpu")):
        cards = _whole(row, "gpu", where, MOST_CARDS)
        if cards:
            cpu, memory = (_whole(row, key, where) if row.get(key) else 0 for key in ("cpu_milli", "memory_mib"))
            found.append(TraceNode(row["sn"], row["model"], cards, cpu, memory))
    if not found:
        raise PlacementError(f"{path}: it lists no node with cards")
    return found


def read_pods(path: str | Path) -> list[Pod]:
    """Pods, those without cards too, in the order of the list.

    Raises:
        PlacementError: the file cannot be read, a column is missing, or a number is none.
    """
    found = []
    for where, row in _rows(path, ("num_gpu",)):
        cards = _whole(row, "num_gpu", where, MOST_CARDS)
        milli = _whole(row, "gpu_milli", where, WHOLE) if row.get("gpu_milli") else WHOLE
        models = frozenset(m for m in (row.get("gpu_spec") or "").split("|") if m)
        cpu, memory = (_whole(row, key, where) if row.get(key) else 0 for key in ("cpu_milli", "memory_mib"))
        found.append(Pod(cards, milli if cards else 0, models, cpu, memory))
    if not any(p.cards for p in found):
        raise PlacementError(f"{path}: no pod of it asks for a card")
    return found


def units_of(nodes: Sequence[TraceNode]) -> list[Unit]:
    """The nodes' cards as a stock takes them."""
    return [Unit(n.name, n.model, n.cards) for n in nodes]


def whole_card_counts(nodes: Sequence[TraceNode], pods: Sequence[Pod]) -> Counter[tuple[int, frozenset[str]]]:
    """Requests by (cards, accepted models) when every pod leases whole cards: a part of a card is a card of its own.

    Raises:
        PlacementError: none of them could ever be served by these nodes.
    """
    models = frozenset(n.model for n in nodes)
    found: Counter[tuple[int, frozenset[str]]] = Counter()
    for pod in pods:
        accepted = (pod.models & models) if pod.models else models
        if pod.cards and accepted:
            found[pod.cards, accepted] += 1
    if not found:
        raise PlacementError("no pod of the list can run on a model of these nodes")
    return found


def _rows(path: str | Path, needed: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [c for c in needed if c not in (reader.fieldnames or ())]
            if missing:
                raise PlacementError(f"{path}: its first line has no column {missing[0]}")
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
    except OSError as exc:
        raise PlacementError(f"{path}: {exc.strerror}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise PlacementError(f"{path}: this is not CSV: {exc}") from exc


def _whole(row: dict[str, str], key: str, where: str, most: int = 10**12) -> int:
    text = row.get(key) or ""
    try:
        found = int(float(text))
    except (ValueError, OverflowError):
        raise PlacementError(f"{where}: {key} is {text!r}, not a number") from None
    if not 0 <= found <= most:
        raise PlacementError(f"{where}: {key} is {found}; it is 0 to {most}")
    return found
