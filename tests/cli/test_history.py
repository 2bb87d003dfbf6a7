"""The history on the command line, as other tools call it."""

import csv
import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from console.cli.main import main
from tests.cli.test_cli import ROOT, demo, run  # noqa: F401 - a fixture
from tests.history.recorded import power, record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    made = record(tmp_path_factory.mktemp("recorded"))
    made.close()
    return made


@pytest.fixture
def cli(recorded, capsys):
    """Runs a line in this process: (status, standard output, standard error)."""

    def call(*arguments, data=recorded.folder):
        try:
            code = main(["--data", str(data), *arguments], lambda _: 9, lambda *_: 9)
        except SystemExit as exc:
            code = exc.code
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def iso(at):
    return datetime.fromtimestamp(at, tz=UTC).isoformat()


def test_seconds_of_a_card(cli, recorded):
    since, until = iso(recorded.begin + 100), iso(recorded.begin + 110)
    code, out, _ = cli(
        "history",
        "query",
        "--card",
        "GPU-gpu01-4",
        "--metric",
        "power_draw",
        "--since",
        since,
        "--until",
        until,
        "--json",
    )
    found = json.loads(out)
    assert code == 0
    assert (found["metric"], found["unit"], found["resolution"]) == ("power_draw", "W", "seconds")
    (series,) = found["series"]
    assert (series["uuid"], series["node"], series["index"]) == ("GPU-gpu01-4", "gpu01", 4)
    assert series["columns"] == ["time", "value", "state"]
    for at, value, state in series["points"]:
        assert (value, state) == (power("gpu01", 4, round(at - recorded.begin)), "fresh")
    assert len(series["points"]) in (10, 11)


def test_points_have_mean_least_and_greatest(cli, recorded):
    code, out, _ = cli(
        "history", "query", "--card", "GPU-gpu01-4", "--metric", "power_draw", "--since", iso(recorded.begin + 60),
        "--until", iso(recorded.begin + 180), "--points", "2", "--json",
    )  # fmt: skip
    series = json.loads(out)["series"][0]
    assert code == 0
    assert series["columns"] == ["time", "mean", "min", "max"]
    assert [p[2:] for p in series["points"]] == [[340.0, 399.0]] * 2
    assert [p[1] for p in series["points"]] == pytest.approx([369.5] * 2, abs=0.6)


def test_a_span_that_begins_with_a_dash_is_taken(cli):
    code, out, err = cli("history", "query", "--node", "gpu01", "--metric", "power_draw", "--since", "-2h", "--json")
    assert (code, err) == (0, "")
    assert len(json.loads(out)["series"]) == 8
    assert cli("history", "events", "--since", "-2h", "--until", "-1s")[0] == 0


def test_a_node_has_its_host(cli):
    code, out, _ = cli("history", "query", "--node", "gpu01", "--metric", "cpu_utilization", "--since", "-2h", "--json")
    (series,) = json.loads(out)["series"]
    assert code == 0
    assert series["uuid"] == "host:gpu01"
    assert {p[1] for p in series["points"]} == {22.0}


def test_csv_has_a_header_and_a_row_a_point(cli):
    code, out, _ = cli(
        "history", "query", "--node", "gpu01", "--metric", "power_draw", "--since", "-2h", "--points", "50", "--csv"
    )
    rows = list(csv.DictReader(out.splitlines()))
    assert code == 0
    assert set(rows[0]) == {"node", "index", "uuid", "metric", "unit", "time", "mean", "min", "max"}
    assert {r["unit"] for r in rows} == {"W"}


@pytest.mark.parametrize("resolution", ["minutes", "hours"])
def test_rolled_up(cli, resolution):
    code, out, _ = cli(
        "history", "query", "--card", "GPU-gpu01-0", "--metric", "power_draw", "--since", "-3h",
        "--resolution", resolution, "--json",
    )  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert found["resolution"] == resolution
    assert found["series"][0]["points"] or resolution == "hours"


def test_events_are_lines_of_json(cli, recorded):
    code, out, _ = cli("history", "events", "--since", "-2h", "--kind", "xid", "--json")
    (row,) = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert (row["node"], row["uuid"], row["code"], row["kind"]) == ("gpu01", "GPU-gpu01-3", 79, "xid")
    assert row["time"] == pytest.approx(recorded.xid_at, abs=0.01)
    text = cli("history", "events", "--since", "-2h", "--kind", "xid")[1]
    assert "79" in text
    assert "gpu01" in text


def test_stats_for_people_and_for_tools(cli):
    code, out, _ = cli("history", "stats", "--json")
    assert code == 0
    assert json.loads(out)
    code, out, _ = cli("history", "stats")
    assert code == 0
    assert "minutes" in out


def test_prune_asks_for_a_word(cli):
    code, _, err = cli("history", "prune")
    assert code == 1
    assert "--plan" in err
    assert cli("history", "prune", "--plan")[0] == 0
    assert cli("history", "prune", "--yes")[0] == 0


def test_export_import_and_look(cli, recorded, tmp_path):
    target = tmp_path / "night.zip"
    code, out, _ = cli("history", "export", str(target), "--since", iso(recorded.begin), "--json")
    assert code == 0
    assert json.loads(out)["nodes"] == 2
    code, out, _ = cli("history", "import", str(target), "--json", data=tmp_path / "other")
    found = json.loads(out)
    assert code == 0
    assert found["open"].startswith("cardkeeper replay ")
    code, out, _ = cli(
        "history", "query", "--card", "GPU-gpu01-0", "--metric", "power_draw", "--since", "-2h", "--json",
        data=found["folder"],
    )  # fmt: skip
    assert code == 0
    assert len(json.loads(out)["series"][0]["points"]) > 500
    code, _, err = cli("history", "import", str(target), data=tmp_path / "other")
    assert code == 1
    assert "exists" in err


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("query", "--card", "GPU-gpu01-0", "--metric", "power_drow"), "did you mean power_draw"),
        (("query", "--card", "GPU-nobody", "--metric", "power_draw"), "nothing was recorded of GPU-nobody"),
        (("query", "--metric", "power_draw"), "--card UUID or --node NAME"),
        (("query", "--card", "GPU-gpu01-0", "--metric", "power_draw", "--since", "soon"), "not a time"),
        (
            ("query", "--card", "GPU-gpu01-0", "--metric", "power_draw", "--since", "now", "--until", "-1h"),
            "not before",
        ),
        (
            ("query", "--card", "GPU-gpu01-0", "--metric", "power_draw", "--resolution", "years"),
            "--resolution is one of",
        ),
        (("export", "/nowhere/x.zip"), "/nowhere"),
    ],
)
def test_what_is_wrong_is_said(cli, arguments, answer):
    code, out, err = cli("history", *arguments)
    assert (code, out) == (1, "")
    assert answer in err


def test_without_history_it_says_how_to_begin(cli, tmp_path):
    code, _, err = cli("history", "stats", data=tmp_path / "none")
    assert code == 1
    assert "cardkeeper collect records" in err
    assert not (tmp_path / "none").exists()


def test_collect_records_and_a_second_one_is_refused(demo, tmp_path):  # noqa: F811
    command = [sys.executable, "-m", "console", "collect", "--fleet", demo, "--data", str(tmp_path), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        deadline = time.monotonic() + 60
        row = {}
        while time.monotonic() < deadline and (row.get("recording") != "on" or not row.get("live")):
            row = json.loads(process.stdout.readline())
        assert row["recording"] == "on"
        second = run("collect", "--fleet", demo, "--data", str(tmp_path), "--seconds", "20")
        assert second.returncode == 1
        assert "records there already" in second.stderr
        time.sleep(8)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    done = run("history", "query", "--node", "gpu-r01-01", "--metric", "power_draw",
               "--data", str(tmp_path), "--since", "-10m", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert all(len(s["points"]) >= 5 for s in json.loads(done.stdout)["series"])


@pytest.mark.parametrize(
    ("oldest", "since", "name"),
    [
        ({"seconds": 4320.0, "minutes": 4320.0, "hours": 3600.0}, 0.0, "seconds"),
        ({"seconds": 4350.0, "minutes": 4320.0, "hours": 3600.0}, 0.0, "seconds"),
        ({"seconds": 9000.0, "minutes": 4320.0, "hours": 3600.0}, 0.0, "minutes"),
        ({"seconds": 9000.0, "minutes": 4320.0, "hours": 3600.0}, 9500.0, "seconds"),
        ({"seconds": 90000.0, "minutes": 80000.0, "hours": 3600.0}, 0.0, "hours"),
        ({"seconds": 4320.0, "minutes": float("inf"), "hours": float("inf")}, 0.0, "seconds"),
    ],
)
def test_the_finest_that_reaches_back_as_far_is_taken_whatever_the_hour(oldest, since, name):
    from types import SimpleNamespace

    from console.historic import _resolution

    assert _resolution(SimpleNamespace(oldest=lambda: oldest), "auto", since) == name
