"""A span of history as one file that another console can open: a zip of a small database and a manifest with hashes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from console.history.errors import HistoryError, explained
from console.history.reader import Reader
from console.history.schema import FILE, VERSION, connect

MANIFEST = "manifest.json"
FORMAT = "cardkeeper-history"
MAX_UNPACKED = 64 << 30
_SLACK_US = 3_720_000_000
_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds.

    Attributes:
        since_s, until_s: unix seconds.
        bytes: of the database inside.
    """

    fleet: str
    since_s: float
    until_s: float
    nodes: int
    bytes: int


def export(reader: Reader, target: Path, fleet: str, since_s: float, until_s: float) -> Bundle:
    """Write what was recorded between two moments to `target`, which must not exist.

    Raises:
        HistoryError: nothing was recorded then, or the disk refuses; no half file is left.
    """
    if target.exists():
        raise HistoryError(f"{target}: this file exists; give another name")
    low, high = int(since_s * 1e6), int(until_s * 1e6)
    try:
        with tempfile.TemporaryDirectory(dir=target.absolute().parent) as folder:
            path = Path(folder) / FILE
            connect(path, writes=True).conn.close()
            _copy(reader.path, path, low, high)
            inside = Reader(Path(folder))
            nodes = len(inside.rows("SELECT 1 FROM nodes"))
            has_any = inside.span() is not None
            inside.close()
            if not has_any:
                raise HistoryError(f"{reader.path}: nothing was recorded in that span; see: cardkeeper history stats")
            about = {
                "format": FORMAT, "version": VERSION, "fleet": fleet, "since": since_s, "until": until_s, "nodes": nodes,
                "made": time.time(), "bytes": path.stat().st_size, "sha256": _hash(path),
            }  # fmt: skip
            packed = Path(folder) / "bundle"
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as out:
                out.writestr(MANIFEST, json.dumps(about, indent=1))
                out.write(path, FILE)
            size = path.stat().st_size
            packed.rename(target)
    except (sqlite3.Error, OSError) as exc:
        raise HistoryError(explained(exc, target)) from exc
    return Bundle(fleet, since_s, until_s, nodes, size)


def _copy(source: Path, target: Path, low: int, high: int) -> None:
    connection = sqlite3.connect(target, isolation_level=None)
    try:
        connection.execute("ATTACH ? AS whole", (str(source),))
        connection.execute("BEGIN")
        connection.execute("DELETE FROM main.metrics")
        for table in ("nodes", "entities", "metrics"):
            connection.execute(f"INSERT INTO main.{table} SELECT * FROM whole.{table}")
        for table in ("chunks", "recent"):
            connection.execute(
                f"INSERT INTO main.{table} SELECT * FROM whole.{table} WHERE to_us >= ? AND from_us <= ?", (low, high)
            )
        connection.execute(
            "INSERT INTO main.columns SELECT c.* FROM main.chunks k JOIN whole.columns c "
            "ON c.id >= k.id << 20 AND c.id < (k.id + 1) << 20"
        )
        for name, size in (("minute", 60_000_000), ("hour", 3_600_000_000)):
            for table in (f"{name}_rows", f"{name}_sizes", *(["fleet_rows"] if name == "minute" else [])):
                connection.execute(
                    f"INSERT INTO main.{table} SELECT * FROM whole.{table} WHERE {name} BETWEEN ? AND ?",
                    (low // size, high // size),
                )
        connection.execute(
            "INSERT INTO main.wide SELECT * FROM whole.wide WHERE block BETWEEN ? AND ?",
            (low // 600_000_000, high // 600_000_000),
        )
        connection.execute(
            "INSERT INTO main.events SELECT * FROM whole.events WHERE at_us BETWEEN ? AND ?", (low, high)
        )
        # The states in force at the beginning came before it.
        connection.execute(
            "INSERT INTO main.states SELECT * FROM whole.states s WHERE at_us <= ?2 AND (at_us >= ?1 OR at_us = "
            "(SELECT max(at_us) FROM whole.states WHERE node_id = s.node_id AND kind = s.kind AND at_us < ?1))",
            (low, high),
        )
        connection.execute("COMMIT")
        connection.execute("DETACH whole")
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("VACUUM")
    finally:
        connection.close()


def look(source: Path) -> Bundle:
    """What a bundle holds, without unpacking it.

    Raises:
        HistoryError: it is no bundle, or one of a newer version.
    """
    try:
        with zipfile.ZipFile(source) as found:
            about = json.loads(found.read(MANIFEST))
            whole = found.getinfo(FILE).file_size
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as exc:
        raise HistoryError(f"{source}: not a history bundle ({exc})") from exc
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise HistoryError(f"{source}: not a history bundle")
    if int(about.get("version", 0)) > VERSION:
        raise HistoryError(f"{source}: made by a newer Cardkeeper; update this one to open it")
    if whole != about.get("bytes") or whole > MAX_UNPACKED:
        raise HistoryError(f"{source}: damaged: {whole} bytes inside where {about.get('bytes')} were promised")
    return Bundle(str(about["fleet"]), float(about["since"]), float(about["until"]), int(about["nodes"]), whole)


def unpack(source: Path, places: Path, name: str = "") -> Path:
    """Unpack a bundle into a new folder under `places` and check it; returns the folder.

    Raises:
        HistoryError: it is no bundle, damaged, or its folder exists.
    """
    about = look(source)
    folder = places / (_NAME.sub("-", name or source.stem).strip("-.") or "bundle")
    if folder.exists():
        raise HistoryError(f"{folder}: exists; give another name with --name, or remove it")
    try:
        folder.mkdir(parents=True)
        with zipfile.ZipFile(source) as found, found.open(FILE) as data, (folder / FILE).open("wb") as out:
            shutil.copyfileobj(data, out, 1 << 20)
            promised = json.loads(found.read(MANIFEST))["sha256"]
        if _hash(folder / FILE) != promised:
            raise HistoryError(f"{source}: damaged: its hash is not the one in its manifest")
        Reader(folder).close()
        (folder / "fleet.json").write_text(json.dumps({"name": about.fleet}), "utf-8")
    except (OSError, zipfile.BadZipFile) as exc:
        shutil.rmtree(folder, ignore_errors=True)
        raise HistoryError(explained(exc, source)) from exc
    except HistoryError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _hash(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
