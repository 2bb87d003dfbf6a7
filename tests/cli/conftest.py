"""A demo fleet of a module, and commands run over it as a person does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPS = {"test_health": ("--skip", "155"), "test_placing": ("--skip", "155")}
"""Modules whose demo begins later in its script: there are troubles in it."""
NODES = {"test_moving": "20"}


@pytest.fixture(scope="module")
def demo(request):
    module = request.module.__name__.rpartition(".")[2]
    skip, nodes = SKIPS.get(module, ()), NODES.get(module, "6")
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "--demo-server", "--nodes", nodes, "--cards", "8", *skip],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    ready = json.loads(process.stdout.readline())
    yield ready["fleet"]
    process.stdin.close()
    assert process.wait(15) == 0
    process.stdout.close()


@pytest.fixture
def cardkeeper(demo, tmp_path_factory):
    """Run a command over the demo; `desk` is whose data folder it uses."""
    folders = {}

    def run(*arguments, desk="amal", code=0, streams=False, timeout=120):
        data = folders.setdefault(desk, tmp_path_factory.mktemp(desk))
        whole = [sys.executable, "-m", "console", *arguments, "--fleet", demo, "--data", str(data), "--json"]
        done = subprocess.run(
            whole, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        if code:
            return done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return lines if streams else lines[0]

    return run


@pytest.fixture(scope="module")
def cards(demo):
    whole = [sys.executable, "-m", "console", "cards", "--fleet", demo, "--json"]
    found = json.loads(subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=90, check=True).stdout)
    return sorted(found, key=lambda c: (c["node"], c["index"]))
