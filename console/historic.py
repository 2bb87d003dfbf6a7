"""Commands of the history: query, events, stats, prune, export, import, and recording without a window."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from console.app import Console, ConsoleError
from console.fleet.state import LinkState, ReadingState
from console.history.when import parse_moment
from console.registry import Danger, registry

if TYPE_CHECKING:
    from console.history.points import Points
    from console.history.reader import Reader, Seen

BUCKET_S = {"minutes": 60.0, "hours": 3600.0}
RESOLUTIONS = ("auto", "seconds", "minutes", "hours")


def moment(text: str, name: str, now: datetime | None = None) -> float:
    """The unix second of what --NAME says.

    Raises:
        ConsoleError: it is no moment.
    """
    try:
        return parse_moment(text, now or datetime.now().astimezone()).timestamp()
    except ValueError as exc:
        raise ConsoleError(f"--{name}: {exc}") from exc


def _span(since: str, until: str) -> tuple[float, float]:
    now = datetime.now().astimezone()
    low, high = moment(since, "since", now), moment(until, "until", now)
    if low >= high:
        raise ConsoleError(f"--since {since} is not before --until {until}")
    return low, high


def _resolution(reader: Reader, asked: str, since_s: float) -> str:
    if asked not in RESOLUTIONS:
        raise ConsoleError(f"--resolution is one of {', '.join(RESOLUTIONS)}")
    if asked != "auto":
        return asked
    oldest = reader.oldest()
    for name, coarser in (("seconds", ("minutes", "hours")), ("minutes", ("hours",))):
        # The first bucket of a coarser tier begins before what is in it.
        if oldest[name] <= since_s or all(oldest[name] < oldest[c] + BUCKET_S[c] for c in coarser):
            return name
    return "hours"


def _wanted(reader: Reader, card: str | None, node: str | None, metric: str) -> list[Seen]:
    scopes = [s for s in ("card", "host") if reader.knows(s, metric)]
    if not scopes:
        names = ", ".join(reader.alike(metric))
        raise ConsoleError(f"--metric: nothing is called {metric}" + (f"; did you mean {names}?" if names else ""))
    everything = list(reader.entities().values())
    if card is not None:
        found = [e for e in everything if e.uuid == card]
    elif node is not None:
        kinds = ("host",) if "host" in scopes else ("card", "slice")
        found = [e for e in everything if e.node == node and e.kind in kinds]
    else:
        raise ConsoleError("give --card UUID or --node NAME")
    if not found:
        raise ConsoleError(f"nothing was recorded of {card or node}; see: cardkeeper history stats")
    return sorted(found, key=lambda e: (e.node, e.place))


def _points(
    reader: Reader, seen: Seen, metric: str, span: tuple[float, float], resolution: str, points: int | None
) -> dict[str, Any]:
    out: dict[str, Any] = {"uuid": seen.uuid, "node": seen.node, "index": seen.place}
    if resolution == "seconds" and points is None:
        t, v, states = reader.seconds(seen.uuid, metric, *span)
        out["columns"] = ["time", "value", "state"]
        out["points"] = [
            [round(a, 3), None if np.isnan(b) else b, ReadingState(s).word]
            for a, b, s in zip(t.tolist(), v.tolist(), states.tolist(), strict=True)
        ]
        return out
    found: Points
    if resolution == "seconds":
        found = reader.points(seen.uuid, metric, *span, points or 1000)
    else:
        rolled = reader.minutes if resolution == "minutes" else reader.hours
        found = rolled(seen.uuid, metric, *span)
    out["columns"] = ["time", "mean", "min", "max"]
    out["points"] = [
        [round(t, 3), m, low, high]
        for t, m, low, high in zip(*(a.tolist() for a in (found.t, found.mean, found.low, found.high)), strict=True)
        if m == m
    ]
    return out


@registry.command("history.query", "Read recorded readings", reads=False)
def history_query(
    console: Console,
    *,
    metric: str,
    card: str | None = None,
    node: str | None = None,
    since: str = "-1h",
    until: str = "now",
    points: int | None = None,
    resolution: str = "auto",
    csv: bool = False,
    parquet: str | None = None,
) -> dict[str, Any] | str:
    """Readings of a card, or of a node's host or all its cards, as they were recorded.

    Seconds where they are kept, else minutes, else hours. Times: ISO 8601, -2h, 03:12, yesterday 03:00, with zone.

    Args:
        metric: a metric's id, like power_draw; see the names of: cardkeeper cards --json
        card: UUID of a card or slice
        node: a node: its host for host metrics, else all its cards
        since: beginning of the span
        until: end of the span
        points: at most so many, each with mean, min and max
        resolution: auto, seconds, minutes or hours
        csv: print CSV
        parquet: write this Parquet file
    """
    span = _span(since, until)
    with console.history() as reader:
        wanted = _wanted(reader, card, node, metric)
        chosen = _resolution(reader, resolution, span[0])
        series = [_points(reader, e, metric, span, chosen, points) for e in wanted]
        scope = "host" if wanted[0].kind == "host" else "card"
        unit = reader.metric(scope, metric)[2]
    out = {
        "metric": metric, "unit": unit, "since": span[0], "until": span[1], "resolution": chosen, "series": series,
    }  # fmt: skip
    if parquet is not None:
        _write_parquet(Path(parquet), out)
        return {"written": parquet, "rows": sum(len(s["points"]) for s in series)}
    return _as_csv(out) if csv else out


def _flat(found: dict[str, Any]) -> tuple[list[str], Iterator[list[Any]]]:
    header = ["node", "index", "uuid", "metric", "unit", *found["series"][0]["columns"]]

    def rows() -> Iterator[list[Any]]:
        for one in found["series"]:
            for point in one["points"]:
                yield [one["node"], one["index"], one["uuid"], found["metric"], found["unit"], *point]

    return header, rows()


def _as_csv(found: dict[str, Any]) -> str:
    header, rows = _flat(found)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().rstrip("\n")


def _write_parquet(path: Path, found: dict[str, Any]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ConsoleError(
            "--parquet needs the package pyarrow, which is not installed here; install it beside cardkeeper, or use --csv"
        ) from None
    header, rows = _flat(found)
    columns = list(zip(*rows, strict=True)) or [()] * len(header)
    try:
        pyarrow.parquet.write_table(pyarrow.table(dict(zip(header, map(list, columns), strict=True))), path)
    except OSError as exc:
        raise ConsoleError(f"{path}: cannot be written: {exc}") from exc


@registry.command("history.events", "Read recorded events", streams=True, reads=False)
def history_events(
    console: Console,
    *,
    since: str = "-24h",
    until: str = "now",
    node: str | None = None,
    card: str | None = None,
    kind: str | None = None,
) -> Iterator[dict[str, Any]]:
    """What happened: XIDs, links lost and found, reboots, driver changes, error counters, oldest first.

    Args:
        since: beginning of the span
        until: end of the span
        node: only this node
        card: only this card
        kind: only this kind: xid, link, reboot, driver, counter, ...
    """
    span = _span(since, until)
    with console.history() as reader:
        for event in reader.events(*span, node=node, uuid=card, limit=1_000_000):
            if kind is None or event.kind == kind:
                row = asdict(event)
                row["time"], row["seen"] = row.pop("wall_s"), row.pop("received_s")
                yield row


@registry.command("history.stats", "Show what history holds", reads=False)
def history_stats(console: Console) -> dict[str, Any]:
    """Size of each tier, how much a day adds, and what the limits will hold at this fleet's size."""
    from console.history.stats import stats

    with console.history() as reader:
        return stats(reader, time.time())


@registry.command("history.prune", "Take away old history", danger=Danger.LOCAL, reads=False)
def history_prune(console: Console, *, plan: bool = False, yes: bool = False) -> dict[str, Any]:
    """Take away what is over the limits of age and size now, instead of little by little while recording.

    Args:
        plan: only say what would go
        yes: do it
    """
    if plan == yes:
        raise ConsoleError("say --plan to see what would go, or --yes to take it away")
    if plan:
        with console.history() as reader:
            found = reader.cuts(time.time())
    else:
        found = console.prune_history()
    return {"taken": not plan, "cuts": [asdict(c) for c in found]}


@registry.command("history.export", "Export a span of history", danger=Danger.LOCAL, reads=False)
def history_export(console: Console, file: str, *, since: str = "-1h", until: str = "now") -> dict[str, Any]:
    """Write a span to one file that another console can open: history import FILE.

    Args:
        file: the file to write, .zip
        since: beginning of the span
        until: end of the span
    """
    from console.history.bundle import export

    span = _span(since, until)
    with console.history() as reader:
        return {"written": file, **asdict(export(reader, Path(file), console.config.fleet_path.stem, *span))}


@registry.command("history.import", "Import a span of history", danger=Danger.LOCAL, reads=False)
def history_import(console: Console, file: str, *, name: str | None = None) -> dict[str, Any]:
    """Unpack an exported span into a folder of its own and say how to open it.

    Args:
        file: what history export wrote
        name: name of the folder; the file's own by default
    """
    from console.history.bundle import unpack

    folder = unpack(Path(file), console.config.data / "imports", name or "")
    return {"folder": str(folder), "open": f"cardkeeper replay {folder}"}


@registry.command("collect", "Record without a window", connects=True, streams=True)
def collect(console: Console, *, seconds: float | None = None) -> Iterator[dict[str, Any]]:
    """Connect to the fleet and record until interrupted. A window on the same data folder shows what is recorded.

    Args:
        seconds: end after so long
    """
    begun = time.monotonic()
    told = ""
    due = 0.0
    while seconds is None or time.monotonic() - begun < seconds:
        console.live.pump()
        state, text = console.live.recording
        if state == "busy":
            raise ConsoleError(text)
        now = time.monotonic()
        links = console.live.links()
        line = f"{state} {links[LinkState.LIVE]} {links.total()} {text}"
        if line != told or now >= due:
            told, due = line, now + 60.0
            yield {
                "time": round(time.time(), 3), "recording": state, "text": text,
                "live": links[LinkState.LIVE], "nodes": links.total(),
            }  # fmt: skip
        time.sleep(0.2)
