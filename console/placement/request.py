"""A request for cards as people write it: "8 x H100 80 GB, one NVLink island, riyadh or within 20 ms of it, for 60 days".

Phrases stand between commas, in any order:

    8 x H100            8 cards; 2 x 8 x H100 are two nodes of eight; "or", "|" between SKUs; "any" for any
    80 GB               each card has so much memory or more; also behind the SKU
    one node | one island | one rack | one rail | one region | anywhere       what they must share
    riyadh or within 20 ms of it | in riyadh or jeddah | not in jeddah        where
    1 Gbit/s to riyadh  the links of its region to there are so fast or faster
    data in SA          data residency: the country of the region
    hopper | nvidia     architecture or vendor, said as "arch hopper", "vendor nvidia"
    driver >= 550 | cuda >= 12.4 | cann >= 8.0
    mig 3g.40gb         slices of a profile
    from 2026-03-01 | until ... | for 60 days
    tenant atlas | plan hourly | may be split
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from console.placement.errors import PlacementError

DAY_US = 86_400_000_000
_UNIT_US = {"hour": DAY_US // 24, "day": DAY_US, "week": 7 * DAY_US, "month": 30 * DAY_US, "year": 365 * DAY_US}
MOST_CARDS = 100_000


class Together(enum.StrEnum):
    """What all cards of a request must share."""

    NODE = "node"
    ISLAND = "island"
    RAIL = "rail"
    RACK = "rack"
    REGION = "region"
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class Request:
    """A request for cards.

    Attributes:
        cards: how many; of each node `per_node`, 0 where that is not said.
        skus: accepted SKUs or models, empty for any; memory_gb: least memory of a card, 10^9 bytes.
        together: what they must share; None where it is not said: one node if one is large enough, else one region.
        regions, not_regions, countries: allowed, refused; empty for any.
        near, within_us: a region, and the longest round trip to it; to_region, mbit_s: the least bandwidth to one.
        vendor, arch: "" for any; least: {"driver" | "cuda" | "cann": version}.
        mig: a MIG profile, "" for whole cards.
        begin, end: UTC microseconds; None for now, and for no end.
        split: it may be spread over regions.
    """

    cards: int
    per_node: int = 0
    skus: tuple[str, ...] = ()
    memory_gb: int = 0
    together: Together | None = None
    regions: tuple[str, ...] = ()
    not_regions: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    near: str = ""
    within_us: int = 0
    to_region: str = ""
    mbit_s: int = 0
    vendor: str = ""
    arch: str = ""
    least: tuple[tuple[str, str], ...] = ()
    mig: str = ""
    begin: int | None = None
    end: int | None = None
    tenant: str = ""
    plan: str = ""
    split: bool = False


Moment = Callable[[str], int]
"""UTC microseconds of a time as people write it; ValueError where it is none."""

_COUNT = re.compile(
    r"(?:(\d{1,5})\s*(?:x|×|\*)\s*)?(\d{1,5})\s*(?:(?:x|×|\*)\s*(\S.*)|(?:cards?|gpus?|npus?)(?:\s+of\s+(\S.*))?)", re.I
)
_MEMORY = re.compile(r"(?:of\s+)?(?:at\s+least\s+|>=?\s*)?(\d{1,4})\s*gi?b(?:\s+or\s+more)?", re.I)
_TAIL = re.compile(r"\s+(\d{1,4})\s*gi?b$", re.I)
_SHARE = re.compile(
    r"(?:(?:in|on|within)\s+)?(?:one|a|the\s+same|same)\s+(?:nvlink\s+)?(node|island|rack|rail|region)", re.I
)
_NEAR = re.compile(
    r"(?:in\s+)?(?:([\w.-]+)\s+or\s+)?within\s+(\d{1,5}(?:\.\d{1,3})?)\s*ms\s+(?:of|to|from)\s+([\w.-]+)", re.I
)
_LINK = re.compile(r"(?:at\s+least\s+|>=?\s*)?(\d{1,6}(?:\.\d{1,3})?)\s*([mg])(?:bit/s|bps)\s+to\s+([\w.-]+)", re.I)
_VERSION = re.compile(r"(driver|cuda|cann)\s*(?:>=|at\s+least|from)?\s*(\d+(?:\.\d+){0,3})\s*\+?", re.I)
_FOR = re.compile(r"for\s+(\d{1,5})\s*(hour|day|week|month|year)s?", re.I)


def parse(text: str, moment: Moment) -> Request:
    """A request from its text.

    Raises:
        PlacementError: a phrase is not understood, said twice in contradiction, or no number of cards is said.
    """
    found: Request | None = None
    phrases = [p.strip() for p in re.split(r"[,;\n]|\s(?=(?:for|until)\s)", text, flags=re.IGNORECASE) if p.strip()]
    for phrase in phrases:
        counted = _COUNT.fullmatch(phrase)
        if counted:
            if found is not None:
                raise PlacementError(f"{phrase!r}: the number of cards is said twice")
            found = _counted(counted)
    if found is None:
        raise PlacementError('say how many cards of what, like "8 x H100" or "4 cards"; see: cardkeeper place --help')
    span = 0
    for phrase in phrases:
        if _COUNT.fullmatch(phrase):
            continue
        length = _FOR.fullmatch(phrase)
        if length:
            if span or not int(length[1]):
                raise PlacementError(f"{phrase!r}: {'said twice' if span else 'a time of nothing'}")
            span = int(length[1]) * _UNIT_US[length[2].lower()]
        else:
            found = _once(found, _with(found, phrase, moment), phrase)
    if span:
        if found.end is not None:
            raise PlacementError('say either "for" or "until"')
        if found.begin is None:
            found = replace(found, begin=moment("now"))
        assert found.begin is not None
        found = replace(found, end=found.begin + span)
    if found.begin is not None and found.end is not None and found.end <= found.begin:
        raise PlacementError("it ends before it begins")
    return found


def _once(before: Request, after: Request, phrase: str) -> Request:
    """What a phrase says, unless another one said something else of the same."""
    for field in fields(Request):
        was, now = getattr(before, field.name), getattr(after, field.name)
        if was != field.default and was != now and field.name not in ("least", "cards"):
            raise PlacementError(f"{phrase!r}: another phrase says something else; name several with or between")
    return after


def _counted(match: re.Match[str]) -> Request:
    nodes, cards = int(match[1] or 1), int(match[2])
    if not 0 < nodes * cards <= MOST_CARDS:
        raise PlacementError(f"{match[0]!r}: 1 to {MOST_CARDS} cards")
    what, memory = (match[3] or match[4] or "").strip(), 0
    tail = _TAIL.search(f" {what}")
    if tail:
        what, memory = what[: max(0, tail.start() - 1)].strip(), int(tail[1])
    skus = tuple(s for s in re.split(r"\s+or\s+|\s*\|\s*", what) if s and s.lower() not in ("any", "any card", "cards"))
    return Request(nodes * cards, cards if match[1] else 0, skus, memory)


def _with(asked: Request, phrase: str, moment: Moment) -> Request:
    low = phrase.lower()
    if (m := _MEMORY.fullmatch(phrase)) is not None:
        return replace(asked, memory_gb=int(m[1]))
    if (m := _SHARE.fullmatch(phrase)) is not None:
        return replace(asked, together=Together(m[1].lower()))
    if low == "anywhere":
        return replace(asked, together=Together.ANYWHERE)
    if low in ("may be split", "split", "split allowed"):
        return replace(asked, split=True)
    if (m := _NEAR.fullmatch(phrase)) is not None:
        return _near(asked, m)
    if (m := _LINK.fullmatch(phrase)) is not None:
        mbit = float(m[1]) * (1000 if m[2].lower() == "g" else 1)
        return replace(asked, mbit_s=int(mbit), to_region=m[3])
    if (m := _VERSION.fullmatch(phrase)) is not None:
        return replace(asked, least=(*asked.least, (m[1].lower(), m[2])))
    head, _, rest = phrase.partition(" ")
    rest = rest.strip()
    if rest:
        match head.lower():
            case "from" | "begin":
                return replace(asked, begin=_moment(moment, rest, phrase))
            case "until" | "to" | "till":
                return replace(asked, end=_moment(moment, rest, phrase))
            case "tenant" | "plan" | "arch" | "vendor" | "mig":
                return replace(asked, **{head.lower(): rest})  # type: ignore[arg-type]
            case "data" if rest.lower().startswith("in "):
                return replace(asked, countries=tuple(c.upper() for c in re.split(r"\s+or\s+", rest[3:].strip())))
            case "not" if rest.lower().startswith("in "):
                return replace(asked, not_regions=tuple(re.split(r"\s+or\s+", rest[3:].strip())))
            case "in":
                return replace(asked, regions=tuple(re.split(r"\s+or\s+", rest)))
    if re.fullmatch(r"[\w.-]+(\s+or\s+[\w.-]+)*", phrase):
        return replace(asked, regions=tuple(re.split(r"\s+or\s+", phrase)))
    raise PlacementError(f"{phrase!r} is not understood; see: cardkeeper place --help")


def _near(asked: Request, match: re.Match[str]) -> Request:
    region, place = match[1] or "", match[3]
    if place.lower() == "it":
        if not region:
            raise PlacementError(f"{match[0]!r}: within what of which region?")
        place = region
    if region and region != place:
        raise PlacementError(f"{match[0]!r}: write the other region as a phrase of its own")
    return replace(asked, near=place, within_us=int(float(match[2]) * 1000))


def _moment(moment: Moment, text: str, phrase: str) -> int:
    try:
        return moment(text)
    except ValueError as exc:
        raise PlacementError(f"{phrase!r}: {exc}") from exc
