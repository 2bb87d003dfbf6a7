"""nvidia-smi on the simulated node that has no python3: CSV of exactly the fields asked for, again and again."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from typing import Any

from console.demo.agentrun import GONE, finish
from console.demo.simulation.card import SimulatedCard
from console.demo.simulation.node import SimulatedNode

_QUERY = re.compile(r"--query-gpu=(\S+)")
_LOOP = re.compile(r"-lms (\d{1,8})(?:\s|$)")
_MIB = 1 << 20
_ABSENT = "[N/A]"

_FIELDS: dict[str, Callable[[SimulatedCard], object]] = {
    "index": lambda c: c.index,
    "uuid": lambda c: c.uuid,
    "name": lambda c: c.sku.name,
    "driver_version": lambda _: "580.95.05",
    "pci.bus_id": lambda c: c.pci,
    "serial": lambda c: c.serial if c.sku.has_ecc else _ABSENT,
    "utilization.gpu": lambda c: _ABSENT if c.slices else round(100 * c.doing.busy),
    "utilization.memory": lambda c: _ABSENT if c.slices else round(100 * c.doing.bandwidth),
    "memory.used": lambda c: c.memory_used // _MIB,
    "memory.reserved": lambda c: int(c.sku.memory * 0.0075) // _MIB,
    "memory.total": lambda c: c.sku.memory // _MIB,
    "power.draw": lambda c: f"{c.power:.2f}",
    "temperature.gpu": lambda c: int(c.temperature),
    "temperature.memory": lambda c: c.memory_temperature if c.sku.has_memory_temp else "N/A",
    "clocks.sm": lambda c: c.clock,
    "clocks.mem": lambda c: c.sku.memory_mhz,
    "clocks_throttle_reasons.active": lambda c: f"0x{c.reasons:016x}",
    "pstate": lambda c: "P0" if c.doing.busy > 0.01 or c.sku.has_ecc else "P8",
}


def serve_smi(node: SimulatedNode, channel: Any, command: str) -> None:
    """Answer `nvidia-smi --query-gpu=... --format=csv,noheader,nounits -lms N` until the channel closes."""
    query, loop = _QUERY.search(command), _LOOP.search(command)
    names = query.group(1).split(",") if query else []
    unknown = [n for n in names if n not in _FIELDS]
    if unknown or not names:
        finish(channel, 2, f'Field "{(unknown or [""])[0]}" is not a valid field to query.\n')
        return
    with contextlib.suppress(*GONE):
        while not channel.closed:
            if not node.is_hanging():
                channel.sendall("".join(f"{line}\n" for line in rows(node, names)).encode())
            if loop is None:
                finish(channel, 0)
                return
            time.sleep(int(loop.group(1)) / 1000.0)


def rows(node: SimulatedNode, names: list[str]) -> list[str]:
    """One line a card that answers."""
    node.advance()
    return [", ".join(str(_FIELDS[n](card)) for n in names) for card in node.cards if not card.faults.lost]
