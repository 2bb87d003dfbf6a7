"""Joins telemetry's tape to the history's recorder, and tries again while the folder cannot be had."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from console.fleet.model import EntityKind, NodeEvent
from console.history.errors import HistoryBusy, HistoryError
from console.history.recorder import Described, Pass, Recorder
from console.history.retention import Limits
from console.telemetry.collector import Collector
from console.telemetry.messages import NodeLayout, Recording, unpack_json
from console.telemetry.tape import Sampled

_log = logging.getLogger(__name__)
AGAIN_S = 30.0


class RecordingTape:
    """Fulfils console.telemetry.tape.Tape. What comes while nothing can be written is let go, but for the last states."""

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        mono: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._mono, self._wall = mono, wall
        self._limits = limits or Limits()
        self._recorder: Recorder | None = None
        self._collector: Collector | None = None
        self._states: dict[tuple[str, str], bytes] = {}
        self._guard = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._open, name="history-open", daemon=True)

    def start(self, collector: Collector) -> None:
        """Open the folder, now or as soon as it can be had, and say so through `collector`."""
        self._collector = collector
        self._thread.start()

    def close(self) -> None:
        """Write what waits and let the folder go. Blocks until done."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(10.0)
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    def open(self) -> Recorder:
        """A recorder over the folder, not yet started.

        Raises:
            HistoryError: the folder cannot be had.
        """
        return Recorder(self._folder, self._limits, self._tell, self._tell_event, self._wall)

    def take(self, recorder: Recorder) -> None:
        """Record with this one from now on; it hears the states that came before it."""
        with self._guard:
            self._recorder = recorder
            for (node, kind), data in self._states.items():
                self._state(recorder, node, kind, data)

    def _open(self) -> None:
        told = ""
        while not self._end.is_set():
            try:
                recorder = self.open().start()
            except HistoryError as exc:
                if str(exc) != told:
                    told = str(exc)
                    self._tell("busy" if isinstance(exc, HistoryBusy) else "failed", told)
                self._end.wait(AGAIN_S)
                continue
            except Exception:  # noqa: BLE001 - a thread that dies silently would leave "starting" for ever
                _log.exception("the history cannot be opened")
                self._tell("failed", f"{self._folder}: the history cannot be opened; the log says why")
                return
            self.take(recorder)
            return

    def _tell(self, state: str, text: str) -> None:
        if self._collector is not None:
            self._collector.announce(Recording(state, text))

    def _tell_event(self, event: NodeEvent) -> None:
        if self._collector is not None:
            self._collector.tell(event)

    # What the collector tells

    def sampled(self, sample: Sampled) -> None:
        """A pass was decoded."""
        recorder = self._recorder
        if recorder is None:
            return
        s = sample
        at = s.at + (self._wall() - self._mono())
        offset_us = int(s.clock_offset_s * 1e6)
        recorder.sampled(
            Pass(s.node, s.uuids, str(s.tier), int(at * 1e6), offset_us, s.values, s.states, s.places, s.columns)
        )

    def stated(self, node: str, kind: str, data: bytes) -> None:
        """A state of the node is another."""
        with self._guard:
            self._states[node, kind] = data
            if self._recorder is not None:
                self._state(self._recorder, node, kind, data)

    @staticmethod
    def _state(recorder: Recorder, node: str, kind: str, data: bytes) -> None:
        if kind == "hello":
            layout = unpack_json(data)
            assert isinstance(layout, NodeLayout)
            recorder.describe(node, _described(layout))
            recorder.set_periods(node, layout.hello.period)
        recorder.stated(node, kind, data)

    def happened(self, event: NodeEvent) -> None:
        """Something happened."""
        if self._recorder is not None:
            self._recorder.happened(event)


def _described(layout: NodeLayout) -> list[Described]:
    host: Described = (f"host:{layout.name}", "host", 0, layout.name, "", dict(layout.hello.host))
    kinds = {EntityKind.CARD: "card", EntityKind.SLICE: "slice"}
    return [host, *((e.uuid, kinds[e.kind], e.index, e.name, e.parent, e.facts) for e in layout.entities)]
