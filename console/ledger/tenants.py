"""Tenants, their quotas, and the plans they may have."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.money import digits_of
from console.ledger.plans import Plan, parse
from console.ledger.store import Ledger
from console.ledger.times import zone

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def checked_id(name: str, what: str) -> str:
    """A name that is safe in files, links and commands.

    Raises:
        LedgerError: it is not.
    """
    if not _NAME.fullmatch(name):
        raise LedgerError(f"{what} {name!r}: letters, digits, dots, dashes and underscores, at most 64, no other first")
    return name


def add(
    ledger: Ledger, actor: str, name: str, title: str, tz: str, currency: str, industry: str = "", contact: str = "",
    parent: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Add a tenant; its zone and currency stay.

    Raises:
        LedgerError: it is there, or the zone or currency is unknown.
    """
    checked_id(name, "tenant")
    zone(tz)
    if parent:
        ledger.known("tenant", parent, "tenant")
    if ledger.one("SELECT id FROM tenant WHERE id=?", (name,)) is not None:
        raise LedgerError(f"there is a tenant {name} already; see: cardkeeper tenant list")
    row = {
        "id": name, "name": title or name, "tz": tz, "currency": currency, "minor_units": digits_of(currency),
        "industry": industry, "contact": contact, "parent_id": parent or None,
    }  # fmt: skip
    with ledger.writing():
        ledger.insert("tenant", row)
        ledger.note(actor, "tenant added", row)
    return row


def add_plan(ledger: Ledger, actor: str, name: str, spec: Mapping[str, Any], at: int | None = None) -> Plan:
    """Add a plan, or the next version of one; a version is never changed.

    Args:
        at: from when on it may be chosen, UTC microseconds; None now.

    Raises:
        LedgerError: it is not understood, or has another currency than its earlier versions.
    """
    checked_id(name, "plan")
    last = ledger.one("SELECT version,currency FROM plan WHERE id=? ORDER BY version DESC LIMIT 1", (name,))
    made = parse(spec, name, 1 if last is None else last["version"] + 1)
    if last is not None and last["currency"] != made.currency:
        raise LedgerError(f"plan {name} is in {last['currency']}; a plan in {made.currency} needs another name")
    with ledger.writing():
        ledger.insert("plan", {
            "id": name, "version": made.version, "kind": str(made.kind), "currency": made.currency,
            "valid_from_us": ledger.now_us() if at is None else at,
            "spec_json": json.dumps(spec, sort_keys=True, ensure_ascii=False),
        })  # fmt: skip
        ledger.note(actor, "plan added", {"id": name, "version": made.version})
    return made


def plan(ledger: Ledger, name: str, version: int | None = None) -> Plan:
    """A version of a plan, or its newest.

    Raises:
        LedgerError: there is none.
    """
    sql = (
        "SELECT * FROM plan WHERE id=?"
        + ("" if version is None else " AND version=?")
        + " ORDER BY version DESC LIMIT 1"
    )
    row = ledger.one(sql, (name,) if version is None else (name, version))
    if row is None:
        said = name if version is None else f"{name} version {version}"
        raise LedgerError(f"there is no plan {said}; see: cardkeeper plan list")
    return parse(json.loads(row["spec_json"]), row["id"], row["version"])


def set_quota(ledger: Ledger, actor: str, tenant: str, sku: str, nominal: int, borrow: int = 0, lend: int = 0) -> None:
    """How many cards of a SKU a tenant may hold: its own, so many borrowed of what others lend.

    Raises:
        LedgerError: no such tenant or SKU, or a number is negative.
    """
    ledger.known("tenant", tenant, "tenant")
    ledger.known("sku", sku, "sku")
    if min(nominal, borrow, lend) < 0 or lend > nominal:
        raise LedgerError("a quota is not negative, and nobody lends more than is nominally its own")
    with ledger.writing() as connection:
        connection.execute("DELETE FROM quota WHERE tenant_id=? AND sku_id=?", (tenant, sku))
        row = {"tenant_id": tenant, "sku_id": sku, "nominal": nominal, "borrow": borrow, "lend": lend}
        ledger.insert("quota", row)
        ledger.note(actor, "quota set", row)


def allowed(ledger: Ledger, tenant: str, sku: str, used: Mapping[str, int]) -> int | None:
    """How many cards of a SKU a tenant may hold at once; None without a quota.

    Args:
        used: cards of the SKU that each tenant holds.
    """
    rows = {r["tenant_id"]: r for r in ledger.rows("SELECT * FROM quota WHERE sku_id=?", (sku,))}
    mine = rows.get(tenant)
    if mine is None:
        return None
    lent: int = sum(min(r["lend"], max(0, r["nominal"] - used.get(t, 0))) for t, r in rows.items() if t != tenant)
    borrowed: int = sum(max(0, used.get(t, 0) - r["nominal"]) for t, r in rows.items() if t != tenant)
    return int(mine["nominal"]) + min(int(mine["borrow"]), max(0, lent - borrowed))
