"""Which moment the window shows, and the series, markers and snapshots that it asks the history for."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import QObject, Signal

from console.fleet.model import NodeEvent
from console.lookback import Found, Lookback
from console.past import EMPTY, MINUTE_S, PastFleet, Snapshot, SnapshotSource
from console.telemetry.live import Series

if TYPE_CHECKING:
    from console.app import Console
    from console.history.curves import Drawn
    from console.history.reader import Reader

SPANS = (300.0, 3600.0, 6 * 3600.0, 86_400.0, 7 * 86_400.0, 30 * 86_400.0)
"""What the plots show, seconds."""

BARS = (3600.0, 6 * 3600.0, 86_400.0, 7 * 86_400.0, 30 * 86_400.0)
"""What the time bar shows, seconds."""

LIVE_SPAN_S = 600.0
"""The rings hold so much; longer spans come from the history."""

POINTS = 800
KEPT = 600
DAY_S = 86_400.0
BAR_AGAIN_S = 10.0
MARKS_SHOWN = 4000
NEWEST_S = 75.0
"""A minute is written some seconds after it is over: stepping back from now begins here."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What the time bar draws: recorded minutes as runs (first, last) of unix seconds, and events.

    `oldest` is the first unix second of which anything is kept, None where there is nothing.
    """

    low: float
    high: float
    oldest: float | None
    runs: tuple[tuple[float, float], ...]
    events: tuple[NodeEvent, ...]


class Timeline(QObject):
    """Now, or a moment of the past. GUI thread only; whatever blocks is done by a Lookback.

    Attributes:
        at: the moment shown, None while live.
        wanted: the moment last asked for; differs from `at` until it is loaded.
        compared: "" for nothing, "day" for the day before, else a card's UUID.
        problem: why history cannot be read, "" while it can.
        bar: what the time bar shows, None until loaded.

    Signals:
        moved: another moment is shown, or another is wanted.
        loaded: a series or the bar's content has come.
        spanned: the plots show another span.
    """

    moved = Signal()
    loaded = Signal()
    spanned = Signal()

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._lookback = Lookback(console.history)
        self._source = SnapshotSource()
        self.past = PastFleet(console.fleet, console.live.send)
        self.past.series_of = lambda what, metric, _seconds: self.series(what, metric)
        self.past.sparks_of = self._sparks
        self.at: float | None = None
        self.wanted: float | None = None
        self.compared = ""
        self.problem = ""
        self.bar: Bar | None = None
        self.bar_s = DAY_S
        self._is_bar_chosen = False
        self._span = 0
        self._bar_due = 0.0
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._asked: dict[Hashable, Hashable] = {}
        self._newest: dict[Hashable, Any] = {}

    # Where we are

    @property
    def is_live(self) -> bool:
        """Whether the window shows the present."""
        return self.at is None

    @property
    def can_be_live(self) -> bool:
        """Whether there is a present: a replayed folder has none."""
        return self._console.config.replay is None

    @property
    def span_s(self) -> float:
        """Seconds that the plots show."""
        return SPANS[self._span]

    def now(self) -> float:
        """The moment shown, unix seconds."""
        return time.time() if self.at is None else self.at

    def window(self) -> tuple[float, float]:
        """(since, until) of the plots: up to now, or around the moment."""
        if self.at is None:
            now = time.time()
            return now - self.span_s, now
        return self.at - self.span_s / 2.0, self.at + self.span_s / 2.0

    def look(self, at: float) -> None:
        """Show the moment `at` as soon as it is loaded."""
        at = min(at, time.time())
        if self.bar is not None and self.bar.oldest is not None:
            at = max(at, -(-self.bar.oldest // MINUTE_S) * MINUTE_S)
        self.wanted = at
        self._lookback.ask("moment", ("moment", at), lambda r: self._source.load(r, at), first=True)
        self.moved.emit()

    def look_at_end(self) -> None:
        """Show the newest recorded minute."""
        self._lookback.ask("event", ("event", 0), lambda r: (r.span() or (0.0, time.time()))[1] - MINUTE_S, first=True)

    def live(self) -> None:
        """Show the present again."""
        if self.can_be_live:
            self.at = self.wanted = None
            self.moved.emit()

    def step(self, by_s: float) -> None:
        """Go on or back by some seconds; going on past the newest recorded moment is going live."""
        newest = time.time() - NEWEST_S
        begin = self.wanted if self.wanted is not None else newest if by_s < 0 else None
        if begin is None:
            return
        if self.wanted is None:
            self.look(begin // MINUTE_S * MINUTE_S)
        elif begin + by_s > newest and self.can_be_live:
            self.live()
        else:
            self.look(begin + by_s)

    def step_event(self, by: int) -> None:
        """Go to the next (1) or previous (-1) event."""
        begin = self.wanted if self.wanted is not None else time.time()
        self._lookback.ask("event", ("event", by), lambda r: r.next_event(begin, by), first=True)

    def set_span(self, place: int) -> None:
        """Let the plots show another of SPANS."""
        place = min(max(place, 0), len(SPANS) - 1)
        if place != self._span:
            self._span = place
            self.spanned.emit()

    def widen(self, by: int) -> None:
        """A wider (1) or narrower (-1) span."""
        self.set_span(self._span + by)

    def compare(self, what: str) -> None:
        """Draw "day" (the day before) or another card beside each curve; "" nothing."""
        self.compared = what
        self.spanned.emit()

    def set_bar(self, seconds: float) -> None:
        """Let the time bar show so many seconds."""
        self.bar_s = seconds
        self._is_bar_chosen = True
        self._bar_due = 0.0
        self.refresh_bar()

    # What is asked for

    def series(self, what: str, metric: str, shift_s: float = 0.0) -> Series:
        """A metric of a card's UUID or of "host:NODE" over `window`, `shift_s` earlier but drawn as if now.

        What has not come yet is the span's last picture, or empty.
        """
        if self.at is None and self.span_s <= LIVE_SPAN_S and not shift_s:
            live = self._console.live
            if what.startswith("host:"):
                return live.host_series(what.removeprefix("host:"), metric, self.span_s)
            return live.series(what, metric, self.span_s)
        since, until = self.window()
        grain = max(self.span_s / POINTS, 5.0)
        until = -(-until // grain) * grain
        since = until - self.span_s - (grain if self.at is not None else 0.0)
        slot = ("series", what, metric, self.span_s, shift_s)
        key = (*slot, until)
        if key in self._kept:
            self._kept.move_to_end(key)
            found: Series = self._kept[key]
            return found
        if self._asked.get(slot) != key:
            self._asked[slot] = key
            low, high = since - shift_s, until - shift_s
            self._lookback.ask(slot, key, lambda r: _drawn(r, what, metric, low, high, shift_s))
        stale = self._newest.get(slot)
        return stale if stale is not None and self.at is None else EMPTY

    def _sparks(self, metric: str, samples: int) -> tuple[dict[str, int], np.ndarray] | None:
        snapshot = self.past.snapshot
        if snapshot is None or snapshot.minute_s is None:
            return None
        minute = int(snapshot.minute_s // MINUTE_S)
        slot = ("minutes", metric, samples)
        key = (*slot, minute)
        if key not in self._kept and self._asked.get(slot) != key:
            self._asked[slot] = key
            self._lookback.ask(slot, key, lambda r: _minutes(r, metric, minute, samples))
        found: tuple[dict[str, int], np.ndarray] | None = self._kept.get(key)
        return found

    def refresh_bar(self) -> None:
        """Ask for the time bar's content where it is old or of another range."""
        low, high = self.bar_range()
        now = time.monotonic()
        if now >= self._bar_due:
            self._bar_due = now + BAR_AGAIN_S
            self._lookback.ask("bar", ("bar",), lambda r: _bar(r, low, high))

    def bar_range(self) -> tuple[float, float]:
        """(since, until) of the time bar: up to now, or as far back as the moment wants it."""
        high = time.time()
        if not self.can_be_live and self.past.snapshot is None and self.wanted is not None:
            high = self.wanted
        if self.wanted is not None and self.wanted < high - 0.95 * self.bar_s:
            high = self.wanted + 0.5 * self.bar_s
        elif not self.can_be_live and self.wanted is not None:
            high = min(high, self.wanted + 0.5 * self.bar_s)
        return high - self.bar_s, high

    # What comes

    def pump(self) -> None:
        """Take what the history answered. Called some ten times a second."""
        has_news = False
        for found in self._lookback.take():
            self._asked = {slot: key for slot, key in self._asked.items() if key != found.key}
            self.problem = found.problem
            if found.problem:
                self._refused(found)
                continue
            has_news = self._take(found) or has_news
        if has_news:
            self.loaded.emit()

    def _refused(self, found: Found) -> None:
        if isinstance(found.key, tuple) and found.key[0] == "moment" and self.at is None:
            self.wanted = None
        self.moved.emit()

    def _take(self, found: Found) -> bool:
        assert isinstance(found.key, tuple)
        match found.key[0]:
            case "moment":
                if found.key[1] == self.wanted:
                    self._show(found.value)
                return False
            case "event":
                if found.value is not None:
                    self.look(found.value)
                elif found.key[1] > 0 and self.can_be_live:
                    self.live()
                return False
            case "bar":
                self.bar = found.value
                self._fit_bar(found.value)
                return True
        self._kept[found.key] = found.value
        self._newest[found.key[:-1]] = found.value
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return True

    def _fit_bar(self, bar: Bar) -> None:
        """Until the person chooses, the bar shows as much as there is, at most a day."""
        if self._is_bar_chosen or bar.oldest is None:
            return
        known = time.time() - bar.oldest
        fitting = next((s for s in BARS if s >= known), DAY_S)
        if min(fitting, DAY_S) != self.bar_s:
            self.bar_s = min(fitting, DAY_S)
            self._bar_due = 0.0
            self.refresh_bar()

    def _show(self, snapshot: Snapshot) -> None:
        self.at = snapshot.at
        self.past.show(snapshot)
        self._bar_due = min(self._bar_due, time.monotonic() + 1.0)
        self.moved.emit()

    def close(self) -> None:
        """End the thread."""
        self._lookback.close()


def _drawn(reader: Reader, what: str, metric: str, low: float, high: float, shift_s: float) -> Series:
    from console.history.curves import draw

    found: Drawn = draw(reader, what, metric, low, high, POINTS)
    states = np.where(np.isnan(found.mean), 0, 1).astype(np.uint8)
    return Series(found.t + shift_s, found.mean, states, found.low, found.high)


def _minutes(reader: Reader, metric: str, minute: int, samples: int) -> tuple[dict[str, int], np.ndarray]:
    ids, table = reader.minute_table("card", metric, minute, samples)
    seen = reader.entities()
    return {seen[n].uuid: place for place, n in enumerate(ids.tolist()) if n in seen}, np.ascontiguousarray(table.T)


def _bar(reader: Reader, low: float, high: float) -> Bar:
    minutes = reader.minutes_between(low, high)
    runs = []
    if len(minutes):
        cuts = np.flatnonzero(np.diff(minutes) > 1)
        firsts = minutes[np.concatenate(([0], cuts + 1))]
        lasts = minutes[np.concatenate((cuts, [len(minutes) - 1]))]
        runs = [(float(a) * MINUTE_S, float(b + 1) * MINUTE_S) for a, b in zip(firsts, lasts, strict=True)]
    span = reader.span()
    return Bar(
        low, high, None if span is None else span[0], tuple(runs), tuple(reader.events(low, high, limit=MARKS_SHOWN))
    )
