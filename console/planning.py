"""Commands of planning: how long the cards last, deliveries, moves against fragmentation, scenarios side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from console.app import Console, ConsoleError, person
from console.comparing import MOST_MONTHS, compare, scenarios
from console.ledger import deliveries
from console.ledger.deliveries import Delivery
from console.ledger.quotes import share
from console.ledger.store import Ledger
from console.ledger.times import instant_text
from console.placement.capacity import EASE, HORIZON_DAYS, SHORT
from console.placement.fragments import MOST_MOVES, Fragments, Move, defragment, fragments
from console.placing import inventory, mix_of_requests, seen
from console.prospect import expiries, facts, told_outlook
from console.registry import Danger, registry
from console.selling import instant, open_ledger
from console.standing import look
from console.usage import IDLE_PERCENT, Usage

MOST_DAYS = 730
IDLE_SHARE, SEEN_SHARE = 0.95, 0.5
"""A lease is idle where so much of what was seen of it today was idle, and so much of it was seen."""


def told_fragments(found: Fragments) -> dict[str, Any]:
    """The gauge as JSON."""
    return {
        "free": found.free, "wasted": None if found.wasted is None else round(found.wasted, 4),
        "stranded": found.stranded_cards,
        "stranded_cards": [{"node": n, "sku": s, "cards": k} for n, s, k in found.stranded],
        "slots": [{"class": label, "slots": n} for label, n in found.slots],
    }  # fmt: skip


def told_delivery(one: Delivery) -> dict[str, Any]:
    """A delivery as JSON."""
    return asdict(one) | {"due": instant_text(one.due)}


def idle_leases(usage: tuple[Usage, ...]) -> list[str]:
    """Leases of which today nearly nothing was used, as far as enough of it was seen."""
    return [u.lease for u in usage if u.held and u.seen >= SEEN_SHARE * u.held and u.idle >= IDLE_SHARE * u.seen]


def told_capacity(console: Console, ledger: Ledger, days: int, sku: str = "", region: str = "") -> dict[str, Any]:
    """All of capacity as JSON, from the ledger and what was recorded; the nodes are not asked."""
    found = facts(ledger)
    pools = [
        told_outlook(o, found)
        for o in found.outlooks(days)
        if sku in ("", o.sku) and region in ("", o.region)
    ]  # fmt: skip
    pool = inventory(ledger)
    standing = look(console.config.history_folder, ledger)
    usage = () if standing is None else standing.usage
    return {
        "at": instant_text(found.now), "days": days, "pools": pools,
        "fragments": told_fragments(fragments(pool, mix_of_requests(ledger, pool), found.now)),
        "expiries": [e for e in expiries(found, max(days, 365)) if sku in ("", e["sku"]) and region in ("", e["region"])],
        "deliveries": [told_delivery(d) for d in deliveries.listing(ledger, to_come=True)],
        "waste": [
            {"currency": c, "revenue": r, "idle": w} for c, r, w in (() if standing is None else standing.today)
        ],
        "idle_leases": idle_leases(usage), "idle_below_percent": IDLE_PERCENT,
        "how": "shortage index = (rejected + queued) / rentable card-hours of 30 days; "
        f"below {EASE} ease, above {SHORT} shortage",
    }  # fmt: skip


@registry.command("capacity", "Say how long the cards will last", reads=False)
def capacity(console: Console, *, days: int = HORIZON_DAYS, sku: str = "", region: str = "") -> dict[str, Any]:
    """Of each SKU and region: what is rentable, leased, reserved, queued; when it is full by what is asked, and likely.

    Demand is forecast from weeks of what was held, waited for and refused; the back-test that chose the method is shown.
    Beside it: fragmentation, stranded cards, contracts that end, deliveries, and what is leased but idle, in money.

    Args:
        days: so far ahead
        sku: only this one
        region: only there
    """
    if not 1 <= days <= MOST_DAYS:
        raise ConsoleError(f"--days: 1 to {MOST_DAYS}")
    with open_ledger(console) as ledger:
        for table, name in (("sku", sku), ("region", region)):
            if name:
                ledger.known(table, name, table)
        return told_capacity(console, ledger, days, sku, region)


@registry.command("compare", "Compare scenarios", reads=False)
def compare_(
    console: Console, *, price_drop: str = "0", late: list[str] | None = None, leaves: list[str] | None = None,
    renew: str = "0", months: int = 12,
) -> dict[str, Any]:  # fmt: skip
    """What prices that fall, a supplier who is late, or a tenant who leaves do to revenue and to the pool.

    Each change alone beside as it is, and all together. Revenue is what the invoices of the months to come would be.

    Args:
        price_drop: percent; of pay-as-you-go at once, of the others when their lease ends
        late: SUPPLIER=DAYS, for deliveries that are to come
        leaves: a tenant that goes now
        renew: percent of the cards that stay when a lease ends
        months: so many whole months to come
    """
    if not 1 <= months <= MOST_MONTHS:
        raise ConsoleError(f"--months: 1 to {MOST_MONTHS}")
    delays = {}
    for text in late or ():
        name, _, number = text.partition("=")
        if not name or not number.isdecimal() or not 0 < int(number) <= MOST_DAYS:
            raise ConsoleError(f"--late: {text!r} is not SUPPLIER=DAYS, like acme=30")
        delays[name] = int(number)
    with open_ledger(console) as ledger:
        made = scenarios(ledger, share(price_drop, "price-drop"), delays, tuple(leaves or ()), share(renew, "renew"))
        return {
            "months": months,
            "renew_percent": renew,
            "scenarios": compare(ledger, facts(ledger), made, months),
            "how": "what the invoices of whole months to come would be if nothing else changed, before tax",
        }


def told_move(move: Move) -> dict[str, Any]:
    """A move as JSON, with the command that does it."""
    return {
        "lease": move.lease, "tenant": move.tenant, "from": move.source, "to": move.target, "leaves": list(move.leaves),
        "takes": list(move.takes), "opens": [{"class": label, "slots": n} for label, n in move.gain],
    }  # fmt: skip


def told_moves(
    folder: Path,
    ledger: Ledger,
    bars: Mapping[str, str],
    versions: Mapping[str, Mapping[str, str]],
    most: int = MOST_MOVES,
) -> dict[str, Any]:
    """The gauge and the moves that would mend it, as JSON. `bars` and `versions` as `placing.inventory` takes them."""
    pool = inventory(ledger, bars, versions)
    mix, now = mix_of_requests(ledger, pool), ledger.now_us()
    standing = look(folder, ledger)
    moves = defragment(pool, mix, now, idle_leases(() if standing is None else standing.usage), most)
    held = {lease: {h.uuid for h in pool.held if h.lease == lease} for lease in {m.lease for m in moves}}
    rows = []
    for move in moves:
        # Several parts of one lease are moved one after the other; each command names all cards that it then holds.
        held[move.lease] = (held[move.lease] - set(move.leaves)) | set(move.takes)
        names = " ".join(sorted(held[move.lease]))
        rows.append(told_move(move) | {"command": f"cardkeeper lease move {move.lease} {names} --why defragment"})
    return {"fragments": told_fragments(fragments(pool, mix, now)), "moves": rows}


@registry.command("defragment", "Say which moves would mend the pool", reads=True)
def defragment_(console: Console, *, most: int = MOST_MOVES, blind: bool = False) -> dict[str, Any]:
    """A few moves of leases that are movable, or idle, each of which opens room that requests of late could use.

    It moves nothing: each move is done by `lease move`, which assigns the new cards and releases the old.

    Args:
        most: so many moves at most
        blind: do not look at the nodes; what is sick or out of service is not known then
    """
    if not 1 <= most <= 100:
        raise ConsoleError("--most: 1 to 100")
    bars, versions = ({}, {}) if blind else seen(console)
    with open_ledger(console) as ledger:
        return told_moves(console.config.history_folder, ledger, bars, versions, most)


@registry.command("delivery.add", "Note a delivery that is to come", danger=Danger.LOCAL, reads=False)
def delivery_add(
    console: Console, name: str, *, supplier: str, sku: str, region: str, cards: int, due: str
) -> dict[str, Any]:
    """Note cards that a supplier is to deliver.

    Args:
        name: a short name
        supplier: who delivers
        sku: of which cards
        region: where to
        cards: how many
        due: when they can be rented
    """
    at = instant(due, "due")
    assert at is not None
    with open_ledger(console) as ledger:
        return told_delivery(deliveries.order(ledger, person(), name, supplier, sku, region, cards, at))


@registry.command("delivery.change", "Put off, receive or cancel a delivery", danger=Danger.LOCAL, reads=False)
def delivery_change(
    console: Console, name: str, *, why: str, due: str | None = None, arrived: bool = False, cancelled: bool = False
) -> dict[str, Any]:
    """Another due time, or arrived (then take the cards over with `pool bind`), or cancelled.

    Args:
        name: the delivery's
        why: the reason
        due: when it is due now
        arrived: it is here
        cancelled: it does not come
    """
    if (due is not None) + arrived + cancelled != 1:
        raise ConsoleError("give one of --due, --arrived and --cancelled")
    what = "arrived" if arrived else "cancelled" if cancelled else "due"
    with open_ledger(console) as ledger:
        return told_delivery(deliveries.change(ledger, person(), name, what, why, instant(due, "due")))


@registry.command("delivery.list", "List deliveries", reads=False)
def delivery_list(console: Console) -> list[dict[str, Any]]:
    """All deliveries, by when they are due."""
    with open_ledger(console) as ledger:
        return [told_delivery(d) for d in deliveries.listing(ledger)]
