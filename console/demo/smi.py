"""nvidia-smi on the simulated node that has no python3: CSV of exactly the fields asked for, again and again."""

from __future__ import annotations

import contextlib
import re
import time
from typing import Any

import paramiko

from console.demo.simulation.card import SimulatedCard
from console.demo.simulation.node import SimulatedNode

_QUERY = re.compile(r"--query-gpu=(\S+)")
_LOOP = re.compile(r"-lms (\d+)")
_MIB = 1 << 20


def serve_smi(node: SimulatedNode, channel: Any, command: str) -> None:
    """Answer `nvidia-smi --query-gpu=... --format=csv,noheader,nounits -lms N` until the channel closes."""
    query, loop = _QUERY.search(command), _LOOP.search(command)
    names = query.group(1).split(",") if query else []
    time.sleep(0.05)  # the answer to the request goes first
    period = int(loop.group(1)) / 1000.0 if loop else 0.0
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        while not channel.closed:
            node.advance()
            for card in node.cards:
                channel.sendall(", ".join(_cell(card, name) for name in names).encode() + b"\n")
            if not period:
                channel.send_exit_status(0)
                channel.close()
            time.sleep(period)


def _cell(card: SimulatedCard, name: str) -> str:
    sku, doing = card.sku, card.doing
    known: dict[str, object] = {
        "index": card.index,
        "uuid": card.uuid,
        "name": sku.name,
        "driver_version": "580.95.05",
        "pci.bus_id": card.pci,
        "serial": card.serial,
        "utilization.gpu": round(100 * doing.busy),
        "utilization.memory": round(100 * doing.bandwidth),
        "memory.used": card.memory_used // _MIB,
        "memory.reserved": int(sku.memory * 0.0075) // _MIB,
        "memory.total": sku.memory // _MIB,
        "power.draw": f"{card.power:.2f}",
        "temperature.gpu": int(card.temperature),
        "temperature.memory": card.memory_temperature if sku.has_memory_temp else "N/A",
        "clocks.sm": card.clock,
        "clocks.mem": sku.memory_mhz,
        "clocks_throttle_reasons.active": f"0x{card.reasons:016x}",
        "pstate": "P0",
    }
    return str(known.get(name, "[N/A]"))
