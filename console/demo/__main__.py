"""`python -m console.demo`: run the demo's nodes until standard input ends.

Prints one JSON line when all nodes listen: {"fleet": path of the fleet file, "known_hosts": path, "pid": process id}.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from console import logs
from console.demo.fleet import plan_fleet
from console.demo.server import USER, DemoNode, DemoServers
from console.demo.simulation.node import SimulatedNode

FLEET_NAME = "Demo fleet (simulated)"


def _new_key() -> tuple[str, paramiko.Ed25519Key]:
    text = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return text, paramiko.Ed25519Key.from_private_key(io.StringIO(text))


def _fleet_file(nodes: list[DemoNode], folder: Path, interval_s: float) -> str:
    def quoted(text: str) -> str:
        return json.dumps(text)

    lines = [
        f"name = {quoted(FLEET_NAME)}",
        "demo = true",
        "[defaults]",
        f"user = {quoted(USER)}",
        f"identity = {quoted(str(folder / 'client_key'))}",
        f"known_hosts = {quoted(str(folder / 'known_hosts'))}",
        f"interval_s = {interval_s}",
    ]
    for node in nodes:
        plan = node.node.plan
        labels = ", ".join(f"{k} = {quoted(v)}" for k, v in plan.labels.items())
        lines += [
            "[[node]]",
            f"name = {quoted(plan.name)}",
            'host = "127.0.0.1"',
            f"port = {node.port}",
            f"region = {quoted(plan.region)}",
            f"rack = {quoted(plan.rack)}",
            f"supplier = {quoted(plan.supplier)}",
            f"labels = {{{labels}}}",
        ]
    return "\n".join(lines) + "\n"


def _prepare(folder: Path, options: argparse.Namespace) -> list[DemoNode]:
    text, client = _new_key()
    key_file = folder / "client_key"
    key_file.touch(0o600)
    key_file.write_text(text)
    epoch = time.monotonic() - options.skip
    plans = plan_fleet(options.nodes, options.cards, options.seed, options.speed)
    nodes = [
        DemoNode(SimulatedNode(plan, epoch), _new_key()[1], client, options.burst, folder / "books") for plan in plans
    ]
    hosts = [f"[127.0.0.1]:{n.port} {n.host_key.get_name()} {n.host_key.get_base64()}\n" for n in nodes]
    (folder / "known_hosts").write_text("".join(hosts))
    (folder / "fleet.toml").write_text(_fleet_file(nodes, folder, options.interval))
    return nodes


def _wait(end: threading.Event) -> None:
    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        end.set()

    threading.Thread(target=watch, daemon=True).start()
    end.wait()


def _number(text: str, least: float, most: float, whole: bool) -> float:
    value = float(int(text) if whole else float(text))
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"must be from {least:g} to {most:g}, not {text}")
    return value


def _count(most: int) -> Callable[[str], int]:
    def count(text: str) -> int:
        return int(_number(text, 1, most, True))

    return count


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def seconds(text: str) -> float:
        return _number(text, least, most, False)

    return seconds


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m console.demo", description=__doc__)
    parser.add_argument("--nodes", type=_count(2000), default=12)
    parser.add_argument("--cards", type=_count(16), default=8, help="cards a node; some models come in fours")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--interval", type=_seconds(0.5, 3600.0), default=1.0, help="seconds between samples")
    parser.add_argument("--skip", type=_seconds(0.0, 7200.0), default=0.0, help="begin so many seconds into the script")
    parser.add_argument("--speed", type=_seconds(0.1, 10_000.0), default=1.0, help="days pass so many times as fast")
    parser.add_argument("--burst", action="store_true", help="let all agents emit at the same instant")
    return parser.parse_args(argv)


def _allow_sockets(nodes: int) -> None:
    """Two sockets a node; the usual soft limit is 1,024 files."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * nodes + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main(argv: list[str] | None = None) -> int:
    """Serve until standard input ends or a signal comes, then end the process; 2 is returned for wrong usage only."""
    try:
        options = _options(argv)
    except SystemExit as exc:
        return int(exc.code or 0)
    _allow_sockets(options.nodes)
    logs.configure("demo")
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    folder = Path(tempfile.mkdtemp(prefix="cardkeeper-demo-"))
    try:
        servers = DemoServers(_prepare(folder, options))
        ready = {"fleet": str(folder / "fleet.toml"), "known_hosts": str(folder / "known_hosts"), "pid": os.getpid()}
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
        _wait(end)
        servers.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    logging.shutdown()
    os._exit(0)  # transports of cut connections may linger; nothing is left to save


if __name__ == "__main__":
    sys.exit(main())
