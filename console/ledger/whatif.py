"""What if: a document with a tenant, a plan and usage is rated, and nothing is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.money import digits_of, text_of
from console.ledger.plans import Plan, parse
from console.ledger.rating import Held, Terms, check_single, credited, held, rate, taxed, told
from console.ledger.spans import Span
from console.ledger.times import parse_instant, span_of, zone

CAUSES = ("provider", "tenant", "unknown")


def what_if(document: object) -> dict[str, Any]:
    """Rate a document; see the guide for its keys.

    Returns:
        {"total", "currency", "period", "lines"}: money as decimal strings.

    Raises:
        LedgerError: it is not understood, or contradicts itself.
    """
    if not isinstance(document, Mapping):
        raise LedgerError("the document must be a JSON object with tenant, period, plan and usage")
    tenant = _object(document, "tenant")
    tz, currency = str(tenant.get("tz", "UTC")), str(tenant.get("currency", ""))
    zone(tz)
    digits = digits_of(currency)
    period = str(document.get("period", ""))
    within = span_of(period, tz)
    spec = _object(document, "plan")
    plan = parse({k: v for k, v in spec.items() if k != "id"}, str(spec.get("id", "plan")), 1, currency)
    usage = _rows(document, "usage", ("lease", "card", "from", "to"))
    outages = _rows(document, "outages", ("from", "to"))
    lines = rate(_terms(plan, usage, outages), period, tz)
    lines, carried = credited(lines, 0, period, within)
    lines = taxed(lines, {(plan.id, plan.version): plan}, period, within)
    return {
        "total": text_of(sum(line.billed for line in lines), digits), "currency": currency, "period": period,
        "carried": text_of(carried, digits), "lines": [told(line, digits) for line in lines],
    }  # fmt: skip


def _object(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = document.get(key)
    if not isinstance(found, Mapping):
        raise LedgerError(f"{key} is missing, or is no object")
    return found


def _rows(document: Mapping[str, Any], key: str, needed: tuple[str, ...]) -> list[dict[str, Any]]:
    """Rows of a list, times understood, each id once.

    Raises:
        LedgerError: a row lacks a key, ends before it begins, or has another row's id and says something else.
    """
    rows = document.get(key, [])
    if not isinstance(rows, list):
        raise LedgerError(f"{key} is a list")
    out: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        where = f"{key}[{number}]"
        if not isinstance(row, Mapping):
            raise LedgerError(f"{where} is no object")
        missing = [k for k in needed if k not in row]
        if missing:
            raise LedgerError(f"{where}: {missing[0]} is missing")
        made = dict(row)
        for end in ("from", "to"):
            made[end] = parse_instant(row[end], f"{where}.{end}")
        if made["to"] <= made["from"]:
            raise LedgerError(f"{where}: it ends before it begins")
        name = str(row.get("id", f"#{number}"))
        if name in out and out[name] != made:
            raise LedgerError(f"{where}: the id {name} is that of another row with other contents")
        out[name] = made
    return list(out.values())


def _terms(plan: Plan, usage: list[dict[str, Any]], outages: list[dict[str, Any]]) -> list[Terms]:
    used: dict[tuple[str, str], dict[str, list[Span]]] = {}
    for row in usage:
        key, card = (str(row["lease"]), str(row.get("sku", ""))), str(row["card"])
        used.setdefault(key, {}).setdefault(card, []).append((row["from"], row["to"]))
    down: list[tuple[str, str, Span]] = []
    for row in outages:
        cause = str(row.get("cause", "provider"))
        if cause not in CAUSES:
            raise LedgerError(f"outage: cause is one of {', '.join(CAUSES)}")
        if cause == "provider":
            down.append((str(row.get("lease", "")), str(row.get("card", "")), (row["from"], row["to"])))
    out = []
    cards: dict[str, list[tuple[str, tuple[Span, ...]]]] = {}
    for (lease, sku), spans in sorted(used.items()):
        mine: list[Held] = []
        for card, times in sorted(spans.items()):
            here = [s for of, on, s in down if of in ("", lease) and on in ("", card)]
            mine.append(held(times, here, card))
            cards.setdefault(card, []).append((lease, mine[-1].spans))
        begin = min(h.spans[0][0] for h in mine)
        out.append(Terms(lease, plan, sku, begin, max(h.spans[-1][1] for h in mine), tuple(mine), begin))
    check_single(cards)
    return out
