"""Rings, segments and clocks."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleet.metrics import CARD_METRICS, HOST_METRICS, Tier
from console.telemetry.clock import NodeClock
from console.telemetry.rings import RING_ROWS, RingBlock
from console.telemetry.segments import Segment, SegmentError, SegmentFolder, remove_leftovers


def _block(entities: int = 1) -> RingBlock:
    return RingBlock(entities, memoryview(bytearray(RingBlock.size_of(entities))))


@given(count=st.integers(0, 1500), since=st.integers(-10, 1500))
def test_a_ring_returns_the_newest_rows_in_order(count, since):
    ring = _block().cards[Tier.FAST]
    for i in range(count):
        ring.append(float(i), np.full(ring.width, i, dtype=float), np.ones(ring.width, np.uint8))
    t, v, s = ring.read(slice(0, 1), float(since))
    kept = range(max(0, count - RING_ROWS[Tier.FAST] + 1), count)
    if count < RING_ROWS[Tier.FAST]:
        kept = range(count)
    assert t.tolist() == [i for i in kept if i >= since]
    assert v[:, 0].tolist() == t.tolist()
    assert (s == 1).all()


def test_a_reader_beside_a_writer_never_sees_a_torn_row():
    ring = _block(8).cards[Tier.FAST]
    stop = threading.Event()

    def write() -> None:
        i = 0
        while not stop.is_set():
            ring.append(float(i), np.full(ring.width, i % 1000, dtype=float), np.ones(ring.width, np.uint8))
            i += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(300):
            t, v, _ = ring.read(slice(0, ring.width), -1.0)
            assert (v == v[:, :1]).all()
            assert (v[:, 0] == t % 1000).all()
            assert (np.diff(t) > 0).all()
    finally:
        stop.set()
        thread.join()


def test_a_segment_is_private_and_shared(tmp_path):
    segment = Segment.create(tmp_path / "s", 4096)
    assert os.stat(segment.path).st_mode & 0o777 == 0o600
    other = Segment.attach(segment.path, 4096)
    segment.buffer[7] = 42
    assert other.buffer[7] == 42
    with pytest.raises(TypeError):
        other.buffer[7] = 1
    with pytest.raises(SegmentError):
        Segment.attach(segment.path, 8192)


def test_no_room_is_an_error_at_once_not_a_crash_later(tmp_path):
    with pytest.raises(SegmentError, match="MiB"):
        Segment.create(tmp_path / "s", 1 << 60)
    assert not (tmp_path / "s").exists()


def test_folders_of_dead_processes_are_removed_and_living_ones_kept(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    dead = tmp_path / f"cardkeeper-live-{child.pid}-x"
    alive = tmp_path / f"cardkeeper-live-{os.getpid()}-x"
    dead.mkdir()
    alive.mkdir()
    remove_leftovers(tmp_path)
    assert (dead.exists(), alive.exists()) == (False, True)


def test_closing_a_folder_removes_it():
    folder = SegmentFolder.make()
    folder.create("x", 4096)
    folder.close()
    assert not folder.path.exists()


@given(st.lists(st.floats(0, 2), min_size=1, max_size=50))
def test_the_least_delayed_line_sets_the_clock(delays):
    clock = NodeClock()
    stamps = []
    for i, delay in enumerate(delays):
        sent = 100.0 + i
        stamps.append(clock.stamp(5000.0 + i, sent, sent + 1000.0 + delay, 8000.0 + i + delay))
    assert all(s.delay_s >= -1e-9 for s in stamps)
    best = min(delays)
    assert stamps[-1].at - (100.0 + len(delays) - 1 + 1000.0) == pytest.approx(best, abs=len(delays) * 160e-6 + 1e-9)
    assert all(s.step_s == 0.0 for s in stamps)


def test_metric_ids_are_unique_and_ranges_sane():
    ids = [m.id for m in (*CARD_METRICS, *HOST_METRICS)]
    assert len(ids) == len(set(ids))
    assert all(m.low < m.high and m.source and m.title for m in (*CARD_METRICS, *HOST_METRICS))
