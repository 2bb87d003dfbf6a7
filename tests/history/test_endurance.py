"""What is written survives: killed writers, a full disk, a torn log, a folder that cannot be written, a second writer."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from console.history.errors import HistoryBusy, HistoryError
from console.history.lock import WriterLock
from console.history.reader import Reader
from console.history.recorder import FLUSH_S, Recorder
from console.history.retention import Limits
from console.history.schema import FILE
from tests.history.fleet_of import Taped

ROOT = Path(__file__).resolve().parents[2]
KILLS = 50

WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from console.history import recorder as module
from console.history.recorder import Pass, Recorder
from console.history.retention import Limits
from console.history.store import tier_metrics

module.FLUSH_S = 0.2
width = len(tier_metrics("card", "fast"))
made = Recorder(Path(sys.argv[1]), Limits(), lambda *_: None, lambda _: None).start()
made.describe("n0", [("GPU-0", "card", 0, "H100", "", {}), ("GPU-1", "card", 1, "H100", "", {})])
made.set_periods("n0", {"fast": 1.0})
number = int(sys.argv[2])
while True:
    now = time.time()
    print(number, now, flush=True)
    made.sampled(Pass("n0", ("GPU-0", "GPU-1"), "fast", int(now * 1e6), 0, np.full((2, width), float(number)), 1, None, None))
    number += 1
    time.sleep(0.005)
"""
"""Writes a rising number as every value, and says each on its standard output: what is lost can be counted."""


def sequence(folder):
    with Reader(folder) as reader:
        t, v, _ = reader.seconds("GPU-0", "power_draw", 0, time.time() + 60)
    return t, v


def fill(path):
    with pytest.raises(OSError, match="No space"), path.open("wb", buffering=0) as out:  # noqa: PT012
        while True:
            out.write(os.urandom(65536))


def check_file(folder):
    with sqlite3.connect(folder / FILE) as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()


def test_fifty_kills_lose_at_most_the_last_flush(tmp_path):
    rng = random.Random(5)
    told: dict[int, float] = {}
    killed_at: list[float] = []
    for _ in range(KILLS):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(len(told))]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = [process.stdout.readline()]
            pipe = process.stdout
            reading = threading.Thread(target=lambda p=pipe, s=said: s.extend(p.readlines()))
            reading.start()
            time.sleep(rng.uniform(0.05, 0.6))
            process.send_signal(signal.SIGKILL)
            killed_at.append(time.time())
            process.wait()
            reading.join(10)
        for line in b"".join(said).split(b"\n"):
            words = line.split()
            if len(words) == 2:
                told[int(words[0])] = float(words[1])
    check_file(tmp_path)
    t, v = sequence(tmp_path)
    assert (np.diff(t) >= 0).all()
    assert len(np.unique(v)) == len(v)
    kept = set(v.astype(int).tolist())
    assert kept <= set(told)
    for number, at in told.items():
        if number not in kept:
            # The flush interval of these writers, and what one transaction and a busy machine may take on top.
            assert min(k - at for k in killed_at if k >= at) < 0.2 + 1.0, f"{number} was lost long before the kill"
    assert len(kept) > 0.3 * len(told)
    for number, at in zip(v.astype(int).tolist(), t.tolist(), strict=True):
        assert abs(told[number] - at) < 0.002


def test_a_torn_log_loses_its_end_and_no_more(tmp_path):
    taped = Taped(tmp_path / "a")
    taped.run(120)
    copy = tmp_path / "b"
    copy.mkdir()
    log = tmp_path / "a" / f"{FILE}-wal"
    assert log.stat().st_size > 0
    size = log.stat().st_size
    before = -1
    for share in (0.0, 0.3, 0.7, 0.999, 1.0):
        shutil.copy(tmp_path / "a" / FILE, copy / FILE)
        (copy / f"{FILE}-wal").write_bytes(log.read_bytes()[: int(size * share)])
        for name in ("-shm",):
            (copy / f"{FILE}{name}").unlink(missing_ok=True)
        recorder = Recorder(copy, Limits(), lambda *_: None, lambda _: None, lambda: taped.now)
        recorder.flush()
        recorder.close()
        check_file(copy)
        with Reader(copy) as reader:
            found = (
                0 if reader.entity("GPU-n0-0") is None else len(reader.seconds("GPU-n0-0", "power_draw", 0, 2e10)[0])
            )
        assert found >= before
        before = found
        (copy / FILE).unlink()
    assert before == 120
    taped.recorder.close()


def test_a_damaged_file_is_refused_with_what_to_do(tmp_path):
    (tmp_path / FILE).write_bytes(b"this is not a database at all" * 200)
    with pytest.raises(HistoryError, match="move it away"):
        Recorder(tmp_path, Limits(), lambda *_: None, lambda _: None)


def test_a_newer_file_is_refused(tmp_path):
    Taped(tmp_path).recorder.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    for opening in (lambda: Reader(tmp_path), lambda: Recorder(tmp_path, Limits(), lambda *_: None, lambda _: None)):
        with pytest.raises(HistoryError, match="newer Cardkeeper"):
            opening()


def test_anothers_database_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(HistoryError, match="another program"):
        Recorder(tmp_path, Limits(), lambda *_: None, lambda _: None)


def test_two_writers_on_one_folder_are_refused_with_the_pid(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from console.history.lock import WriterLock; "
        "lock = WriterLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(HistoryBusy, match=f"process {holder.pid} records there") as caught:
            Recorder(tmp_path, Limits(), lambda *_: None, lambda _: None)
        assert caught.value.pid == holder.pid
        holder.kill()
    WriterLock(tmp_path).release()


def test_a_full_disk_is_told_and_recording_goes_on_when_there_is_room(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        taped = Taped(small / "data", cards=8)
        taped.run(8)
        ballast = small / "ballast"
        fill(ballast)
        with pytest.raises(HistoryError, match="disk is full"):
            taped.run(800)
        ballast.unlink()
        kept = len(taped.reader().seconds("GPU-n0-0", "power_draw", 0, 2e10)[0])
        taped.run(8)
        taped.recorder.close()
        check_file(small / "data")
        with taped.reader() as reader:
            t, v, _ = reader.seconds("GPU-n0-0", "power_draw", 0, 2e10)
        assert len(t) >= kept + 8
        known = dict(zip(*(a.tolist() for a in taped.expected("n0", 0, "power_draw")), strict=True))
        for at, value in zip(t.tolist(), v.tolist(), strict=True):
            assert known[round(at, 3)] == value
    finally:
        subprocess.run(["umount", "-l", str(small)], check=False)


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    if os.geteuid() == 0:
        # Root writes everywhere but on a read-only mount.
        place = tmp_path / "ro"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(place)], check=False, capture_output=True
        )
        if done.returncode:
            pytest.skip("this machine lets nobody mount a tmpfs")
    else:
        place = tmp_path / "ro"
        place.mkdir(mode=0o500)
    try:
        with pytest.raises(HistoryError, match="cannot be written"):
            Recorder(place, Limits(), lambda *_: None, lambda _: None)
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", "-l", str(place)], check=False)


def test_the_flush_interval_is_within_the_promise():
    assert FLUSH_S <= 5.0
