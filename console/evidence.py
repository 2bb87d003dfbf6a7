"""Evidence of a card or node as one zip: what the node says of itself, what was found, seen and done; a report on one page.

Every text goes through the redactor; the manifest has a hash of every file.
"""

from __future__ import annotations

import csv
import hashlib
import html
import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console import __version__
from console.checkup import Checkup, node_and_card
from console.fleet.show import utc
from console.health.verdict import Verdict
from console.history.errors import HistoryError
from console.logs import redacted
from console.operations.journal import Journal
from console.telemetry.live import LiveFleet

if TYPE_CHECKING:
    from console.operate import Operations

Printer = Callable[[str], bytes]
"""HTML to PDF; only the window's room can."""

METRICS = (
    "utilization_gpu", "memory_used", "power_draw", "temperature_gpu", "temperature_memory", "clock_sm",
    "clocks_event_reasons", "ecc_uncorrected_volatile", "ecc_corrected_volatile", "remap_pending", "remap_failure",
    "pcie_replay", "nvlink_crc_errors", "recovery_action",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """What the console knows, taken where the live fleet may be read.

    Attributes:
        node, card: what it is of; card "" for a whole node.
        cards: UUIDs meant.
        files: {name in the zip: text}.
        verdict: what the report says.
    """

    node: str
    card: str
    cards: tuple[str, ...]
    files: Mapping[str, str]
    verdict: Verdict


def see(live: LiveFleet, checkup: Checkup, target: str) -> Seen:
    """What the console knows of a node or card now.

    Raises:
        KeyError: there is no such target.
    """
    node, card = node_and_card(live, target)
    entry = live.node(node)
    cards = [e.entity for e in live.entities_of(node) if not card or card in (e.entity.uuid, e.entity.parent)]
    checkup.look(live)
    events = [e for e in live.events if e.node == node and (not card or e.uuid in ("", card))]
    files = {
        "findings.json": _json([
            {"rule": f.rule, "card": f.card, "severity": f.severity, "signal": f.signal, "evidence": f.evidence,
             "since": f.since, "action": f.action, "source": f.source}
            for f in checkup.examiner.findings if f.node == node and (not card or f.card in ("", card))
        ]),
        "events.json": _json([
            {"at": e.wall_s, "kind": e.kind, "code": e.code, "uuid": e.uuid, "source": e.source, "text": e.text}
            for e in events
        ]),
        "processes.json": _json([
            {"pid": p.pid, "user": p.user, "card": p.uuid, "memory": p.memory, "command": p.command, "job": p.slurm_job}
            for p in live.processes(node) if not card or any(p.uuid == c.uuid for c in cards)
        ]),
        "cards.json": _json([
            {"uuid": c.uuid, "index": c.index, "name": c.name,
             "readings": {m: _reading(live, c.uuid, m) for m in METRICS}}
            for c in cards
        ]),
        "versions.json": _json({
            "cardkeeper": __version__, "rules": checkup.triage.version,
            "node": {} if entry is None or entry.hello is None else dict(entry.hello.versions),
        }),
    }  # fmt: skip
    return Seen(node, card, tuple(c.uuid for c in cards), files, checkup.verdict(live, target))


def _reading(live: LiveFleet, uuid: str, metric: str) -> dict[str, Any]:
    found = live.reading(uuid, metric)
    return {"value": found.value, "unit": found.unit, "state": found.state.name.lower(), "age_s": found.age_s}


def write(
    seen: Seen, parts: Mapping[str, Mapping[str, Any]], trouble: str, folder: Path, journal: Journal, path: Path,
    since: float, printer: Printer | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write the zip; returns its manifest. Blocks on the disk.

    Args:
        parts: what the node said; trouble: why it could say nothing, "" otherwise.
        folder: where history was recorded; since: unix second from which on telemetry is taken.
        printer: makes the report's PDF; without it there is the HTML alone.

    Raises:
        OSError: it cannot be written.
    """
    files = dict(seen.files)
    for name, part in parts.items():
        head = f"$ {part.get('command', name)}\n(status {part.get('status')})\n"
        files[f"node/{name}.txt"] = head + str(part.get("text", ""))
    if trouble:
        files["node/unreachable.txt"] = trouble
    files["telemetry.csv"] = _telemetry(folder, seen, since)
    files["operations.json"] = _json([
        {"id": o.id, "verb": o.verb, "state": str(o.state), "by": o.by, "reason": o.reason, "made": o.made_at,
         "steps": [{"n": s.n, "verb": s.verb, "state": str(s.state), "evidence": s.evidence} for s in journal.steps(o.id)]}
        for o in journal.operations() if seen.node in o.targets
    ])  # fmt: skip
    files["audit.ndjson"] = "".join(
        json.dumps({"seq": r.seq, "prev": r.prev, "hash": r.hash, "body": r.body}) + "\n"
        for r in journal.audit_rows() if r.body.get("node") == seen.node or seen.node in (r.body.get("targets") or {})
    )  # fmt: skip
    made = time.time()
    files["report.html"] = report(seen, parts, trouble, made)
    told = {name: redacted(text).encode("utf-8", "replace") for name, text in files.items()}
    if printer is not None:
        told["report.pdf"] = printer(redacted(files["report.html"]))
    manifest = {
        "cardkeeper": __version__, "made": datetime.fromtimestamp(made, tz=UTC).isoformat(), "node": seen.node,
        "card": seen.card or None, "since": datetime.fromtimestamp(since, tz=UTC).isoformat(),
        "files": {n: {"sha256": hashlib.sha256(d).hexdigest(), "bytes": len(d)} for n, d in sorted(told.items())},
    }  # fmt: skip
    part_path = path.with_name(path.name + ".part")
    with zipfile.ZipFile(part_path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in sorted(told.items()):
            out.writestr(name, data)
        out.writestr("manifest.json", _json(manifest))
    part_path.replace(path)
    return manifest


def keep(
    operations: Operations,
    target: str,
    since: float,
    path: Path | None = None,
    checkup: Checkup | None = None,
    printer: Printer | None = None,
) -> tuple[Path, dict[str, Any], str]:
    """Ask the node, and write the zip: (path, manifest, why the node said nothing).

    Args:
        path: None: a name of its own in the folder `evidence` beside the journal.
        checkup: what examined the fleet; None: the operations' own rows.
        printer: makes the report's PDF.

    Raises:
        KeyError: there is no such target.
        OSError: it cannot be written.
    """
    seen = operations.on_live(lambda: see(operations.live, checkup or operations.sight.rows.checkup, target))
    parts, trouble = operations.evidence(seen.node)
    if path is None:
        folder = operations.folder / "evidence"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / file_name(seen, time.time())
    manifest = write(seen, parts, trouble, operations.folder, operations.journal, path, since, printer)
    operations.journal.note(
        {"by": operations.by, "what": "evidence kept", "node": seen.node, "card": seen.card, "file": str(path)}
    )
    return path, manifest, trouble


def _telemetry(folder: Path, seen: Seen, since: float) -> str:
    """Recorded seconds of the cards as CSV; a comment where nothing was recorded."""
    from console.history.reader import Reader

    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(("uuid", "metric", "time_utc", "value"))
    try:
        with Reader(folder) as reader:
            for uuid in seen.cards:
                for metric in METRICS:
                    times, values, _ = reader.seconds(uuid, metric, since, time.time())
                    for at, value in zip(times.tolist(), values.tolist(), strict=True):
                        if value == value:
                            rows.writerow((uuid, metric, datetime.fromtimestamp(at, tz=UTC).isoformat(), value))
    except (HistoryError, KeyError) as exc:
        return f"# nothing was recorded: {exc}\n"
    return out.getvalue()


def report(seen: Seen, parts: Mapping[str, Mapping[str, Any]], trouble: str, made: float) -> str:
    """One page for a vendor: what is wrong, since when, what was seen, on what. Everything foreign is escaped."""
    v = seen.verdict
    versions = json.loads(seen.files["versions.json"])
    cards = json.loads(seen.files["cards.json"])
    e = html.escape
    lines = "".join(f"<li>{e(text)}</li>" for text in v.evidence) or "<li>Nothing is found by the rules.</li>"
    changed = "".join(f"<li>{utc(at)} {e(text)}</li>" for at, text in v.changed) or "<li>Nothing.</li>"
    rows = "".join(
        f"<tr><td>{e(str(c['index']))}</td><td>{e(c['name'])}</td><td>{e(c['uuid'])}</td></tr>" for c in cards
    )
    node_versions = ", ".join(f"{e(str(k))} {e(str(x))}" for k, x in versions["node"].items() if x)
    kernel = str((parts.get("kernel-log") or {}).get("text", ""))
    driver_lines = [line for line in kernel.splitlines() if "NVRM" in line or "Xid" in line][-12:]
    log = e("\n".join(driver_lines)) or e(trouble or "No line of the driver.")
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Evidence {e(seen.card or seen.node)}</title>
<style>body{{font:13px sans-serif;max-width:52em;margin:2em auto;color:#111}}h1{{font-size:20px}}h2{{font-size:14px;
margin:1.2em 0 .3em}}td{{padding:2px 12px 2px 0}}pre{{white-space:pre-wrap;font-size:11px}}</style></head><body>
<h1>{e(v.summary)}</h1>
<p>{e(seen.node)}{" / " + e(seen.card) if seen.card else ""}. Made {utc(made)} by Cardkeeper {e(__version__)}.</p>
<h2>What is asked for</h2><p>{e(v.do or "Nothing.")} {f"(confidence {e(v.confidence)}; {e(v.source)})" if v.do else ""}</p>
<h2>Evidence</h2><ul>{lines}</ul>
<h2>What changed in the last day</h2><ul>{changed}</ul>
<h2>Cards</h2><table>{rows}</table><p>{node_versions}</p>
<h2>The driver's last lines in the kernel log</h2><pre>{log}</pre>
<p>Beside this page: the driver's report, kernel log, telemetry, processes, operations, audit; hashes in manifest.json.</p>
</body></html>
"""


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str) + "\n"


def file_name(seen: Seen, now: float) -> str:
    """A name that sorts by time."""
    stamp = datetime.fromtimestamp(now, tz=UTC).strftime("%Y%m%d-%H%M%S")
    return f"evidence-{seen.node}{'-' + seen.card[-8:] if seen.card else ''}-{stamp}.zip"
