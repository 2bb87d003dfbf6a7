"""The collector as a process: found dead, started again, gone with its window."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from console.fleet.model import Fleet, Node
from console.spawn import COLLECTOR, own_command
from console.telemetry.messages import Passphrase, Start, pack
from console.telemetry.supervisor import CollectorProcess

ROOT = Path(__file__).resolve().parents[2]


def until(holds, seconds=15.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def test_a_killed_collector_comes_back_with_the_fleet_and_leaves_no_memory(monkeypatch):
    monkeypatch.chdir(ROOT)
    process = CollectorProcess(Fleet("x", "", (Node("a", "127.0.0.1", port=1),)), own_command(COLLECTOR)).start()
    try:
        live = process.live
        until(lambda: live.pump() is not None and live.collector == "" and len(live.nodes) == 1)
        first = process.pid
        process.send(Passphrase("k", "s"))
        os.kill(first, signal.SIGKILL)
        until(lambda: live.pump() is not None and process.pid != first and live.collector == "" and live.nodes)
        folder = process._folder.path
        assert folder.exists()
    finally:
        process.close()
    assert not folder.exists()
    assert not Path(f"/proc/{process.pid}").exists()


def test_a_collector_ends_with_its_window(tmp_path):
    child = subprocess.Popen(own_command(COLLECTOR), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdin.write(pack(Start(Fleet("x", "", ()), str(tmp_path))))
    child.stdin.flush()
    assert child.stdout.read(4)
    child.stdin.close()
    assert child.wait(10) == 0
    child.stdout.close()


def test_a_stream_that_is_not_ours_ends_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "console", COLLECTOR], cwd=ROOT, input=b"\xff" * 64, capture_output=True, timeout=20, check=False
    )  # fmt: skip
    assert done.returncode != 0
