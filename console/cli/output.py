"""What the command line prints: JSON for tools, tables for people. The only place that writes to standard output."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from console.fleet.show import DASH, figures, middle, number, plain


def write_json(value: Any) -> None:
    """One JSON value on one line. NaN and infinity become null: JSON has neither."""
    sys.stdout.write(json.dumps(_clean(value), ensure_ascii=True, allow_nan=False) + "\n")
    sys.stdout.flush()


def _clean(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {k: _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(v) for v in value]
    return value


def write_line(text: str) -> None:
    """One line for a person, foreign text already plain."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def ask(question: str) -> str:
    """A line typed by the person at the terminal, lower case; "" at the end of input."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower()


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Rows under a header, columns as wide as they must be."""
    cells = [list(header), *([plain(c, 120) for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


def nodes_table(rows: list[dict[str, Any]]) -> str:
    """The nodes for a person."""

    def line(row: dict[str, Any]) -> list[str]:
        problem = row["problem"]
        note = f"{problem['what']}. {problem['next_step']}" if problem else (row["reason"] or "")
        offset = row["clock_offset_s"]
        return [
            row["node"],
            row["link"],
            row["mode"] or DASH,
            str(row["cards"]),
            row["driver"] or DASH,
            DASH if offset is None else f"{offset:+.2f} s",
            note,
        ]

    return table(("NODE", "LINK", "MODE", "CARDS", "DRIVER", "CLOCK", "NOTE"), map(line, rows))


def cards_table(rows: list[dict[str, Any]]) -> str:
    """The cards for a person."""

    def cell(readings: dict[str, Any], metric: str) -> str:
        reading = readings[metric]
        if reading["value"] is None:
            return str(reading["state"]).replace("_", " ")
        text = number(reading["value"], reading["unit"])
        return text + (" (stale)" if reading["state"] == "stale" else "")

    def line(row: dict[str, Any]) -> list[str]:
        readings = row["readings"]
        users = sorted({p["user"] for p in row["processes"] if p["user"]})
        columns = ("utilization_gpu", "memory_used", "power_draw", "temperature_gpu", "clock_sm")
        return [row["node"], str(row["index"]), row["name"], *(cell(readings, m) for m in columns), ",".join(users)]

    header = ("NODE", "CARD", "MODEL", "UTIL", "MEMORY", "POWER", "TEMP", "SM CLOCK", "USERS")
    return table(header, map(line, rows))


def check_line(row: dict[str, Any]) -> str:
    """One step of `fleet check`: shape, word and text."""
    shape = {"ok": "+", "warn": "!", "fail": "x", "unknown": "?"}.get(row["status"], "?")
    step = f"\n      -> {plain(row['next_step'])}" if row["next_step"] else ""
    return f"{shape} {row['node']:<20} {row['check']:<12} {row['status']:<8} {plain(row['text'])}{step}"


def watch_line(row: dict[str, Any]) -> str:
    """One sample for a person."""
    parts = [
        f"{name}={figures(r['value'], 4)}{r['unit']}" if r["value"] is not None else f"{name}={r['state']}"
        for name, r in row["readings"].items()
    ]
    return f"{row['time']:.3f} {row['node']} {row['uuid']} {row['tier']} {' '.join(parts)}"


def series_table(found: dict[str, Any]) -> str:
    """Recorded readings for a person; a written file in one line."""
    if "written" in found:
        return f"{found['rows']} rows written to {found['written']}"
    rows = []
    for one in found["series"]:
        for at, *values in one["points"]:
            cells = [v if isinstance(v, str) else number(v, found["unit"]) for v in values]
            rows.append([moment(at), one["node"], str(one["index"]), *cells])
    columns = found["series"][0]["columns"][1:] if found["series"] else []
    head = f"{found['metric']} by {found['resolution']}, {len(rows)} points"
    return head + "\n" + table(("TIME", "NODE", "CARD", *(c.upper() for c in columns)), rows)


def moment(at: float) -> str:
    """A unix second in the workstation's zone, with it."""
    return datetime.fromtimestamp(at).astimezone().isoformat(sep=" ", timespec="milliseconds")


def event_line(row: dict[str, Any]) -> str:
    """One recorded event for a person."""
    code = "" if row["code"] is None else f" {row['code']}"
    what = f"{row['kind']}{code}"
    return f"{moment(row['time'])}  {row['node']:<20} {what:<14} {row['uuid'] or DASH}  {plain(row['text'])}"


def collect_line(row: dict[str, Any]) -> str:
    """The state of a recording for a person."""
    live = f"{row['live']} of {row['nodes']} nodes live"
    return f"{moment(row['time'])}  recording {row['recording']}  {live}  {plain(row['text'])}"


def stats_table(found: dict[str, Any]) -> str:
    """What history holds, for a person."""

    def days(seconds: float | None) -> str:
        return DASH if seconds is None else f"{seconds / 86400:.1f} d"

    rows = []
    for name, tier in found["tiers"].items():
        since = DASH if tier["since"] is None else moment(tier["since"])[:16]
        growth = DASH if tier["bytes_a_day"] is None else number(tier["bytes_a_day"], "B") + " a day"
        rows.append([name, number(tier["bytes"], "B"), since, growth, days(tier["will_hold_s"]), days(tier["limit_s"])])
    what = f"{found['nodes']} nodes, {found['cards']} cards, {found['events']} events"
    head = f"{found['path']}: {number(found['bytes'], 'B')}, {what}"
    return head + "\n" + table(("TIER", "SIZE", "SINCE", "GROWTH", "WILL HOLD", "LIMIT"), rows)


def cuts_table(found: dict[str, Any]) -> str:
    """What was or would be taken away."""
    if not found["cuts"]:
        return "nothing is over the limits"
    verb = "taken away" if found["taken"] else "would go"
    rows = [
        [c["tier"], f"before {moment(c['before_s'])[:16]}", number(c["bytes"], "B"), c["reason"]] for c in found["cuts"]
    ]
    return table(("TIER", verb.upper(), "SIZE", "WHY"), rows)


_SEVERITIES = {1: "page", 2: "today", 3: "trend"}


def findings_table(rows: list[dict[str, Any]]) -> str:
    """Findings for a person, worst first."""
    if not rows:
        return "Nothing is found."
    body = [
        [_SEVERITIES[r["severity"]], r["node"] or "the fleet", middle(r["card"], 20) if r["card"] else "-", r["signal"],
         r["do"], r["evidence"]]
        for r in rows
    ]  # fmt: skip
    return table(("SEVERITY", "NODE", "CARD", "SIGNAL", "ACTION", "EVIDENCE"), body)


def alarms_table(rows: list[dict[str, Any]]) -> str:
    """Alarms for a person, worst first."""
    if not rows:
        return "Nothing asks for anybody."
    body = [
        [r["id"], _SEVERITIES[r["severity"]], r["state"], r["node"] or "the fleet",
         middle(r["card"], 20) if r["card"] else "-", r["signal"], r["do"]]
        for r in rows
    ]  # fmt: skip
    return table(("ID", "SEVERITY", "STATE", "NODE", "CARD", "SIGNAL", "ACTION"), body)


def lemons_table(rows: list[dict[str, Any]]) -> str:
    """What fails again and again, for a person."""
    if not rows:
        return "Nothing fails again and again."
    body = [
        [r["kind"], r["name"], str(r["faults"]), f"{r['mean_of_others']:g}", f"{r['times']} x {r['commonest']}",
         r["escalate"] or "-"]
        for r in rows
    ]  # fmt: skip
    return table(("KIND", "NAME", "FAULTS", "OTHERS", "COMMONEST", "ESCALATE"), body)


def verdict_text(found: dict[str, Any]) -> str:
    """A verdict on one screen."""
    lines = [f"{found['card'] or found['node']}: {plain(found['summary'], 300)}"]
    if found["do"]:
        lines += [
            f"do: {found['do']}  [{found['action']}, confidence {found['confidence']}]",
            f"source: {found['source']}",
        ]
    for name, title in (("evidence", "evidence"), ("wide", "how wide"), ("hurt", "who is hurt")):
        lines += [f"{title}: {plain(text, 300)}" for text in found[name]]
    for one in found["changed"]:
        at = datetime.fromtimestamp(one["at"]).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        lines.append(f"changed: {at}  {plain(one['text'], 200)}")
    for name, title in (("runner_up", "or else"), ("will_not_fix", "mind")):
        if found[name]:
            lines.append(f"{title}: {found[name]}")
    return "\n".join(lines)


def intent_text(result: dict[str, Any]) -> str:
    """A plan or what was done, for a person."""
    lines: list[str] = []
    plan = result.get("plan")
    if plan is not None:
        blast = plan["blast"]
        lines.append(
            f"{plan['verb']}: {blast['cards']} cards on {blast['nodes']} nodes, {blast['processes']} processes"
            f" ({plan['reason']})"
        )
        for target in plan["targets"]:
            lines.append(f"  {plain(target['target'])}: {target['before']} -> {target['after']}; {target['effect']}")
            lines += [f"    runs: {p['pid']} {p['user']} {plain(p['command'], 80)}" for p in target["processes"][:8]]
            lines += [f"    $ {plain(c, 160)}" for c in target["commands"]]
        lines += [f"  ! {plain(w, 200)}" for w in plan["warnings"]]
        if plan["left"]:
            lines.append(f"  {plain(plan['left'], 200)}")
        lines += [f"  left out: {plain(r['target'])}: {plain(r['why'], 200)}" for r in plan["refused"]]
    if result.get("operation") is not None:
        lines.append(operation_text(result["operation"]))
    if result.get("waiting"):
        lines.append(f"waiting: {plain(result['waiting'], 300)}")
    for name in ("nodes", "adopted"):
        if result.get(name):
            lines.append(f"{name}: {', '.join(plain(n) for n in result[name])}")
    return "\n".join(lines)


def operation_text(operation: dict[str, Any]) -> str:
    """An operation with its steps."""
    head = f"operation {operation['id']}  {operation['verb']}  {operation['state']}  by {plain(operation['by'])}"
    steps = [
        f"  {s['n']:>3}  {plain(s['node'])}  {s['verb']}  {s['state']}  {plain(s['evidence'], 160)}"
        for s in operation["steps"]
    ]
    return "\n".join([head, f"  {plain(operation['reason'], 200)}", *steps])


def operations_table(rows: list[dict[str, Any]]) -> str:
    """Operations, newest first."""
    header = ("Operation", "Verb", "State", "Nodes", "By", "Made", "Reason")
    body = (
        [r["id"], r["verb"], r["state"], str(len(r["targets"])), r["by"], _when(r["made"]), r["reason"]] for r in rows
    )
    return table(header, body)


def holds_table(rows: list[dict[str, Any]]) -> str:
    """Holds and assignments."""
    header = ("Node", "Target", "Kind", "State", "Who", "Since", "Until", "Why")

    def line(r: dict[str, Any]) -> list[str]:
        if r["kind"] == "unknown":
            return [r["node"], DASH, "unknown", DASH, DASH, DASH, DASH, r["reason"]]
        until = r.get("expires") or r.get("until")
        who = r.get("owner") or r.get("tenant") or DASH
        kind = "stranded hold" if r.get("stranded") else r["kind"]
        why = r.get("reason") or f"operation {r['operation']}"
        return [
            r["node"], r["target"], kind, r["state"], who, _when(r["since"]), DASH if until is None else _when(until), why
        ]  # fmt: skip

    return table(header, map(line, rows))


def checks_text(rows: list[dict[str, Any]]) -> str:
    """Verifications, check by check."""
    lines = []
    for row in rows:
        lines.append(f"{plain(row['target'])}  {row['level']}  {'passed' if row['passed'] else 'NOT PASSED'}")
        for check in row["checks"]:
            word = {True: "pass", False: "FAIL", None: "skipped"}[check["passed"]]
            lines.append(f"  {word:<8} {plain(check['name'])}: {plain(check['text'], 160)}")
    return "\n".join(lines)


def _when(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def audit_line(row: dict[str, Any]) -> str:
    """One row of the audit log."""
    about = {k: v for k, v in row.items() if k not in ("seq", "hash", "at", "what", "by")}
    text = json.dumps(about, ensure_ascii=True)
    return f"{row['seq']:>6}  {_when(row['at'])}  {plain(row.get('by', DASH))}  {row.get('what', DASH)}  {plain(text, 300)}"


LINES = {
    "fleet.check": check_line,
    "history.events": event_line,
    "collect": collect_line,
    "audit.show": audit_line,
}


def records_table(rows: list[dict[str, Any]]) -> str:
    """Records for a person, a column a key; lists as how many there are."""
    if not rows:
        return "none"
    keys = [k for k in rows[0] if any(r.get(k) not in (None, "", [], {}) for r in rows)]
    return table([k.upper().replace("_", " ") for k in keys], ([_cell(r.get(k)) for k in keys] for r in rows))


def record_text(row: dict[str, Any]) -> str:
    """One record for a person, a line a key."""
    lines = []
    for key, value in row.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines += [f"{key}:", *(f"  {line}" for line in records_table(value).splitlines())]
        elif value not in (None, "", [], {}):
            lines.append(f"{key.replace('_', ' ')}: {plain(_cell(value, whole=True), 400)}")
    return "\n".join(lines)


def _cell(value: Any, whole: bool = False) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(str, value)) if whole or len(value) < 2 else f"{len(value)}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return str(value)


def invoice_text(found: dict[str, Any]) -> str:
    """An invoice, a draft or a what-if for a person."""
    head = found.get("invoice") or f"draft {found.get('tenant', '')}".strip()
    columns = ("what", "lease", "sku", "quantity", "unit", "contracted_price", "amount")
    rows = [
        [("correction: " if line["class"] else "") + _cell(line["what"]), *(_cell(line[c]) for c in columns[1:])]
        for line in found["lines"]
    ]
    lines = (
        [f"{head}  {found['period']}", table([c.upper().replace("_", " ") for c in columns], rows)] if rows else [head]
    )
    lines.append(f"total {found['total']} {found['currency']}")
    if found["carried"].strip("0."):
        lines.append(f"credit carried {found['carried']} {found['currency']}")
    return "\n".join(lines)
