"""The ledger as planning looks at it: bookings, what was refused or waits, cards and deliveries, contracts that end."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from console.ledger import deliveries
from console.ledger.store import Ledger
from console.ledger.times import instant_text
from console.placement.capacity import (
    DAY_US,
    FOREVER,
    WINDOW_DAYS,
    Booking,
    Kind,
    Outlook,
    Supply,
    balance,
    level,
    outlook,
)
from console.placement.forecast import Forecast

LIVE = ("active", "draining", "suspended", "failed")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the ledger knows of supply and demand at an instant."""

    now: int
    bookings: tuple[Booking, ...]
    supply: tuple[Supply, ...]

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(SKU, region) of which there are cards, or will be, or were wanted."""
        return sorted({(b.sku, b.region) for b in self.bookings} | {(s.sku, s.region) for s in self.supply})

    def of(self, sku: str, region: str) -> tuple[list[Booking], list[Supply]]:
        """The rows of a SKU in a region."""
        return (
            [b for b in self.bookings if (b.sku, b.region) == (sku, region)],
            [s for s in self.supply if (s.sku, s.region) == (sku, region)],
        )

    def outlooks(self, days: int) -> list[Outlook]:
        """What is ahead of each SKU in each region."""
        return [outlook(sku, region, *self.of(sku, region), self.now, days) for sku, region in self.keys]


def facts(ledger: Ledger) -> Facts:
    """Read them."""
    now = ledger.now_us()
    supply = _supply(ledger, now)
    shares: dict[str, dict[str, float]] = defaultdict(dict)
    for one in supply:
        if one.begin <= now < one.end:
            shares[one.sku][one.region] = shares[one.sku].get(one.region, 0.0) + one.cards
    return Facts(now, (*_held(ledger, now), *_unmet(ledger, now, shares)), supply)


def _supply(ledger: Ledger, now: int) -> tuple[Supply, ...]:
    """Cards by when they came and went; a card that is sold in slices is not sold whole."""
    rows = ledger.rows(
        "SELECT c.sku_id AS sku,n.region_id AS region,c.commissioned_us AS a,c.retired_us AS b,count(*) AS n FROM card c "
        "JOIN node n ON n.id=c.node_id WHERE NOT EXISTS(SELECT 1 FROM card s WHERE s.parent_uuid=c.uuid AND s.retired_us IS "
        "NULL) GROUP BY 1,2,3,4 ORDER BY 1,2,3,4"
    )
    found = [Supply(r["sku"], r["region"], r["n"], r["a"], FOREVER if r["b"] is None else r["b"]) for r in rows]
    found += [
        # What is overdue is not there yet; it counts from tomorrow on, until somebody says more.
        Supply(d.sku, d.region, d.cards, max(d.due, now + DAY_US), FOREVER, d.id, d.supplier)
        for d in deliveries.listing(ledger, to_come=True)
    ]
    return tuple(found)


_STATE = "(SELECT state FROM lease_event e WHERE e.lease_id=l.id ORDER BY e.seq DESC LIMIT 1)"


def _held(ledger: Ledger, now: int) -> list[Booking]:
    rows = ledger.rows(
        "SELECT l.id,l.tenant_id,l.sku_id,n.region_id AS region,h.from_us AS a,h.to_us AS b,count(*) AS n,"
        f"{_STATE} AS state FROM hold h JOIN lease l ON l.id=h.lease_id JOIN card c ON c.uuid=h.card_uuid JOIN node n ON "
        "n.id=c.node_id WHERE h.from_us IS NOT h.to_us GROUP BY l.id,region,a,b ORDER BY l.id,region,a"
    )
    out = []
    for r in rows:
        end = FOREVER if r["b"] is None else r["b"]
        kind = Kind.RESERVED if r["state"] == "reserved" else Kind.HELD
        if r["state"] in LIVE and end <= now and _is_last(ledger, r["id"], end):
            # Past its end and not returned: its cards are nobody else's yet.
            end = now + DAY_US
        out.append(Booking(r["sku_id"], r["region"], r["n"], r["a"], end, r["id"], r["tenant_id"], kind))
    return out


def _is_last(ledger: Ledger, lease: str, end: int) -> bool:
    row = ledger.one("SELECT MAX(COALESCE(to_us,?)) AS last FROM hold WHERE lease_id=?", (FOREVER, lease))
    return row is not None and row["last"] == end


def _unmet(ledger: Ledger, now: int, shares: Mapping[str, Mapping[str, float]]) -> list[Booking]:
    """What waits, what had to wait, and what was refused; of several regions each has its share of the cards."""
    rows = ledger.rows(
        f"SELECT l.*,{_STATE} AS state,(SELECT MIN(h.from_us) FROM hold h WHERE h.lease_id=l.id AND h.from_us IS NOT h.to_us) "
        "AS granted FROM lease l ORDER BY l.id"
    )
    out = []
    for r in rows:
        end = FOREVER if r["to_us"] is None else r["to_us"]
        if r["state"] == "requested":
            kind = Kind.QUEUED
        elif r["state"] == "rejected":
            kind, end = Kind.REJECTED, min(end, r["from_us"] + WINDOW_DAYS * DAY_US)
        elif r["granted"] is not None and r["granted"] > r["from_us"]:
            kind, end = Kind.QUEUED, r["granted"]
        else:
            continue
        for region, share in _split(r, shares):
            out.append(
                Booking(r["sku_id"], region, r["cards"] * share, r["from_us"], end, r["id"], r["tenant_id"], kind)
            )
    return out


def _split(row: Mapping[str, Any], shares: Mapping[str, Mapping[str, float]]) -> Sequence[tuple[str, float]]:
    every = shares.get(row["sku_id"], {})
    regions = json.loads(row["spec_json"]).get("regions")
    mine = {r: n for r, n in every.items() if not regions or r in regions}
    total = sum(mine.values())
    return [(r, n / total) for r, n in sorted(mine.items())] if total else []


# As JSON


def at_or_none(us: int | None) -> str | None:
    """An instant as text, None for none."""
    return None if us is None else instant_text(us)


def told_outlook(one: Outlook, found: Facts) -> dict[str, Any]:
    """An outlook as JSON: now, when it is full, and a point a week."""
    bookings, supply = found.of(one.sku, one.region)
    now = one.times[:1]

    def cards(kind: Kind) -> float:
        return float(level((b for b in bookings if b.kind is kind), now)[0])

    week = range(0, len(one.times), 7)
    return {
        "sku": one.sku, "region": one.region, "rentable": float(one.rentable[0]), "leased": cards(Kind.HELD),
        "reserved_idle": cards(Kind.RESERVED), "free": max(0.0, float(one.rentable[0] - one.booked[0])),
        "queued": cards(Kind.QUEUED),
        "reserved_to_come": sum(b.cards for b in bookings if b.kind is Kind.RESERVED and b.begin > found.now),
        "deliveries": sum(s.cards for s in supply if s.delivery), "shortage_index": _rounded(one.index),
        "balance": balance(one.index), "full": at_or_none(one.full), "full_early": at_or_none(one.full_early),
        "full_likely": at_or_none(one.full_likely), "full_late": at_or_none(one.full_late),
        "short_card_hours": round(one.short_card_hours, 1), "utilisation": _rounded(one.utilisation),
        "forecast": told_forecast(one.forecast),
        "ahead": [
            {
                "at": instant_text(int(one.times[i])), "rentable": float(one.rentable[i]), "booked": float(one.booked[i]),
                "asked": float(one.asked[i]), "likely": round(float(one.demand[i]), 2),
                "low": None if one.low is None else round(float(one.low[i]), 2),
                "high": None if one.high is None else round(float(one.high[i]), 2),
            }
            for i in week
        ],
    }  # fmt: skip


def told_forecast(made: Forecast | None) -> dict[str, Any] | None:
    """A forecast as JSON, with the back-test that it must be seen beside."""
    if made is None:
        return None
    return {
        "method": made.method, "weeks": len(made.history), "history": [round(float(h), 2) for h in made.history],
        "error_cards": _rounded(made.error), "error_as_it_is_now": _rounded(made.naive),
        "covered": _rounded(made.covered), "covered_of": made.tried,
        "band": None if made.low is None else "10 % to 90 % of its own past errors",
    }  # fmt: skip


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def expiries(found: Facts, days: int) -> list[dict[str, Any]]:
    """Leases that end within the days to come, the soonest first."""
    out: dict[tuple[str, str], dict[str, Any]] = {}
    for b in found.bookings:
        if b.kind not in (Kind.HELD, Kind.RESERVED) or not found.now < b.end <= found.now + days * DAY_US:
            continue
        row = out.setdefault((b.lease, b.region), {
            "lease": b.lease, "tenant": b.tenant, "sku": b.sku, "region": b.region, "cards": 0.0, "end": b.end,
            "state": str(b.kind),
        })  # fmt: skip
        row["cards"] += b.cards
    rows = sorted(out.values(), key=lambda r: (r["end"], r["lease"]))
    return [r | {"end": instant_text(r["end"])} for r in rows]
