"""Invoices: a month of a tenant, rated once and frozen. What becomes known later is a correction on the next one.

A rating run keeps how far the record reached, so that the same lines can be computed again: `verify` does, for all of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from console.ledger import meter
from console.ledger.assemble import Assembly, Mark, mark, one_currency, touched
from console.ledger.errors import LedgerError
from console.ledger.money import text_of
from console.ledger.plans import Plan
from console.ledger.rating import ENGINE, Category, Line, credited, rate, taxed, told
from console.ledger.store import Ledger
from console.ledger.times import instant_text, period_of, shifted, span_of


@dataclass(frozen=True, slots=True)
class Draft:
    """A tenant's month as it would be invoiced now.

    Attributes:
        lines: in their order; balance, carried: credit before and after, minor units.
    """

    tenant: str
    period: str
    currency: str
    digits: int
    lines: tuple[Line, ...]
    balance: int
    carried: int
    at: Mark

    @property
    def total(self) -> int:
        """What is due, minor units."""
        return sum(line.billed for line in self.lines)


def draft(ledger: Ledger, tenant: str, period: str, at: Mark | None = None) -> Draft:
    """Rate a tenant's month with corrections of earlier ones, credits and tax.

    Raises:
        LedgerError: there is no such tenant or period.
    """
    reached = mark(ledger) if at is None else at
    currency, digits = one_currency(ledger, tenant)
    work = Assembly(ledger, tenant, period, reached)
    lines = rate(work.terms(), period, work.tz)
    before = _before(ledger, tenant, period)
    corrections, plans = _corrections(ledger, tenant, reached, before)
    balance = before[-1]["carried_minor"] if before else 0
    lines, carried = credited([*lines, *corrections], balance, period, work.within)
    lines = taxed(lines, plans | work.plans, period, work.within)
    return Draft(tenant, period, currency, digits, tuple(lines), balance, carried, reached)


def under(ledger: Ledger, tenant: str, period: str, plan: Plan) -> Draft:
    """A tenant's month by another plan, alone: no corrections, no credit from before. Nothing is kept.

    Raises:
        LedgerError: there is no such tenant or period, or the plan has another currency.
    """
    currency, digits = one_currency(ledger, tenant)
    if plan.currency != currency:
        raise LedgerError(f"plan {plan.id} is in {plan.currency}, tenant {tenant} pays in {currency}")
    reached = mark(ledger)
    work = Assembly(ledger, tenant, period, reached, plan)
    lines, carried = credited(rate(work.terms(), period, work.tz), 0, period, work.within)
    lines = taxed(lines, work.plans, period, work.within)
    return Draft(tenant, period, currency, digits, tuple(lines), 0, carried, reached)


def _before(ledger: Ledger, tenant: str, period: str) -> list[dict[str, Any]]:
    """The tenant's invoices of earlier periods, oldest first, each with its run."""
    return ledger.rows(
        "SELECT i.id,i.period,i.run_id,r.carried_minor,r.meter_seq_hi,r.hold_seq_hi,r.terms_seq_hi,r.event_seq_hi,r.engine "
        "FROM invoice i JOIN rating_run r ON r.id=i.run_id WHERE i.tenant_id=? AND i.period<? ORDER BY i.period",
        (tenant, period),
    )


def _mark_of(run: dict[str, Any]) -> Mark:
    return Mark(run["meter_seq_hi"], run["hold_seq_hi"], run["terms_seq_hi"], run["event_seq_hi"])


def _corrections(
    ledger: Ledger, tenant: str, at: Mark, before: Sequence[dict[str, Any]]
) -> tuple[list[Line], dict[tuple[str, int], Plan]]:
    """What earlier months would cost now, less what was billed for them."""
    if not before:
        return [], {}
    tz = ledger.known("tenant", tenant, "tenant")["tz"]
    periods = {b["period"]: span_of(b["period"], tz) for b in before}
    marks = [_mark_of(b) for b in before]
    oldest = Mark(min(m.meter for m in marks), 0, min(m.terms for m in marks), min(m.event for m in marks))
    out: list[Line] = []
    plans: dict[tuple[str, int], Plan] = {}
    for period in touched(ledger, tenant, oldest, at, periods):
        work = Assembly(ledger, tenant, period, at)
        again = rate(work.terms(), period, work.tz)
        now = {line.key: line for line in again if line.category is not Category.CREDIT}
        plans |= work.plans
        was_work = Assembly(ledger, tenant, period, marks[-1])
        out += _credit_difference(again, rate(was_work.terms(), period, work.tz))
        was = _billed(ledger, [b["run_id"] for b in before], period)
        for key in sorted(now.keys() | was.keys()):
            if (line := _difference(now.get(key), was.get(key))) is not None:
                out.append(line)
    return out, plans


def _credit_difference(now: Sequence[Line], was: Sequence[Line]) -> list[Line]:
    """Credit of the service level that became due, or is taken back, since the last invoice."""
    out = []
    granted = {(line.lease, line.plan, line.version): line for line in was if line.category is Category.CREDIT}
    found = {(line.lease, line.plan, line.version): line for line in now if line.category is Category.CREDIT}
    for key in sorted(found.keys() | granted.keys()):
        line = found.get(key) or granted[key]
        more = (found[key].billed if key in found else 0) - (granted[key].billed if key in granted else 0)
        category = Category.CREDIT if more < 0 else Category.ADJUSTMENT
        if more:
            out.append(replace(line, category=category, billed=more, is_correction=True))
    return out


def _billed(ledger: Ledger, runs: Sequence[int], period: str) -> dict[Any, Line]:
    """What was billed of a period so far, corrections included, by the key of its lines."""
    marks = ",".join("?" * len(runs))
    out: dict[Any, Line] = {}
    sql = f"SELECT * FROM charge WHERE run_id IN ({marks}) AND of_period=? AND category IN ('Usage','Purchase') ORDER BY id"
    for row in ledger.rows(sql, (*runs, period)):
        line = _line_of(row)
        if line.key in out:
            other = out[line.key]
            line = replace(other, quantity=other.quantity + line.quantity, billed=other.billed + line.billed)
        out[line.key] = line
    return out


def _difference(now: Line | None, was: Line | None) -> Line | None:
    whole = now or was
    assert whole is not None
    billed = (now.billed if now else 0) - (was.billed if was else 0)
    quantity = (now.quantity if now else 0) - (was.quantity if was else 0)
    if not billed and not quantity:
        return None
    return replace(whole, billed=billed, quantity=quantity, is_correction=True)


def _line_of(row: dict[str, Any]) -> Line:
    return Line(
        Category(row["category"]), row["lease_id"] or "", row["plan_id"] or "", row["plan_version"] or 0, row["sku_id"] or "",
        row["what"], row["from_us"], row["to_us"], int(row["qty"]), row["unit"], row["list_nano"], row["contracted_nano"],
        row["effective_nano"], row["billed_minor"], row["of_period"], row["class"] == "Correction",
    )  # fmt: skip


def issue(ledger: Ledger, actor: str, tenant: str, period: str) -> dict[str, Any]:
    """Freeze a tenant's month as an invoice. The meter is brought up to date first.

    Raises:
        LedgerError: the month is not over, it was invoiced before, or a month before it was not.
    """
    with ledger.writing():
        tz = ledger.known("tenant", tenant, "tenant")["tz"]
        within = span_of(period, tz)
        now = ledger.now_us()
        if within[1] > now:
            raise LedgerError(
                f"{period} of {tenant} ends at {instant_text(within[1])}; until then: cardkeeper invoice draft"
            )
        meter.tick(ledger, tenant=tenant)
        _in_order(ledger, tenant, period, tz)
        made = draft(ledger, tenant, period)
        return _write(ledger, actor, made, now)


def _in_order(ledger: Ledger, tenant: str, period: str, tz: str) -> None:
    """Months are invoiced one after the other: one that was left out could never be billed."""
    last = ledger.one("SELECT period FROM invoice WHERE tenant_id=? ORDER BY period DESC LIMIT 1", (tenant,))
    if last is not None and last["period"] >= period:
        raise LedgerError(
            f"{last['period']} of {tenant} is invoiced; what is new of {period} comes as a correction on the next invoice"
        )
    first = ledger.one(
        "SELECT MIN(e.at_us) AS at FROM lease_event e JOIN lease l ON l.id=e.lease_id WHERE l.tenant_id=? AND "
        "e.state='active'", (tenant,),
    )  # fmt: skip
    due = None
    if last is not None:
        due = shifted(last["period"], 1)
    elif first is not None and first["at"] is not None:
        due = period_of(first["at"], tz)
    if due is not None and due < period:
        raise LedgerError(f"{due} of {tenant} is not invoiced yet; months are invoiced one after the other")


def _write(ledger: Ledger, actor: str, made: Draft, now: int) -> dict[str, Any]:
    run = ledger.insert("rating_run", {
        "tenant_id": made.tenant, "period": made.period, "meter_seq_hi": made.at.meter, "hold_seq_hi": made.at.hold,
        "terms_seq_hi": made.at.terms, "event_seq_hi": made.at.event, "balance_minor": made.balance,
        "carried_minor": made.carried, "engine": ENGINE, "at_us": now,
    })  # fmt: skip
    for number, line in enumerate(made.lines, 1):
        ledger.insert("charge", {"run_id": run, "line": number, **_charge(line)})
    name = f"{made.period}-{made.tenant}"
    ledger.insert("invoice", {
        "id": name, "tenant_id": made.tenant, "period": made.period, "run_id": run, "total_minor": made.total,
        "currency": made.currency, "issued_us": now, "digest": digest(made.lines),
    })  # fmt: skip
    ledger.note(actor, "invoice issued", {"invoice": name, "total": text_of(made.total, made.digits)})
    return get(ledger, name)


def _charge(line: Line) -> dict[str, Any]:
    return {
        "category": str(line.category), "class": "Correction" if line.is_correction else None, "of_period": line.of,
        "lease_id": line.lease or None, "plan_id": line.plan or None, "plan_version": line.version or None,
        "sku_id": line.sku or None, "what": line.what, "from_us": line.begin, "to_us": line.end,
        "qty": str(line.quantity), "unit": line.unit, "list_nano": line.list_nano,
        "contracted_nano": line.contracted_nano, "effective_nano": line.effective_nano, "billed_minor": line.billed,
    }  # fmt: skip


def digest(lines: Sequence[Line]) -> str:
    """SHA-256 of an invoice's lines: two ratings are the same to the byte where this is the same."""
    body = json.dumps([_charge(line) for line in lines], sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(body.encode()).hexdigest()


def lines_of(ledger: Ledger, name: str) -> list[Line]:
    """The lines of an issued invoice. Raises LedgerError where there is none."""
    run = ledger.known("invoice", name, "invoice")["run_id"]
    return [_line_of(r) for r in ledger.rows("SELECT * FROM charge WHERE run_id=? ORDER BY line", (run,))]


def get(ledger: Ledger, name: str) -> dict[str, Any]:
    """An issued invoice as JSON. Raises LedgerError where there is none."""
    row = ledger.known("invoice", name, "invoice")
    tenant = ledger.known("tenant", row["tenant_id"], "tenant")
    run = ledger.one("SELECT * FROM rating_run WHERE id=?", (row["run_id"],))
    assert run is not None
    return _told(
        row["id"], tenant, row["period"], lines_of(ledger, name), run["carried_minor"], row["issued_us"], row["digest"]
    )


def _told(
    name: str | None,
    tenant: dict[str, Any],
    period: str,
    lines: Sequence[Line],
    carried: int,
    issued: int | None,
    made: str,
) -> dict[str, Any]:
    digits, within = tenant["minor_units"], span_of(period, tenant["tz"])
    return {
        "invoice": name, "tenant": tenant["id"], "tenant_name": tenant["name"], "period": period,
        "from": instant_text(within[0]), "to": instant_text(within[1]), "tz": tenant["tz"],
        "issued": None if issued is None else instant_text(issued), "currency": tenant["currency"],
        "total": text_of(sum(line.billed for line in lines), digits), "carried": text_of(carried, digits),
        "lines": [told(line, digits) for line in lines], "digest": made,
    }  # fmt: skip


def told_draft(ledger: Ledger, made: Draft) -> dict[str, Any]:
    """A draft as JSON."""
    tenant = ledger.known("tenant", made.tenant, "tenant")
    return _told(None, tenant, made.period, made.lines, made.carried, None, digest(made.lines))


def listing(ledger: Ledger, tenant: str = "") -> list[dict[str, Any]]:
    """Issued invoices, newest first."""
    sql = (
        "SELECT i.id AS invoice,i.tenant_id AS tenant,i.period,i.total_minor,i.currency,i.issued_us,t.minor_units "
        "FROM invoice i JOIN tenant t ON t.id=i.tenant_id"
        + (" WHERE i.tenant_id=?" if tenant else "")
        + " ORDER BY i.period DESC,i.id"
    )
    return [
        {
            "invoice": r["invoice"], "tenant": r["tenant"], "period": r["period"], "currency": r["currency"],
            "total": text_of(r["total_minor"], r["minor_units"]), "issued": instant_text(r["issued_us"]),
        }
        for r in ledger.rows(sql, (tenant,) if tenant else ())
    ]  # fmt: skip


def verify(ledger: Ledger) -> dict[str, Any]:
    """Compute the meter's chain and every frozen invoice again.

    Returns:
        {"ok", "meter_rows", "broken_row", "invoices", "wrong"}: wrong invoices with what differs.
    """
    rows, broken = meter.verify(ledger)
    wrong = []
    found = ledger.rows(
        "SELECT i.*,r.meter_seq_hi,r.hold_seq_hi,r.terms_seq_hi,r.event_seq_hi,r.engine FROM invoice i JOIN rating_run r "
        "ON r.id=i.run_id ORDER BY i.period,i.id"
    )
    for row in found:
        why = _wrong(ledger, row)
        if why:
            wrong.append({"invoice": row["id"], "why": why})
    return {
        "ok": broken is None and not wrong, "meter_rows": rows, "broken_row": broken, "invoices": len(found), "wrong": wrong,
    }  # fmt: skip


def _wrong(ledger: Ledger, row: dict[str, Any]) -> str:
    kept = lines_of(ledger, row["id"])
    if digest(kept) != row["digest"]:
        return "its lines are not those that were issued"
    if sum(line.billed for line in kept) != row["total_minor"]:
        return "its total is not the sum of its lines"
    if row["engine"] != ENGINE:
        return f"it was rated by engine {row['engine']}, which this version does not have"
    again = draft(ledger, row["tenant_id"], row["period"], _mark_of(row))
    if digest(again.lines) != row["digest"]:
        return "rated again, it has other lines"
    return ""
