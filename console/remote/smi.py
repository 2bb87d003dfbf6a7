"""Nodes without python3: one long-lived nvidia-smi over SSH, translated here to the agent's frames. Reduced.

nvidia-smi gives no clock worth trusting and no verdict beyond "[N/A]"; its rows are stamped as they arrive.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from typing import Any

from console.fleet.metrics import CARD_METRICS, Tier, tier_columns

# nvidia-smi's field -> (metric, factor to the catalogue's unit)
_FIELDS: tuple[tuple[str, str, float], ...] = (
    ("utilization.gpu", "utilization_gpu", 1.0),
    ("utilization.memory", "utilization_memory", 1.0),
    ("memory.used", "memory_used", 1 << 20),
    ("memory.reserved", "memory_reserved", 1 << 20),
    ("memory.total", "memory_total", 1 << 20),
    ("power.draw", "power_draw", 1.0),
    ("temperature.gpu", "temperature_gpu", 1.0),
    ("temperature.memory", "temperature_memory", 1.0),
    ("clocks.sm", "clock_sm", 1.0),
    ("clocks.mem", "clock_memory", 1.0),
    ("clocks_throttle_reasons.active", "clocks_event_reasons", 1.0),
    ("pstate", "pstate", 1.0),
)
_IDENTITY = ("index", "uuid", "name", "driver_version", "pci.bus_id", "serial")
_FAST_IDS = [CARD_METRICS[i].id for i in tier_columns(CARD_METRICS, Tier.FAST)]
_MAX_PARTIAL = 1 << 16
MAX_CARDS = 64

REASON = "python3 was not found on the node: reduced readings from nvidia-smi"


def command(period_s: float) -> str:
    """The remote command; the period in milliseconds is its only variable part."""
    names = ",".join([*_IDENTITY, *(f[0] for f in _FIELDS)])
    return f"nvidia-smi --query-gpu={names} --format=csv,noheader,nounits -lms {max(500, round(period_s * 1000))}"


class SmiTranslator:
    """Turns nvidia-smi's CSV into wire lines. One stream, one thread at a time."""

    def __init__(
        self,
        period_s: float,
        mono: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._period = period_s
        self._mono = mono
        self._wall = wall
        self._partial = b""
        self._rows: dict[str, list[str]] = {}
        self._known: tuple[str, ...] = ()
        self._number = -1

    def feed(self, data: bytes) -> bytes:
        """Wire lines that `data` completes, possibly none. Rows that are no rows are skipped."""
        *whole, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _MAX_PARTIAL:
            self._partial = b""
        out = b""
        for raw in whole:
            row = self._parse(raw)
            if row is None:
                continue
            if row[1] in self._rows:
                out += self._flush()
            self._rows[row[1]] = row
            if self._known and tuple(self._rows) == self._known:
                out += self._flush()
        return out

    def _parse(self, raw: bytes) -> list[str] | None:
        try:
            row = next(csv.reader([raw.decode("utf-8", "replace")], skipinitialspace=True), [])
        except csv.Error:
            return None
        row = [cell.strip() for cell in row]
        good = len(row) == len(_IDENTITY) + len(_FIELDS) and row[0].isdigit() and row[1].startswith("GPU-")
        return row if good and len(self._rows) < MAX_CARDS else None

    def _flush(self) -> bytes:
        rows, self._rows = list(self._rows.values()), {}
        out = b""
        uuids = tuple(r[1] for r in rows)
        if uuids != self._known:
            self._known = uuids
            out += self._hello(rows)
        values, letters = zip(*(self._values(row) for row in rows), strict=True)
        return out + self._line("s", k="fast", c=list(values), q=list(letters))

    def _hello(self, rows: list[list[str]]) -> bytes:
        return self._line(
            "hello",
            v=1,
            mode="smi",
            reason=REASON,
            boot_id="",
            period={"fast": self._period, "medium": 5.0, "slow": 30.0},
            columns={"fast": _FAST_IDS, "medium": [], "slow": []},
            host_columns={"fast": [], "slow": []},
            entities=[
                {
                    "uuid": row[1],
                    "kind": "card",
                    "index": int(row[0]),
                    "name": row[2],
                    "facts": {"pci_bus_id": row[4].lower(), "serial": row[5]},
                }
                for row in rows
            ],
            versions={"driver": rows[0][3] if rows else ""},
        )

    def _values(self, row: list[str]) -> tuple[list[float | None], str]:
        found = {
            metric: _number(cell, factor)
            for (_, metric, factor), cell in zip(_FIELDS, row[len(_IDENTITY) :], strict=True)
        }
        values = [found.get(m) for m in _FAST_IDS]
        return values, "".join("n" if v is None else "." for v in values)

    def _line(self, tag: str, **fields: Any) -> bytes:
        self._number += 1
        body = {"t": tag, "n": self._number, "w": self._wall(), "m": self._mono(), **fields}
        return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def _number(cell: str, factor: float) -> float | None:
    """The number in a cell: "85", "P0", "0x0000000000000004"; None for "[N/A]" and everything else."""
    try:
        if cell.lower().startswith("0x"):
            return float(int(cell, 16))
        value = float(cell.removeprefix("P"))
    except ValueError:
        return None
    return value * factor if abs(value) < 1e18 else None
