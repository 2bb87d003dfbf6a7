"""An agent's stream as bytes, and a fleet fed by such streams through the real collector and reader, in one process."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from console.fleet.metrics import CARD_METRICS, HOST_METRICS, Tier, tier_columns
from console.fleet.model import Fleet, Node
from console.fleet.state import LinkState, Problem
from console.telemetry.collector import Collector
from console.telemetry.live import LiveFleet
from console.telemetry.messages import Focus, Ready, Request, message_decoder, pack
from console.telemetry.segments import SegmentFolder
from console.telemetry.tape import Tape

CARD_IDS = {t: [CARD_METRICS[i].id for i in tier_columns(CARD_METRICS, t)] for t in Tier}
HOST_IDS = {t: [HOST_METRICS[i].id for i in tier_columns(HOST_METRICS, t)] for t in (Tier.FAST, Tier.SLOW)}

PLAUSIBLE: dict[str, float] = {
    "utilization_gpu": 91,
    "utilization_memory": 40,
    "memory_used": 60 * 2**30,
    "memory_reserved": 2**29,
    "memory_total": 80 * 2**30,
    "power_draw": 612.5,
    "energy": 1.5e9,
    "temperature_gpu": 64,
    "temperature_memory": 78,
    "clock_sm": 1740,
    "clock_memory": 2619,
    "clocks_event_reasons": 0,
    "pstate": 0,
    "process_count": 1,
    "temperature_margin": 21,
    "power_limit": 700,
    "persistence_mode": 1,
    "ecc_mode": 1,
    "pcie_generation": 5,
    "pcie_width": 16,
    "nvlink_active": 18,
    "fabric_state": 3,
    "cpu_utilization": 22,
    "host_memory_used": 300 * 2**30,
    "host_memory_total": 2000 * 2**30,
    "uptime": 1e6,
    "ntp_synchronised": 1,
}


class NodeStream:
    """Writes what an agent would write. Clocks start at `mono` and `wall` and move with `wait`."""

    def __init__(self, name: str, cards: int = 8, sku: str = "NVIDIA H100 80GB HBM3", slices: int = 0) -> None:
        self.name = name
        self.sequence = -1
        self.mono = 5000.0
        self.wall = time.time()
        self.period = {"fast": 1.0, "medium": 5.0, "slow": 30.0}
        self.mode = "nvml"
        self.boot_id = f"boot-{name}"
        self.versions = {"driver": "580.65.06", "agent": "1", "python": "3.11.7"}
        self.entities: list[dict[str, Any]] = [
            {"uuid": f"GPU-{name}-{i}", "kind": "card", "index": i, "name": sku, "facts": {"serial": f"S{i}"}}
            for i in range(cards)
        ]
        self.entities += [
            {"uuid": f"MIG-{name}-{i}", "kind": "slice", "index": i, "name": "1g.10gb", "parent": f"GPU-{name}-0"}
            for i in range(slices)
        ]

    @property
    def uuids(self) -> list[str]:
        return [e["uuid"] for e in self.entities]

    def wait(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += seconds

    def line(self, tag: str, **fields: Any) -> bytes:
        self.sequence += 1
        body = {"t": tag, "n": self.sequence, "w": self.wall, "m": self.mono, **fields}
        return json.dumps(body, separators=(",", ":")).encode() + b"\n"

    def hello(self) -> bytes:
        return self.line(
            "hello", v=1, mode=self.mode, reason="", boot_id=self.boot_id, period=self.period,
            columns=dict(CARD_IDS), host_columns=dict(HOST_IDS), entities=self.entities,
            versions=self.versions, host={"hostname": self.name},
        )  # fmt: skip

    def sample(
        self,
        tier: str = "fast",
        values: dict[str, dict[str, float | None]] | None = None,
        letters: dict[str, dict[str, str]] | None = None,
        only: Iterable[str] | None = None,
        host: dict[str, float | None] | None = None,
    ) -> bytes:
        """A sample of plausible values with `values[uuid][metric]` and `letters[uuid][metric]` put in their place."""
        ids = CARD_IDS[Tier(tier)]
        chosen = [e["uuid"] for e in self.entities] if only is None else list(only)
        rows: list[list[float | None]] = []
        verdicts: list[str | None] = []
        for uuid in chosen:
            mine, marks = (values or {}).get(uuid, {}), (letters or {}).get(uuid, {})
            rows.append([None if m in marks else mine.get(m, PLAUSIBLE.get(m, 0.0)) for m in ids])
            text = "".join(marks.get(m, ".") for m in ids)
            verdicts.append(None if set(text) <= {"."} else text)
        fields: dict[str, Any] = {"k": tier, "c": rows}
        if any(verdicts):
            fields["q"] = verdicts
        if only is not None:
            fields["i"] = [self.uuids.index(u) for u in chosen]
        if tier in ("fast", "slow"):
            fields["h"] = [(host or {}).get(m, PLAUSIBLE.get(m, 0.0)) for m in HOST_IDS[Tier(tier)]]
        return self.line("s", **fields)

    def everything(self) -> bytes:
        """A hello and one sample of each tier."""
        return self.hello() + self.sample("fast") + self.sample("medium") + self.sample("slow")


class QuietLinks:
    """Links that connect nothing and remember what they were told; the test plays the nodes."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.restarted: list[tuple[str, Problem]] = []
        self.added: list[str] = []
        self.removed: list[str] = []

    def add(self, name: str) -> None:
        self.added.append(name)

    def remove(self, name: str) -> None:
        self.removed.append(name)

    def send(self, name: str, line: bytes) -> None:
        self.sent.append((name, line))

    def restart(self, name: str, problem: Problem) -> None:
        self.restarted.append((name, problem))

    def close(self) -> None:
        return


class FleetInOneProcess:
    """A fleet whose nodes are `NodeStream`s, through the real collector, messages, shared memory and reader.

    `now` moves both clocks of this machine by hand when `steady` is False.
    """

    def __init__(
        self, folder: Path, nodes: Iterable[Node | str], steady: bool = True, tape: Tape | None = None
    ) -> None:
        made = tuple(n if isinstance(n, Node) else Node(n, f"{n}.example", rack=f"r{n[-1:]}") for n in nodes)
        self.fleet = Fleet("test", "", made)
        self.now = time.monotonic()
        self._wall_minus_mono = time.time() - self.now
        self._steady = steady
        folder.mkdir(exist_ok=True)
        self.links = QuietLinks()
        self.requests: list[Request] = []
        self.collector = Collector(SegmentFolder(folder), lambda: None, len(made), self.mono, self.wall, tape)
        self.live = LiveFleet(self.fleet, self._request, self.mono, self.wall)
        self.live.receive(Ready(0))
        self.collector.begin(self.fleet, self.links)
        self.streams = {n.name: NodeStream(n.name) for n in made}
        self.pump()

    def mono(self) -> float:
        return time.monotonic() if self._steady else self.now

    def wall(self) -> float:
        return self.mono() + self._wall_minus_mono

    def _request(self, request: Request) -> None:
        self.requests.append(request)
        if isinstance(request, Focus):
            self.collector.focus(request.uuids, request.period_s)

    def connect(self, name: str) -> NodeStream:
        """Open the node's stream and let it say hello and one sample of each tier."""
        stream = self.streams[name]
        stream.sequence = -1
        self.collector.link_state(name, LinkState.CONNECTING, None)
        self.collector.link_state(name, LinkState.LIVE, None)
        self.feed(name, stream.everything())
        return stream

    def connect_all(self) -> None:
        for name in self.streams:
            self.connect(name)

    def feed(self, name: str, data: bytes) -> None:
        """Bytes of a node's agent arrive."""
        self.collector.link_bytes(name, data)
        self.pump()

    def pass_time(self, seconds: float) -> None:
        """Move this machine's and every node's clocks."""
        self.now += seconds
        for stream in self.streams.values():
            stream.wait(seconds)

    def pump(self) -> None:
        """Carry messages over as the pipe would, and apply them."""
        for message in self.collector.take():
            self.live.receive(message_decoder.decode(pack(message)[4:]))
        self.live.pump(10.0)
