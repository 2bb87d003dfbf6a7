"""The writer of telemetry.sqlite. One thread; every write is a short transaction of its own."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from console.fleet.metrics import CARD_METRICS, HOST_METRICS, Tier, tier_columns
from console.history.blocks import Block, pack_block, pack_column, unpack_block, unpack_column
from console.history.codec import CodecError, decode_times, encode_times
from console.history.errors import HistoryError, explained
from console.history.minutes import BLOCK_MINUTES
from console.history.rollup import Rollup
from console.history.schema import FILE, connect
from console.history.wide import pack_wide, unpack_wide

_log = logging.getLogger(__name__)

HOUR_US = 3_600_000_000
SEAL_US = 300_000_000
PLACE_BITS, METRIC_BITS = 20, 8
BATCH_ROWS = 4000
"""Roll-up rows a transaction: some 10 ms."""

ROW_BYTES = 34
"""What one roll-up row takes, measured on a day of the demo fleet: for the accounting of sizes only."""

_CATALOGUES = {"card": CARD_METRICS, "host": HOST_METRICS}


def tier_metrics(scope: str, tier: str) -> list[str]:
    """The metrics of a block in order."""
    catalogue = _CATALOGUES[scope]
    return [catalogue[i].id for i in tier_columns(catalogue, Tier(tier))]


def column_id(chunk: int, place: int, metric: int) -> int:
    """The id of a column: of entity number `place` within its chunk."""
    return chunk << PLACE_BITS | place << METRIC_BITS | metric


class Store:
    """Writes blocks, roll-ups, events and states. Raises HistoryError on anything the disk refuses.

    Attributes:
        path: the file.
        metric_ids: {(scope, metric): id}.
        gauges, counters: ids of the metrics of that kind.
        longest_s: the longest write transaction since the start.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self.db = connect(self.path, writes=True)
        connection = self.db.conn
        assert connection is not None
        self._connection: sqlite3.Connection = connection
        self.longest_s = 0.0
        self._cards: np.ndarray | None = None
        self._check_after_crash()
        self.metric_ids = {(r[0], r[1]): r[2] for r in self.rows("SELECT scope, name, id FROM metrics")}
        self.gauges = frozenset(r[0] for r in self.rows("SELECT id FROM metrics WHERE kind = 'gauge'"))
        self.counters = frozenset(r[0] for r in self.rows("SELECT id FROM metrics WHERE kind = 'counter'"))
        self._nodes: dict[str, int] = {r[0]: r[1] for r in self.rows("SELECT name, id FROM nodes")}
        self._entities: dict[str, int] = {r[0]: r[1] for r in self.rows("SELECT uuid, id FROM entities")}
        self._uuids: dict[int, str] = {number: uuid for uuid, number in self._entities.items()}

    def rows(self, query: str, values: Sequence[object] = ()) -> list[tuple]:  # type: ignore[type-arg]
        """All rows of a query.

        Raises:
            HistoryError: the file cannot be read.
        """
        try:
            return list(self._connection.execute(query, values))
        except sqlite3.Error as exc:
            raise HistoryError(explained(exc, self.path)) from exc

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing.

        Raises:
            HistoryError: the disk refused; nothing was written.
        """
        begun = time.perf_counter()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        except (sqlite3.Error, OSError) as exc:
            raise HistoryError(explained(exc, self.path)) from exc
        finally:
            self.longest_s = max(self.longest_s, time.perf_counter() - begun)

    def _check_after_crash(self) -> None:
        """A writer that ended badly may have met a bad disk: look before adding to the damage."""
        was_open = bool(self.rows("SELECT 1 FROM settings WHERE name = 'open'"))
        if was_open:
            found = self.rows("PRAGMA quick_check(1)")[0][0]
            if found != "ok":
                text = f"{self.path}: the file is damaged ({found}); move it away and recording begins anew"
                raise HistoryError(text)
        with self.transaction() as c:
            c.execute("INSERT OR REPLACE INTO settings VALUES ('open', ?)", (str(time.time()),))

    # Names

    def node_id(self, name: str, at_us: int) -> int:
        """The id of a node, new on first sight."""
        found = self._nodes.get(name)
        if found is None:
            with self.transaction() as c:
                values = (name, at_us, at_us)
                found = int(
                    c.execute("INSERT INTO nodes (name, first_us, last_us) VALUES (?, ?, ?)", values).lastrowid or 0
                )
            self._nodes[name] = found
        return found

    def entity_id(self, uuid: str, node: str, at_us: int) -> int:
        """The id of a card, slice or host; one that was not described yet gets a row to be filled in."""
        found = self._entities.get(uuid)
        if found is None:
            kind = "host" if uuid.startswith("host:") else "card"
            self.describe(node, [(uuid, kind, 0, node if kind == "host" else "", "", {})], at_us)
            found = self._entities[uuid]
        return found

    def describe(
        self, node: str, entities: Iterable[tuple[str, str, int, str, str, dict[str, str]]], at_us: int
    ) -> None:
        """Note what a node has: (uuid, kind, place, name, parent, facts) each."""
        node_id = self.node_id(node, at_us)
        self._cards = None
        with self.transaction() as c:
            for uuid, kind, place, name, parent, facts in entities:
                values = (uuid, node_id, kind, place, name, parent, json.dumps(facts), at_us, at_us)
                c.execute(
                    "INSERT INTO entities (uuid, node_id, kind, place, name, parent, facts, first_us, last_us) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (uuid) DO UPDATE SET node_id = excluded.node_id, "
                    "kind = excluded.kind, place = excluded.place, name = excluded.name, parent = excluded.parent, "
                    "facts = excluded.facts, last_us = excluded.last_us",
                    values,
                )
                if uuid not in self._entities:
                    row = c.execute("SELECT id FROM entities WHERE uuid = ?", (uuid,)).fetchone()
                    self._entities[uuid] = int(row[0])
                    self._uuids[int(row[0])] = uuid

    def uuid_of(self, entity: int) -> str:
        """The UUID of an entity's id.

        Raises:
            KeyError: no such id.
        """
        return self._uuids[entity]

    # Seconds

    def write_recent(
        self,
        blocks: Sequence[tuple[int, str, str, np.ndarray, int, Block]],
        events: Sequence[tuple[object, ...]],
        states: Sequence[tuple[int, str, int, bytes]],
    ) -> None:
        """One flush: (node id, tier, scope, entity ids, clock offset in us, block) each, events and states with it."""
        rows = [
            (
                node, tier, scope, int(b.times_ms[0]) * 1000, int(b.times_ms[-1]) * 1000, len(b.times_ms),
                ids.astype(np.int32).tobytes(), offset, pack_block(b),
            )
            for node, tier, scope, ids, offset, b in blocks
        ]  # fmt: skip
        packed = [(node, kind, at, zlib.compress(data, 6)) for node, kind, at, data in states]
        with self.transaction() as c:
            c.executemany(
                "INSERT INTO recent (node_id, tier, scope, from_us, to_us, rows, entities, offset_us, data) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
            c.executemany(
                "INSERT INTO events (node_id, entity_id, at_us, node_us, seen_us, kind, code, source, text) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                events,
            )
            c.executemany("INSERT INTO states (node_id, kind, at_us, data) VALUES (?, ?, ?, ?)", packed)

    def due_for_sealing(self, before_us: int) -> list[tuple[int, str, str]]:
        """Places whose oldest unsealed row is from before `before_us`."""
        query = "SELECT node_id, tier, scope FROM recent GROUP BY node_id, tier, scope HAVING min(from_us) < ?"
        return [(int(n), str(t), str(s)) for n, t, s in self.rows(query, (before_us,))]

    def seal(self, node: int, tier: str, scope: str, until_us: int) -> None:
        """Turn unsealed rows that begin before `until_us` into chunks, never across an hour or other entities."""
        rows = self.rows(
            "SELECT id, from_us, rows, entities, offset_us, data FROM recent "
            "WHERE node_id = ? AND tier = ? AND scope = ? AND from_us < ? ORDER BY from_us, id",
            (node, tier, scope, until_us),
        )
        metrics = tier_metrics(scope, tier)
        groups: list[tuple[bytes, int, list[tuple]]] = []  # type: ignore[type-arg]
        for row in rows:
            key = row[3], row[1] // HOUR_US
            if not groups or groups[-1][:2] != key:
                groups.append((*key, []))
            groups[-1][2].append(row)
        for entities, _, group in groups:
            parts = []
            for row in group:
                try:
                    parts.append(unpack_block(row[5], row[2], len(entities) // 4, len(metrics)))
                except CodecError as exc:
                    _log.warning("history: rows of node %d are lost: %s", node, exc)
            chunk = self._encode(node, tier, scope, entities, group[-1][4], parts, False) if parts else None
            with self.transaction() as c:
                if chunk is not None:
                    self._insert_chunk(c, *chunk)
                c.executemany("DELETE FROM recent WHERE id = ?", [(row[0],) for row in group])

    def _encode(
        self, node: int, tier: str, scope: str, entities: bytes, offset_us: int, parts: list[Block], is_hour: bool
    ) -> tuple[tuple[object, ...], list[tuple[int, bytes]]]:
        times = np.concatenate([p.times_ms for p in parts])
        order = np.argsort(times, kind="stable")
        times = times[order]
        values = np.concatenate([p.values for p in parts])[order]
        states = np.concatenate([p.states for p in parts])[order]
        columns = []
        for at, metric in enumerate(tier_metrics(scope, tier)):
            number = self.metric_ids[scope, metric]
            for place in range(len(entities) // 4):
                quality = states[:, place, at]
                if quality.any():  # a metric that never came takes no room
                    packed = pack_column(np.ascontiguousarray(values[:, place, at]), np.ascontiguousarray(quality))
                    columns.append((place << METRIC_BITS | number, packed))
        packed_times = encode_times(times)
        size = len(packed_times) + sum(len(data) for _, data in columns)
        head = (
            node, tier, scope, int(times[0]) * 1000, int(times[-1]) * 1000, len(times), int(is_hour), offset_us,
            entities, packed_times, size,
        )  # fmt: skip
        return head, columns

    @staticmethod
    def _insert_chunk(c: sqlite3.Connection, head: tuple[object, ...], columns: list[tuple[int, bytes]]) -> None:
        chunk = int(
            c.execute(
                "INSERT INTO chunks (node_id, tier, scope, from_us, to_us, rows, is_hour, offset_us, entities, times, bytes) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                head,
            ).lastrowid
            or 0
        )
        c.executemany("INSERT INTO columns VALUES (?, ?)", [(chunk << PLACE_BITS | key, data) for key, data in columns])

    def has_recent(self, node: int, tier: str, scope: str, before_us: int) -> bool:
        """Whether rows from before `before_us` are not sealed yet."""
        query = "SELECT 1 FROM recent WHERE node_id = ? AND tier = ? AND scope = ? AND from_us < ? LIMIT 1"
        return bool(self.rows(query, (node, tier, scope, before_us)))

    def unrolled(self, since_us: int) -> Iterator[tuple[str, str, str, np.ndarray, Block]]:
        """Unsealed rows since a time: (node, tier, scope, entity ids, block) each, oldest first."""
        names = {number: name for name, number in self._nodes.items()}
        for node, tier, scope, rows, entities, data in self.rows(
            "SELECT node_id, tier, scope, rows, entities, data FROM recent WHERE to_us >= ? ORDER BY from_us",
            (since_us,),
        ):
            ids = np.frombuffer(entities, dtype=np.int32)
            try:
                block = unpack_block(data, rows, len(ids), len(tier_metrics(scope, tier)))
            except CodecError as exc:
                _log.warning("history: rows of %s are lost: %s", names.get(node), exc)
                continue
            later = block.times_ms >= since_us // 1000
            if later.any():
                yield (
                    names[node],
                    tier,
                    scope,
                    ids,
                    Block(block.times_ms[later], block.values[later], block.states[later]),
                )

    def due_for_joining(self, hour_us: int) -> list[tuple[int, str, str, int, bytes]]:
        """Hours before `hour_us` that lie in several short chunks: (node, tier, scope, hour, entities)."""
        return self.rows(
            "SELECT node_id, tier, scope, from_us / 3600000000, entities FROM chunks WHERE is_hour = 0 AND to_us < ? "
            "GROUP BY 1, 2, 3, 4, 5",
            (hour_us,),
        )

    def join_hour(self, node: int, tier: str, scope: str, hour: int, entities: bytes) -> None:
        """Make one chunk of an hour's short ones."""
        pieces = self.rows(
            "SELECT id, rows, offset_us, times FROM chunks WHERE is_hour = 0 AND node_id = ? AND tier = ? AND scope = ? "
            "AND entities = ? AND from_us >= ? AND from_us < ? ORDER BY from_us",
            (node, tier, scope, entities, hour * HOUR_US, (hour + 1) * HOUR_US),
        )
        if not pieces:
            return
        parts = [self.read_chunk(p[0], p[1], p[3], scope, tier, len(entities) // 4) for p in pieces]
        head, columns = self._encode(node, tier, scope, entities, pieces[-1][2], parts, True)
        with self.transaction() as c:
            for piece in pieces:
                self.delete_chunk(c, piece[0])
            self._insert_chunk(c, head, columns)

    def read_chunk(self, chunk: int, rows: int, times: bytes, scope: str, tier: str, entities: int) -> Block:
        """A whole chunk as a block."""
        places = {self.metric_ids[scope, m]: i for i, m in enumerate(tier_metrics(scope, tier))}
        values = np.full((rows, entities, len(places)), np.nan)
        states = np.zeros(values.shape, dtype=np.uint8)
        low, high = chunk << PLACE_BITS, (chunk + 1) << PLACE_BITS
        for number, data in self.rows("SELECT id, data FROM columns WHERE id >= ? AND id < ?", (low, high)):
            metric, place = number & ((1 << METRIC_BITS) - 1), (number - low) >> METRIC_BITS
            if metric in places:
                values[:, place, places[metric]], states[:, place, places[metric]] = unpack_column(data, rows)
        return Block(decode_times(times, rows), values, states)

    @staticmethod
    def delete_chunk(c: sqlite3.Connection, chunk: int) -> None:
        """Take a chunk and its columns away, within a transaction."""
        c.execute("DELETE FROM columns WHERE id >= ? AND id < ?", (chunk << PLACE_BITS, (chunk + 1) << PLACE_BITS))
        c.execute("DELETE FROM chunks WHERE id = ?", (chunk,))

    # Roll-ups

    def write_rollups(self, table: str, span: int, entries: Sequence[tuple[np.ndarray, Sequence[int], Rollup]]) -> None:
        """Rows of one minute ("minute") or hour ("hour"): (entity ids, metric ids, [entities, metrics] roll-up) each."""
        rows: list[tuple[object, ...]] = []
        for ids, metrics, rollup in entries:
            places, columns = np.nonzero(rollup.count)
            numbers = np.asarray(metrics)[columns].tolist()
            mean = np.round(rollup.mean[places, columns], 3)
            like = [np.round(a[places, columns], 3) for a in (rollup.low, rollup.high, rollup.last)]
            # What equals the mean is left out: the views fill it in, and most minutes of most metrics are flat.
            bounds = [[None if v == m else v for v, m in zip(a.tolist(), mean.tolist(), strict=True)] for a in like]
            counts, fresh = rollup.count[places, columns].tolist(), np.round(rollup.fresh[places, columns], 3).tolist()
            rows += zip(
                [span] * len(places), numbers, ids[places].tolist(), mean.tolist(), *bounds, counts, fresh, strict=True
            )
        rows.sort(key=lambda r: (r[1], r[2]))
        for first in range(0, len(rows), BATCH_ROWS):
            with self.transaction() as c:
                c.executemany(
                    f"INSERT OR REPLACE INTO {table}_rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    rows[first : first + BATCH_ROWS],
                )
        if rows:
            with self.transaction() as c:
                c.execute(
                    f"INSERT INTO {table}_sizes VALUES (?, ?, ?) ON CONFLICT ({table}) DO UPDATE SET "
                    "rows = max(rows, excluded.rows), bytes = max(bytes, excluded.bytes)",
                    (span, len(rows), len(rows) * ROW_BYTES),
                )

    def write_wide(self, block: int, columns: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
        """Ten minutes of the fleet: {metric id: (entity ids, means [10, entities], states)}; replaces what was there."""
        rows = [(block, metric, *pack_wide(*column)) for metric, column in columns.items()]
        totals = [
            row
            for metric, column in columns.items()
            if metric in self.gauges
            for row in self._totals(block, metric, *column[:2])
        ]
        with self.transaction() as c:
            c.executemany("INSERT OR REPLACE INTO fleet_rows VALUES (?, ?, ?, ?, ?, ?)", totals)
        for first in range(0, len(rows), 8):
            with self.transaction() as c:
                c.executemany("INSERT OR REPLACE INTO wide VALUES (?, ?, ?, ?, ?)", rows[first : first + 8])

    def _totals(
        self, block: int, metric: int, ids: np.ndarray, means: np.ndarray
    ) -> Iterator[tuple[int, int, float, float, float, int]]:
        """Rows of `fleet_rows`: cards alone, for a slice's readings are in its card's already."""
        cards = means[:, np.isin(ids, self._card_ids())]
        known = ~np.isnan(cards)
        for minute in np.flatnonzero(known.any(axis=1)).tolist():
            row = cards[minute][known[minute]].astype(np.float64)
            yield block * BLOCK_MINUTES + minute, metric, row.mean(), row.min(), row.max(), len(row)

    def _card_ids(self) -> np.ndarray:
        if self._cards is None:
            self._cards = np.array(
                [r[0] for r in self.rows("SELECT id FROM entities WHERE kind = 'card'")], dtype=np.int32
            )
        return self._cards

    def wide_of(self, block: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
        """What is stored of a block of `wide`: (metric id, entity ids, means, states) each."""
        for metric, entities, means, states in self.rows(
            "SELECT metric_id, entities, means, states FROM wide WHERE block = ?", (block,)
        ):
            yield metric, *unpack_wide(entities, means, states)

    def last_minute(self) -> int | None:
        """The newest minute rolled up, None where there is none."""
        found = self.rows("SELECT max(minute) FROM minute_sizes")[0][0]
        return None if found is None else int(found)

    def close(self) -> None:
        """Close in good order: the next start need not look for damage."""
        try:
            with self.transaction() as c:
                c.execute("DELETE FROM settings WHERE name = 'open'")
            self._connection.execute("PRAGMA optimize")
        except (HistoryError, sqlite3.Error):
            _log.warning("the history could not be closed in good order", exc_info=True)
        self._connection.close()
