"""Relating a node's clocks to this machine's.

The node's monotonic clock is mapped by the least delayed line seen: our_monotonic = node_monotonic + offset, where
offset is the minimum of (received - sent) over the stream, let up slowly so that a drifting crystal is followed. What a
line arrives later than that minimum is its delay in the network and in queues; the constant part of the path cannot be
told from a clock difference and is not in it.
"""

from __future__ import annotations

from dataclasses import dataclass

DRIFT = 50e-6
"""Seconds a second by which two monotonic clocks may part: 50 ppm, the usual bound for uncorrected crystals."""

STEP_S = 0.5
"""A wall clock that moves this much against its own monotonic clock between two lines was stepped."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When a line was sampled, as this machine's clocks have it.

    Attributes:
        at: monotonic second of this machine.
        delay_s: lateness beyond the least delayed line.
        clock_offset_s: node wall clock minus ours; positive when the node is ahead.
        step_s: how far the node's wall clock jumped since the line before, 0.0 if it did not.
    """

    at: float
    delay_s: float
    clock_offset_s: float
    step_s: float


class NodeClock:
    """The mapping for one stream. Not thread-safe."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._seen = 0.0
        self._wall_minus_mono: float | None = None

    def stamp(self, wall: float, mono: float, now_mono: float, now_wall: float) -> Stamp:
        """The stamp of a line that says (wall, mono) and arrived at (now_mono, now_wall). Seconds."""
        sample = now_mono - mono
        if self._offset is None:
            self._offset = sample
        else:
            self._offset = min(sample, self._offset + DRIFT * max(0.0, now_mono - self._seen))
        self._seen = now_mono
        at = mono + self._offset
        step = 0.0
        difference = wall - mono
        if self._wall_minus_mono is not None and abs(difference - self._wall_minus_mono) > STEP_S:
            step = difference - self._wall_minus_mono
        self._wall_minus_mono = difference
        return Stamp(at, now_mono - at, wall - (at + now_wall - now_mono), step)
