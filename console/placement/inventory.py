"""The pool as a decision looks at it: cards, what bars and holds them, nodes, regions, links. Arrays made once a reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from console.placement.price import SlotTable

I8 = npt.NDArray[np.int64]
FOREVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Sku:
    """What cards of a SKU are. `limit_w` and `mig` None where that is unknown."""

    id: str
    model: str = ""
    vendor: str = ""
    arch: str = ""
    mem_mib: int = 0
    limit_w: float | None = None
    mig: bool | None = None
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """Where cards stand. `power` is the price of a kWh as text, "" where it is unknown."""

    id: str
    country: str = ""
    power: str = ""
    currency: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Between two regions: round trip in microseconds, bandwidth in Mbit/s, price of a GiB in nano-units."""

    rtt_us: int
    mbit_s: int
    egress_nano: int


@dataclass(frozen=True, slots=True)
class Place:
    """A node: where it is, and versions ("driver", "cuda", "cann") as far as they were read."""

    id: str
    region: str
    rack: str = ""
    island: str = ""
    rail: str = ""
    supplier: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Card:
    """A card of the pool; `bars` why it must not be given ("" where nothing does)."""

    uuid: str
    node: str
    sku: str
    bars: str = ""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A card is another's from `begin` until `end`, UTC microseconds; `idle` or `movable` as it is known of the lease."""

    uuid: str
    lease: str
    tenant: str
    begin: int
    end: int | None
    is_movable: bool = False


class Inventory:
    """The pool in arrays. A unit is the cards of one SKU on one node.

    Attributes:
        unit_of: unit of each card; barred: whether something bars it.
        node_of, sku_of, kind_of, size: of each unit; a kind is (SKU@region, size).
    """

    def __init__(
        self, cards: Sequence[Card], places: Sequence[Place], skus: Sequence[Sku], regions: Sequence[Region] = (),
        links: Mapping[tuple[str, str], Link] | None = None, held: Sequence[Held] = (),
    ) -> None:  # fmt: skip
        self.cards, self.held = tuple(cards), tuple(held)
        self.places = {p.id: p for p in places}
        self.skus = {s.id: s for s in skus}
        self.regions = {r.id: r for r in regions} or {p.region: Region(p.region) for p in places}
        self.links = dict(links or {})
        self.at = {c.uuid: i for i, c in enumerate(self.cards)}
        keys = sorted({(c.node, c.sku) for c in self.cards})
        index = {key: i for i, key in enumerate(keys)}
        self.units = keys
        self.unit_of: I8 = np.array([index[c.node, c.sku] for c in self.cards], dtype=np.int64)
        self.barred = np.array([bool(c.bars) for c in self.cards], dtype=bool)
        self.size: I8 = np.bincount(self.unit_of, minlength=len(keys)).astype(np.int64)
        self.most = int(self.size.max()) if len(keys) else 0
        self._by_unit = np.argsort(self.unit_of, kind="stable")
        self._first = np.concatenate(([0], np.cumsum(self.size)))
        types = [f"{sku}@{self.places[node].region}" for node, sku in keys]
        self.kinds = sorted(set(zip(types, self.size.tolist(), strict=True)))
        kind = {k: i for i, k in enumerate(self.kinds)}
        self.kind_of: I8 = np.array([kind[k] for k in zip(types, self.size.tolist(), strict=True)], dtype=np.int64)
        self._hold_card: I8 = np.array([self.at[h.uuid] for h in self.held if h.uuid in self.at], dtype=np.int64)
        spans = [(h.begin, FOREVER if h.end is None else h.end) for h in self.held if h.uuid in self.at]
        self._hold_span: I8 = np.array(spans, dtype=np.int64).reshape(-1, 2)
        self._holds = [h for h in self.held if h.uuid in self.at]
        self._of_card: dict[int, list[Held]] = {}
        self._codes: dict[str, tuple[I8, list[str]]] = {}
        self._kin = self._related()

    def _related(self) -> tuple[I8, I8]:
        """Pairs of cards where a hold on the first takes the second: a card and its slices, both ways."""
        pairs = [(i, self.at[c.parent]) for i, c in enumerate(self.cards) if c.parent in self.at]
        both = [*pairs, *((b, a) for a, b in pairs)]
        return np.array([a for a, _ in both], dtype=np.int64), np.array([b for _, b in both], dtype=np.int64)

    def taken(self, begin: int, end: int | None) -> npt.NDArray[np.bool_]:
        """Cards that a lease holds within a time, and slices and parents of those."""
        out = np.zeros(len(self.cards), dtype=bool)
        until = FOREVER if end is None else end
        hits = (self._hold_span[:, 0] < until) & (self._hold_span[:, 1] > begin)
        out[self._hold_card[hits]] = True
        first, second = self._kin
        out[second[out[first]]] = True
        return out

    def cards_of(self, unit: int) -> npt.NDArray[np.intp]:
        """The cards of a unit, in the order of the pool."""
        mine: npt.NDArray[np.intp] = self._by_unit[self._first[unit] : self._first[unit + 1]]
        return mine

    def holder(self, card: int, begin: int, end: int | None) -> Held | None:
        """The first hold on a card within a time."""
        until = FOREVER if end is None else end
        if not self._of_card:
            for at, hold in zip(self._hold_card.tolist(), self._holds, strict=True):
                self._of_card.setdefault(at, []).append(hold)
        for hold in self._of_card.get(card, ()):
            if hold.begin < until and (hold.end is None or hold.end > begin):
                return hold
        return None

    def code(self, what: str) -> tuple[I8, list[str]]:
        """(code of each unit, names) of "node", "region", "rack", "island", "rail", "sku" or "all"; names are sorted.

        A rack's or an island's name is of its region; a node without one is a rack or an island of its own.
        """
        if what not in self._codes:
            texts = [self._text(what, node, sku) for node, sku in self.units]
            names = sorted(set(texts))
            place = {n: i for i, n in enumerate(names)}
            self._codes[what] = np.array([place[t] for t in texts], dtype=np.int64), names
        return self._codes[what]

    def _text(self, what: str, node: str, sku: str) -> str:
        place = self.places[node]
        match what:
            case "node":
                return node
            case "sku":
                return sku
            case "region":
                return place.region
            case "all":
                return ""
        name = getattr(place, what)
        return f"{place.region}/{name}" if name else f"node {node}"

    def link(self, a: str, b: str) -> Link | None:
        """What lies between two regions; nothing between a region and itself, None where it is unknown."""
        return Link(0, FOREVER, 0) if a == b else self.links.get((min(a, b), max(a, b)))

    def table(self, mix: object) -> SlotTable:
        """The slots of this pool for a mix; made once a mix."""
        known = self.__dict__.setdefault("_tables", {})
        if mix not in known:
            known.clear()
            known[mix] = SlotTable([(t, int(n)) for t, n in self.kinds], self.most, mix)  # type: ignore[arg-type]
        found: SlotTable = known[mix]
        return found
