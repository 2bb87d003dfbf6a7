"""The meter: what happened, append-only, each row chained to the one before by a hash, each event once.

The same event again changes nothing; the same id with other contents is an error, never "the last one wins". What is wrong is
voided by another row. Events that a node's clock puts more than five minutes ahead are set aside, not billed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from console.ledger.errors import LedgerError
from console.ledger.spans import Span, coalesced, common, without
from console.ledger.store import Ledger
from console.ledger.times import instant_text

FUTURE_US = 300 * 1_000_000
FIRST = b"\x00"
CLOCK = "lease-clock"
BILLED = ("active", "draining", "suspended")
"""States of a lease in which its cards are paid for: they are held, and nobody else can have them."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to what is leased.

    Attributes:
        source, id: who says so, and its own id of it; together they name the event once and for all.
        kind: usage, gap (no telemetry), outage, void.
        resource: card, volume or egress; quantity: 1, GiB, bytes.
        cause: of an outage: provider, tenant, unknown, maintenance (with `announced`).
        evidence: lease, telemetry or manual; note: words, or a reference to what was seen.
        voids: sequence number of the row that this one takes back.
    """

    source: str
    id: str
    kind: str
    lease: str
    begin: int
    end: int
    card: str = ""
    resource: str = "card"
    volume: str = ""
    quantity: int = 1
    cause: str = ""
    announced: int | None = None
    evidence: str = "lease"
    note: str = ""
    voids: int | None = None

    @property
    def payload(self) -> tuple[Any, ...]:
        """What the same id must always say."""
        return (
            self.source, self.id, self.kind, self.resource, self.lease, self.card or None, self.volume or None,
            self.quantity, self.begin, self.end, self.cause, self.announced, self.evidence, self.note, self.voids,
        )  # fmt: skip


_COLUMNS = (
    "source,event_id,kind,resource,lease_id,card_uuid,volume_id,quantity,from_us,to_us,cause,announced_us,evidence,note,"
    "voids_seq"
)
_INSERT = f"INSERT INTO meter({_COLUMNS},recorded_us,prev_hash,hash) VALUES({','.join('?' * 18)})"


def chained(before: bytes, payload: Sequence[Any], recorded_us: int) -> bytes:
    """The hash of a row."""
    return hashlib.sha256(before + json.dumps([*payload, recorded_us], ensure_ascii=True).encode()).digest()


def append(ledger: Ledger, events: Iterable[Event]) -> dict[str, int]:
    """Record events, all or none; {"recorded", "known", "quarantined"}.

    Raises:
        LedgerError: an id says something else than before, or an event is not possible; nothing is recorded.
    """
    counts = {"recorded": 0, "known": 0, "quarantined": 0}
    now = ledger.now_us()
    with ledger.writing() as connection:
        last = connection.execute("SELECT hash FROM meter ORDER BY seq DESC LIMIT 1").fetchone()
        before = bytes(last[0]) if last else FIRST
        find = f"SELECT {_COLUMNS} FROM meter WHERE source=? AND event_id=?"
        for event in events:
            payload = event.payload
            known = connection.execute(find, (event.source, event.id)).fetchone()
            if known is not None:
                if tuple(known) != payload:
                    raise LedgerError(
                        f"event {event.id} of {event.source} was recorded before with other contents; void it, and give "
                        "what is right an id of its own"
                    )
                counts["known"] += 1
                continue
            if event.end <= event.begin:
                raise LedgerError(f"event {event.id} of {event.source}: it ends before it begins")
            if event.end > now + FUTURE_US:
                connection.execute(
                    "INSERT INTO quarantine(body,why,at_us) VALUES(?,?,?)",
                    (json.dumps(payload), f"ends at {instant_text(event.end)}, which is yet to come", now),
                )
                counts["quarantined"] += 1
                continue
            made = chained(before, payload, now)
            connection.execute(_INSERT, (*payload, now, before, made))
            before = made
            counts["recorded"] += 1
    return counts


def void(ledger: Ledger, seq: int, why: str, actor: str) -> None:
    """Take a row back by another one.

    Raises:
        LedgerError: there is no such row, it is a void itself, or it was voided before.
    """
    row = ledger.one(f"SELECT seq,{_COLUMNS} FROM meter WHERE seq=?", (seq,))
    if row is None or row["kind"] == "void":
        raise LedgerError(f"there is no row {seq} of the meter that could be voided; see: cardkeeper meter list")
    if ledger.one("SELECT seq FROM meter WHERE voids_seq=?", (seq,)) is not None:
        raise LedgerError(f"row {seq} of the meter was voided before")
    append(ledger, [Event(
        "void", str(seq), "void", row["lease_id"], row["from_us"], row["to_us"], row["card_uuid"] or "", row["resource"],
        row["volume_id"] or "", row["quantity"], evidence="manual", note=f"{actor}: {why}", voids=seq,
    )])  # fmt: skip


def verify(ledger: Ledger) -> tuple[int, int | None]:
    """(rows, sequence number of the first that is not what it was, None where all are)."""
    before, count, expected = FIRST, 0, 1
    sql = f"SELECT seq,{_COLUMNS},recorded_us,prev_hash,hash FROM meter ORDER BY seq"
    for seq, *fields in ledger.db.execute(sql):
        *payload, recorded, prev, made = fields
        if seq != expected or bytes(prev) != before or chained(before, payload, recorded) != bytes(made):
            return count, seq
        before, count, expected = bytes(made), count + 1, seq + 1
    return count, None


def live_spans(events: Iterable[tuple[str, int]], until: int) -> list[Span]:
    """The time in which a lease is paid for, from its (state, instant), up to an instant."""
    out: list[Span] = []
    since: int | None = None
    for state, at in events:
        if state in BILLED and since is None:
            since = at
        elif state not in BILLED and since is not None:
            out.append((since, at))
            since = None
    if since is not None:
        out.append((since, max(since, until)))
    return coalesced((a, min(b, until)) for a, b in out)


def owed(ledger: Ledger, until: int, tenant: str = "") -> Iterator[Event]:
    """What the lease clock has to say up to an instant and has not said yet, of all tenants or one."""
    which = (
        ("SELECT id FROM lease WHERE tenant_id=? ORDER BY id", (tenant,))
        if tenant
        else ("SELECT id FROM lease ORDER BY id", ())
    )
    for lease in ledger.rows(*which):
        name = lease["id"]
        events = [
            (r["state"], r["at_us"])
            for r in ledger.rows("SELECT state,at_us FROM lease_event WHERE lease_id=? ORDER BY seq", (name,))
        ]
        paid = live_spans(events, until)
        if not paid:
            continue
        held: dict[str, list[Span]] = {}
        for row in ledger.rows("SELECT card_uuid,from_us,to_us FROM hold WHERE lease_id=?", (name,)):
            end = until if row["to_us"] is None else min(until, row["to_us"])
            held.setdefault(row["card_uuid"], []).append((row["from_us"], end))
        for card, spans in sorted(held.items()):
            told = ledger.rows(
                "SELECT from_us,to_us FROM meter WHERE lease_id=? AND card_uuid=? AND source=? AND kind='usage'",
                (name, card, CLOCK),
            )
            known = coalesced((r["from_us"], r["to_us"]) for r in told)
            for begin, end in without(common(coalesced(spans), paid), known):
                yield Event(CLOCK, f"{name}/{card}/{begin}", "usage", name, begin, end, card)


def tick(ledger: Ledger, until: int | None = None, tenant: str = "") -> dict[str, int]:
    """Record what the lease clock owes, of all tenants or one."""
    with ledger.writing():
        return append(ledger, list(owed(ledger, ledger.now_us() if until is None else until, tenant)))
