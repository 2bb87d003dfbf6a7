"""The composition root: from a configuration to a running console; the order of starting and stopping. No Qt."""

from __future__ import annotations

import getpass
import json
import logging
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import platformdirs

from console.fleet.fleetfile import read_fleet
from console.fleet.model import Fleet
from console.remote.auth import KeyRing, Passphrases
from console.remote.check import Check, check_node
from console.remote.connection import Connector
from console.remote.links import record_shown_key
from console.remote.targets import SshOptions, Targets
from console.spawn import COLLECTOR, DEMO_SERVER, own_command
from console.telemetry.live import LiveFleet
from console.telemetry.supervisor import CollectorProcess

if TYPE_CHECKING:
    from console.history.reader import Reader
    from console.history.retention import Cut

_log = logging.getLogger(__name__)
_DIRS = platformdirs.PlatformDirs("cardkeeper", appauthor=False)
DEMO_READY_S = 60.0


_acting_for: ContextVar[str] = ContextVar("acting_for", default="")


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """What is done within is done by somebody else than the person at this workstation."""
    before = _acting_for.set(name)
    try:
        yield
    finally:
        _acting_for.reset(before)


def person() -> str:
    """Who acts here: login@workstation."""
    return _acting_for.get() or f"{getpass.getuser()}@{socket.gethostname()}"


class ConsoleError(RuntimeError):
    """Something a person can mend; the text says what, where, why and the next step."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The size of an embedded demo fleet. `skip_s` begins that far into its script."""

    nodes: int = 12
    cards: int = 8
    seed: int = 1
    interval_s: float = 1.0
    skip_s: float = 0.0
    burst: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """What to watch and where to keep things.

    Attributes:
        fleet: the fleet file; None means the default one, and the demo where that does not exist.
        data: folder of local data.
        demo: run this demo instead of a fleet file.
        record: write history while connected.
        replay: show this recorded folder and connect to nothing.
        link: where the window begins, a console:// link; page: or (page, argument), as ("node", "gpu01").
        server: the host whose server keeps the ledger, [USER@]HOST[:PORT] or a node's name; "" for one's own.
    """

    fleet: Path | None = None
    data: Path = Path(_DIRS.user_data_dir)
    demo: Demo | None = None
    record: bool = False
    replay: Path | None = None
    link: str = ""
    page: tuple[str, str] | None = None
    server: str = ""

    @property
    def history_folder(self) -> Path:
        """Where history lies; a demo's apart, so that simulated readings never stand beside real ones."""
        if self.replay is not None:
            return self.replay
        return self.data / "demo" if self.demo is not None else self.data

    @property
    def fleet_path(self) -> Path:
        """The fleet file in force."""
        return self.fleet if self.fleet is not None else Path(_DIRS.user_config_dir) / "fleet.toml"

    def or_demo(self) -> Config:
        """This configuration, with the demo where no fleet is configured."""
        if self.replay is None and self.demo is None and self.fleet is None and not self.fleet_path.exists():
            return replace(self, demo=Demo())
        return self


class DemoProcess:
    """The demo's servers as a child process; it ends when its standard input closes.

    Attributes:
        fleet: path of the fleet file it wrote.
        pid: its process id.
    """

    def __init__(self, demo: Demo) -> None:
        arguments = [
            DEMO_SERVER,
            *("--nodes", str(demo.nodes), "--cards", str(demo.cards), "--seed", str(demo.seed)),
            *("--interval", str(demo.interval_s), "--skip", str(demo.skip_s)),
            *(["--burst"] if demo.burst else []),
        ]
        self._process = subprocess.Popen(
            own_command(*arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise ConsoleError("the demo fleet did not start; its log above says why")
        self.fleet = Path(json.loads(line)["fleet"])
        self.pid = self._process.pid

    def close(self) -> None:
        """End the demo and wait for it."""
        stdin: IO[bytes] | None = self._process.stdin
        if stdin is not None:
            stdin.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Console:
    """A console over one fleet. `start` and `close` block on files and processes: never on the Qt thread.

    Attributes:
        config: as given.
        fleet: as read.
        printer: makes PDF of HTML, where the program has what it takes.
        live: the fleet's readings; present from `start` on.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.printer: Callable[[str], bytes] | None = None
        self.fleet = Fleet("", "", ())
        self._demo: DemoProcess | None = None
        self._collector: CollectorProcess | None = None
        self._replay: LiveFleet | None = None

    def read(self) -> Console:
        """Read the fleet (starting the demo's servers where a demo is asked for), without connecting.

        Raises:
            FleetError, ConsoleError, OSError: it cannot be had.
        """
        if self.config.replay is not None:
            self.fleet = self._replayed(self.config.replay)
        elif self.config.demo is not None:
            self._demo = DemoProcess(self.config.demo)
            self.fleet = read_fleet(self._demo.fleet)
        else:
            self.fleet = read_fleet(self.config.fleet_path)
        return self

    def start(self, told: Callable[[str], None] | None = None) -> Console:
        """Read the fleet and begin connecting. `told` hears what is being done.

        Raises:
            FleetError, ConsoleError, OSError: it cannot be had; nothing is left running.
        """
        try:
            if told is not None and self.config.demo is not None:
                told("starting the demo fleet")
            self.read()
            if self.config.replay is not None:
                self._replay = LiveFleet(self.fleet, lambda _request: None)
                self._replay.collector = ""
                return self
            if told is not None:
                told(f"connecting to {len(self.fleet.nodes)} nodes")
            history = str(self.config.history_folder) if self.config.record else ""
            self._collector = CollectorProcess(self.fleet, own_command(COLLECTOR), history=history).start()
        except BaseException:
            self.close()
            raise
        return self

    @property
    def is_started(self) -> bool:
        """Whether there is a live fleet to read."""
        return self._collector is not None or self._replay is not None

    @property
    def can_act(self) -> bool:
        """Whether there is a present to act on; a recording has none."""
        return self.config.replay is None

    @property
    def live(self) -> LiveFleet:
        """The live reader.

        Raises:
            ConsoleError: the console was not started.
        """
        if self._replay is not None:
            return self._replay
        if self._collector is None:
            raise ConsoleError("the console has not been started")
        return self._collector.live

    def _replayed(self, folder: Path) -> Fleet:
        """A fleet without nodes that bears a recording's name.

        Raises:
            ConsoleError: nothing is recorded there.
        """
        with self.history() as reader:
            if reader.span() is None:
                raise ConsoleError(f"{folder}: nothing is recorded there")
        try:
            name = str(json.loads((folder / "fleet.json").read_text("utf-8"))["name"])
        except (OSError, ValueError, KeyError, TypeError):
            name = folder.name
        return Fleet(name, str(folder), ())

    def history(self) -> Reader:
        """A reader of what was recorded; close it. Blocks: never on the Qt thread.

        Raises:
            HistoryError: nothing was recorded, or it cannot be read.
        """
        # Imported only by those who look back: SQLite's packages cost a seventh of a second.
        from console.history.reader import Reader

        return Reader(self.config.history_folder)

    def prune_history(self) -> list[Cut]:
        """Take away what is over the limits now; returns what went. Blocks.

        Raises:
            HistoryError: somebody records there now, or the disk refuses.
        """
        from console.history.lock import WriterLock
        from console.history.retention import Limits, Pruner
        from console.history.store import Store

        lock = WriterLock(self.config.history_folder)
        try:
            store = Store(self.config.history_folder)
            try:
                return Pruner(store, Limits()).all(time.time())
            finally:
                store.close()
        finally:
            lock.release()

    @property
    def collector_pid(self) -> int | None:
        """Process id of the collector."""
        return None if self._collector is None else self._collector.pid

    @property
    def demo_pid(self) -> int | None:
        """Process id of the demo's servers."""
        return None if self._demo is None else self._demo.pid

    def check(self, name: str, fleet: Fleet | None = None) -> Iterator[Check]:
        """What works on the way to a node; blocks for each step. `fleet` may hold a node not yet in the file."""
        return check_node(fleet or self.fleet, name, self._ssh())

    def trust(self, name: str, fingerprint: str) -> str:
        """Record the unknown host key on the way to a node, if its fingerprint is the one given.

        Returns what was recorded, "" when every key is known already.

        Raises:
            LinkProblem: another key is shown, or the host cannot be reached.
        """
        connector = Connector(KeyRing(Passphrases()))
        try:
            return record_shown_key(connector, Targets(self.fleet, self._ssh()).of(name), fingerprint)
        finally:
            connector.close()

    @staticmethod
    def _ssh() -> SshOptions:
        return SshOptions()

    def close(self) -> None:
        """Stop collecting, then the demo. Idempotent."""
        collector, self._collector = self._collector, None
        if collector is not None:
            collector.close()
        demo, self._demo = self._demo, None
        if demo is not None:
            demo.close()
