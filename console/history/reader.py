"""Reading telemetry.sqlite: series at full resolution or by the point, the fleet at a moment, averages, events.

A reader sees what the last flush wrote, while the writer goes on. It blocks on the disk: never on the Qt thread.
"""

from __future__ import annotations

import difflib
import math
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from console.fleet.model import NodeEvent
from console.fleet.state import ReadingState
from console.history.blocks import unpack_block, unpack_column
from console.history.codec import CodecError, decode_times
from console.history.errors import HistoryError, explained
from console.history.minutes import BLOCK_MINUTES
from console.history.points import Points, bucket
from console.history.retention import Cut, Limits, cuts
from console.history.schema import FILE, connect
from console.history.store import column_id, tier_metrics
from console.history.wide import unpack_wide

F8 = npt.NDArray[np.float64]
U1 = npt.NDArray[np.uint8]

HOUR_US = 3_600_000_000
LATE_US = 120_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """An entity as recorded."""

    id: int
    uuid: str
    node: str
    kind: str
    place: int
    name: str
    parent: str


class Reader:
    """One connection for one thread at a time.

    Raises, from every method:
        HistoryError: the file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        """Open the folder's file.

        Raises:
            HistoryError: there is none, or not one that this version reads.
        """
        self.path = folder / FILE
        connection = connect(self.path, writes=False).conn
        assert connection is not None
        self._connection: sqlite3.Connection = connection

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        """All rows of a query."""
        try:
            return list(self._connection.execute(query, values))
        except sqlite3.Error as exc:
            raise HistoryError(explained(exc, self.path)) from exc

    # What there is

    def metric(self, scope: str, name: str) -> tuple[int, str, str]:
        """(id, tier, unit) of a metric.

        Raises:
            KeyError: it was never recorded.
        """
        found = self.rows("SELECT id, tier, unit FROM metrics WHERE scope = ? AND name = ?", (scope, name))
        if not found:
            raise KeyError(name)
        return found[0][0], found[0][1], found[0][2]

    def is_mask(self, scope: str, name: str) -> bool:
        """Whether the metric is a set of bits."""
        return bool(self.rows("SELECT 1 FROM metrics WHERE scope = ? AND name = ? AND kind = 'mask'", (scope, name)))

    def knows(self, scope: str, name: str) -> bool:
        """Whether a metric of that name is recorded of cards ("card") or hosts ("host")."""
        return bool(self.rows("SELECT 1 FROM metrics WHERE scope = ? AND name = ?", (scope, name)))

    def alike(self, name: str) -> list[str]:
        """Metrics whose names are near `name`."""
        return difflib.get_close_matches(name, [r[0] for r in self.rows("SELECT DISTINCT name FROM metrics")])

    def oldest(self) -> dict[str, float]:
        """Since when there are "seconds", "minutes" and "hours"; infinity where there are none."""
        sealed, open_ = (self.rows(f"SELECT min(from_us) / 1e6 FROM {t}")[0][0] for t in ("chunks", "recent"))
        minute = self.rows("SELECT min(minute) * 60.0 FROM minute_sizes")[0][0]
        hour = self.rows("SELECT min(hour) * 3600.0 FROM hour_sizes")[0][0]
        seconds = min((s for s in (sealed, open_) if s is not None), default=None)
        found = {"seconds": seconds, "minutes": minute, "hours": hour}
        return {name: math.inf if at is None else float(at) for name, at in found.items()}

    def cuts(self, now_s: float, limits: Limits | None = None) -> list[Cut]:
        """What is over the limits now."""
        return cuts(self, limits or Limits(), now_s)

    def entities(self) -> dict[int, Seen]:
        """Everything that was ever recorded, by id."""
        query = (
            "SELECT e.id, e.uuid, n.name, e.kind, e.place, e.name, e.parent FROM entities e "
            "JOIN nodes n ON n.id = e.node_id"
        )
        return {r[0]: Seen(*r) for r in self.rows(query)}

    def entity(self, uuid: str) -> Seen | None:
        """A card, slice or host ("host:NAME") by its UUID."""
        query = (
            "SELECT e.id, e.uuid, n.name, e.kind, e.place, e.name, e.parent FROM entities e "
            "JOIN nodes n ON n.id = e.node_id WHERE e.uuid = ?"
        )
        found = self.rows(query, (uuid,))
        return Seen(*found[0]) if found else None

    def span(self) -> tuple[float, float] | None:
        """(first, last) unix second of which there is anything."""
        low, high = self.rows(
            "SELECT min(at), max(at) FROM (SELECT min(minute) * 60.0 AS at FROM minute_sizes "
            "UNION ALL SELECT min(from_us) / 1e6 FROM chunks UNION ALL SELECT max(to_us) / 1e6 FROM chunks "
            "UNION ALL SELECT min(from_us) / 1e6 FROM recent UNION ALL SELECT max(to_us) / 1e6 FROM recent)"
        )[0]
        return None if low is None else (float(low), float(high))

    # Seconds

    def seconds(self, uuid: str, metric: str, since_s: float, until_s: float) -> tuple[F8, F8, U1]:
        """(unix seconds, values with NaN where not fresh, states) at full resolution, oldest first.

        Raises:
            KeyError: no such entity or metric was recorded.
        """
        seen = self.entity(uuid)
        if seen is None:
            raise KeyError(uuid)
        scope = "host" if seen.kind == "host" else "card"
        number, tier, _ = self.metric(scope, metric)
        low, high = int(since_s * 1e6), int(until_s * 1e6)
        node = self.rows("SELECT node_id FROM entities WHERE id = ?", (seen.id,))[0][0]
        parts = [
            *self._sealed(node, tier, scope, seen.id, number, low, high),
            *self._unsealed(node, tier, scope, seen.id, metric, low, high),
        ]
        if not parts:
            return np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.uint8)
        times = np.concatenate([p[0] for p in parts]) / 1000.0
        values, states = np.concatenate([p[1] for p in parts]), np.concatenate([p[2] for p in parts])
        if len(times) > 1 and (times[1:] < times[:-1]).any():
            order = np.argsort(times, kind="stable")
            times, values, states = times[order], values[order], states[order]
        first, end = np.searchsorted(times, since_s), np.searchsorted(times, until_s, side="right")
        times, values, states = times[first:end], values[first:end], states[first:end]
        if not states.all():
            came = states != int(ReadingState.NONE)
            times, values, states = times[came], values[came], states[came]
        return times, values, states

    def _sealed(
        self, node: int, tier: str, scope: str, entity: int, metric: int, low: int, high: int
    ) -> list[tuple[npt.NDArray[np.int64], F8, U1]]:
        out = []
        # A chunk spans an hour and what its last flush held, so none that began earlier can reach in.
        for chunk, rows, entities, times in self.rows(
            "SELECT id, rows, entities, times FROM chunks WHERE node_id = ? AND tier = ? AND scope = ? "
            "AND from_us BETWEEN ? AND ? AND to_us >= ? ORDER BY from_us",
            (node, tier, scope, low - HOUR_US - LATE_US, high, low),
        ):
            places = np.flatnonzero(np.frombuffer(entities, dtype=np.int32) == entity)
            if not len(places):
                continue
            found = self.rows("SELECT data FROM columns WHERE id = ?", (column_id(chunk, int(places[0]), metric),))
            if not found:
                continue
            try:
                out.append((decode_times(times, rows), *unpack_column(found[0][0], rows)))
            except CodecError as exc:
                raise HistoryError(f"{self.path}: {exc}; the hour is lost, the rest is not") from exc
        return out

    def _unsealed(
        self, node: int, tier: str, scope: str, entity: int, metric: str, low: int, high: int
    ) -> list[tuple[npt.NDArray[np.int64], F8, U1]]:
        metrics = tier_metrics(scope, tier)
        out = []
        for rows, entities, data in self.rows(
            "SELECT rows, entities, data FROM recent WHERE node_id = ? AND tier = ? AND scope = ? "
            "AND from_us <= ? AND to_us >= ? ORDER BY from_us",
            (node, tier, scope, high, low),
        ):
            ids = np.frombuffer(entities, dtype=np.int32)
            places = np.flatnonzero(ids == entity)
            if len(places):
                block = unpack_block(data, rows, len(ids), len(metrics))
                at = metrics.index(metric)
                out.append((block.times_ms, block.values[:, places[0], at], block.states[:, places[0], at]))
        return out

    def points(self, uuid: str, metric: str, since_s: float, until_s: float, points: int) -> Points:
        """The series in at most `points` equal buckets: mean, least and greatest of the fresh samples in each.

        Raises:
            KeyError: no such entity or metric was recorded.
        """
        t, v, _ = self.seconds(uuid, metric, since_s, until_s)
        return bucket(t, v, since_s, until_s, points)

    # Minutes

    def minutes(self, uuid: str, metric: str, since_s: float, until_s: float) -> Points:
        """The minute roll-ups of a series.

        Raises:
            KeyError: no such entity or metric was recorded.
        """
        return self._rolled(uuid, metric, int(since_s // 60), int(until_s // 60), "minute", 60.0)

    def hours(self, uuid: str, metric: str, since_s: float, until_s: float) -> Points:
        """The hour roll-ups of a series.

        Raises:
            KeyError: no such entity or metric was recorded.
        """
        return self._rolled(uuid, metric, int(since_s // 3600), int(until_s // 3600), "hour", 3600.0)

    def _rolled(self, uuid: str, metric: str, first: int, last: int, name: str, step: float) -> Points:
        seen = self.entity(uuid)
        if seen is None:
            raise KeyError(uuid)
        number, _, _ = self.metric("host" if seen.kind == "host" else "card", metric)
        # The key begins with the span, so that writing appends; one seek a span finds a series' rows.
        rows = self.rows(
            f"SELECT s.{name}, mean, coalesce(min, mean), coalesce(max, mean) FROM {name}_sizes s "
            f"CROSS JOIN {name}_rows r ON r.{name} = s.{name} AND r.metric_id = ? AND r.entity_id = ? "
            f"WHERE s.{name} BETWEEN ? AND ? ORDER BY s.{name}",
            (number, seen.id, first, last),
        )
        count = max(0, last - first + 1)
        table = np.full((3, count), np.nan)
        if rows:
            found = np.array(rows, dtype=float)
            table[:, found[:, 0].astype(int) - first] = found[:, 1:].T
        return Points(np.arange(first, first + count, dtype=np.float64) * step, table[0], table[1], table[2], step)

    def fleet_average(self, metric: str, uuids: Sequence[str] | None, since_s: float, until_s: float) -> Points:
        """Minute by minute, the mean, least and greatest over cards of the cards' minute means.

        Of the whole fleet (None) the writer has summed already; of chosen cards and slices it is done here.

        Raises:
            KeyError: no such metric was recorded.
        """
        number, _, _ = self.metric("card", metric)
        first, last = int(since_s // 60), int(until_s // 60)
        table = np.full((3, max(0, last - first + 1)), np.nan)
        if uuids is None:
            query = "SELECT minute, mean, min, max FROM fleet_rows WHERE metric_id = ? AND minute BETWEEN ? AND ?"
            rows = np.array(self.rows(query, (number, first, last)), dtype=float).reshape(-1, 4)
            table[:, rows[:, 0].astype(int) - first] = rows[:, 1:].T
            edges = np.arange(first, first + table.shape[1], dtype=np.float64) * 60.0
            return Points(edges, table[0], table[1], table[2], 60.0)
        wanted = self._ids(uuids)
        for block, entities, means, states in self.rows(
            "SELECT block, entities, means, states FROM wide WHERE metric_id = ? AND block BETWEEN ? AND ?",
            (number, first // BLOCK_MINUTES, last // BLOCK_MINUTES),
        ):
            ids, values, _ = unpack_wide(entities, means, states)
            values = values[:, np.isin(ids, wanted)]
            known = ~np.isnan(values)
            counts = known.sum(axis=1)
            filled = np.where(known, values, 0.0).sum(axis=1, dtype=np.float64)
            for minute in np.flatnonzero(counts):
                at = block * BLOCK_MINUTES + int(minute) - first
                if 0 <= at < table.shape[1]:
                    row = values[minute][known[minute]]
                    table[:, at] = filled[minute] / counts[minute], row.min(), row.max()
        return Points(
            np.arange(first, first + table.shape[1], dtype=np.float64) * 60.0, table[0], table[1], table[2], 60.0
        )

    def _ids(self, uuids: Sequence[str]) -> npt.NDArray[np.int32]:
        known = dict(self.rows("SELECT uuid, id FROM entities"))
        return np.array([known[u] for u in uuids if u in known], dtype=np.int32)

    def last_minute(self, at_s: float) -> int | None:
        """The newest minute rolled up that began at or before `at_s`; None where there is none."""
        found = self.rows("SELECT max(minute) FROM minute_sizes WHERE minute <= ?", (int(at_s // 60),))[0][0]
        return None if found is None else int(found)

    def minutes_between(self, since_s: float, until_s: float) -> npt.NDArray[np.int64]:
        """The minutes of which anything was rolled up, rising."""
        query = "SELECT minute FROM minute_sizes WHERE minute BETWEEN ? AND ? ORDER BY minute"
        found = self.rows(query, (int(since_s // 60), int(until_s // 60)))
        return np.array([r[0] for r in found], dtype=np.int64)

    def minute_table(
        self, scope: str, metric: str, until_minute: int, count: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """(entity ids, [count, entities]) of the `count` minutes that end with `until_minute`; NaN where unknown.

        Raises:
            KeyError: no such metric was recorded.
        """
        number, _, _ = self.metric(scope, metric)
        first = until_minute - count + 1
        parts = []
        for block, entities, means, states in self.rows(
            "SELECT block, entities, means, states FROM wide WHERE metric_id = ? AND block BETWEEN ? AND ?",
            (number, first // BLOCK_MINUTES, until_minute // BLOCK_MINUTES),
        ):
            parts.append((block * BLOCK_MINUTES - first, *unpack_wide(entities, means, states)[:2]))
        ids = np.unique(np.concatenate([p[1] for p in parts])) if parts else np.zeros(0, dtype=np.int32)
        table = np.full((count, len(ids)), np.nan, dtype=np.float32)
        for offset, who, values in parts:
            low, high = max(0, offset), min(count, offset + BLOCK_MINUTES)
            table[low:high, np.searchsorted(ids, who)] = values[low - offset : high - offset]
        return ids, table

    def moment(
        self, minute: int, metrics: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], tuple[npt.NDArray[np.int32], F8, U1]]:
        """The fleet in a minute: {(scope, metric): (entity ids, values, states)}.

        The value of a gauge is its mean over the minute, of a mask the bits set at any time, of a counter or code the
        last.
        """
        known = {(s, n): i for s, n, i in self.rows("SELECT scope, name, id FROM metrics")}
        wanted = {known[m]: m for m in metrics if m in known}
        out = {}
        marks = ",".join("?" * len(wanted))
        for metric, entities, means, states in self.rows(
            f"SELECT metric_id, entities, means, states FROM wide WHERE block = ? AND metric_id IN ({marks})",
            (minute // BLOCK_MINUTES, *wanted),
        ):
            ids, values, quality = unpack_wide(entities, means, states)
            row = minute % BLOCK_MINUTES
            out[wanted[metric]] = ids, values[row].astype(np.float64), quality[row]
        return out

    # Events and states

    def events(
        self,
        since_s: float,
        until_s: float,
        node: str | None = None,
        uuid: str | None = None,
        limit: int = 10_000,
    ) -> list[NodeEvent]:
        """The newest `limit` events of a span, oldest first. `wall_s` is the corrected time, `received_s` ours."""
        query = (
            "SELECT n.name, coalesce(e.uuid, ''), v.at_us / 1e6, v.seen_us / 1e6, v.kind, v.code, v.source, v.text "
            "FROM events v JOIN nodes n ON n.id = v.node_id LEFT JOIN entities e ON e.id = v.entity_id "
            "WHERE v.at_us BETWEEN ? AND ?"
        )
        values: list[object] = [int(since_s * 1e6), int(until_s * 1e6)]
        if node is not None:
            query, values = query + " AND n.name = ?", [*values, node]
        if uuid is not None:
            query, values = query + " AND e.uuid = ?", [*values, uuid]
        found = self.rows(query + " ORDER BY v.at_us DESC, v.id DESC LIMIT ?", [*values, limit])
        return [NodeEvent(*row) for row in reversed(found)]

    def next_event(self, at_s: float, step: int) -> float | None:
        """When the next (1) or the previous (-1) event happened, seen from `at_s`; None where there is none."""
        sign, order = (">", "ASC") if step > 0 else ("<", "DESC")
        found = self.rows(
            f"SELECT at_us / 1e6 FROM events WHERE at_us {sign} ? ORDER BY at_us {order} LIMIT 1", (int(at_s * 1e6),)
        )
        return float(found[0][0]) if found else None

    def states_at(self, at_s: float, kind: str) -> dict[str, tuple[float, int]]:
        """{node: (since, number)} of a kind of state as it was at a moment; `state` gives what is behind a number."""
        query = (
            "SELECT n.name, s.at_us / 1e6, s.id FROM nodes n JOIN states s ON s.id = (SELECT id FROM states "
            "WHERE node_id = n.id AND kind = ? AND at_us <= ? ORDER BY at_us DESC LIMIT 1)"
        )
        return {name: (float(at), int(number)) for name, at, number in self.rows(query, (kind, int(at_s * 1e6)))}

    def state(self, number: int) -> bytes:
        """The state of that number.

        Raises:
            KeyError: it is no longer kept.
        """
        found = self.rows("SELECT data FROM states WHERE id = ?", (number,))
        if not found:
            raise KeyError(number)
        try:
            return zlib.decompress(found[0][0])
        except zlib.error as exc:
            raise HistoryError(f"{self.path}: a damaged state: {exc}") from exc
