"""The file telemetry.sqlite: tables, views, versions.

Times are microseconds since 1970 UTC as integers (`_us`), minutes and hours are whole ones since 1970 UTC. A node's
clock is corrected by its measured offset; the offset itself is stored beside the samples.

Raw seconds lie in `recent` (one blob a node, tier and flush) until they are sealed into `chunks` (a node's tier over a
span: its times and entities) with one row a card and metric in `columns`, whose id is chunk << 20 | place of the entity
<< 8 | metric: five minutes first, an hour as soon as it is over. The view `spans` lists them; `cardkeeper history query`
reads the seconds.

Roll-ups are ordinary rows: `minute_rows`, `hour_rows`, and the views `minutes` and `hours` over them with names instead
of numbers. In a row whose min, max or last is NULL it equals the mean. Where a mean says nothing the column holds what
does: of a mask (clocks_event_reasons) the bits that were set at any time, of a code (pstate) the last. `fleet_rows` and
the view `fleet` hold the mean, least and greatest of all cards' minute means. `wide` holds the minute values of the
whole fleet, ten minutes a blob a metric: what a map at a moment and an average of chosen cards are read from.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import sqlite_utils

from console.fleet.metrics import CARD_METRICS, HOST_METRICS
from console.history.errors import HistoryError, explained

FILE = "telemetry.sqlite"
APPLICATION_ID = 0x434B_5452  # "CKTR"
BUSY_S = 5.0

_TABLES = """
CREATE TABLE nodes (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, facts TEXT NOT NULL DEFAULT '{}',
    first_us INTEGER NOT NULL, last_us INTEGER NOT NULL);
CREATE TABLE entities (id INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, node_id INTEGER NOT NULL REFERENCES nodes(id),
    kind TEXT NOT NULL CHECK (kind IN ('card', 'slice', 'host')), place INTEGER NOT NULL, name TEXT NOT NULL,
    parent TEXT NOT NULL DEFAULT '', facts TEXT NOT NULL DEFAULT '{}',
    first_us INTEGER NOT NULL, last_us INTEGER NOT NULL);
CREATE TABLE metrics (id INTEGER PRIMARY KEY, scope TEXT NOT NULL CHECK (scope IN ('card', 'host')), name TEXT NOT NULL,
    unit TEXT NOT NULL, tier TEXT NOT NULL, kind TEXT NOT NULL, title TEXT NOT NULL, source TEXT NOT NULL,
    UNIQUE (scope, name));
CREATE TABLE recent (id INTEGER PRIMARY KEY, node_id INTEGER NOT NULL, tier TEXT NOT NULL, scope TEXT NOT NULL,
    from_us INTEGER NOT NULL, to_us INTEGER NOT NULL, rows INTEGER NOT NULL, entities BLOB NOT NULL,
    offset_us INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX recent_place ON recent (node_id, tier, scope, from_us);
CREATE TABLE chunks (id INTEGER PRIMARY KEY, node_id INTEGER NOT NULL, tier TEXT NOT NULL, scope TEXT NOT NULL,
    from_us INTEGER NOT NULL, to_us INTEGER NOT NULL, rows INTEGER NOT NULL, is_hour INTEGER NOT NULL,
    offset_us INTEGER NOT NULL, entities BLOB NOT NULL, times BLOB NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX chunks_place ON chunks (node_id, tier, scope, from_us);
CREATE INDEX chunks_age ON chunks (is_hour, to_us);
CREATE TABLE columns (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE minute_rows (minute INTEGER NOT NULL, metric_id INTEGER NOT NULL, entity_id INTEGER NOT NULL,
    mean REAL NOT NULL, min REAL, max REAL, last REAL, count INTEGER NOT NULL, fresh REAL NOT NULL,
    PRIMARY KEY (minute, metric_id, entity_id)) WITHOUT ROWID;
CREATE TABLE hour_rows (hour INTEGER NOT NULL, metric_id INTEGER NOT NULL, entity_id INTEGER NOT NULL,
    mean REAL NOT NULL, min REAL, max REAL, last REAL, count INTEGER NOT NULL, fresh REAL NOT NULL,
    PRIMARY KEY (hour, metric_id, entity_id)) WITHOUT ROWID;
CREATE TABLE minute_sizes (minute INTEGER PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE hour_sizes (hour INTEGER PRIMARY KEY, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TABLE fleet_rows (minute INTEGER NOT NULL, metric_id INTEGER NOT NULL, mean REAL NOT NULL, min REAL NOT NULL,
    max REAL NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (minute, metric_id)) WITHOUT ROWID;
CREATE TABLE wide (block INTEGER NOT NULL, metric_id INTEGER NOT NULL, entities BLOB NOT NULL, means BLOB NOT NULL,
    states BLOB NOT NULL, PRIMARY KEY (block, metric_id)) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, node_id INTEGER NOT NULL, entity_id INTEGER, at_us INTEGER NOT NULL,
    node_us INTEGER NOT NULL, seen_us INTEGER NOT NULL, kind TEXT NOT NULL, code INTEGER, source TEXT NOT NULL,
    text TEXT NOT NULL);
CREATE INDEX events_age ON events (at_us);
CREATE INDEX events_node ON events (node_id, at_us);
CREATE TABLE states (id INTEGER PRIMARY KEY, node_id INTEGER NOT NULL, kind TEXT NOT NULL, at_us INTEGER NOT NULL,
    data BLOB NOT NULL);
CREATE INDEX states_place ON states (node_id, kind, at_us);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

_VIEWS = """
CREATE VIEW minutes AS SELECT datetime(minute * 60, 'unixepoch') AS minute_utc, minute, n.name AS node, e.uuid, e.kind,
    e.place, m.name AS metric, m.unit, mean, COALESCE(min, mean) AS min, COALESCE(max, mean) AS max,
    COALESCE(last, mean) AS last, count, fresh FROM minute_rows r JOIN entities e ON e.id = r.entity_id
    JOIN nodes n ON n.id = e.node_id JOIN metrics m ON m.id = r.metric_id;
CREATE VIEW hours AS SELECT datetime(hour * 3600, 'unixepoch') AS hour_utc, hour, n.name AS node, e.uuid, e.kind,
    e.place, m.name AS metric, m.unit, mean, COALESCE(min, mean) AS min, COALESCE(max, mean) AS max,
    COALESCE(last, mean) AS last, count, fresh FROM hour_rows r JOIN entities e ON e.id = r.entity_id
    JOIN nodes n ON n.id = e.node_id JOIN metrics m ON m.id = r.metric_id;
CREATE VIEW fleet AS SELECT datetime(minute * 60, 'unixepoch') AS minute_utc, minute, m.name AS metric, m.unit, mean,
    min, max, count FROM fleet_rows r JOIN metrics m ON m.id = r.metric_id;
CREATE VIEW happened AS SELECT v.id, strftime('%Y-%m-%dT%H:%M:%fZ', at_us / 1e6, 'unixepoch') AS at_utc, n.name AS node,
    COALESCE(e.uuid, '') AS uuid, v.kind, v.code, v.source, v.text, at_us, node_us, seen_us FROM events v
    JOIN nodes n ON n.id = v.node_id LEFT JOIN entities e ON e.id = v.entity_id;
CREATE VIEW spans AS SELECT n.name AS node, c.tier, c.scope,
    strftime('%Y-%m-%dT%H:%M:%fZ', from_us / 1e6, 'unixepoch') AS from_utc,
    strftime('%Y-%m-%dT%H:%M:%fZ', to_us / 1e6, 'unixepoch') AS to_utc, rows, offset_us / 1e6 AS clock_offset_s, bytes
    FROM chunks c JOIN nodes n ON n.id = c.node_id;
"""


def _first(connection: sqlite3.Connection) -> None:
    for statement in (_TABLES + _VIEWS).split(";\n"):
        if statement.strip():
            connection.execute(statement)


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_first,)
"""What leads from version i to version i + 1. A step that was released is never changed."""

VERSION = len(MIGRATIONS)


def connect(path: Path, writes: bool) -> sqlite_utils.Database:
    """The store at `path`, brought up to this version where `writes` is set.

    Raises:
        HistoryError: no such file to read, a newer version, another program's file, or the disk refuses.
    """
    if not writes and not path.exists():
        raise HistoryError(f"{path}: nothing was recorded there yet; cardkeeper or cardkeeper collect records")
    try:
        if writes:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            # Freed pages are handed back in steps; this must stand before the first table.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA journal_size_limit = 67108864")
        else:
            uri = f"{path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, timeout=BUSY_S, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA cache_size = -32768")
        _check_version(connection, path, writes)
        if writes:
            _learn_metrics(connection)
    except (sqlite3.Error, OSError) as exc:
        raise HistoryError(explained(exc, path)) from exc
    return sqlite_utils.Database(connection, use_counts_table=False)


def _check_version(connection: sqlite3.Connection, path: Path, writes: bool) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if owner not in (0, APPLICATION_ID) or (owner == 0 and tables):
        raise HistoryError(f"{path}: this is a database of another program; give another folder with --data")
    if version > VERSION:
        raise HistoryError(
            f"{path}: written by a newer Cardkeeper (version {version} of the file; this one reads up to {VERSION}). "
            "Update Cardkeeper, or give another folder with --data"
        )
    if version == VERSION:
        return
    if not writes:
        raise HistoryError(f"{path}: version {version} of the file; start cardkeeper once to bring it to {VERSION}")
    for number in range(version, VERSION):
        connection.execute("BEGIN IMMEDIATE")
        try:
            MIGRATIONS[number](connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def _learn_metrics(connection: sqlite3.Connection) -> None:
    rows = [
        (scope, m.id, m.unit, str(m.tier), str(m.kind), m.title, m.source)
        for scope, catalogue in (("card", CARD_METRICS), ("host", HOST_METRICS))
        for m in catalogue
    ]
    connection.executemany(
        "INSERT INTO metrics (scope, name, unit, tier, kind, title, source) VALUES (?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (scope, name) DO UPDATE SET unit = excluded.unit, tier = excluded.tier, kind = excluded.kind, "
        "title = excluded.title, source = excluded.source WHERE excluded.title <> title OR excluded.source <> source",
        rows,
    )
