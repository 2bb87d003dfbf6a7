"""console:// links: a fleet, a view with its filter, and a moment, as one line to paste into a ticket. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

SCHEME = "console"
MAX_LENGTH = 4000


@dataclass(frozen=True, slots=True)
class Link:
    """What a link points at. `at` is a unix second, None for the present."""

    fleet: str
    page: str
    argument: str = ""
    query: str = ""
    at: float | None = None


def write(link: Link) -> str:
    """The link as text; moments to the millisecond, in UTC."""
    path = f"{quote(link.fleet, safe='')}/{quote(link.page, safe='')}/{quote(link.argument, safe='')}".rstrip("/")
    values = {}
    if link.query:
        values["filter"] = link.query
    if link.at is not None:
        moment = datetime.fromtimestamp(link.at, tz=UTC)
        values["at"] = moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return f"{SCHEME}://{path}" + (f"?{urlencode(values)}" if values else "")


def read(text: str) -> Link:
    """What a text points at.

    Raises:
        ValueError: it is no such link; the text says why.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError("too long for a link")
    parts = urlsplit(text.strip())
    if parts.scheme != SCHEME or not parts.netloc:
        raise ValueError("a link begins with console://FLEET/")
    page, _, argument = parts.path.lstrip("/").partition("/")
    values = parse_qs(parts.query)
    at = None
    if "at" in values:
        try:
            moment = datetime.fromisoformat(values["at"][0])
        except ValueError:
            raise ValueError(f"{values['at'][0]!r} in the link is not a time") from None
        at = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    return Link(unquote(parts.netloc), unquote(page) or "fleet", unquote(argument), values.get("filter", [""])[0], at)
