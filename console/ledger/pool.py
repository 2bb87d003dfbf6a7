"""The pool: suppliers, regions, SKUs, nodes and cards, as they were commissioned, moved and retired."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.money import digits_of, nano_of
from console.ledger.store import Ledger
from console.ledger.tenants import checked_id
from console.ledger.times import zone


@dataclass(frozen=True, slots=True)
class Seen:
    """A card as the live fleet shows it."""

    uuid: str
    model: str
    node: str
    region: str
    supplier: str = ""
    rack: str = ""
    island: str = ""
    memory_mib: int = 0
    parent: str = ""


def add_supplier(
    ledger: Ledger, actor: str, name: str, title: str = "", contract: str = "", currency: str = "", cost: str = ""
) -> None:
    """Add a supplier with what a card-hour costs us.

    Raises:
        LedgerError: it is there, or the cost has no currency.
    """
    checked_id(name, "supplier")
    if cost:
        digits_of(currency)
    nano = nano_of(cost, "cost") if cost else None
    with ledger.writing():
        ledger.insert("supplier", {
            "id": name, "name": title or name, "contract": contract, "currency": currency, "card_hour_nano": nano,
        })  # fmt: skip
        ledger.note(actor, "supplier added", {"id": name})


def add_region(ledger: Ledger, actor: str, name: str, title: str = "", tz: str = "UTC") -> None:
    """Add a region.

    Raises:
        LedgerError: it is there, or the zone is unknown.
    """
    checked_id(name, "region")
    zone(tz)
    with ledger.writing():
        ledger.insert("region", {"id": name, "name": title or name, "tz": tz})
        ledger.note(actor, "region added", {"id": name, "tz": tz})


def place_region(ledger: Ledger, actor: str, name: str, country: str, power: str, currency: str) -> None:
    """In which country a region is, and what a kWh costs there; what is not given stays as it is.

    Raises:
        LedgerError: there is no such region, the country is no code of two letters, or a price has no currency.
    """
    ledger.known("region", name, "region")
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise LedgerError(f"{country!r} is no country; write its two letters, like SA")
    row: dict[str, Any] = {"country": country.upper()} if country else {}
    if power:
        digits_of(currency)
        row |= {"power_nano_per_kwh": nano_of(power, "power"), "power_currency": currency}
    with ledger.writing() as connection:
        for key, value in row.items():
            connection.execute(f"UPDATE region SET {key}=? WHERE id=?", (value, name))
        ledger.note(actor, "region placed", {"id": name, **row})


def link_regions(ledger: Ledger, actor: str, a: str, b: str, rtt_us: int, mbit_s: int, egress: str = "0") -> None:
    """What lies between two regions: round trip, bandwidth, price a GiB.

    Raises:
        LedgerError: a region is unknown, or a number negative.
    """
    for name in (a, b):
        ledger.known("region", name, "region")
    if min(rtt_us, mbit_s) < 0 or a == b:
        raise LedgerError("a link is between two regions, its round trip and bandwidth not negative")
    first, second = sorted((a, b))
    row = {
        "a": first,
        "b": second,
        "rtt_us": rtt_us,
        "mbit_s": mbit_s,
        "egress_nano_per_gib": nano_of(egress, "egress"),
    }
    with ledger.writing() as connection:
        connection.execute("DELETE FROM region_link WHERE a=? AND b=?", (first, second))
        ledger.insert("region_link", row)
        ledger.note(actor, "regions linked", row)


def add_sku(
    ledger: Ledger, actor: str, name: str, vendor: str, arch: str, model: str, mem_mib: int, source: str = "",
    bf16_dense_gflops: int | None = None,
) -> None:  # fmt: skip
    """Add a SKU; what is unknown stays empty.

    Raises:
        LedgerError: it is there, or has no memory.
    """
    checked_id(name, "sku")
    if mem_mib <= 0:
        raise LedgerError(f"sku {name}: its memory in MiB must be given")
    with ledger.writing():
        ledger.insert("sku", {
            "id": name, "vendor": vendor, "arch": arch, "model": model, "mem_mib": mem_mib,
            "bf16_dense_gflops": bf16_dense_gflops, "spec_source": source or None,
        })  # fmt: skip
        ledger.note(actor, "sku added", {"id": name, "model": model})


def add_volume(ledger: Ledger, actor: str, name: str, region: str, gib: int) -> None:
    """Add a volume of storage, so that its time can be metered.

    Raises:
        LedgerError: it is there, its region is unknown, or it has no size.
    """
    checked_id(name, "volume")
    ledger.known("region", region, "region")
    if gib < 1:
        raise LedgerError(f"volume {name}: its size in GiB is 1 or more")
    with ledger.writing():
        ledger.insert("volume", {"id": name, "region_id": region, "gib": gib})
        ledger.note(actor, "volume added", {"id": name, "region": region, "gib": gib})


def bind(ledger: Ledger, actor: str, cards: Iterable[Seen], since: int | None = None) -> dict[str, list[str]]:
    """Take over the live fleet: cards that are new are commissioned, those on another node moved.

    A card is of the SKU whose model is the one that its driver says. Nothing is retired here: a card that is not seen may
    only be lost.

    Args:
        since: since when new ones are in the pool, UTC microseconds; None now.

    Returns:
        {"commissioned", "moved", "unknown"}: UUIDs; unknown ones are of a model that no SKU has.
    """
    out: dict[str, list[str]] = {"commissioned": [], "moved": [], "unknown": []}
    now = ledger.now_us() if since is None else since
    with ledger.writing() as connection:
        skus = {r["model"]: r["id"] for r in ledger.rows("SELECT id,model FROM sku ORDER BY id DESC")}
        for card in cards:
            sku = skus.get(card.model)
            if sku is None:
                out["unknown"].append(card.uuid)
                continue
            _place(ledger, connection, card)
            known = ledger.one("SELECT node_id FROM card WHERE uuid=?", (card.uuid,))
            if known is None:
                ledger.insert("card", {
                    "uuid": card.uuid, "node_id": card.node, "sku_id": sku, "parent_uuid": card.parent or None,
                    "commissioned_us": now,
                })  # fmt: skip
                _note(ledger, actor, card.uuid, "commissioned", card.node)
                out["commissioned"].append(card.uuid)
            elif known["node_id"] != card.node:
                connection.execute("UPDATE card SET node_id=? WHERE uuid=?", (card.node, card.uuid))
                _note(ledger, actor, card.uuid, "moved", f"{known['node_id']} to {card.node}")
                out["moved"].append(card.uuid)
    return out


def _place(ledger: Ledger, connection: Any, card: Seen) -> None:
    region = card.region or "default"
    if ledger.one("SELECT id FROM region WHERE id=?", (region,)) is None:
        ledger.insert("region", {"id": region, "name": region, "tz": "UTC"})
    if card.supplier and ledger.one("SELECT id FROM supplier WHERE id=?", (card.supplier,)) is None:
        ledger.insert("supplier", {"id": card.supplier, "name": card.supplier})
    row = (region, card.supplier or None, card.island or None, card.rack or None)
    if ledger.one("SELECT id FROM node WHERE id=?", (card.node,)) is None:
        connection.execute(
            "INSERT INTO node(region_id,supplier_id,island,rack,id) VALUES(?,?,?,?,?)", (*row, card.node)
        )
    else:
        connection.execute("UPDATE node SET region_id=?,supplier_id=?,island=?,rack=? WHERE id=?", (*row, card.node))


def _note(ledger: Ledger, actor: str, uuid: str, what: str, detail: str) -> None:
    ledger.insert("card_event", {
        "card_uuid": uuid, "at_us": ledger.now_us(), "what": what, "detail": detail, "actor": actor,
    })  # fmt: skip


def retire(ledger: Ledger, actor: str, uuid: str, why: str, replaced_by: str = "") -> None:
    """Take a card out of the pool for good.

    Raises:
        LedgerError: there is no such card, it is retired, or a lease holds it.
    """
    row = ledger.one("SELECT * FROM card WHERE uuid=?", (uuid,))
    if row is None or row["retired_us"] is not None:
        raise LedgerError(f"there is no card {uuid} in the pool; see: cardkeeper pool list")
    now = ledger.now_us()
    held = ledger.one(
        "SELECT lease_id FROM hold WHERE card_uuid=? AND (to_us IS NULL OR to_us>?) AND from_us IS NOT to_us",
        (uuid, now),
    )
    if held is not None:
        raise LedgerError(f"card {uuid} is held by lease {held['lease_id']}; return that first, or move it")
    with ledger.writing() as connection:
        connection.execute("UPDATE card SET retired_us=? WHERE uuid=?", (max(now, row["commissioned_us"] + 1), uuid))
        _note(ledger, actor, uuid, "replaced" if replaced_by else "retired", f"{why} {replaced_by}".strip())


def listing(ledger: Ledger, at: int | None = None) -> list[dict[str, Any]]:
    """Every card of the pool with where it is, and who holds it at an instant."""
    moment = ledger.now_us() if at is None else at
    return ledger.rows(
        "SELECT c.uuid,c.node_id AS node,n.region_id AS region,n.supplier_id AS supplier,n.rack,n.island,c.sku_id AS sku,"
        "c.parent_uuid AS parent,h.lease_id AS lease,l.tenant_id AS tenant "
        "FROM card c JOIN node n ON n.id=c.node_id LEFT JOIN hold h ON h.card_uuid=c.uuid AND h.from_us<=? AND "
        "(h.to_us IS NULL OR h.to_us>?) LEFT JOIN lease l ON l.id=h.lease_id "
        "WHERE c.commissioned_us<=? AND (c.retired_us IS NULL OR c.retired_us>?) ORDER BY c.node_id,c.uuid",
        (moment, moment, moment, moment),
    )


def available(ledger: Ledger, begin: int, end: int | None, sku: str = "") -> list[dict[str, Any]]:
    """Cards of each SKU and region, and how many of them nobody holds for all of a time; slices are of their cards."""
    until = 2**63 - 1 if end is None else end
    return ledger.rows(
        "SELECT c.sku_id AS sku,n.region_id AS region,count(*) AS cards,sum(NOT EXISTS(SELECT 1 FROM hold h JOIN card k ON "
        "k.uuid=h.card_uuid WHERE (k.uuid=c.uuid OR k.parent_uuid=c.uuid OR k.uuid=c.parent_uuid) AND h.from_us IS NOT h.to_us "
        "AND h.from_us<? AND COALESCE(h.to_us,9223372036854775807)>?)) AS free FROM card c JOIN node n ON n.id=c.node_id "
        "WHERE c.commissioned_us<=? AND (c.retired_us IS NULL OR c.retired_us>?) AND (?='' OR c.sku_id=?) GROUP BY 1,2 "
        "ORDER BY 1,2",
        (until, begin, begin, begin, sku, sku),
    )
