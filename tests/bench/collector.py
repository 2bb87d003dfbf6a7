"""What the collector and the agent cost."""

from __future__ import annotations

import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from console.app import Config, Console, Demo
from console.remote import bundle
from tests.nvml.build import build_library


def cpu_s(pid: int) -> float:
    """CPU seconds of a process's living threads, by the scheduler's nanoseconds: ticks miss what sleeps most of one."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(t.read_text().split()[0]) for t in tasks) / 1e9


@contextmanager
def fleet(nodes: int, cards: int = 8, burst: bool = False) -> Iterator[Console]:
    """A demo fleet of that size, all live."""
    console = Console(Config(data=Path(tempfile.gettempdir()), demo=Demo(nodes, cards, burst=burst))).start()
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            console.live.pump(0.1)
            if (
                len(console.live.nodes) == nodes
                and sum(n.link.name == "LIVE" for n in console.live.nodes) > 0.9 * nodes
            ):
                break
            time.sleep(0.1)
        yield console
    finally:
        console.close()


def _openssh(console: Console, count: int, seconds: float) -> float | None:
    """CPU ms a node-second of OpenSSH clients and one loop that decodes them: same agent, same servers."""
    program = bundle.agent_bundle()
    config = {"mode": "stream", "period": {"fast": 1.0, "medium": 5.0, "slow": 30.0}, "ttl_s": 300}
    commands = []
    for node in [n for n in console.fleet.nodes if n.name][:count]:
        options = ["-o", f"UserKnownHostsFile={node.known_hosts}", "-o", "BatchMode=yes", "-F", "/dev/null"]
        place = ["-i", str(node.identity), "-p", str(node.port), f"{node.user}@{node.host}"]
        commands.append(["ssh", *options, *place, bundle.command("python3")])
    first = base64.b64encode(program.header(config) + program.data).decode()
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.openssh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(json.dumps({"commands": commands, "first": first}).encode() + b"\n")
        child.stdin.flush()
        clients = json.loads(child.stdout.readline())
        time.sleep(8.0)
        living = [pid for pid in clients if Path(f"/proc/{pid}").exists()]
        before = sum(cpu_s(pid) for pid in (child.pid, *living))
        time.sleep(seconds)
        after = sum(cpu_s(pid) for pid in (child.pid, *living))
        return 1000.0 * (after - before) / seconds / max(1, len(living))
    finally:
        child.stdin.close()
        child.wait(20)
        child.stdout.close()


def fan_in(sizes: tuple[int, ...] = (50, 200, 400), seconds: float = 20.0) -> dict[str, Any]:
    """Collector CPU ms a node-second (transport, decode, rings), beside OpenSSH clients of 50 of the same nodes."""
    out: dict[str, Any] = {}
    for nodes in sizes:
        with fleet(nodes) as console:
            assert console.collector_pid is not None
            assert console.demo_pid is not None
            _rest(console, 5.0)
            before, servers = cpu_s(console.collector_pid), cpu_s(console.demo_pid)
            _rest(console, seconds)
            live = sum(n.link.name == "LIVE" for n in console.live.nodes)
            used = cpu_s(console.collector_pid) - before
            out[str(nodes)] = {
                "live": live,
                "collector_ms_per_node_s": round(1000.0 * used / seconds / max(1, live), 3),
                "demo_ms_per_node_s": round(1000.0 * (cpu_s(console.demo_pid) - servers) / seconds / nodes, 3),
            }
            if nodes == sizes[0]:
                ssh = _openssh(console, nodes, seconds)
                out["openssh_and_decode_ms_per_node_s_at_50"] = None if ssh is None else round(ssh, 3)
    return out


def _rest(console: Console, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        console.live.pump(0.05)
        time.sleep(0.1)


def latency(nodes: int = 200, seconds: float = 15.0) -> dict[str, Any]:
    """From the agent's stamp to the window's process seeing the row, ms. Both ends share this machine's clock.

    The board stores the agent's monotonic stamp mapped by its least delayed line, which on one machine differs from
    the true one by that least delay; so this is the delay beyond it plus the wait until the reader looks (1 ms).
    """
    with fleet(nodes) as console:
        _rest(console, 5.0)
        live = console.live
        seen = live.sample_times().copy()
        found: list[float] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            times, now = live.sample_times(), time.monotonic()
            if len(times) == len(seen):
                fresh = np.flatnonzero(times > seen)
                found += (1000.0 * (now - times[fresh])).tolist()
            seen = times.copy()
            time.sleep(0.001)
        values = np.array(found)
        return {
            "nodes": nodes,
            "p50_ms": round(float(np.percentile(values, 50)), 2),
            "p99_ms": round(float(np.percentile(values, 99)), 2),
        }


def agent_cost(seconds: float = 20.0) -> dict[str, Any]:
    """The agent on the C library, 8 cards at 1 Hz: percent of a core, ms a sample, memory."""
    with tempfile.TemporaryDirectory() as folder:
        library = build_library(Path(folder))
        env = dict(os.environ, LD_LIBRARY_PATH=str(library.parent))
        program = bundle.agent_bundle()
        config = {"mode": "stream", "period": {"fast": 1.0, "medium": 5.0, "slow": 30.0}}
        process = subprocess.Popen(
            ["/bin/sh", "-c", "exec " + bundle.command(sys.executable)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(program.header(config) + program.data)
            process.stdin.flush()
            process.stdout.readline()
            time.sleep(2.0)
            before, begun = cpu_s(process.pid), time.monotonic()
            ends, costs = begun + seconds, []
            while time.monotonic() < ends:
                line = json.loads(process.stdout.readline())
                if line["t"] == "s" and line["k"] == "fast" and line["h"][-3]:
                    costs.append(line["h"][-3])
            share = (cpu_s(process.pid) - before) / (time.monotonic() - begun)
            status = Path(f"/proc/{process.pid}/status").read_text()
            rss = int(status.split("VmRSS:")[1].split()[0]) / 1024
        finally:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
    return {
        "percent_of_a_core": round(100 * share, 2),
        "fast_pass_ms_median": round(statistics.median(costs), 3) if costs else None,
        "rss_mib": round(rss, 1),
    }
