"""The filter language: `node:gpu-0* temp>80 ecc>0 !drained age<5m (sku:H100 | sku:H200)` to a numpy mask.

Terms side by side must all hold; `|` or `or` is either; `!` or `-` in front negates; parentheses group. A comparison
holds only for a reading that is fresh: unknown is not 0, so neither `temp>80` nor `temp<80` finds an unknown one.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_METRIC
from console.fleet.state import ReadingState

Mask = npt.NDArray[np.bool_]

ALIASES = {
    "util": "utilization_gpu",
    "temp": "temperature_gpu",
    "power": "power_draw",
    "clock": "clock_sm",
    "fan": "fan_speed",
    "ecc": "ecc_uncorrected_volatile",
    "procs": "process_count",
}
"""Short names of metrics. `mem` is memory used in percent of the card's, `age` the age of the fast tier in seconds."""

FIELDS = ("node", "name", "uuid", "sku", "rack", "region", "supplier", "user", "job", "tenant", "state", "is", "xid")
FLAGS = (
    "critical",
    "warning",
    "notice",
    "unknown",
    "well",
    "faulty",
    "lost",
    "stale",
    "slice",
    "busy",
    "idle",
    "marked",
    "drained",
    "assigned",
)

_FACTOR = {"": 1.0, "%": 1.0, "k": 1e3, "m": 1e6, "g": 2.0**30, "t": 2.0**40, "w": 1.0, "c": 1.0}
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_TOKEN = re.compile(r"""\s*(?:(\()|(\))|(\|)|([!-])(?=\S)|("[^"]*"?|[^\s()|"]+(?:"[^"]*"?)?))""")
_COMPARE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(<=|>=|!=|=|<|>)(.*)", re.DOTALL)
_FIELD = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*):(.*)", re.DOTALL)


class Table(Protocol):
    """What a filter looks at: rows with metrics, texts and flags."""

    def count(self) -> int:
        """How many rows there are."""

    def column(self, metric: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
        """(values, states, ages) of a metric."""

    def texts(self, field: str) -> Sequence[str]:
        """The text of a field a row; several values are joined by newlines. Unknown fields give empty texts."""

    def flag(self, name: str) -> Mask:
        """Whether a flag holds, a row."""


class QueryError(ValueError):
    """A filter that cannot be understood. `column` is where, counted from 0."""

    def __init__(self, text: str, column: int, suggestion: str = "") -> None:
        super().__init__(text + (f"; {suggestion}" if suggestion else ""))
        self.column = column
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Match:
    """A field against a pattern (* and ?), or, with field "", a word anywhere in name, node and UUID."""

    field: str
    pattern: str

    def __str__(self) -> str:
        body = f'"{self.pattern}"' if re.search(r'[\s()|"]', self.pattern) or not self.pattern else self.pattern
        plain = not self.field and (body.startswith(("!", "-")) or body in ("or",) or body in FLAGS or ":" in body)
        if not self.field and (plain or _COMPARE.fullmatch(body)) and not body.startswith('"'):
            body = f'"{body}"'
        return f"{self.field}:{body}" if self.field else body


@dataclass(frozen=True, slots=True)
class Compare:
    """A metric against a number in its catalogue unit."""

    name: str
    operator: str
    number: float

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{self.number:.17g}"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag that must hold."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of `term`."""

    term: Query

    def __str__(self) -> str:
        return f"!{_grouped(self.term)}"


@dataclass(frozen=True, slots=True)
class All:
    """Every term; none at all holds everywhere."""

    terms: tuple[Query, ...]

    def __str__(self) -> str:
        return " ".join(_grouped(t) for t in self.terms)


@dataclass(frozen=True, slots=True)
class Any:
    """One of the terms."""

    terms: tuple[Query, ...]

    def __str__(self) -> str:
        return " | ".join(_grouped(t) for t in self.terms)


Query = Match | Compare | Flag | Not | All | Any


def _grouped(term: Query) -> str:
    return f"({term})" if isinstance(term, (All, Any)) else str(term)


def parse(text: str) -> Query:
    """The query of a text; an empty one holds everywhere.

    Raises:
        QueryError: with the column where it went wrong.
    """
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def query(self) -> Query:
        found = self._either(0)
        if self._at < len(self._text.rstrip()):
            raise QueryError("there is no ( for this )", self._at)
        return found

    def _peek(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self._at)

    def _either(self, depth: int) -> Query:
        if depth > 50:
            raise QueryError("too many parentheses within each other", self._at)
        terms = [self._every(depth)]
        while (token := self._peek()) is not None and (token.group(3) or token.group(5) in ("or", "OR")):
            self._at = token.end()
            terms.append(self._every(depth))
        return terms[0] if len(terms) == 1 else Any(tuple(terms))

    def _every(self, depth: int) -> Query:
        terms: list[Query] = []
        while (token := self._peek()) is not None:
            if token.group(2) or token.group(3) or token.group(5) in ("or", "OR"):
                break
            terms.append(self._term(token, depth))
        return terms[0] if len(terms) == 1 else All(tuple(terms))

    def _term(self, token: re.Match[str], depth: int) -> Query:
        self._at = token.end()
        if token.group(1):
            found = self._either(depth + 1)
            closing = self._peek()
            if closing is None or not closing.group(2):
                raise QueryError("there is no ) for this (", token.start(1))
            self._at = closing.end()
            return found
        if token.group(4):
            after = self._peek()
            if after is None or after.group(2) or after.group(3):
                raise QueryError("nothing follows this !", token.start(4))
            if depth > 50:
                raise QueryError("too many negations", self._at)
            return Not(self._term(after, depth + 1))
        return _word(token.group(5), token.start(5))


def _word(word: str, column: int) -> Query:
    if word.startswith('"'):
        return Match("", word.strip('"'))
    field = _FIELD.fullmatch(word)
    if field is not None:
        return _match(field.group(1), field.group(2).strip('"'), column)
    compare = _COMPARE.fullmatch(word)
    if compare is not None:
        return _compare(compare.group(1), compare.group(2), compare.group(3), column)
    return Flag(word.lower()) if word.lower() in FLAGS else Match("", word)


def _match(field: str, pattern: str, column: int) -> Query:
    name = field.lower()
    if name in ("state", "is"):
        if pattern.lower() not in FLAGS:
            raise QueryError(f"{pattern!r} is no state", column, _close(pattern.lower(), FLAGS))
        return Flag(pattern.lower())
    if name not in FIELDS and not name.startswith("label."):
        raise QueryError(f"there is no field {field!r}", column, _close(name, FIELDS))
    return Match(name, pattern)


def _compare(name: str, operator: str, number: str, column: int) -> Query:
    key = name.lower()
    if key not in ("mem", "age") and ALIASES.get(key, key) not in CARD_METRIC:
        known = (*ALIASES, "mem", "age", *CARD_METRIC)
        raise QueryError(f"there is no metric {name!r}", column, _close(key, known))
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-zA-Z%]*)", number)
    if found is None:
        raise QueryError(f"{number!r} is not a number", column + len(name) + len(operator))
    suffix = found.group(2).lower().removesuffix("ib").removesuffix("b")
    factors = _SECONDS if key == "age" else _FACTOR
    if suffix not in factors:
        raise QueryError(f"{found.group(2)!r} is not a unit", column + len(name) + len(operator), "try G, M, s, m, h")
    return Compare(key, operator, float(found.group(1)) * factors[suffix])


def _close(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f"did you mean {close[0]}?" if close else ""


def evaluate(query: Query, table: Table) -> Mask:
    """Which rows of `table` the query holds for."""
    match query:
        case All(terms):
            mask = np.ones(table.count(), dtype=bool)
            for term in terms:
                mask &= evaluate(term, table)
            return mask
        case Any(terms):
            mask = np.zeros(table.count(), dtype=bool)
            for term in terms:
                mask |= evaluate(term, table)
            return mask
        case Not(term):
            return ~evaluate(term, table)
        case Flag(name):
            return table.flag(name).astype(bool)
        case Compare():
            return _compared(query, table)
        case Match(field, pattern):
            return _matched(field, pattern, table)


def _compared(query: Compare, table: Table) -> Mask:
    if query.name == "age":
        values, _, ages = table.column("utilization_gpu")
        values, good = ages, ~np.isnan(ages)
    elif query.name == "mem":
        used, state, _ = table.column("memory_used")
        total, state_total, _ = table.column("memory_total")
        good = (state == ReadingState.FRESH) & (state_total == ReadingState.FRESH) & (total > 0)
        values = np.divide(100.0 * used, total, out=np.zeros_like(used), where=good)
    else:
        values, states, _ = table.column(ALIASES.get(query.name, query.name))
        good = states == ReadingState.FRESH
    with np.errstate(invalid="ignore"):
        held: Mask = _OPERATORS[query.operator](values, query.number)
    return held & good


_OPERATORS = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "=": np.equal,
    "!=": np.not_equal,
}


def _matched(field: str, pattern: str, table: Table) -> Mask:
    wanted = pattern.lower()
    if not field:
        hit = np.zeros(table.count(), dtype=bool)
        for name in ("name", "node", "uuid"):
            hit |= np.fromiter((wanted in t.lower() for t in table.texts(name)), dtype=bool, count=table.count())
        return hit
    wild = any(c in wanted for c in "*?[")
    loose = field in ("sku", "user", "uuid") and not wild
    test = re.compile(fnmatch.translate(f"*{wanted}*" if loose else wanted)).match
    seen: dict[str, bool] = {}

    def holds(text: str) -> bool:
        if text not in seen:
            seen[text] = any(test(part) is not None for part in text.lower().split("\n"))
        return seen[text]

    return np.fromiter((holds(t) for t in table.texts(field)), dtype=bool, count=table.count())


def complete(text: str, cursor: int) -> list[str]:
    """Words that could stand where the word at `cursor` is begun, best first."""
    begun = re.split(r"[\s()|]", text[:cursor])[-1].lstrip("!-").lower()
    known = [f"{f}:" for f in FIELDS] + [f"{a}>" for a in (*ALIASES, "mem", "age")] + list(FLAGS)
    return [word for word in known if word.startswith(begun)][:12] if begun else []
