"""The command line as other tools call it."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.fleet.metrics import CARD_METRICS

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments, timeout=90):
    command = [sys.executable, "-m", "console", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def demo():
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "--demo-server", "--nodes", "5", "--cards", "4"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    ready = json.loads(process.stdout.readline())
    yield ready["fleet"]
    process.stdin.close()
    assert process.wait(15) == 0
    process.stdout.close()
    assert not Path(ready["fleet"]).parent.exists()


def test_version():
    assert run("--version").stdout.startswith("cardkeeper 0.")


@pytest.mark.parametrize("arguments", [("nonsense",), ("cards", "--nonsense"), ("fleet",), ("fleet", "trust")])
def test_usage_errors_are_two(arguments):
    assert run(*arguments).returncode == 2


def test_no_fleet_file_says_how_to_begin(tmp_path):
    done = run("nodes", "--fleet", str(tmp_path / "none.toml"))
    assert done.returncode == 1
    assert "fleet import" in done.stderr
    assert done.stdout == ""


def test_a_faulty_fleet_file_names_file_line_and_key(tmp_path):
    path = tmp_path / "fleet.toml"
    path.write_text('[[node]]\nname = "a"\nhots = "b"\n')
    done = run("nodes", "--fleet", str(path))
    assert done.returncode == 1
    assert f"{path}:3: hots: is not a known key; did you mean `host`?" in done.stderr


def test_cards_keep_their_contract(demo):
    done = run("cards", "--fleet", demo, "--json")
    assert done.returncode == 0, done.stderr
    cards = json.loads(done.stdout)
    assert len(cards) == 20
    for card in cards:
        assert {"uuid", "node", "index", "name", "readings", "processes", "slices"} <= set(card)
        assert set(card["readings"]) == {m.id for m in CARD_METRICS}
        for reading in card["readings"].values():
            assert set(reading) == {"value", "unit", "state", "age_s"}
            assert (reading["value"] is None) == (reading["state"] not in ("fresh", "stale"))
    assert sum(len(c["slices"]) for c in cards) == 3
    assert {p["user"] for c in cards for p in c["processes"]} - {""}


def test_nodes_and_their_table(demo):
    rows = json.loads(run("nodes", "--fleet", demo, "--json").stdout)
    assert {r["link"] for r in rows} == {"live"}
    table = run("nodes", "--fleet", demo).stdout
    assert table.startswith("NODE")
    assert rows[0]["node"] in table


def test_watch_streams_and_stops(demo):
    done = run("watch", "--fleet", demo, "--seconds", "3", "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    fast = [r["time"] for r in rows if r["tier"] == "fast" and r["uuid"] == rows[0]["uuid"]]
    assert len(fast) >= 2
    assert fast == sorted(fast)
    assert run("watch", "--fleet", demo, "--node", "none").returncode == 1


def test_check_finds_the_way_and_fails_on_a_closed_port(demo, tmp_path):
    done = run("fleet", "check", "--fleet", demo, "--json")
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert {s["check"] for s in steps} >= {
        "name",
        "port",
        "host_key",
        "auth",
        "python",
        "nvml",
        "driver",
        "clock",
        "persistence",
    }
    path = tmp_path / "fleet.toml"
    path.write_text('[[node]]\nname = "a"\nhost = "127.0.0.1"\nport = 1\n')
    done = run("fleet", "check", "--fleet", str(path), "--json")
    steps = {s["check"]: s for s in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1
    assert (steps["port"]["status"], steps["auth"]["status"]) == ("fail", "unknown")
    assert "sshd" in steps["port"]["next_step"]


def test_import_writes_a_file_that_can_be_read_and_never_overwrites(tmp_path):
    source, target = tmp_path / "hosts.ini", tmp_path / "fleet.toml"
    source.write_text("[gpu]\ngpu[01:02] ansible_user=ops\nbad;name\n")
    done = run("fleet", "import", str(source), "--output", str(target))
    assert done.returncode == 0
    assert "warning" in done.stderr
    assert target.read_text().count("[[node]]") == 2
    again = run("fleet", "import", str(source), "--output", str(target))
    assert again.returncode == 1
    assert "--force" in again.stderr


def test_the_demo_without_a_window_lives_and_leaves_nothing(tmp_path):
    begun = time.monotonic()
    done = run("demo", "--no-window", "--nodes", "2", "--cards", "2", "--seconds", "4", "--json")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["nodes"], last["live"], last["cards"]) == (2, 2, 4)
    assert time.monotonic() - begun < 30
    assert (
        subprocess.run(
            ["pgrep", "-f", "console --demo-server --nodes 2 --cards 2"], check=False, capture_output=True
        ).returncode
        == 1
    )
