"""A fleet whose last minutes are recorded, through the real feed, collector, tape and recorder, on a clock of its own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from console.fleet.state import LinkState
from console.history.recorder import Recorder
from console.record import RecordingTape
from tests.node_stream import FleetInOneProcess


@dataclass
class Recorded:
    """A fleet and the folder it was recorded into.

    Attributes:
        begin: unix second of the first sample, a whole minute.
        xid_at: unix second of an XID 79 on GPU-gpu01-3.
        lost_at: unix second at which gpu02's link was lost.
    """

    folder: Path
    fleet: FleetInOneProcess
    recorder: Recorder
    begin: float
    xid_at: float = 0.0
    lost_at: float = 0.0

    def close(self) -> None:
        self.recorder.close()


def power(node: str, card: int, second: int) -> float:
    """What was drawn: known in every second."""
    return 300.0 + 100.0 * (node == "gpu02") + 10.0 * card + second % 60


def record(folder: Path, seconds: int = 600, before_s: float = 1800.0) -> Recorded:
    """Record two nodes of eight cards from `before_s` ago; from second 300 an XID, from second 400 gpu02 is lost."""
    data = folder / "data"
    clocks: dict[str, FleetInOneProcess] = {}
    tape = RecordingTape(data, None, lambda: clocks["fleet"].mono(), lambda: clocks["fleet"].wall())
    fleet = FleetInOneProcess.__new__(FleetInOneProcess)
    clocks["fleet"] = fleet
    fleet.__init__(folder / "rings", ["gpu01", "gpu02"], False, tape)  # type: ignore[misc]
    begin = (time.time() - before_s) // 60 * 60
    shift = begin - fleet.wall()
    fleet._wall_minus_mono += shift
    for stream in fleet.streams.values():
        stream.wall += shift
    recorder = tape.open()
    tape.take(recorder)
    made = Recorded(data, fleet, recorder, begin)
    fleet.connect_all()
    for second in range(1, seconds + 1):
        fleet.pass_time(1.0)
        for name, stream in fleet.streams.items():
            if name == "gpu02" and second >= 400:
                continue
            values = {f"GPU-{name}-{i}": {"power_draw": power(name, i, second)} for i in range(8)}
            fleet.feed(name, stream.sample("fast", values))
            if second % 5 == 0:
                fleet.feed(name, stream.sample("medium"))
            if second % 30 == 0:
                fleet.feed(name, stream.sample("slow"))
        if second == 300:
            made.xid_at = fleet.wall()
            stream = fleet.streams["gpu01"]
            text = "GPU has fallen off the bus"
            fields = {
                "kind": "xid",
                "code": 79,
                "uuid": "GPU-gpu01-3",
                "at": stream.wall,
                "source": "nvml",
                "text": text,
            }
            fleet.feed("gpu01", stream.line("event", **fields))
        if second == 400:
            made.lost_at = fleet.wall()
            fleet.collector.link_state("gpu02", LinkState.LOST, None)
        if second % 4 == 0:
            recorder.flush()
            recorder.tidy()
    recorder.flush()
    recorder.tidy()
    return made
