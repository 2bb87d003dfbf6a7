"""What the record says of leased cards: outages with their cause, and gaps where nothing was recorded. They go into the meter.

The lease clock bills. A card that its driver lost is the provider's outage until it is back, or was read again; a gap is only
noted, for a person to look at: a console that was off is no outage of a node.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from console.history.errors import HistoryError
from console.ledger import meter
from console.ledger.meter import Event, live_spans
from console.ledger.spans import Span, clipped, coalesced, common, without
from console.ledger.store import Ledger

SOURCE = "record"
MINUTE_US = 60_000_000
LEAST_GAP_US = 5 * MINUTE_US
SETTLED_US = 3 * MINUTE_US
"""The newest minutes are still open; what they will say is not known yet."""


def take(folder: Path, ledger: Ledger, since: int, until: int | None = None) -> dict[str, int]:
    """Record outages and gaps of leased cards within a time; what is recorded already stays as it is.

    Returns:
        {"recorded", "known", "quarantined", "outages", "gaps"}: the last two of the new rows.

    Raises:
        LedgerError: the ledger refuses.
    """
    end = min(ledger.now_us() - SETTLED_US, until if until is not None else 1 << 62)
    if end <= since:
        return {"recorded": 0, "known": 0, "quarantined": 0, "outages": 0, "gaps": 0}
    lost, seen = _record(folder, since, end)
    with ledger.writing():
        events = list(_events(ledger, lost, seen, (since, end)))
        counts = meter.append(ledger, events)
    return counts | {
        "outages": sum(e.kind == "outage" for e in events), "gaps": sum(e.kind == "gap" for e in events),
    }  # fmt: skip


def _record(folder: Path, since: int, until: int) -> tuple[dict[str, list[tuple[Span, str]]], dict[str, list[Span]]]:
    """({card: [(span for which it was lost, words)]}, {card: spans that were recorded})."""
    # Imported only by those who look back: SQLite's packages cost a seventh of a second.
    from console.history.reader import Reader

    lost: dict[str, list[tuple[Span, str]]] = {}
    seen: dict[str, list[Span]] = {}
    try:
        with Reader(folder) as reader:
            minutes = reader.rows(
                "SELECT uuid,minute FROM minutes WHERE metric='memory_used' AND minute>=? AND minute<? ORDER BY uuid,minute",
                (since // MINUTE_US, -(-until // MINUTE_US)),
            )
            happened = reader.rows(
                "SELECT uuid,kind,at_us,text FROM happened WHERE kind IN ('card_lost','card_back') AND uuid<>'' AND at_us<? "
                "ORDER BY uuid,at_us", (until,),
            )  # fmt: skip
    except HistoryError:
        return lost, seen
    for uuid, minute in minutes:
        seen.setdefault(uuid, []).append((minute * MINUTE_US, (minute + 1) * MINUTE_US))
    spans = {uuid: coalesced(found) for uuid, found in seen.items()}
    open_: dict[str, tuple[int, str]] = {}
    for uuid, kind, at, text in happened:
        if kind == "card_lost":
            open_.setdefault(uuid, (at, text))
        elif uuid in open_:
            begun, words = open_.pop(uuid)
            lost.setdefault(uuid, []).append(((begun, _read_again(spans, uuid, begun, at)), words))
    for uuid, (begun, words) in open_.items():
        lost.setdefault(uuid, []).append(((begun, _read_again(spans, uuid, begun, until)), words))
    return lost, spans


def _read_again(seen: dict[str, list[Span]], uuid: str, begun: int, end: int) -> int:
    """When a lost card was read again at the latest, though nobody said that it is back."""
    # The minute in which it was lost has readings from before.
    for begin, until in seen.get(uuid, []):
        if until > begun + MINUTE_US:
            return min(end, max(begin, begun + MINUTE_US))
    return end


def _events(
    ledger: Ledger, lost: dict[str, list[tuple[Span, str]]], seen: dict[str, list[Span]], within: Span
) -> Iterator[Event]:
    for lease in ledger.rows("SELECT id FROM lease ORDER BY id"):
        name = lease["id"]
        paid = live_spans(
            [(r["state"], r["at_us"]) for r in
             ledger.rows("SELECT state,at_us FROM lease_event WHERE lease_id=? ORDER BY seq", (name,))], within[1],
        )  # fmt: skip
        rows = ledger.rows(
            "SELECT card_uuid,from_us,to_us FROM hold WHERE lease_id=? AND from_us IS NOT to_us", (name,)
        )
        for row in rows:
            card = row["card_uuid"]
            held = coalesced([(row["from_us"], within[1] if row["to_us"] is None else row["to_us"])])
            mine = common(clipped(held, within), paid)
            for span, words in lost.get(card, []):
                for begin, end in _new(ledger, name, card, "outage", common(mine, [span])):
                    yield Event(SOURCE, f"{name}/{card}/outage/{begin}", "outage", name, begin, end, card, cause="provider",
                                evidence="telemetry", note=f"the driver lost the card: {words}"[:400])  # fmt: skip
            gaps = [g for g in without(mine, seen.get(card, [])) if g[1] - g[0] >= LEAST_GAP_US]
            down = coalesced(span for span, _ in lost.get(card, []))
            for begin, end in _new(ledger, name, card, "gap", without(gaps, down)):
                yield Event(SOURCE, f"{name}/{card}/gap/{begin}", "gap", name, begin, end, card, evidence="telemetry",
                            note="nothing was recorded; it is billed, look why")  # fmt: skip


def _new(ledger: Ledger, lease: str, card: str, kind: str, spans: list[Span]) -> list[Span]:
    """What of these spans is not recorded yet."""
    known = ledger.rows(
        "SELECT from_us,to_us FROM meter WHERE lease_id=? AND card_uuid=? AND source=? AND kind=?",
        (lease, card, SOURCE, kind),
    )
    return without(spans, coalesced((r["from_us"], r["to_us"]) for r in known))
