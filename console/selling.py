"""Commands of what is sold: tenants, plans, suppliers, regions, SKUs, the pool. Times as people write them, money as text."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from console.app import Console, ConsoleError, person
from console.fleet.model import EntityKind
from console.ledger import pool, tenants
from console.ledger.errors import LedgerError
from console.ledger.money import nano_text
from console.ledger.plans import Plan
from console.ledger.store import Ledger
from console.ledger.times import parse_instant
from console.registry import Danger, registry
from console.telemetry.live import LiveFleet


def open_ledger(console: Console, writes: bool = True) -> Ledger:
    """The ledger of the console's data folder.

    Raises:
        LedgerError: it cannot be opened.
    """
    return Ledger(console.config.history_folder, writes)


def instant(text: str | None, name: str) -> int | None:
    """UTC microseconds of a time as people write it: with an offset, local to this workstation, or ahead like +10d; None for
    None.

    Raises:
        ConsoleError: it is none.
    """
    if text is None:
        return None
    from console.history.when import parse_moment, parse_span

    try:
        if text.startswith("+"):
            return time.time_ns() // 1000 + int(parse_span(text[1:]) * 1_000_000)
    except ValueError as exc:
        raise ConsoleError(f"--{name}: {exc}") from exc
    try:
        return parse_instant(text, name)
    except LedgerError:
        try:
            return parse_instant(parse_moment(text, datetime.now().astimezone()).isoformat(), name)
        except ValueError as exc:
            raise ConsoleError(f"--{name}: {exc}") from exc


def read_json(path: Any) -> Any:
    """A document that came with a request, or JSON of a file, or of standard input for "-".

    A number with decimals stays the text that it was: 0.1 is 0.1.

    Raises:
        ConsoleError: it cannot be read, or is no JSON.
    """
    import sys

    if not isinstance(path, str):
        return path
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
        return json.loads(text, parse_float=str)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConsoleError(f"{path}: {exc}") from exc
    except ValueError as exc:
        raise ConsoleError(f"{path}: this is not JSON: {exc}") from exc


# Tenants and plans


@registry.command("tenant.add", "Add a tenant", danger=Danger.LOCAL, reads=False)
def tenant_add(
    console: Console, name: str, *, currency: str, tz: str, title: str = "", industry: str = "", contact: str = "",
    parent: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Add a tenant. Its currency and time zone stay.

    Args:
        name: a short name
        currency: ISO 4217, like CNY
        tz: IANA time zone, like Asia/Riyadh: its months are billed in it
        title: its full name
        industry: what it does
        contact: how it is reached
        parent: the tenant it belongs to
    """
    with open_ledger(console) as ledger:
        return tenants.add(ledger, person(), name, title, tz, currency, industry, contact, parent)


@registry.command("tenant.list", "List tenants", reads=False)
def tenant_list(console: Console) -> list[dict[str, Any]]:
    """All tenants."""
    with open_ledger(console) as ledger:
        return ledger.rows("SELECT id,name,tz,currency,industry,contact,parent_id AS parent FROM tenant ORDER BY id")


@registry.command("tenant.quota", "Set a tenant's quota", danger=Danger.LOCAL, reads=False)
def tenant_quota(
    console: Console, tenant: str, *, sku: str, nominal: int, borrow: int = 0, lend: int = 0
) -> dict[str, Any]:
    """How many cards of a SKU a tenant may hold at once.

    Args:
        tenant: its name
        sku: of which cards
        nominal: its own
        borrow: so many more of what others lend and do not use
        lend: so many of its own that others may borrow
    """
    with open_ledger(console) as ledger:
        tenants.set_quota(ledger, person(), tenant, sku, nominal, borrow, lend)
        return {"tenant": tenant, "sku": sku, "nominal": nominal, "borrow": borrow, "lend": lend}


@registry.command("plan.add", "Add a plan or its next version", danger=Danger.LOCAL, reads=False)
def plan_add(console: Console, name: str, *, file: str) -> dict[str, Any]:
    """Add a plan, or the next version of one; leases keep the version that they began with.

    Args:
        name: the plan's name
        file: its JSON, see the guide; - reads standard input
    """
    with open_ledger(console) as ledger:
        return told_plan(tenants.add_plan(ledger, person(), name, read_json(file)))


@registry.command("plan.list", "List plans", reads=False)
def plan_list(console: Console) -> list[dict[str, Any]]:
    """All versions of all plans."""
    with open_ledger(console) as ledger:
        return [
            told_plan(tenants.plan(ledger, r["id"], r["version"]))
            for r in ledger.rows("SELECT id,version FROM plan ORDER BY id,version")
        ]


def told_plan(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "plan": plan.id, "version": plan.version, "kind": str(plan.kind), "currency": plan.currency,
        "price": nano_text(plan.list_nano), "contracted": nano_text(plan.contracted(plan.list_nano)),
        "prices": {k: nano_text(v) for k, v in plan.prices.items()},
    }  # fmt: skip


# The pool


@registry.command("supplier.add", "Add a supplier", danger=Danger.LOCAL, reads=False)
def supplier_add(
    console: Console, name: str, *, title: str = "", contract: str = "", currency: str = "", cost: str = ""
) -> dict[str, Any]:
    """Add a supplier.

    Args:
        name: a short name
        title: its full name
        contract: its contract's number or words
        currency: of the cost
        cost: what a card-hour costs us
    """
    with open_ledger(console) as ledger:
        pool.add_supplier(ledger, person(), name, title, contract, currency, cost)
        return ledger.known("supplier", name, "supplier")


@registry.command("supplier.list", "List suppliers", reads=False)
def supplier_list(console: Console) -> list[dict[str, Any]]:
    """All suppliers, and how many cards of theirs are in the pool."""
    with open_ledger(console) as ledger:
        return ledger.rows(
            "SELECT s.*,(SELECT count(*) FROM card c JOIN node n ON n.id=c.node_id WHERE n.supplier_id=s.id AND "
            "c.retired_us IS NULL) AS cards FROM supplier s ORDER BY id"
        )


@registry.command("region.add", "Add a region", danger=Danger.LOCAL, reads=False)
def region_add(console: Console, name: str, *, title: str = "", tz: str = "UTC") -> dict[str, Any]:
    """Add a region.

    Args:
        name: as the fleet file calls it
        title: its full name
        tz: IANA time zone
    """
    with open_ledger(console) as ledger:
        pool.add_region(ledger, person(), name, title, tz)
        return ledger.known("region", name, "region")


@registry.command("region.place", "Say where a region lies", danger=Danger.LOCAL, reads=False)
def region_place(
    console: Console, name: str, *, country: str = "", power: str = "", currency: str = ""
) -> dict[str, Any]:
    """The country of a region, for data residency, and the price of power there.

    Args:
        name: the region
        country: its two letters, like SA
        power: price of a kWh
        currency: of that price
    """
    with open_ledger(console) as ledger:
        pool.place_region(ledger, person(), name, country, power, currency)
        return ledger.known("region", name, "region")


@registry.command("region.link", "Say what lies between two regions", danger=Danger.LOCAL, reads=False)
def region_link(console: Console, a: str, b: str, *, rtt_ms: str, mbit_s: int, egress: str = "0") -> dict[str, Any]:
    """Round trip, bandwidth and price between two regions.

    Args:
        a: one region
        b: the other
        rtt_ms: round trip in milliseconds
        mbit_s: bandwidth in Mbit/s
        egress: price of a GiB
    """
    from decimal import Decimal, InvalidOperation

    try:
        rtt = int(Decimal(rtt_ms) * 1000)
    except InvalidOperation as exc:
        raise ConsoleError(f"--rtt-ms: {rtt_ms!r} is no number") from exc
    with open_ledger(console) as ledger:
        pool.link_regions(ledger, person(), a, b, rtt, mbit_s, egress)
        return {"a": a, "b": b, "rtt_us": rtt, "mbit_s": mbit_s, "egress": egress}


@registry.command("region.list", "List regions", reads=False)
def region_list(console: Console) -> list[dict[str, Any]]:
    """All regions."""
    with open_ledger(console) as ledger:
        return ledger.rows("SELECT * FROM region ORDER BY id")


@registry.command("sku.add", "Add a SKU", danger=Danger.LOCAL, reads=False)
def sku_add(
    console: Console, name: str, *, model: str, vendor: str, arch: str, mem_mib: int, source: str = ""
) -> dict[str, Any]:
    """Add a SKU: cards that are sold alike.

    Args:
        name: a short name, like h100
        model: the model as the driver says it
        vendor: who makes it
        arch: its architecture
        mem_mib: its memory in MiB
        source: where the figures are from
    """
    with open_ledger(console) as ledger:
        pool.add_sku(ledger, person(), name, vendor, arch, model, mem_mib, source)
        return ledger.known("sku", name, "sku")


@registry.command("sku.list", "List SKUs", reads=False)
def sku_list(console: Console) -> list[dict[str, Any]]:
    """All SKUs, and how many cards of them are in the pool."""
    with open_ledger(console) as ledger:
        return ledger.rows(
            "SELECT s.*,(SELECT count(*) FROM card c WHERE c.sku_id=s.id AND c.retired_us IS NULL) AS cards FROM sku s "
            "ORDER BY id"
        )


def seen_cards(live: LiveFleet) -> list[pool.Seen]:
    """The live fleet's cards as the pool takes them over. Only where the fleet may be read."""
    nodes = {n.node.name: n.node for n in live.nodes}
    out = []
    for row in live.entities:
        one, node = row.entity, nodes[row.entity.node]
        memory = live.reading(one.uuid, "memory_total").value
        parent = one.parent if one.kind is EntityKind.SLICE else ""
        out.append(pool.Seen(
            one.uuid, one.name, one.node, node.region, node.supplier, node.rack, node.labels.get("island", ""),
            0 if memory is None else int(memory) >> 20, parent,
        ))  # fmt: skip
    return sorted(out, key=lambda s: (bool(s.parent), s.uuid))


@registry.command("pool.bind", "Take the live fleet's cards into the pool", danger=Danger.LOCAL, connects=True)
def pool_bind(console: Console, *, skus: bool = False, since: str | None = None) -> dict[str, Any]:
    """Commission the cards that are seen and new, and note those that moved to another node.

    Args:
        skus: make a SKU of every model that has none
        since: since when new cards are in the pool; now without it
    """
    end = time.monotonic() + 20.0
    while time.monotonic() < end and not (console.live.nodes and all(n.hello or n.problem for n in console.live.nodes)):
        console.live.pump()
        time.sleep(0.1)
    with open_ledger(console) as ledger:
        return bind(ledger, seen_cards(console.live), skus, instant(since, "since"))


def bind(ledger: Ledger, seen: list[pool.Seen], skus: bool, since: int | None = None) -> dict[str, Any]:
    """Take cards into the pool; with `skus` a SKU is made of each model that has none."""
    if skus:
        known = {r["model"] for r in ledger.rows("SELECT model FROM sku")}
        for model in sorted({s.model for s in seen} - known):
            name = "".join(c if c.isalnum() or c in "._-" else "-" for c in model.lower()).strip("-.")[:60]
            memory = max((s.memory_mib for s in seen if s.model == model), default=0)
            pool.add_sku(ledger, person(), name, model.split(" ")[0], "", model, memory or 1, "as the driver says")
    found = pool.bind(ledger, person(), seen, since)
    models = {s.uuid: s.model for s in seen}
    return {
        "commissioned": len(found["commissioned"]), "moved": found["moved"],
        "without_sku": sorted({models[u] for u in found["unknown"]}),
    }  # fmt: skip


@registry.command("pool.list", "List the cards of the pool", reads=False)
def pool_list(console: Console, *, at: str | None = None) -> list[dict[str, Any]]:
    """Every card of the pool, where it is, and who holds it.

    Args:
        at: at this time instead of now
    """
    with open_ledger(console) as ledger:
        return pool.listing(ledger, instant(at, "at"))


@registry.command("pool.volume", "Add a volume of storage", danger=Danger.LOCAL, reads=False)
def pool_volume(console: Console, name: str, *, region: str, gib: int) -> dict[str, Any]:
    """Add a volume, so that its time can be metered and billed beside cards.

    Args:
        name: a short name
        region: where it is
        gib: its size
    """
    with open_ledger(console) as ledger:
        pool.add_volume(ledger, person(), name, region, gib)
        return {"volume": name, "region": region, "gib": gib}


@registry.command("pool.available", "Count what is free", reads=False)
def pool_available(
    console: Console, *, sku: str = "", begin: str | None = None, end: str | None = None
) -> list[dict[str, Any]]:
    """How many cards of each SKU are free in each region for all of a time.

    Args:
        sku: only of this one
        begin: from when on; now without it
        end: until when; for ever without it
    """
    with open_ledger(console) as ledger:
        since = instant(begin, "begin")
        until = instant(end, "end")
        return pool.available(ledger, ledger.now_us() if since is None else since, until, sku)


@registry.command("pool.retire", "Take a card out of the pool", danger=Danger.LOCAL, reads=False)
def pool_retire(console: Console, card: str, *, why: str, replaced_by: str = "") -> dict[str, Any]:
    """Take a card out of the pool for good; its history stays.

    Args:
        card: its UUID
        why: for whoever comes next
        replaced_by: UUID of the card in its place
    """
    with open_ledger(console) as ledger:
        pool.retire(ledger, person(), card, why, replaced_by)
        return {"card": card, "retired": True}
