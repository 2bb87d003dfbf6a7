"""What is recorded is what is read: seconds, minutes, hours, gaps, ends and beginnings."""

import sqlite3

import numpy as np
import pytest
import sqlite_utils

from console.fleet.model import NodeEvent
from console.fleet.state import ReadingState
from console.history import schema
from console.history.errors import HistoryBusy, HistoryError
from console.history.reader import Reader
from console.history.recorder import Pass
from console.history.retention import Limits, Pruner
from console.history.store import tier_metrics
from tests.history.fleet_of import FAST, SLOW, T0, Taped


@pytest.fixture
def taped(tmp_path):
    made = Taped(tmp_path)
    yield made
    made.recorder.store.close()
    made.recorder._lock.release()


def same_seconds(taped, metric="power_draw", name="n0", card=1):
    reader = taped.reader()
    t, v, states = reader.seconds(f"GPU-{name}-{card}", metric, T0 - 10, taped.now + 10)
    reader.close()
    wanted_t, wanted_v = taped.expected(name, card, metric)
    np.testing.assert_allclose(t, wanted_t, atol=0.0005)
    np.testing.assert_array_equal(v, wanted_v)
    return states


@pytest.mark.parametrize("seconds", [3, 60, 700, 4000])
def test_every_second_comes_back_bit_by_bit(taped, seconds):
    taped.run(seconds)
    taped.flush()
    for metric in ("power_draw", "energy", "utilization_gpu"):
        same_seconds(taped, metric)


def test_an_hour_becomes_one_chunk_and_its_rows_leave(taped):
    taped.run(2 * 3600 + 700, flush_every=4)
    spans = taped.recorder.store.rows("SELECT is_hour, rows FROM chunks ORDER BY from_us")
    assert [rows for is_hour, rows in spans if is_hour][1] == 3600
    assert len([1 for is_hour, _ in spans if is_hour]) == 2
    left = taped.recorder.store.rows("SELECT min(from_us) FROM recent")[0][0]
    assert taped.now - left / 1e6 < 700
    same_seconds(taped)


def test_what_is_not_fresh_keeps_its_state_and_is_no_number(taped):
    lost = np.full((2, len(FAST)), int(ReadingState.FRESH), dtype=np.uint8)
    lost[1, :] = int(ReadingState.LOST)
    taped.run(400)
    taped.run(50, states={"n0": lost})
    taped.run(400)
    states = same_seconds(taped)
    assert (states == int(ReadingState.LOST)).sum() == 50
    reader = taped.reader()
    points = reader.points("GPU-n0-1", "power_draw", T0, taped.now, 85)
    assert np.isnan(points.mean[42])
    reader.close()


def test_a_gap_is_never_bridged(taped):
    taped.run(120)
    taped.run(200, silent=("n0",))
    taped.run(120)
    reader = taped.reader()
    points = reader.points("GPU-n0-0", "power_draw", T0, taped.now, 440)
    missing = np.isnan(points.mean)
    assert missing[125:315].all()
    assert not missing[1:118].any()
    minutes = reader.minutes("GPU-n0-0", "power_draw", T0 + 120, T0 + 319)
    assert np.isnan(minutes.mean[1])
    reader.close()


def test_minutes_and_hours_are_what_their_seconds_say(taped):
    taped.run(2 * 3600)
    taped.flush()
    t, v = taped.expected("n0", 0, "power_draw")
    reader = taped.reader()
    minutes = reader.minutes("GPU-n0-0", "power_draw", T0, taped.now)
    for at, mean, low, high in zip(minutes.t, minutes.mean, minutes.low, minutes.high, strict=True):
        within = v[(t >= at) & (t < at + 60)]
        if np.isnan(mean):
            assert at + 60 > taped.now - 10
            continue
        assert abs(mean - within.mean()) < 0.001
        assert (low, high) == (within.min(), within.max())
    hours = reader.hours("GPU-n0-0", "power_draw", T0, taped.now)
    within = v[(t >= hours.t[1]) & (t < hours.t[1] + 3600)]
    assert abs(hours.mean[1] - within.mean()) < 0.001
    assert (hours.low[1], hours.high[1]) == (within.min(), within.max())
    reader.close()


def test_the_rows_are_ordinary(taped):
    taped.run(200)
    db = sqlite_utils.Database(taped.recorder.store.path)
    row = next(
        iter(db.query("SELECT * FROM minutes WHERE metric = 'power_draw' AND uuid = 'GPU-n0-1' LIMIT 1 OFFSET 1"))
    )
    assert (row["node"], row["unit"], row["count"], row["fresh"]) == ("n0", "W", 60, 1.0)
    assert row["min"] <= row["mean"] <= row["max"]
    assert set(db.view_names()) == {"minutes", "hours", "happened", "spans", "fleet"}
    db.conn.close()


def test_the_fleet_at_a_moment_and_its_average(tmp_path):
    taped = Taped(tmp_path, nodes=3, cards=4)
    taped.run(400)
    at = T0 + 150
    reader = taped.reader()
    ids, means, states = reader.moment(int(at) // 60, [("card", "power_draw")])["card", "power_draw"]
    seen = reader.entities()
    assert {seen[i].uuid for i in ids.tolist()} == {f"GPU-n{n}-{c}" for n in range(3) for c in range(4)}
    minute = at // 60 * 60
    for i, mean in zip(ids.tolist(), means, strict=True):
        t, v = taped.expected(seen[i].node, seen[i].place, "power_draw")
        assert abs(mean - v[(t >= minute) & (t < minute + 60)].mean()) < 0.01
    assert (states == int(ReadingState.FRESH)).all()
    average = reader.fleet_average("power_draw", ["GPU-n0-0", "GPU-n2-3"], T0, taped.now)
    two = [reader.minutes(u, "power_draw", T0, taped.now).mean for u in ("GPU-n0-0", "GPU-n2-3")]
    known = ~np.isnan(average.mean)
    assert known.sum() >= 5
    np.testing.assert_allclose(average.mean[known], np.mean(two, axis=0)[known], atol=0.01)
    reader.close()
    taped.recorder.close()


def test_a_focused_card_has_more_rows_than_its_neighbours(taped):
    taped.run(10)
    fast = np.full((1, len(FAST)), 7.0)
    at = int((taped.now + 0.5) * 1e6)
    taped.recorder.sampled(Pass("n0", taped.uuids("n0"), "fast", at, 0, fast, 1, (1,), None))
    taped.run(10)
    reader = taped.reader()
    assert len(reader.seconds("GPU-n0-0", "power_draw", T0, taped.now)[0]) == 20
    t, v, _ = reader.seconds("GPU-n0-1", "power_draw", T0, taped.now)
    assert (len(t), v[10]) == (21, 7.0)
    reader.close()


def test_a_restart_loses_nothing_and_rolls_up_what_was_left(taped):
    taped.run(90)
    taped.recorder.store._connection.close()  # no good order: as kill -9 leaves it
    taped.recorder._lock.release()
    taped.recorder = taped.open()
    taped.run(90)
    same_seconds(taped)
    reader = taped.reader()
    counts = [r[0] for r in reader.rows("SELECT count FROM minutes WHERE metric = 'power_draw' AND uuid = 'GPU-n0-0'")]
    assert counts[:2] == [46, 60]
    reader.close()


def test_error_counters_that_rise_or_begin_anew_are_events(taped):
    def slow(count):
        taped.now += 30
        values = np.zeros((2, len(SLOW)))
        values[1, SLOW.index("ecc_uncorrected_volatile")] = count
        taped.recorder.sampled(Pass("n0", taped.uuids("n0"), "slow", int(taped.now * 1e6), 0, values, 1, None, None))
        taped.flush()

    for count in (0, 0, 2, 2, 0):
        slow(count)
    assert [(e.kind, e.uuid) for e in taped.events] == [("counter", "GPU-n0-1"), ("counter_reset", "GPU-n0-1")]
    assert "from 0 to 2" in taped.events[0].text
    reader = taped.reader()
    assert [e.kind for e in reader.events(T0, taped.now + 1)] == ["counter", "counter_reset"]
    reader.close()


def test_events_carry_the_nodes_clock_corrected_and_as_it_was(taped):
    taped.run(4)  # the node's clock is 2 s ahead
    taped.recorder.happened(NodeEvent("n0", "GPU-n0-0", T0 + 12.0, T0 + 10.1, "xid", 79, "kernel", "fell off"))
    taped.flush()
    found = taped.recorder.store.rows("SELECT at_us, node_us, seen_us, uuid, code FROM happened")
    assert found == [(int((T0 + 10) * 1e6), int((T0 + 12) * 1e6), int((T0 + 10.1) * 1e6), "GPU-n0-0", 79)]
    reader = taped.reader()
    assert reader.next_event(T0, 1) == T0 + 10
    assert reader.next_event(T0 + 10, 1) is None
    assert reader.next_event(T0 + 11, -1) == T0 + 10
    reader.close()


def test_two_writers_are_refused_with_the_pid(taped):
    import os

    with pytest.raises(HistoryBusy, match=str(os.getpid())) as caught:
        taped.open()
    assert caught.value.pid == os.getpid()


def test_limits_by_age_and_by_size(tmp_path):
    taped = Taped(tmp_path, limits=Limits(raw_s=1800, minutes_s=3600))
    taped.run(3 * 3600, flush_every=60)
    for _ in range(200):
        taped.recorder._pruner._looked_us = 0
        taped.recorder.tidy()
    oldest = taped.recorder.store.rows("SELECT min(to_us) / 1e6 FROM chunks")[0][0]
    assert taped.now - oldest < 1800 + 400
    oldest = taped.recorder.store.rows("SELECT min(minute) * 60 FROM minute_rows")[0][0]
    assert taped.now - oldest <= 3600 + 60
    assert taped.recorder.store.rows("SELECT count(*) FROM hour_rows WHERE hour > 0")[0][0] > 0
    orphans = "SELECT count(*) FROM columns WHERE id >> 20 NOT IN (SELECT id FROM chunks)"
    assert taped.recorder.store.rows(orphans)[0][0] == 0
    size = taped.recorder.store.rows("SELECT sum(bytes) FROM chunks")[0][0]
    cut = Pruner(taped.recorder.store, Limits(raw_s=1e9, raw_bytes=size // 2)).all(taped.now)
    assert [c.tier for c in cut] == ["raw"]
    assert taped.recorder.store.rows("SELECT coalesce(sum(bytes), 0) FROM chunks")[0][0] <= size // 2
    taped.recorder.close()


# The file


def test_a_newer_file_and_another_programs_are_refused(tmp_path):
    path = tmp_path / schema.FILE
    with sqlite3.connect(path) as c:
        c.execute("CREATE TABLE notes (x)")
    with pytest.raises(HistoryError, match="another program"):
        Taped(tmp_path)
    path.unlink()
    taped = Taped(tmp_path)
    taped.recorder.close()
    with sqlite3.connect(path) as c:
        c.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    for opening in (lambda: Taped(tmp_path), lambda: Reader(tmp_path)):
        with pytest.raises(HistoryError, match="newer Cardkeeper"):
            opening()


def test_nothing_recorded_is_said(tmp_path):
    with pytest.raises(HistoryError, match="nothing was recorded"):
        Reader(tmp_path)


def test_damage_is_found_after_an_unclean_end(tmp_path):
    taped = Taped(tmp_path)
    taped.run(120)
    taped.recorder.store._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    taped.recorder.store._connection.close()
    taped.recorder._lock.release()
    path = tmp_path / schema.FILE
    data = bytearray(path.read_bytes())
    data[8192:20480] = bytes(12288)
    path.write_bytes(data)
    with pytest.raises(HistoryError, match="damaged"):
        taped.open()


def test_every_tier_has_its_metrics():
    assert set(tier_metrics("card", "fast")) & set(tier_metrics("card", "slow")) == set()
    assert len(tier_metrics("host", "fast")) > 3
