"""Planning as texts for tables. Pure but for the words' language."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from console.fleet.show import DASH, THIN
from console.ledger.times import parse_instant
from console.ui.text import tr

Told = Mapping[str, Any]
Local = Callable[[float], datetime]


def titles(name: str) -> tuple[str, ...]:
    """The columns of a table; of "views" the names of the page's views."""
    return {
        "views": (tr("Request"), tr("Quote"), tr("Capacity"), tr("Scenarios")),
        "candidates": (
            tr("Rank"), tr("Where"), tr("SKU"), tr("Region"), tr("Slot price"), tr("Left"), tr("Round trip"), tr("A kWh"),
        ),
        "terms": (tr("Requests of"), tr("At once"), tr("Slots"), tr("Lost"), tr("Price")),
        "lines": (tr("What"), tr("From"), tr("Quantity"), tr("Unit"), tr("Price"), tr("Amount")),
        "quotes": (tr("Quote"), tr("Tenant"), tr("Title"), tr("Total"), tr("Currency"), tr("Stands until")),
        "pools": (
            tr("SKU"), tr("Region"), tr("Cards"), tr("Leased"), tr("Reserved"), tr("Free"), tr("Market"),
            tr("Full as asked"), tr("Full likely"),
        ),
        "idle": (tr("What"), tr("Where"), tr("Cards"), tr("Money")),
        "moves": (tr("Lease"), tr("Tenant"), tr("From"), tr("To"), tr("Cards"), tr("Opens")),
        "scenarios": (
            tr("Scenario"), tr("What changes"), tr("Currency"), tr("Revenue"), tr("Difference"), tr("%"), tr("Full pools"),
            tr("Short card-hours"),
        ),
    }[name]  # fmt: skip


def day(text: str | None, local: Local) -> str:
    """A time as a day; a dash for none."""
    return DASH if not text else local(parse_instant(text, "time") / 1e6).strftime("%Y-%m-%d")


def count(value: float) -> str:
    """Cards; parts of requests that take several regions have a decimal."""
    return f"{value:g}" if value == int(value) else f"{value:.1f}"


def candidate_rows(found: Told) -> list[list[str]]:
    """Candidates, best first."""
    out = []
    for one in found["candidates"]:
        nodes = one["nodes"]
        where = ", ".join(f"{n['node']} ×{n['cards']}" if len(nodes) > 1 else n["node"] for n in nodes[:4])
        out.append([
            str(one["rank"]), where + ("…" if len(nodes) > 4 else ""), one["sku"], one["region"], f"{one['slot_price']:.4g}",
            str(one["left_on_nodes"]),
            DASH if one["rtt_ms"] is None else f"{one['rtt_ms']:g} ms", one["power_per_kwh"] or DASH,
        ])  # fmt: skip
    return out


def effect_text(found: Told, candidate: Told | None) -> str:
    """What a candidate does to the pool."""
    if candidate is None:
        return ""
    cards = sum(n["cards"] for n in candidate["nodes"])
    text = tr("Free cards {before} → {after}.").format(before=found["free"], after=found["free"] - cards)
    if found["scattered"] is not None and candidate["scattered_after"] is not None:
        text += " " + tr("Scattered {before} % → {after} %.").format(
            before=round(found["scattered"] * 100, 1), after=round(candidate["scattered_after"] * 100, 1)
        )
    if candidate["costs"] is not None:
        told = candidate["costs"]
        text += " " + tr("Costs {total} {currency}, {tax} of it tax: {price} a card-hour.").format(
            total=money(told["total"]), currency=told["currency"], tax=money(told["tax"]), price=told["per_card_hour"]
        )
    return text


def class_text(label: str) -> str:
    """A class of requests, like "8 x h100@riyadh|h100@johor", in fewer words: the SKUs once, and how many regions."""
    size, _, types = label.partition(" x ")
    kinds = [t.partition("@") for t in types.split("|")]
    skus, regions = sorted({k[0] for k in kinds}), sorted({k[2] for k in kinds if k[2]})
    where = f"  {regions[0]}" if len(regions) == 1 else f"  {len(regions)} {tr('regions')}" if regions else ""
    return f"{size} × {' | '.join(skus)}{where}"


def money(text: str) -> str:
    """An amount with its thousands apart."""
    whole, dot, rest = text.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}".replace(",", THIN) + dot + rest if digits.isdigit() else text


def term_rows(candidate: Told | None) -> list[list[str]]:
    """What a candidate's slot price is made of."""
    return [
        [class_text(t["class"]), f"{t['demand']:.2f}", f"{t['slots']:.2f}", f"{t['lost']:.2f}", f"{t['price']:.4g}"]
        for t in (candidate["terms"] if candidate else ())
    ]


def refusal_lines(found: Told) -> list[str]:
    """What refused the other cards, what would help, and what could stand in."""
    out = []
    if found["refused"]:
        refused = ", ".join(f"{name} {n}" for name, n in found["refused"].items())
        out.append(f"{tr('Refused cards, by the first filter:')} {refused}")
    for miss in found["misses"]:
        cards = f" (+{miss['cards']})" if miss["cards"] else ""
        where = f": {miss['where']}" if miss["where"] else ""
        word = tr("would be enough") if miss["enough"] else tr("would help, not enough")
        out.append(f"{miss['relax']}{cards}{where}: {word}")
    for one in found["substitutes"][:4]:
        out.append(tr("instead {card}: {least} to {most} of its peak, {ground}; {source} ({confidence})").format(**one))
    return out


def line_rows(told: Told, local: Local) -> list[list[str]]:
    """Lines of a quote."""
    return [
        [
            line["what"],
            day(line["from"], local),
            line["quantity"],
            line["unit"] or "",
            line["contracted_price"],
            line["amount"],
        ]
        for line in told["lines"]
    ]


def quote_rows(quotes: Sequence[Told], local: Local) -> list[list[str]]:
    """Kept quotes."""
    return [
        [
            q["quote"], q["tenant"] or DASH, q["title"] or DASH, q["total"], q["currency"],
            day(q["valid_until"], local) + ("" if q["stands"] else f"  {tr('over')}"),
        ]
        for q in quotes
    ]  # fmt: skip


def balance_word(name: str) -> str:
    """The market of a SKU in a word."""
    return {
        "ease": tr("at ease"), "balanced": tr("balanced"), "shortage": tr("shortage"), "unknown": tr("unknown"),
    }[name]  # fmt: skip


def full_text(pool: Told, local: Local) -> str:
    """When a pool is full likely, with its band where there is one."""
    likely = day(pool["full_likely"], local)
    if pool["full_early"] is None and pool["full_late"] is None:
        return likely
    early = day(pool["full_early"], local) if pool["full_early"] else DASH
    late = day(pool["full_late"], local) if pool["full_late"] else tr("later")
    return likely if early == late == likely else f"{likely}  ({early} – {late})"


def pool_rows(told: Told, local: Local) -> list[list[str]]:
    """Pools with when they are full."""
    return [
        [
            p["sku"], p["region"], count(p["rentable"]), count(p["leased"]), count(p["reserved_idle"] + p["reserved_to_come"]),
            count(p["free"]),
            balance_word(p["balance"]) + ("" if p["shortage_index"] is None else f" {p['shortage_index']:.2f}"),
            day(p["full"], local), full_text(p, local),
        ]
        for p in told["pools"]
    ]  # fmt: skip


def forecast_text(pool: Told) -> str:
    """How a forecast was made, and how well it did."""
    made = pool["forecast"]
    if made is None:
        return tr("There is no whole week of history; nothing is forecast.")
    text = tr("Forecast: {method}, from {weeks} weeks.").format(method=made["method"], weeks=made["weeks"])
    if made["error_cards"] is None:
        return f"{text} {tr('Too short for a back-test and a band.')}"
    text += " " + tr("Back-test: {error} cards off on average; “as it is now” {naive}.").format(
        error=f"{made['error_cards']:.1f}", naive=f"{made['error_as_it_is_now']:.1f}"
    )
    if made["covered"] is not None:
        text += " " + tr("{percent} % of {points} past points lay in the 80 % band.").format(
            percent=round(made["covered"] * 100), points=made["covered_of"]
        )
    return text


def idle_rows(told: Told) -> list[list[str]]:
    """What earns nothing: reserved and not begun, leased but idle, free that nobody can use."""
    out = [
        [tr("reserved"), f"{p['sku']} {p['region']}", count(p["reserved_idle"]), DASH]
        for p in told["pools"] if p["reserved_idle"]
    ]  # fmt: skip
    out += [[tr("idle today"), lease, DASH, tr("see Usage")] for lease in told["idle_leases"]]
    out += [
        [
            tr("idle today"),
            w["currency"],
            DASH,
            tr("unknown") if w["idle"] is None else f"{money(w['idle'])} {w['currency']}",
        ]
        for w in told["waste"]
    ]
    out += [
        [tr("stranded"), f"{s['node']} {s['sku']}", str(s["cards"]), DASH] for s in told["fragments"]["stranded_cards"]
    ]
    return out


def move_rows(moves: Sequence[Told]) -> list[list[str]]:
    """Moves that would mend the pool."""
    return [
        [
            m["lease"], m["tenant"], m["from"], m["to"], str(len(m["takes"])),
            ", ".join(f"{'+' if o['slots'] > 0 else ''}{o['slots']} {tr('of')} {class_text(o['class'])}" for o in m["opens"]),
        ]
        for m in moves
    ]  # fmt: skip


def scenario_rows(told: Told) -> list[list[str]]:
    """Scenarios, a row a currency."""
    out = []
    for one in told["scenarios"]:
        full = [f"{p['sku']} {p['region']} {p['full_likely'][:10]}" for p in one["pools"] if p["full_likely"]]
        short = sum(p["short_card_hours"] for p in one["pools"])
        for i, total in enumerate(
            one["totals"] or [{"currency": DASH, "amount": "0", "difference": "0", "difference_percent": 0}]
        ):
            out.append([
                one["scenario"] if i == 0 else "", one["changes"] if i == 0 else "", total["currency"], money(total["amount"]),
                money(total["difference"]),
                DASH if total["difference_percent"] is None else f"{total['difference_percent']:+.1f}",
                ("; ".join(full) or DASH) if i == 0 else "", f"{short:,.0f}" if i == 0 else "",
            ])  # fmt: skip
    return out
