"""A fleet of nodes for operations: the real answering program and helper over real card books; only the driver is played."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from console.agent import answer as program
from console.operations.door import Declined, NotSent, Unsure
from console.operations.execute import Executor
from console.operations.journal import Journal
from console.operations.plan import Asked, Plan, View, Work, make
from console.operations.states import NODE, Book, Health, book_of
from console.operations.steps import Steps

ROOT = Path(__file__).resolve().parents[2]
SMI = """#!/bin/sh
echo "$*" >> {folder}/calls
case "$1" in
    -i) echo "$4" > "{folder}/mode.$2" ;;
    --gpu-reset) : ;;
esac
"""


class Driver:
    """NVML of one node, with as much as proving idleness asks for. Processes and modes lie in files and lists."""

    NVMLError = pynvml.NVMLError

    def __init__(self, folder: Path, cards: list[str]) -> None:
        self.folder = folder
        self.cards = cards
        self.pids: dict[str, list[int]] = {}
        self.memory = dict.fromkeys(cards, 500 << 20)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("nvml"):

            def unsupported(*_: Any) -> Any:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

            return unsupported
        raise AttributeError(name)

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        return self.cards[index]

    def nvmlDeviceGetUUID(self, card: str) -> str:
        return card

    def nvmlDeviceGetMinorNumber(self, card: str) -> int:
        return 200 + self.cards.index(card)

    def nvmlDeviceGetMemoryInfo(self, card: str) -> Any:
        return SimpleNamespace(used=self.memory[card], total=80 << 30, free=0)

    def nvmlDeviceGetComputeMode(self, card: str) -> int:
        path = self.folder / f"mode.{card}"
        return int(path.read_text()) if path.exists() else 0

    def nvmlDeviceGetComputeRunningProcesses_v3(self, card: str) -> list[Any]:
        return [SimpleNamespace(pid=p, usedGpuMemory=1 << 20) for p in self.pids.get(card, [])]

    def nvmlDeviceGetGraphicsRunningProcesses_v3(self, card: str) -> list[Any]:
        return []

    def nvmlDeviceGetMPSComputeRunningProcesses_v3(self, card: str) -> list[Any]:
        return []


@dataclass
class Site:
    """Nodes that answer; `cut` may raise before or after a question is answered, as a network and a killed console do."""

    folder: Path
    names: list[str]
    cards_a_node: int = 2
    rights: bool = True
    drivers: dict[str, Driver] = field(default_factory=dict)
    cut: Callable[[str, str, dict[str, Any]], None] = lambda when, node, request: None
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    boots: dict[str, str] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        for name in self.names:
            place = self.folder / name
            (place / "book").mkdir(parents=True)
            (place / "bin").mkdir()
            smi = place / "bin" / "nvidia-smi"
            smi.write_text(SMI.format(folder=place))
            smi.chmod(0o755)
            text = (ROOT / "resources" / "cardkeeper-node").read_text("utf-8")
            helper = place / "cardkeeper-node"
            helper.write_text(text.replace("PATH=/usr/sbin", f"PATH={place}/bin:/usr/sbin"))
            helper.chmod(0o755)
            self.drivers[name] = Driver(place, [f"GPU-{name}-{i}" for i in range(self.cards_a_node)])

    def ask(self, node: str, request: dict[str, Any], timeout_s: float = 30.0) -> dict[str, Any]:
        self.cut("before", node, request)
        with self.lock:
            self.asked.append((node, json.loads(json.dumps(request))))
        place = self.folder / node
        helper = str(place / "cardkeeper-node") if self.rights else "/nonexistent"
        reply = program.answer({**request, "node": node}, str(place / "book"), helper, self.drivers[node])
        if "boot_id" in reply:
            reply["boot_id"] = self.boots.get(node, "boot-1")
        self.cut("after", node, request)
        if not reply.get("ok"):
            raise Declined(reply["code"], reply["text"])
        return json.loads(json.dumps(reply))

    def book(self, node: str) -> Book:
        return book_of(node, self.ask(node, {"verb": "book.read", "rights": True}))

    def view(self, node: str, target: str = NODE, **more: Any) -> View:
        uuids = tuple(self.drivers[node].cards) if target == NODE else (target,)
        work = tuple(Work(p, "amal", "train") for u in uuids for p in self.drivers[node].pids.get(u, []))
        fields: dict[str, Any] = {"work": work, "health": Health.OK, "age_s": 1.0, "group": "", "group_cards": 10_000}
        return View(node, target, f"{node} {target}", uuids, self.book(node), **(fields | more))

    def modes(self, node: str) -> list[int]:
        driver = self.drivers[node]
        return [driver.nvmlDeviceGetComputeMode(c) for c in driver.cards]


@dataclass
class Desk:
    """One console: its journal, its session, its person."""

    site: Site
    folder: Path
    session: str = "s1"
    by: str = "amal@ws1"
    now: float = 1_800_000_000.0
    mono: float = 0.0
    count: int = 0

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder, wall=lambda: self.now)
        self.steps = Steps(self.journal, self.site, wall=lambda: self.now, mono=lambda: self.mono, sleep=self._sleep)
        self.executor = Executor(self.steps)

    def _sleep(self, seconds: float) -> None:
        self.mono += seconds
        self.now += seconds

    def asked(self, verb: str, **more: Any) -> Asked:
        self.count += 1
        op = more.pop("op", f"{self.session}{self.count:08d}")
        return Asked(verb, op, self.session, self.by, more.pop("reason", "xid 79"), self.now, **more)

    def plan(self, asked: Asked, *targets: tuple[str, str], **view: Any) -> Plan:
        return make(asked, [self.site.view(n, t, **view) for n, t in targets])

    def do(self, verb: str, *targets: tuple[str, str], view: dict[str, Any] | None = None, **more: Any) -> Any:
        plan = self.plan(self.asked(verb, **more), *targets, **(view or {}))
        return self.executor.run(plan, plan)

    def uuids_of(self, node: str, target: str) -> list[str]:
        return self.site.drivers[node].cards if target == NODE else [target]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "nodes", ["gpu01", "gpu02", "gpu03"])


@pytest.fixture
def desk(site: Site, tmp_path: Path) -> Desk:
    return Desk(site, tmp_path / "ws1")


@pytest.fixture
def other(site: Site, tmp_path: Path) -> Desk:
    return Desk(site, tmp_path / "ws2", session="s2", by="bea@ws2")


__all__ = ["Declined", "Desk", "NotSent", "Site", "Unsure"]
