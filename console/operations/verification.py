"""Level V0: is a node's every card there and whole, and do its counters stand still for a minute? Pure.

What cannot be read is "skipped", and a skipped check is not a pass. What is expected comes from cards of the same model
elsewhere in the fleet: the inventory is what the fleet itself shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SECONDS = 60.0

STILL = (
    "ecc_uncorrected_volatile", "ecc_sram_uncorrected", "remapped_rows_uncorrected", "pcie_fatal_errors", "pcie_replay",
    "nvlink_crc_errors", "nvlink_recovery_errors",
)  # fmt: skip
"""Counters that must not rise while one looks."""

CLEAR = {"remap_pending": "a row remap is pending: reset the card", "remap_failure": "a row remap failed: RMA"}
ALIKE = {"pcie_width": "PCIe width", "nvlink_active": "NVLinks active"}
READ = (*STILL, *CLEAR, *ALIKE, "memory_used")


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What one card shows. `values`: metric -> fresh value, None where not supported; a metric that could not be read
    is missing. `is_readable` False: the card does not answer."""

    uuid: str
    label: str
    model: str
    is_readable: bool
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a node shows: its driver, its cards, and the XIDs since one began to look ("uuid: code")."""

    driver: str
    cards: tuple[CardFacts, ...]
    xids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expected:
    """What cards of the same model have elsewhere. `widths` {model: {metric: value}}; `drivers` {model: version}."""

    alike: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    drivers: Mapping[str, str] = field(default_factory=dict)
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `passed` None was skipped."""

    name: str
    passed: bool | None
    text: str


def expected_of(others: Sequence[NodeFacts], count: int | None) -> Expected:
    """What most cards of each model show."""
    alike: dict[str, dict[str, Counter[float]]] = {}
    drivers: dict[str, Counter[str]] = {}
    for node in others:
        for card in node.cards:
            drivers.setdefault(card.model, Counter())[node.driver] += 1
            for metric in ALIKE:
                value = card.values.get(metric)
                if value is not None:
                    alike.setdefault(card.model, {}).setdefault(metric, Counter())[value] += 1
    return Expected(
        {m: {k: c.most_common(1)[0][0] for k, c in found.items()} for m, found in alike.items()},
        {m: c.most_common(1)[0][0] for m, c in drivers.items()},
        count,
    )


def judge(first: NodeFacts, last: NodeFacts, seconds: float, expected: Expected) -> tuple[Check, ...]:
    """Every check over two looks `seconds` apart."""
    checks = [_count(last, expected), _driver(last, expected), _xids(last)]
    if seconds < SECONDS:
        checks.append(Check("time", None, f"looked for {seconds:.0f} of {SECONDS:.0f} s"))
    before = {c.uuid: c for c in first.cards}
    for card in last.cards:
        if not card.is_readable:
            checks.append(Check(f"card {card.label}", False, "it does not answer"))
            continue
        checks += [_clear(card, metric, why) for metric, why in CLEAR.items()]
        checks += [_alike(card, metric, what, expected) for metric, what in ALIKE.items()]
        checks.append(_still(before.get(card.uuid), card))
    return tuple(checks)


def failed(checks: Sequence[Check]) -> str:
    """What did not pass, "" where everything did. Nothing checked is not a pass."""
    if not checks:
        return "nothing was checked"
    bad = [c for c in checks if c.passed is not True]
    return "; ".join(f"{c.name}: {c.text}" for c in bad)[:600]


def _count(node: NodeFacts, expected: Expected) -> Check:
    there = sum(c.is_readable for c in node.cards)
    wanted = len(node.cards) if expected.count is None else expected.count
    if not wanted:
        return Check("cards", False, "the node shows no card")
    return Check("cards", there == wanted, f"{there} of {wanted} answer")


def _driver(node: NodeFacts, expected: Expected) -> Check:
    if not node.driver:
        return Check("driver", None, "its version is not known")
    wanted = {expected.drivers.get(c.model, node.driver) for c in node.cards} or {node.driver}
    text = node.driver if wanted == {node.driver} else f"{node.driver}; elsewhere {', '.join(sorted(wanted))}"
    return Check("driver", wanted == {node.driver}, text)


def _xids(node: NodeFacts) -> Check:
    return Check("XIDs", not node.xids, "none" if not node.xids else "; ".join(node.xids[:6]))


def _clear(card: CardFacts, metric: str, why: str) -> Check:
    name = f"card {card.label} {metric.replace('_', ' ')}"
    if metric not in card.values:
        return Check(name, None, "it could not be read")
    value = card.values[metric]
    # A model without row remapping has nothing pending.
    return (
        Check(name, not value, "no" if value is not None else "not supported") if not value else Check(name, False, why)
    )


def _alike(card: CardFacts, metric: str, what: str, expected: Expected) -> Check:
    name = f"card {card.label} {what}"
    if metric not in card.values:
        return Check(name, None, "it could not be read")
    value = card.values[metric]
    wanted = expected.alike.get(card.model, {}).get(metric)
    if value is None:
        return Check(
            name, wanted is None, "not supported" if wanted is None else f"not supported; elsewhere {wanted:g}"
        )
    if wanted is None:
        return Check(name, True, f"{value:g}; no card of this model elsewhere to compare with")
    return Check(name, value >= wanted, f"{value:g}" if value >= wanted else f"{value:g}; elsewhere {wanted:g}")


def _still(before: CardFacts | None, card: CardFacts) -> Check:
    name = f"card {card.label} counters"
    if before is None or not before.is_readable:
        return Check(name, None, "it was not there at the first look")
    unread = [m for m in STILL if m not in before.values or m not in card.values]
    if unread:
        return Check(name, None, f"{', '.join(unread)} could not be read")
    rose = []
    for metric in STILL:
        a, b = before.values.get(metric), card.values.get(metric)
        if a is not None and b is not None and b > a:
            rose.append(f"{metric} rose by {b - a:g}")
    return Check(name, not rose, "; ".join(rose) or "stood still")
