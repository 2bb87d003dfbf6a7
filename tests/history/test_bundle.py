"""A span of history as a file, there and back."""

import json
import zipfile

import pytest

from console.history import bundle
from console.history.errors import HistoryError
from console.history.reader import Reader
from console.history.stats import stats
from tests.history.recorded import record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    made = record(tmp_path_factory.mktemp("recorded"))
    made.close()
    return made


@pytest.fixture
def exported(recorded, tmp_path):
    target = tmp_path / "night.zip"
    with Reader(recorded.folder) as reader:
        about = bundle.export(reader, target, "lab", recorded.begin + 200, recorded.begin + 320)
    return target, about


def test_there_and_back_nothing_is_another(recorded, exported, tmp_path):
    target, about = exported
    assert (about.fleet, about.nodes) == ("lab", 2)
    folder = bundle.unpack(target, tmp_path / "imports")
    span = recorded.begin + 210, recorded.begin + 310
    with Reader(recorded.folder) as here, Reader(folder) as there:
        for uuid in ("GPU-gpu01-0", "GPU-gpu02-7"):
            for metric in ("power_draw", "ecc_volatile_sram_uncorrected"):
                if not here.knows("card", metric):
                    continue
                for a, b in zip(here.seconds(uuid, metric, *span), there.seconds(uuid, metric, *span), strict=True):
                    assert a.tobytes() == b.tobytes()
        assert [e.code for e in there.events(*span)] == [e.code for e in here.events(*span)] == [79]
        assert there.states_at(span[1], "hello").keys() == {"gpu01", "gpu02"}
        minute = int(span[0] // 60) + 1
        mine = here.moment(minute, [("card", "power_draw")])["card", "power_draw"]
        theirs = there.moment(minute, [("card", "power_draw")])["card", "power_draw"]
        assert mine[1].tobytes() == theirs[1].tobytes()


def test_what_lies_outside_is_left_out(recorded, exported, tmp_path):
    folder = bundle.unpack(exported[0], tmp_path / "imports")
    with Reader(folder) as there:
        assert there.minutes_between(recorded.begin, recorded.begin + 150).tolist() == []
        assert all(recorded.begin + 200 <= e.wall_s <= recorded.begin + 320 for e in there.events(0, 2e10))


def test_how_nodes_are_reached_is_not_in_it(exported, tmp_path):
    folder = bundle.unpack(exported[0], tmp_path / "imports")
    with Reader(folder) as there:
        for _, number in there.states_at(2e10, "node").values():
            node = json.loads(there.state(number))["node"]
            assert node["user"] is None
            assert node["identity"] is None
            assert node["jump"] == []


def test_an_empty_span_leaves_no_file(recorded, tmp_path):
    with Reader(recorded.folder) as reader, pytest.raises(HistoryError, match="nothing was recorded in that span"):
        bundle.export(reader, tmp_path / "x.zip", "lab", 1000, 2000)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_not_written_over(recorded, tmp_path):
    target = tmp_path / "x.zip"
    target.write_text("mine")
    with Reader(recorded.folder) as reader, pytest.raises(HistoryError, match="exists"):
        bundle.export(reader, target, "lab", recorded.begin, recorded.begin + 100)
    assert target.read_text() == "mine"


def test_a_changed_bundle_is_refused_and_leaves_nothing(exported, tmp_path):
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(exported[0]) as old, zipfile.ZipFile(bad, "w") as new:
        about = json.loads(old.read("manifest.json"))
        data = bytearray(old.read("telemetry.sqlite"))
        data[len(data) // 2] ^= 0xFF
        new.writestr("manifest.json", json.dumps(about))
        new.writestr("telemetry.sqlite", bytes(data))
    with pytest.raises(HistoryError, match="hash"):
        bundle.unpack(bad, tmp_path / "imports")
    assert list((tmp_path / "imports").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x05\x06" + bytes(18)])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    with pytest.raises(HistoryError, match="not a history bundle"):
        bundle.look(path)


def test_a_newer_bundle_is_refused(exported, tmp_path):
    newer = tmp_path / "newer.zip"
    with zipfile.ZipFile(exported[0]) as old, zipfile.ZipFile(newer, "w") as new:
        about = json.loads(old.read("manifest.json")) | {"version": 99}
        new.writestr("manifest.json", json.dumps(about))
        new.writestr("telemetry.sqlite", old.read("telemetry.sqlite"))
    with pytest.raises(HistoryError, match="newer Cardkeeper"):
        bundle.look(newer)


def test_stats_count_what_is_there(recorded):
    with Reader(recorded.folder) as reader:
        found = stats(reader, recorded.begin + 600)
    text = json.dumps(found)
    assert '"raw"' in text or '"seconds"' in text
    assert "NaN" not in text
    assert "Infinity" not in text
