"""Frames out: numbered, stamped, one JSON line each."""

import json


class Gone(Exception):
    """Nobody takes our frames any more."""


class Frames(object):
    """Writes frames in order. Not thread-safe: only the loop writes."""

    def __init__(self, write, clock, wall):
        self._write = write
        self._clock = clock
        self._wall = wall
        self._number = -1
        self._last = clock()

    def put(self, tag, **fields):
        """Write one frame with the next number and the clocks of now.

        Raises:
            Gone: the other end was closed.
        """
        self._number += 1
        self._last = self._clock()
        body = {"t": tag, "n": self._number, "w": round(self._wall(), 6), "m": round(self._last, 6)}
        body.update(fields)
        # allow_nan=False would raise within a tier; values are cleaned where they are read.
        line = json.dumps(body, separators=(",", ":")).encode("ascii") + b"\n"
        try:
            self._write(line)
        except (OSError, EOFError, ValueError) as exc:  # ValueError: the stream was closed here
            raise Gone(str(exc))

    def event(self, kind, uuid, at, source, text, code=None):
        """Write an event."""
        self.put("event", kind=kind, uuid=uuid, at=at, source=source, text=text[:1000], code=code)

    def beat(self, after_s):
        """Write a beat when nothing was written for `after_s`."""
        if self._clock() - self._last >= after_s:
            self.put("beat")

    def farewell(self, reason):
        """Say why this is the end, if anybody still listens."""
        try:
            self.put("bye", reason=reason[:1000])
        except Gone:
            pass
