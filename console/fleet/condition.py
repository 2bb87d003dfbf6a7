"""How well each card is, in one word with its reasons: a first, plain rule over the live columns.

The driver's own recovery action wins over everything else. Unknown is never well. Sources: operations triage table
(NVIDIA XID catalogue; nvml.h for recovery actions and clocks event reasons).
"""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import ABNORMAL_CLOCK_REASONS
from console.fleet.model import NodeEvent
from console.fleet.show import RECOVERY_ACTIONS, clock_reasons
from console.fleet.state import ReadingState

XID_FOR_S = 3600.0
"""How long an XID marks its card in this release."""


class Condition(enum.IntEnum):
    """From good to bad; UNKNOWN stands apart and is never drawn as well."""

    WELL = 0
    UNKNOWN = 1
    NOTICE = 2
    WARNING = 3
    CRITICAL = 4


@dataclass(frozen=True, slots=True)
class Xid:
    """What a site should know of an XID code. `source` says who says so."""

    code: int
    title: str
    condition: Condition
    action: str
    source: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Conditions [n] and for each row its reasons, worst first."""

    conditions: npt.NDArray[np.uint8]
    reasons: list[tuple[str, ...]]


Columns = Callable[[str], tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]]
"""Gives (values, states) of a metric for all rows."""


def read_xids(path: Path) -> dict[int, Xid]:
    """The XID table of resources.

    Raises:
        OSError, ValueError, KeyError: the file is missing or damaged.
    """
    rows = tomllib.loads(path.read_text("utf-8"))["xid"]
    return {r["code"]: Xid(r["code"], r["title"], Condition[r["condition"]], r["action"], r["source"]) for r in rows}


def judge(
    count: int,
    columns: Columns,
    row_of: dict[str, int],
    events: Iterable[NodeEvent],
    now_s: float,
    xids: dict[int, Xid],
) -> Judged:
    """The condition of `count` rows. `now_s` is unix time, against which the events' receipt is aged."""
    conditions = np.zeros(count, dtype=np.uint8)
    reasons: dict[int, list[tuple[int, str]]] = {}

    def mark(mask: npt.NDArray[np.bool_], condition: Condition, text: str | Callable[[int], str]) -> None:
        for row in np.flatnonzero(mask).tolist():
            reasons.setdefault(row, []).append((int(condition), text if isinstance(text, str) else text(row)))
        conditions[mask] = np.maximum(conditions[mask], int(condition))

    def known(metric: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        values, states = columns(metric)
        return np.nan_to_num(values), states == ReadingState.FRESH

    _, memory = columns("memory_used")
    mark(memory == ReadingState.LOST, Condition.CRITICAL, "the driver lost the card")
    mark((memory == ReadingState.NONE) | (memory == ReadingState.STALE), Condition.UNKNOWN, "no fresh readings")
    action, good = known("recovery_action")
    mark(good & (action >= 1), Condition.CRITICAL, lambda r: f"driver says: {_action(action[r])}")
    for metric, condition, text in _FLAGS:
        value, good = known(metric)
        mark(good & (value > 0), condition, text)
    clocks, good = known("clocks_event_reasons")
    abnormal = good & ((clocks.astype(np.int64) & ABNORMAL_CLOCK_REASONS) != 0)
    mark(
        abnormal,
        Condition.WARNING,
        lambda r: "clocks held: " + ", ".join(clock_reasons(int(clocks[r]) & ABNORMAL_CLOCK_REASONS)),
    )
    for event in events:
        row = row_of.get(event.uuid)
        if event.kind == "xid" and row is not None and event.code is not None and now_s - event.wall_s < XID_FOR_S:
            found = xids.get(event.code)
            condition = found.condition if found else Condition.WARNING
            title = found.title if found else "not in the catalogue; ask a person"
            entry = (int(condition), f"XID {event.code}: {title}")
            if entry not in reasons.setdefault(row, []):
                reasons[row].append(entry)
            conditions[row] = max(int(conditions[row]), int(condition))
    ordered: list[tuple[str, ...]] = [()] * count
    for row, found_here in reasons.items():
        ordered[row] = tuple(text for _, text in sorted(found_here, key=lambda e: -e[0]))
    return Judged(conditions, ordered)


_FLAGS = (
    ("remap_failure", Condition.CRITICAL, "row remapping failed: replace the card"),
    ("ecc_sram_threshold", Condition.CRITICAL, "SRAM error threshold exceeded"),
    ("ecc_uncorrected_volatile", Condition.WARNING, "uncorrected ECC errors since driver load"),
    ("remap_pending", Condition.WARNING, "row remap pending: reset the card at the next gap"),
    ("retired_pages_pending", Condition.WARNING, "page retirement pending: reboot at the next gap"),
)


def _action(value: float) -> str:
    index = int(value)
    return RECOVERY_ACTIONS[index].lower() if index < len(RECOVERY_ACTIONS) else f"recovery action {index}"
