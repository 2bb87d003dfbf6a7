"""Every file that was ever released opens, is brought up to date, and says what it said."""

import shutil
import sqlite3

import pytest

from console.history.reader import Reader
from console.history.recorder import Recorder
from console.history.retention import Limits
from console.history.schema import FILE, VERSION
from tests.history.fleet_of import T0
from tests.history.make_fixture import FIXTURES

FILES = sorted(FIXTURES.glob("telemetry-v*.sqlite"))


def test_there_is_a_file_of_every_version():
    assert {int(p.stem.rpartition("-v")[2]) for p in FILES} == set(range(1, VERSION + 1))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_an_old_file_is_brought_up_to_date_and_goes_on(path, tmp_path):
    shutil.copy(path, tmp_path / FILE)
    recorder = Recorder(tmp_path, Limits(), lambda *_: None, lambda _: None, lambda: T0 + 400)
    recorder.flush()
    recorder.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == VERSION
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()
    with Reader(tmp_path) as reader:
        t, v, _ = reader.seconds("GPU-n0-0", "power_draw", T0, T0 + 400)
        assert len(t) == 150
        assert 500 < v.mean() < 700
        minutes = reader.minutes("GPU-n0-0", "power_draw", T0 + 60, T0 + 119)
        assert 500 < minutes.mean[0] < 700
        assert [e.code for e in reader.events(T0, T0 + 400)] == [79]
