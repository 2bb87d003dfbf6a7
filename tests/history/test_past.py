"""Any recorded moment behind the live fleet's face, and the thread that reads it."""

import threading
import time

import numpy as np
import pytest

from console.fleet.state import LinkState, ReadingState
from console.history.curves import draw
from console.history.errors import HistoryError
from console.history.reader import Reader
from console.lookback import Lookback
from console.past import PastFleet, SnapshotSource
from tests.history.recorded import power, record


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    made = record(tmp_path_factory.mktemp("recorded"))
    made.close()
    return made


@pytest.fixture
def past(recorded):
    reader = Reader(recorded.folder)
    source = SnapshotSource()
    fleet = PastFleet(recorded.fleet.fleet, lambda _request: None)

    def show(second):
        fleet.show(source.load(reader, recorded.begin + second))
        return fleet

    yield show
    reader.close()


def minute_mean(node, card, second):
    first = second // 60 * 60
    return np.mean([power(node, card, s) for s in range(max(1, first), first + 60)])


def test_a_moment_has_every_card_with_its_minutes_mean(past):
    fleet = past(250)
    assert len(fleet.entities) == 16
    for row in fleet.entities:
        reading = fleet.reading(row.entity.uuid, "power_draw")
        assert reading.state is ReadingState.FRESH
        assert reading.value == pytest.approx(minute_mean(row.entity.node, row.entity.index, 250), abs=0.5)
    column = fleet.column("power_draw")
    assert column.values[0] == fleet.reading("GPU-gpu01-0", "power_draw").value
    assert fleet.links()[LinkState.LIVE] == 2
    assert fleet.host_reading("gpu01", "cpu_utilization").value == pytest.approx(22)
    assert fleet.host_column("cpu_utilization").values.tolist() == pytest.approx([22, 22])


def test_the_past_does_not_know_what_came_after(past, recorded):
    assert [e.kind for e in past(299).events if e.kind == "xid"] == []
    assert [e.code for e in past(301).events if e.kind == "xid"] == [79]
    assert past(399).node("gpu02").link is LinkState.LIVE
    assert past(401).node("gpu02").link is LinkState.LOST


def test_a_lost_node_keeps_its_cards_but_has_no_readings(past):
    fleet = past(560)
    assert len(fleet.entities_of("gpu02")) == 8
    reading = fleet.reading("GPU-gpu02-0", "power_draw")
    assert (reading.value, reading.state) == (None, ReadingState.NONE)
    assert np.isnan(fleet.column("power_draw").values[fleet.row_of["GPU-gpu02-0"]])
    assert fleet.reading("GPU-gpu01-0", "power_draw").value is not None


def test_before_the_recording_there_is_nothing(past, recorded):
    fleet = past(-3600)
    assert fleet.entities == []
    assert fleet.nodes == []
    assert fleet.column("power_draw").values.tolist() == []


def test_long_after_the_recording_the_last_word_is_not_taken_for_the_truth(past):
    fleet = past(1700)
    assert fleet.node("gpu01").link is LinkState.WAITING
    assert "Nothing was recorded of gpu01" in fleet.node("gpu01").problem.what
    assert fleet.reading("GPU-gpu01-0", "power_draw").value is None


def test_versions_differ_from_moment_to_moment(past):
    first = past(100).version
    assert past(200).version != first


@pytest.mark.parametrize(("points", "is_bucketed"), [(2000, False), (100, True)])
def test_a_span_is_drawn_as_samples_or_as_buckets_with_their_bounds(recorded, points, is_bucketed):
    with Reader(recorded.folder) as reader:
        found = draw(reader, "GPU-gpu01-2", "power_draw", recorded.begin + 60, recorded.begin + 600, points)
    assert (found.low is not None) == is_bucketed
    assert np.nanmax(found.mean if found.high is None else found.high) == power("gpu01", 2, 59)
    assert np.nanmin(found.mean if found.low is None else found.low) >= power("gpu01", 2, 0)
    assert (np.diff(found.t) > 0).all()


def test_a_gap_is_never_bridged(recorded):
    with Reader(recorded.folder) as reader:
        found = draw(reader, "GPU-gpu02-0", "power_draw", recorded.begin + 380, recorded.begin + 600, 1000)
        assert found.t.max() < recorded.lost_at + 1
        whole = draw(reader, "GPU-gpu02-0", "power_draw", recorded.begin, recorded.begin + 600, 60)
    assert np.isnan(whole.mean[45:]).all()
    assert not np.isnan(whole.mean[5:35]).any()


def test_what_was_never_recorded_is_an_empty_series(recorded):
    with Reader(recorded.folder) as reader:
        assert len(draw(reader, "GPU-nobody", "power_draw", 0, 1e9, 100).t) == 0
        assert len(draw(reader, "GPU-gpu01-0", "nonsense", 0, 1e9, 100).t) == 0


def test_a_minute_table_is_what_the_minutes_say(recorded):
    minute = int(recorded.begin // 60) + 5
    with Reader(recorded.folder) as reader:
        ids, table = reader.minute_table("card", "power_draw", minute, 4)
        seen = reader.entities()
        for place, number in enumerate(ids.tolist()):
            rows = reader.minutes(seen[number].uuid, "power_draw", (minute - 3) * 60.0, minute * 60.0)
            assert table[:, place] == pytest.approx(rows.mean, abs=0.01)


# Lookback


def wait_for(lookback, count, seconds=10.0):
    found = []
    end = time.monotonic() + seconds
    while len(found) < count and time.monotonic() < end:
        found += lookback.take()
        time.sleep(0.01)
    return found


def test_of_questions_in_one_slot_only_the_newest_is_answered(recorded):
    lookback = Lookback(lambda: Reader(recorded.folder))
    gate = threading.Event()
    lookback.ask("hold", "hold", lambda _r: gate.wait(10))
    time.sleep(0.1)
    for at in range(50):
        lookback.ask("moment", at, lambda _r, a=at: a)
    gate.set()
    answers = [f.value for f in wait_for(lookback, 2)]
    assert answers == [True, 49]
    lookback.close()


def test_a_folder_without_history_is_a_problem_not_an_end(tmp_path, recorded):
    folders = [tmp_path, recorded.folder]
    lookback = Lookback(lambda: Reader(folders.pop(0)))
    lookback.ask("a", "a", lambda r: r.span())
    assert "nothing was recorded" in wait_for(lookback, 1)[0].problem
    lookback.ask("a", "b", lambda r: r.span())
    assert wait_for(lookback, 1)[0].value is not None
    lookback.close()


def test_a_fault_in_the_work_is_told_and_survived(recorded):
    lookback = Lookback(lambda: Reader(recorded.folder))
    lookback.ask("a", "a", lambda _r: 1 / 0)
    assert "division" in wait_for(lookback, 1)[0].problem
    lookback.ask("a", "b", lambda _r: 7)
    assert wait_for(lookback, 1)[0].value == 7
    lookback.close()


def test_a_reader_error_opens_the_file_again(recorded):
    opened = []

    def open_reader():
        opened.append(1)
        return Reader(recorded.folder)

    def fail(_reader):
        raise HistoryError("gone")

    lookback = Lookback(open_reader)
    lookback.ask("a", "a", fail)
    assert wait_for(lookback, 1)[0].problem == "gone"
    lookback.ask("a", "b", lambda _r: 1)
    assert wait_for(lookback, 1)[0].value == 1
    assert len(opened) == 2
    lookback.close()
