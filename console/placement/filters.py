"""Hard filters: what makes a card no candidate. Each leaves a bit on each card: what it refused, and what if it did not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.placement.inventory import Inventory, Place, Sku
from console.placement.request import Request

I8 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Filter:
    """What it is called, what would relax it, and which units or cards pass."""

    name: str
    relax: str
    passes: Callable[[Inventory, Request], Mask | None]
    is_of_units: bool = True


def named(sku: Sku, wanted: str) -> bool:
    """Whether a word names a SKU: its id, or words of its model."""
    low = wanted.lower()
    model = f" {sku.model.lower().replace('-', ' ')} "
    return low == sku.id.lower() or all(f" {w} " in model for w in low.replace("-", " ").split())


def _by_sku(test: Callable[[Sku], bool]) -> Callable[[Inventory], Mask]:
    def found(pool: Inventory) -> Mask:
        code, names = pool.code("sku")
        fits: Mask = np.array([test(pool.skus[n]) if n in pool.skus else False for n in names], dtype=bool)[code]
        return fits

    return found


def _by_place(pool: Inventory, test: Callable[[Place], bool]) -> Mask:
    code, names = pool.code("node")
    fits: Mask = np.array([test(pool.places[n]) for n in names], dtype=bool)[code]
    return fits


def _by_region(pool: Inventory, test: Callable[[str], bool]) -> Mask:
    code, names = pool.code("region")
    fits: Mask = np.array([test(n) for n in names], dtype=bool)[code]
    return fits


def _sku(pool: Inventory, asked: Request) -> Mask | None:
    def fits(sku: Sku) -> bool:
        if asked.skus:
            return any(named(sku, w) for w in asked.skus)
        return bool(asked.mig) or not sku.profile

    return _by_sku(fits)(pool)


def _memory(pool: Inventory, asked: Request) -> Mask | None:
    least = asked.memory_gb * 10**9 / MIB
    return _by_sku(lambda s: s.mem_mib >= least)(pool) if least else None


def _make(pool: Inventory, asked: Request) -> Mask | None:
    if not asked.vendor and not asked.arch:
        return None
    return _by_sku(
        lambda s: asked.vendor.lower() in ("", s.vendor.lower()) and asked.arch.lower() in ("", s.arch.lower())
    )(pool)


def numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, like (550, 54, 15); () where it has none."""
    parts = version.split(".")
    return tuple(int(p) for p in parts) if all(p.isdigit() for p in parts) else ()


def _software(pool: Inventory, asked: Request) -> Mask | None:
    if not asked.least:
        return None

    def fits(place: Place) -> bool:
        return all(numbers(place.versions.get(what, "")) >= numbers(least) for what, least in asked.least)

    return _by_place(pool, fits)


def _mig(pool: Inventory, asked: Request) -> Mask | None:
    if not asked.mig:
        return None
    wanted = asked.mig.lower()
    return _by_sku(lambda s: s.profile.lower() == wanted or (not s.profile and bool(s.mig)))(pool)


def _region(pool: Inventory, asked: Request) -> Mask | None:
    if not asked.regions and not asked.not_regions:
        return None
    allowed, refused = ({r.lower() for r in rs} for rs in (asked.regions, asked.not_regions))
    return _by_region(pool, lambda r: (not allowed or r.lower() in allowed) and r.lower() not in refused)


def real_region(pool: Inventory, name: str) -> str:
    """The region of a name, whatever its case; the name itself where there is none."""
    return next((r for r in pool.regions if r.lower() == name.lower()), name)


def _latency(pool: Inventory, asked: Request) -> Mask | None:
    if not asked.near:
        return None
    near = real_region(pool, asked.near)
    return _by_region(pool, lambda r: (k := pool.link(r, near)) is not None and k.rtt_us <= asked.within_us)


def _bandwidth(pool: Inventory, asked: Request) -> Mask | None:
    if not asked.mbit_s:
        return None
    to = real_region(pool, asked.to_region)
    return _by_region(pool, lambda r: (k := pool.link(r, to)) is not None and k.mbit_s >= asked.mbit_s)


def _residency(pool: Inventory, asked: Request) -> Mask | None:
    if not asked.countries:
        return None
    return _by_region(pool, lambda r: r in pool.regions and pool.regions[r].country.upper() in asked.countries)


def _health(pool: Inventory, asked: Request) -> Mask | None:
    return ~pool.barred


FILTERS: tuple[Filter, ...] = (
    Filter("sku", "take other SKUs", _sku),
    Filter("memory", "take less memory a card", _memory),
    Filter("make", "take another architecture or vendor", _make),
    Filter("software", "take another version of driver, CUDA or CANN, or update the nodes", _software),
    Filter("mig", "take whole cards", _mig),
    Filter("region", "take other regions", _region),
    Filter("latency", "allow a longer round trip", _latency),
    Filter("bandwidth", "allow a slower link", _bandwidth),
    Filter("residency", "allow other countries", _residency),
    Filter("health", "mend or return what is out of service", _health, False),
)
LEASED = "lease"
RELAX = {f.name: f.relax for f in FILTERS} | {LEASED: "wait, or move a lease"}
BIT = {name: 1 << i for i, name in enumerate(RELAX)}


def masks(pool: Inventory, asked: Request, begin: int) -> I8:
    """Bits of the filters that refuse each card, for a time that begins then."""
    out = np.zeros(len(pool.cards), dtype=np.int64)
    for one in FILTERS:
        passes = one.passes(pool, asked)
        if passes is not None:
            refused = ~(passes[pool.unit_of] if one.is_of_units else passes)
            out |= np.where(refused, BIT[one.name], 0)
    out |= np.where(pool.taken(begin, asked.end), BIT[LEASED], 0)
    return out


def names(mask: int) -> Iterator[str]:
    """The filters of some bits, in their order."""
    return (name for name, bit in BIT.items() if mask & bit)


def why(pool: Inventory, asked: Request, card: int, mask: int, begin: int) -> str:
    """The first filter that refuses a card, with what it saw."""
    first = next(names(mask), "")
    one = pool.cards[card]
    place, sku = pool.places[one.node], pool.skus.get(one.sku, Sku(one.sku))
    match first:
        case "":
            return ""
        case "memory":
            return f"memory: {sku.mem_mib / 1024:.0f} GiB"
        case "make":
            return f"make: {sku.vendor or 'unknown vendor'} {sku.arch or 'of unknown architecture'}"
        case "software":
            told = (f"{w} {place.versions.get(w) or 'is not known'}" for w, _ in asked.least)
            return "software: " + ", ".join(told)
        case "mig":
            return "mig: it cannot be divided" if sku.mig is False else "mig: not known to be divisible"
        case "region":
            return f"region: {place.region}"
        case "latency" | "bandwidth":
            link = pool.link(place.region, real_region(pool, asked.near if first == "latency" else asked.to_region))
            seen = "not known" if link is None else f"{link.rtt_us / 1000:g} ms, {link.mbit_s} Mbit/s"
            return f"{first}: from {place.region} {seen}"
        case "residency":
            region = pool.regions.get(place.region)
            return f"residency: {place.region} is in {(region and region.country) or 'an unknown country'}"
        case "health":
            return f"health: {one.bars}"
        case "lease":
            hold = pool.holder(card, begin, asked.end)
            return f"lease: {hold.lease} of {hold.tenant}" if hold else "lease: its card or a slice of it is held"
    return f"{first}: {one.sku}"
