"""A placement decision as JSON: candidates with every term, their cost and effect on the pool; what is refused, and why."""

from __future__ import annotations

from typing import Any

from console.ledger import tenants
from console.ledger.errors import LedgerError
from console.ledger.money import nano_text
from console.ledger.quotes import DAY_US, MOST_DAYS, Asked, by_plan, told_quote
from console.ledger.store import Ledger
from console.ledger.times import instant_text
from console.placement.catalogue import substitutes
from console.placement.decision import Candidate, Decision
from console.placement.filters import LEASED, named, why
from console.placement.fragments import Gauge, free_now
from console.placement.inventory import FOREVER, Inventory
from console.placement.mix import Mix
from console.placement.request import Request

REFUSED_SHOWN = 200


def told_candidate(found: Candidate, rank: int) -> dict[str, Any]:
    """A candidate as JSON: every term that its place is made of."""
    return {
        "rank": rank, "nodes": [{"node": n, "cards": k} for n, k in found.nodes], "sku": found.sku, "region": found.region,
        "spans": dict(zip(("regions", "racks", "islands", "nodes"), found.spans, strict=True)),
        "slot_price": round(found.price, 6),
        "terms": [
            {"class": t.of.label, "demand": round(t.of.demand, 3), "slots": round(t.slots, 3), "lost": round(t.lost, 3),
             "price": round(t.price, 6)}
            for t in found.terms
        ],
        "left_on_nodes": found.left, "rtt_ms": None if found.rtt_us is None else found.rtt_us / 1000,
        "mbit_s": found.mbit_s if found.mbit_s is None or found.mbit_s < FOREVER else None,
        "egress_per_gib": None if found.egress_nano is None else nano_text(found.egress_nano),
        "power_per_kwh": found.power or None, "must_be_divided": found.divides, "cards": list(found.cards),
    }  # fmt: skip


def costs(ledger: Ledger, asked: Request, begin: int, sku: str) -> dict[str, Any] | None:
    """What cards of a SKU would cost for the request, by its plan, as the invoices will sum to; None where no plan, no tenant
    or no end is named, or several SKUs are given at once."""
    if not asked.plan or not asked.tenant or asked.end is None or "|" in sku or asked.end - begin > MOST_DAYS * DAY_US:
        return None
    who, plan = ledger.known("tenant", asked.tenant, "tenant"), tenants.plan(ledger, asked.plan)
    if plan.currency != who["currency"]:
        raise LedgerError(f"plan {plan.id} is in {plan.currency}, tenant {asked.tenant} pays in {who['currency']}")
    made = told_quote(by_plan(Asked(asked.cards, begin, asked.end, sku, who["tz"]), plan, begin))
    return {key: made[key] for key in ("total", "currency", "net", "tax", "per_card_hour")}


def _share(value: float | None) -> float | None:
    return None if value is None else round(max(0.0, value), 4)


def told(ledger: Ledger, pool: Inventory, mix: Mix, found: Decision, refused: bool = False) -> dict[str, Any]:
    """A decision as JSON: candidates with what they cost and do to the pool. With `refused` each refused card says why.

    Raises:
        LedgerError: the request's tenant or plan is unknown, or it cannot pay in the plan's currency.
    """
    free = free_now(pool, found.begin)
    price = {sku: costs(ledger, found.request, found.begin, sku) for sku in {c.sku for c in found.candidates}}
    gauge = Gauge(pool, mix, free)
    rows = []
    if refused:
        at = [i for i in range(len(pool.cards)) if found.masks[i]][:REFUSED_SHOWN]
        rows = [
            {"card": pool.cards[i].uuid, "node": pool.cards[i].node,
             "why": why(pool, found.request, i, int(found.masks[i]), found.begin)}
            for i in at
        ]  # fmt: skip
    models = sorted({s.model for s in pool.skus.values() if any(named(s, w) for w in found.request.skus)})
    return {
        "cards": found.request.cards, "from": instant_text(found.begin),
        "to": None if found.request.end is None else instant_text(found.request.end), "possible": found.possible,
        "free": int(free.sum()), "scattered": _share(gauge.share),
        "candidates": [
            told_candidate(c, i + 1)
            | {"costs": price[c.sku], "scattered_after": _share(gauge.after(pool.unit_of[[pool.at[u] for u in c.cards]]))}
            for i, c in enumerate(found.candidates)
        ],
        "refused": dict(found.refused), "refused_cards": rows,
        "misses": [{"relax": m.relax, "cards": m.cards, "enough": m.enough, "where": _where(m.where)} for m in found.misses],
        "substitutes": [
            {"card": s.id, "least": s.least, "most": s.most, "ground": s.ground, "source": s.source, "confidence": s.confidence}
            for model in models[:1] for s in substitutes(model)
        ] if not found.candidates else [],
    }  # fmt: skip


def told_map(pool: Inventory, found: Decision) -> list[dict[str, Any]]:
    """Every node with its cards as JSON: free for the request, held, barred (sick or out of service) or unfit, and why."""
    out: dict[str, dict[str, Any]] = {}
    for i, card in enumerate(pool.cards):
        place = pool.places[card.node]
        row = out.setdefault(card.node, {
            "node": card.node, "region": place.region, "rack": place.rack, "island": place.island, "cards": [],
        })  # fmt: skip
        mask = int(found.masks[i])
        text = why(pool, found.request, i, mask, found.begin)
        state = {"": "free", LEASED: "held", "health": "barred"}.get(text.partition(":")[0], "unfit")
        row["cards"].append({"uuid": card.uuid, "sku": card.sku, "state": state, "why": text})
    return sorted(out.values(), key=lambda r: (r["region"], r["rack"], r["node"]))


def _where(text: str) -> str | None:
    head, at, moment_us = text.partition("@")
    return (head + instant_text(int(moment_us))) if at and moment_us.isdigit() else text or None
