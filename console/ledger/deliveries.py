"""What suppliers are to deliver: ordered once, due, put off, arrived or cancelled. Every change is kept with who and why."""

from __future__ import annotations

from dataclasses import dataclass

from console.ledger.errors import LedgerError
from console.ledger.store import Ledger
from console.ledger.tenants import checked_id
from console.ledger.times import instant_text


@dataclass(frozen=True, slots=True)
class Delivery:
    """Cards that are to come. `due` as it is known now, UTC microseconds; `put_off`: how often that changed."""

    id: str
    supplier: str
    sku: str
    region: str
    cards: int
    due: int
    state: str
    put_off: int
    reason: str


def order(
    ledger: Ledger, actor: str, name: str, supplier: str, sku: str, region: str, cards: int, due: int
) -> Delivery:
    """Note what was ordered.

    Raises:
        LedgerError: it is there already, or a name is unknown.
    """
    checked_id(name, "delivery")
    for table, key in (("supplier", supplier), ("sku", sku), ("region", region)):
        ledger.known(table, key, table)
    if cards < 1:
        raise LedgerError(f"delivery {name}: 1 card or more")
    now = ledger.now_us()
    with ledger.writing():
        ledger.insert("delivery", {
            "id": name, "supplier_id": supplier, "sku_id": sku, "region_id": region, "cards": cards, "ordered_us": now,
        })  # fmt: skip
        _event(ledger, actor, name, "due", due, "ordered")
        ledger.note(actor, "delivery ordered", {"id": name, "cards": cards, "due": instant_text(due)})
    return get(ledger, name)


def _event(ledger: Ledger, actor: str, name: str, what: str, due: int, reason: str) -> None:
    ledger.insert("delivery_event", {
        "delivery_id": name, "what": what, "due_us": due, "at_us": ledger.now_us(), "actor": actor, "reason": reason,
    })  # fmt: skip


def change(ledger: Ledger, actor: str, name: str, what: str, reason: str, due: int | None = None) -> Delivery:
    """Put off (or sooner), arrived, or cancelled. What arrived is in the pool by `pool bind`, and no longer to come.

    Args:
        what: "due", "arrived" or "cancelled".

    Raises:
        LedgerError: there is no such delivery, or it is over.
    """
    one = get(ledger, name)
    if what not in ("due", "arrived", "cancelled"):
        raise LedgerError(f"{what!r} is none of due, arrived, cancelled")
    if what == "due" and due is None:
        raise LedgerError(f"delivery {name}: when is it due now?")
    if one.state != "due":
        raise LedgerError(f"delivery {name} is {one.state}; it does not change any more")
    with ledger.writing():
        _event(ledger, actor, name, what, one.due if due is None else due, reason)
        ledger.note(actor, f"delivery {'put off' if what == 'due' else what}", {"id": name, "reason": reason})
    return get(ledger, name)


def get(ledger: Ledger, name: str) -> Delivery:
    """A delivery as it stands.

    Raises:
        LedgerError: there is none.
    """
    row = ledger.known("delivery", name, "delivery")
    events = ledger.rows("SELECT * FROM delivery_event WHERE delivery_id=? ORDER BY seq", (name,))
    last = events[-1]
    return Delivery(
        name, row["supplier_id"], row["sku_id"], row["region_id"], row["cards"], last["due_us"], last["what"],
        sum(e["what"] == "due" for e in events) - 1, last["reason"],
    )  # fmt: skip


def listing(ledger: Ledger, to_come: bool = False) -> list[Delivery]:
    """All deliveries, or those that are still to come, by when they are due."""
    found = [get(ledger, r["id"]) for r in ledger.rows("SELECT id FROM delivery ORDER BY id")]
    return sorted((d for d in found if not to_come or d.state == "due"), key=lambda d: (d.due, d.id))
