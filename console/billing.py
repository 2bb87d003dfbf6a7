"""Commands of the meter, of invoices, and of the ledger as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from console.app import Console, ConsoleError, person
from console.ledger import focus, invoices, meter, paper, tenants
from console.ledger.store import Ledger
from console.ledger.times import instant_text, parse_instant, span_of
from console.ledger.whatif import what_if
from console.proof import take
from console.registry import Danger, registry
from console.selling import instant, open_ledger, read_json
from console.standing import look, told
from console.usage import statement

ISSUER = "Cardkeeper"


@registry.command("meter.run", "Bring the meter up to date", danger=Danger.LOCAL, reads=False)
def meter_run(console: Console) -> dict[str, int]:
    """Record what the lease clock owes up to now."""
    with open_ledger(console) as ledger:
        return meter.tick(ledger)


@registry.command("meter.evidence", "Take outages and gaps from the record", danger=Danger.LOCAL, reads=False)
def meter_evidence(console: Console, *, since: str = "-1d") -> dict[str, int]:
    """Record, of leased cards, outages with their cause and gaps in telemetry.

    An outage stops pay-as-you-go; a gap changes no bill, and asks to be looked at.

    Args:
        since: from when on, like -7d
    """
    begin = instant(since, "since")
    assert begin is not None
    with open_ledger(console) as ledger:
        return take(console.config.history_folder, ledger, begin)


@registry.command("meter.append", "Record events", danger=Danger.LOCAL, reads=False)
def meter_append(console: Console, *, file: str) -> dict[str, int]:
    """Record events of another source: usage, gap or outage. The same event again changes nothing.

    Args:
        file: JSON, a list of events, see the guide; - reads standard input
    """
    with open_ledger(console) as ledger:
        return meter.append(ledger, [event_of(row, n) for n, row in enumerate(_list(read_json(file)))])


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise ConsoleError("the document must be a list of events")
    return found


def event_of(row: Any, number: int) -> meter.Event:
    """An event from its JSON.

    Raises:
        ConsoleError: a key is missing or unknown, or a value is of the wrong kind.
    """
    if not isinstance(row, Mapping):
        raise ConsoleError(f"event {number} is no object")
    known = {"source", "id", "kind", "lease", "card", "from", "to", "resource", "volume", "quantity", "cause", "announced",
             "evidence", "note"}  # fmt: skip
    unknown, missing = (
        sorted(set(row) - known),
        [k for k in ("source", "id", "kind", "lease", "from", "to") if k not in row],
    )
    if unknown or missing:
        raise ConsoleError(f"event {number}: " + (f"{unknown[0]} is no key" if unknown else f"{missing[0]} is missing"))
    quantity = row.get("quantity", 1)
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
        raise ConsoleError(f"event {number}: quantity is a whole number of 1 or more")
    text = {k: str(row.get(k, d)) for k, d in (("card", ""), ("volume", ""), ("cause", ""), ("note", ""))}
    announced = row.get("announced")
    return meter.Event(
        str(row["source"]), str(row["id"]), str(row["kind"]), str(row["lease"]), parse_instant(row["from"], "from"),
        parse_instant(row["to"], "to"), text["card"], str(row.get("resource", "card")), text["volume"], quantity,
        text["cause"], None if announced is None else parse_instant(announced, "announced"),
        str(row.get("evidence", "manual")), text["note"],
    )  # fmt: skip


@registry.command("meter.list", "List rows of the meter", reads=False)
def meter_list(console: Console, *, lease: str = "", kind: str = "", limit: int = 200) -> list[dict[str, Any]]:
    """Rows of the meter, newest first. Gaps and outages of unknown cause are what a person should look at.

    Args:
        lease: only of this one
        kind: only usage, gap, outage or void
        limit: so many at most
    """
    with open_ledger(console) as ledger:
        found = ledger.rows(
            "SELECT * FROM meter WHERE (?='' OR lease_id=?) AND (?='' OR kind=?) ORDER BY seq DESC LIMIT ?",
            (lease, lease, kind, kind, max(1, limit)),
        )
        return [
            {
                "seq": r["seq"], "source": r["source"], "id": r["event_id"], "kind": r["kind"], "resource": r["resource"],
                "lease": r["lease_id"], "card": r["card_uuid"], "from": instant_text(r["from_us"]),
                "to": instant_text(r["to_us"]), "quantity": r["quantity"], "cause": r["cause"] or None,
                "evidence": r["evidence"], "note": r["note"] or None, "voids": r["voids_seq"],
            }
            for r in found
        ]  # fmt: skip


@registry.command("meter.void", "Take a row of the meter back", danger=Danger.LOCAL, reads=False)
def meter_void(console: Console, row: str, *, why: str) -> dict[str, Any]:
    """Take a row back by another one; nothing is removed.

    Args:
        row: its number
        why: for the auditor
    """
    if not row.isdigit():
        raise ConsoleError(f"{row!r} is no number of a row; see: cardkeeper meter list")
    with open_ledger(console) as ledger:
        meter.void(ledger, int(row), why, person())
        return {"voided": int(row)}


@registry.command("invoice.draft", "Show what an invoice would say", danger=Danger.LOCAL, reads=False)
def invoice_draft(console: Console, tenant: str, *, period: str) -> dict[str, Any]:
    """A tenant's month as it would be invoiced now; nothing is frozen.

    Args:
        tenant: whose
        period: a month like 2026-03
    """
    with open_ledger(console) as ledger:
        _prove(console, ledger, tenant, period)
        meter.tick(ledger, tenant=tenant)
        return invoices.told_draft(ledger, invoices.draft(ledger, tenant, period))


@registry.command("invoice.issue", "Issue an invoice", danger=Danger.LOCAL, reads=False)
def invoice_issue(console: Console, tenant: str, *, period: str) -> dict[str, Any]:
    """Freeze a tenant's month. What becomes known later is a correction on the next invoice.

    Args:
        tenant: whose
        period: a month like 2026-03
    """
    with open_ledger(console) as ledger:
        _prove(console, ledger, tenant, period)
        return invoices.issue(ledger, person(), tenant, period)


def _prove(console: Console, ledger: Ledger, tenant: str, period: str) -> None:
    """What the record says of the month goes into the meter before it is rated."""
    begin, end = span_of(period, ledger.known("tenant", tenant, "tenant")["tz"])
    take(console.config.history_folder, ledger, begin, end)


@registry.command("invoice.under", "Rate a month by another plan", danger=Danger.LOCAL, reads=False)
def invoice_under(console: Console, tenant: str, *, period: str, plan: str) -> dict[str, Any]:
    """What a tenant's month would have cost by another plan; no invoice is touched.

    Args:
        tenant: whose
        period: a month like 2026-03
        plan: the plan's name; its newest version
    """
    with open_ledger(console) as ledger:
        meter.tick(ledger, tenant=tenant)
        return invoices.told_draft(ledger, invoices.under(ledger, tenant, period, tenants.plan(ledger, plan)))


@registry.command("invoice.list", "List invoices", reads=False)
def invoice_list(console: Console, *, tenant: str = "") -> list[dict[str, Any]]:
    """Issued invoices, newest first.

    Args:
        tenant: only this one's
    """
    with open_ledger(console) as ledger:
        return invoices.listing(ledger, tenant)


@registry.command("invoice.show", "Show an invoice", reads=False)
def invoice_show(console: Console, invoice: str) -> dict[str, Any]:
    """An issued invoice with its lines.

    Args:
        invoice: its name
    """
    with open_ledger(console) as ledger:
        return invoices.get(ledger, invoice)


@registry.command("invoice.export", "Write an invoice to a file", danger=Danger.LOCAL, reads=False)
def invoice_export(
    console: Console, invoice: str, *, output: str, kind: str = "pdf", issuer: str = ISSUER
) -> dict[str, Any]:
    """Write an invoice as PDF, HTML, JSON, or as FOCUS 1.2 CSV.

    Args:
        invoice: its name
        output: the file
        kind: pdf, html, json or focus
        issuer: who sells, as it stands on the paper
    """
    with open_ledger(console) as ledger:
        found = invoices.get(ledger, invoice)
        match kind:
            case "json":
                data = (json.dumps(found, ensure_ascii=False, indent=1) + "\n").encode()
            case "focus":
                data = focus.table(focus.rows(ledger, invoice, issuer)).encode()
            case "html":
                data = paper.invoice_html(found, issuer).encode()
            case "pdf":
                if console.printer is None:
                    raise ConsoleError("this installation has no window, so it makes no PDF; give --kind html")
                data = console.printer(paper.invoice_html(found, issuer))
            case _:
                raise ConsoleError(f"--kind: {kind!r} is none of pdf, html, json, focus")
    path = Path(output)
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
    return {"written": str(path), "bytes": len(data), "invoice": invoice}


@registry.command("invoice.statement", "Tell a tenant how its cards were used", reads=False)
def invoice_statement(console: Console, tenant: str, *, period: str, output: str = "") -> dict[str, Any]:
    """Card-hours, how much of them was seen and idle, and what that cost, with the NVML reading it comes from.

    Args:
        tenant: whose
        period: a month like 2026-03
        output: write it as PDF, or as HTML where the name ends so
    """
    folder = console.config.history_folder
    with open_ledger(console) as ledger:
        found = statement(folder, ledger, tenant, period)
    if output:
        page = paper.statement_html(found)
        if output.endswith(".html") or console.printer is None:
            Path(output).write_text(page, "utf-8")
        else:
            Path(output).write_bytes(console.printer(page))
    return found


@registry.command("business", "Tell how the business stands", danger=Danger.LOCAL, reads=False)
def business(console: Console) -> dict[str, Any]:
    """The pool, holds, tenants with spend and forecast, leases, invoices, and what today earned and wasted."""
    return told(look(console.config.history_folder))


@registry.command("ledger.verify", "Check the ledger", reads=False)
def ledger_verify(console: Console) -> dict[str, Any]:
    """Compute the meter's chain and every frozen invoice again."""
    with open_ledger(console, writes=False) as ledger:
        return invoices.verify(ledger)


@registry.command("ledger.audit", "Tell who did what in the ledger", reads=False)
def ledger_audit(console: Console, *, what: str = "", limit: int = 100) -> list[dict[str, Any]]:
    """Who changed what in the business and when, the newest last.

    Args:
        what: only what is called so, like "placement overridden"
        limit: so many of the newest
    """
    with open_ledger(console, writes=False) as ledger:
        rows = ledger.rows(
            "SELECT seq,at_us,actor,what,body FROM audit WHERE ?='' OR what=? ORDER BY seq DESC LIMIT ?",
            (what, what, max(1, limit)),
        )
    return [
        {"seq": r["seq"], "at": instant_text(r["at_us"]), "by": r["actor"], "what": r["what"], "body": json.loads(r["body"])}
        for r in reversed(rows)
    ]  # fmt: skip


@registry.command("ledger.what-if", "Rate a document and keep nothing", reads=False)
def ledger_what_if(console: Console, file: str) -> dict[str, Any]:
    """What usage would cost by a plan.

    Args:
        file: JSON with tenant, period, plan, usage and outages, see the guide; - reads standard input
    """
    return what_if(read_json(file))
