"""Which cards a request should get: the ledger's pool, what the nodes say of it, and the mix of what was asked for lately."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from console.answers import told, told_map
from console.app import Console, ConsoleError, person
from console.health.findings import Finding
from console.ledger import leases, tenants
from console.ledger.errors import LedgerError
from console.ledger.leases import Lease, State
from console.ledger.money import nano_text
from console.ledger.store import Ledger
from console.ledger.times import parse_instant, us_of
from console.placement.catalogue import known
from console.placement.decision import SHOWN, Decision, decide
from console.placement.errors import PlacementError
from console.placement.filters import named
from console.placement.inventory import Card, Held, Inventory, Link, Place, Region, Sku
from console.placement.mix import LEARN_DAYS, Ask, Mix, learned
from console.placement.request import DAY_US, Request, parse
from console.registry import Danger, registry
from console.returning import holds
from console.selling import open_ledger
from console.telemetry.live import LiveFleet
from console.triaging import examine

BARS = 2
"""Findings of this severity or a worse one keep a card from being given: page, and today."""
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def moment(text: str) -> int:
    """UTC microseconds of a time of a request: a weekday to come, or as times are written everywhere else.

    Raises:
        ValueError: it is none.
    """
    from console.history.when import parse_moment, parse_span

    now = datetime.now().astimezone()
    if text.lower() in WEEKDAYS:
        ahead = (WEEKDAYS.index(text.lower()) - now.weekday() - 1) % 7 + 1
        return us_of((now + timedelta(days=ahead)).replace(hour=0, minute=0, second=0, microsecond=0))
    if text.lower() == "tomorrow":
        return us_of((now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0))
    if text.startswith("+"):
        return us_of(now) + int(parse_span(text[1:]) * 1_000_000)
    try:
        return parse_instant(text, "time")
    except LedgerError:
        return us_of(parse_moment(text, now))


def bars_of(findings: Iterable[Finding], out: Mapping[str, str], live: LiveFleet) -> dict[str, str]:
    """Why cards must not be given: {UUID: words}. `out` are cards and nodes that the card books hold."""
    found: dict[str, str] = {}
    nodes = {e.node for e in findings if e.severity <= BARS and e.node and not e.card}
    for row in live.entities:
        one = row.entity
        if one.uuid in out or one.node in out:
            found[one.uuid] = out.get(one.uuid) or out[one.node]
        elif one.node in nodes:
            found[one.uuid] = f"{one.node} has a finding"
    for finding in findings:
        if finding.severity <= BARS and finding.card:
            found.setdefault(finding.card, finding.text)
    return found


def seen(console: Console) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """(why cards must not be given, versions by node), from a fresh look at the nodes."""
    live = console.start().live
    findings = examine(console).examiner.findings
    out = {}
    for row in holds(console):
        if row["kind"] == "hold":
            out[row["node"] if row["target"] in (None, "node") else row["target"]] = f"out of service: {row['reason']}"
    return bars_of(findings, out, live), versions_of(live)


def versions_of(live: LiveFleet) -> dict[str, dict[str, str]]:
    """What nodes said of their driver and toolkits."""
    return {n.node.name: dict(n.hello.versions) for n in live.nodes if n.hello is not None}


def inventory(
    ledger: Ledger, bars: Mapping[str, str] | None = None, versions: Mapping[str, Mapping[str, str]] | None = None
) -> Inventory:
    """The pool as placement looks at it."""
    now = ledger.now_us()
    rows = ledger.rows(
        "SELECT c.uuid,c.node_id,c.sku_id,c.parent_uuid FROM card c WHERE c.commissioned_us<=? AND (c.retired_us IS NULL OR "
        "c.retired_us>?) ORDER BY c.node_id,c.uuid", (now, now),
    )  # fmt: skip
    cards = [
        Card(r["uuid"], r["node_id"], r["sku_id"], (bars or {}).get(r["uuid"], ""), r["parent_uuid"] or "")
        for r in rows
    ]
    places = [
        Place(r["id"], r["region_id"], r["rack"] or "", r["island"] or "", r["rail_group"] or "", r["supplier_id"] or "",
              dict((versions or {}).get(r["id"], {})))
        for r in ledger.rows("SELECT * FROM node")
    ]  # fmt: skip
    links = {
        (r["a"], r["b"]): Link(r["rtt_us"], r["mbit_s"], r["egress_nano_per_gib"])
        for r in ledger.rows("SELECT * FROM region_link")
    }
    return Inventory(
        cards, places, [_sku(r) for r in ledger.rows("SELECT * FROM sku")], _regions(ledger), links, _held(ledger)
    )


def _sku(row: Mapping[str, Any]) -> Sku:
    model = str(row["model"])
    spec = known(model)
    profile = model.split(" MIG ")[1] if " MIG " in model else ""
    return Sku(
        row["id"], model, row["vendor"] or (spec.vendor if spec else ""), row["arch"] or (spec.arch if spec else ""),
        row["mem_mib"], spec.limit_w if spec else None, spec.mig if spec and not profile else None, profile,
    )  # fmt: skip


def _regions(ledger: Ledger) -> list[Region]:
    return [
        Region(
            r["id"], r["country"], "" if r["power_nano_per_kwh"] is None else nano_text(r["power_nano_per_kwh"]),
            r["power_currency"],
        )
        for r in ledger.rows("SELECT * FROM region")
    ]  # fmt: skip


def _held(ledger: Ledger) -> list[Held]:
    rows = ledger.rows(
        "SELECT h.card_uuid,h.lease_id,l.tenant_id,l.spec_json,h.from_us,h.to_us FROM hold h JOIN lease l ON l.id=h.lease_id "
        "WHERE h.from_us IS NOT h.to_us AND (h.to_us IS NULL OR h.to_us>?)", (ledger.now_us(),),
    )  # fmt: skip
    return [
        Held(r["card_uuid"], r["lease_id"], r["tenant_id"], r["from_us"], r["to_us"],
             json.loads(r["spec_json"]).get("movable") is True)
        for r in rows
    ]  # fmt: skip


def mix_of_requests(ledger: Ledger, pool: Inventory) -> Mix:
    """The mix of the last LEARN_DAYS: every lease asked for, given or not; larger than a node counts as its nodes."""
    now = ledger.now_us()
    since = now - int(LEARN_DAYS * DAY_US)
    everywhere: dict[str, frozenset[str]] = {}
    for kind, _ in pool.kinds:
        sku = kind.partition("@")[0]
        everywhere[sku] = everywhere.get(sku, frozenset()) | {kind}
    asked = []
    for row in ledger.rows("SELECT sku_id,cards,from_us,to_us,spec_json FROM lease WHERE requested_us>?", (since,)):
        types = everywhere.get(row["sku_id"], frozenset())
        regions = json.loads(row["spec_json"]).get("regions")
        wanted = frozenset(t for t in types if not regions or t.partition("@")[2] in regions) or types
        lasts = (row["to_us"] or max(now, row["from_us"] + int(LEARN_DAYS * DAY_US))) - row["from_us"]
        whole, rest = divmod(row["cards"], max(1, pool.most))
        pieces = [(pool.most, float(whole)), (rest, 1.0)] if pool.most else []
        asked += [Ask(n, wanted, lasts / 1e6, w) for n, w in pieces if n and w and wanted]
    return learned(asked)


def remaining(ledger: Ledger, asked: Request, pool: Inventory) -> int | None:
    """Cards that the tenant's quota leaves in the request's time, of the SKUs that it accepts; None for no quota."""
    if not asked.tenant:
        return None
    ledger.known("tenant", asked.tenant, "tenant")
    begin, end = asked.begin or ledger.now_us(), asked.end or leases.FOREVER
    left: list[int] = []
    for sku in pool.skus.values():
        if asked.skus and not any(named(sku, w) for w in asked.skus):
            continue
        used: dict[str, int] = {}
        for hold in pool.held:
            at = pool.at.get(hold.uuid)
            of_sku = at is not None and pool.cards[at].sku == sku.id
            if of_sku and hold.begin < end and (hold.end or leases.FOREVER) > begin:
                used[hold.tenant] = used.get(hold.tenant, 0) + 1
        most = tenants.allowed(ledger, asked.tenant, sku.id, used)
        if most is None:
            return None
        left.append(most - used.get(asked.tenant, 0))
    return max(left, default=None)


def answer(ledger: Ledger, text: str, pool: Inventory, shown: int = SHOWN) -> Decision:
    """The decision on a request's text.

    Raises:
        PlacementError: it is not understood. LedgerError: its tenant is unknown.
    """
    asked = parse(text, moment)
    return decide(pool, asked, mix_of_requests(ledger, pool), ledger.now_us(), shown, remaining(ledger, asked, pool))


@registry.command("place", "Say which cards a request should get", reads=True)
def place(
    console: Console,
    request: str,
    *,
    limit: int = SHOWN,
    refused: bool = False,
    whole: bool = False,
    blind: bool = False,
) -> dict[str, Any]:
    """Which cards, and why these: every candidate with every term, what refused the others, and what would help.

    A request is written in phrases with commas between: "8 x h100 80 GB, one island, riyadh or within 20 ms of it, from
    monday for 60 days, tenant atlas". Others: 2 x 8 x h100; one node, rack, rail or region; anywhere; may be split; not in
    REGION; data in SA; arch A; vendor V; driver >= 550; cuda >= 12.4; mig 3g.40gb; 10 Gbit/s to REGION; until TIME.

    Args:
        request: what is asked for
        limit: so many candidates at most
        refused: tell of each refused card why
        whole: tell the whole pool as a map, node by node and card by card
        blind: do not look at the nodes; what is sick or out of service is not known then
    """
    if limit < 1:
        raise ConsoleError("--limit: 1 or more")
    parse(request, moment)
    bars, versions = ({}, {}) if blind else seen(console)
    with open_ledger(console) as ledger:
        pool = inventory(ledger, bars, versions)
        found = answer(ledger, request, pool, limit)
        made = told(ledger, pool, mix_of_requests(ledger, pool), found, refused)
        return made | ({"map": told_map(pool, found)} if whole else {})


@registry.command("place.reserve", "Reserve what placement chose", danger=Danger.LOCAL)
def place_reserve(
    console: Console, request: str, *, candidate: int = 1, cards: list[str] | None = None, why: str = "", name: str = "",
    blind: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Ask for a lease and reserve the best candidate's cards for it; the request names tenant and plan.

    Another candidate, or cards of your own choice, need a reason, which is audited with what was passed over.

    Args:
        request: what is asked for, see: place --help
        candidate: its rank, 1 the best
        cards: instead, these UUIDs
        why: the reason for anything but the best
        name: the lease's name; made without it
        blind: do not look at the nodes
    """
    parse(request, moment)
    bars, versions = ({}, {}) if blind else seen(console)
    with open_ledger(console) as ledger:
        pool = inventory(ledger, bars, versions)
        found = answer(ledger, request, pool, max(SHOWN, candidate))
        return {"lease": take(ledger, pool, found, candidate, cards, why, name).id}


def take(
    ledger: Ledger,
    pool: Inventory,
    found: Decision,
    rank: int,
    cards: Sequence[str] | None,
    reason: str,
    name: str = "",
) -> Lease:
    """Ask for a lease and reserve a candidate's cards, or others by a person's choice; audited.

    Raises:
        PlacementError: no tenant, plan or such candidate. LedgerError: the ledger refuses.
    """
    asked = found.request
    if not asked.tenant or not asked.plan:
        raise PlacementError('name the tenant and the plan in the request: "..., tenant atlas, plan hourly"')
    if not cards and not 0 < rank <= len(found.candidates):
        helps = f"; {found.misses[0].relax}" if found.misses else ""
        raise PlacementError(f"there is no candidate {rank}; there are {len(found.candidates)}{helps}")
    chosen = tuple(cards) if cards else found.candidates[rank - 1].cards
    unknown = [u for u in chosen if u not in pool.at]
    if unknown:
        raise PlacementError(f"card {unknown[0]} is not in the pool; see: cardkeeper pool list")
    skus = {pool.cards[pool.at[u]].sku for u in chosen}
    if len(skus) != 1:
        raise PlacementError(
            f"a lease is of one SKU; these cards are of {', '.join(sorted(skus))}: ask for them one by one"
        )
    best = found.candidates[0] if found.candidates else None
    if (best is None or set(chosen) != set(best.cards)) and not reason.strip():
        raise PlacementError("anything but the best candidate needs a reason (--why); it is audited")
    spec = {
        "regions": sorted(
            {pool.places[pool.cards[i].node].region for i in range(len(pool.cards)) if not found.masks[i]}
        )
    }
    with ledger.writing():
        lease = leases.request(
            ledger, person(), asked.tenant, asked.plan, skus.pop(), len(chosen), found.begin, asked.end, spec, name
        )
        made = leases.reserve(ledger, person(), lease.id, chosen)
        ledger.note(person(), "placement overridden" if reason.strip() else "placed", {
            "lease": made.id, "rank": None if cards else rank, "cards": list(chosen), "reason": reason,
            "best": None if best is None else {"cards": list(best.cards), "slot_price": f"{best.price:.6f}"},
        })  # fmt: skip
    assert made.state is State.RESERVED
    return made
