"""From what is recorded to what is rated: a tenant's leases as terms, as they were known at a mark. Streams lease by lease."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from console.ledger import tenants
from console.ledger.meter import live_spans
from console.ledger.plans import Kind, Plan
from console.ledger.rating import Held, Terms, held
from console.ledger.spans import Span, clipped, coalesced, common
from console.ledger.store import Ledger
from console.ledger.times import span_of

FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the record reached: highest sequence numbers. What came later is not seen."""

    meter: int
    hold: int
    terms: int
    event: int


def mark(ledger: Ledger) -> Mark:
    """The mark of now."""

    def high(table: str) -> int:
        found = ledger.one(f"SELECT COALESCE(MAX(seq),0) AS n FROM {table}")
        return int(found["n"]) if found else 0

    return Mark(high("meter"), high("hold_log"), high("lease_terms"), high("lease_event"))


_METER = (
    "SELECT card_uuid,resource,quantity,from_us,to_us,cause,announced_us,volume_id FROM meter m WHERE lease_id=? AND "
    "resource=? AND kind=? AND seq<=? AND NOT EXISTS(SELECT 1 FROM meter v WHERE v.voids_seq=m.seq AND v.seq<=?) "
    "ORDER BY card_uuid,from_us"
)


class Assembly:
    """Terms of a tenant for a billing period."""

    def __init__(self, ledger: Ledger, tenant: str, period: str, at: Mark, instead: Plan | None = None) -> None:
        """`instead`: a plan that everything is rated by, whatever it is on."""
        self._ledger, self._tenant, self._at = ledger, ledger.known("tenant", tenant, "tenant"), at
        self.tz: str = self._tenant["tz"]
        self.period, self.within = period, span_of(period, self.tz)
        self.plans: dict[tuple[str, int], Plan] = {}
        self._instead = instead

    def terms(self) -> Iterator[Terms]:
        """The tenant's leases, cut where their plan changes; those that cannot matter for the period are left out."""
        rows = self._ledger.rows("SELECT * FROM lease WHERE tenant_id=? ORDER BY id", (self._tenant["id"],))
        for row in rows:
            yield from self._of(row)

    def _of(self, row: dict[str, Any]) -> Iterator[Terms]:
        name, at = row["id"], self._at
        events = [
            (r["state"], r["at_us"]) for r in self._ledger.rows(
                "SELECT state,at_us FROM lease_event WHERE lease_id=? AND seq<=? ORDER BY seq", (name, at.event))
        ]  # fmt: skip
        began = next((when for state, when in events if state == "active"), None)
        if began is None or began >= self.within[1]:
            return
        paid = live_spans(events, FOREVER)
        cuts = self._ledger.rows(
            "SELECT plan_id,plan_version,from_us FROM lease_terms WHERE lease_id=? AND seq<=? ORDER BY from_us,seq",
            (name, at.terms),
        )
        usage, down, excused_of = self._metered(name)
        holds = self._holds(name, paid)
        for i, cut in enumerate(cuts):
            plan = self._plan(cut["plan_id"], cut["plan_version"])
            begin = max(began, cut["from_us"])
            end = cuts[i + 1]["from_us"] if i + 1 < len(cuts) else FOREVER
            if end <= begin:
                continue
            # A subscription is paid in advance, so what counts is what is held; the others pay what the meter says.
            spans = holds if plan.kind is Kind.SUBSCRIPTION else usage
            cards = tuple(self._held(card, spans[card], (begin, end), plan, down, excused_of) for card in sorted(spans))
            last = paid[-1][1] if paid else begin
            yield Terms(
                name, plan, row["sku_id"], begin, None if min(end, last) >= FOREVER else min(end, last),
                tuple(c for c in cards if c.spans), began, volumes=self._volumes(name, (begin, end)),
                egress_bytes=self._egress(name, (begin, end)),
            )  # fmt: skip

    def _plan(self, name: str, version: int) -> Plan:
        if self._instead is not None:
            self.plans[self._instead.id, self._instead.version] = self._instead
            return self._instead
        if (name, version) not in self.plans:
            self.plans[name, version] = tenants.plan(self._ledger, name, version)
        return self.plans[name, version]

    def _rows(self, lease: str, kind: str, resource: str = "card") -> Iterator[Any]:
        return iter(self._ledger.db.execute(_METER, (lease, resource, kind, self._at.meter, self._at.meter)))

    def _metered(
        self, lease: str
    ) -> tuple[dict[str, list[Span]], dict[str, list[Span]], dict[str, list[tuple[int, Span]]]]:
        usage: dict[str, list[Span]] = {}
        for card, _, _, begin, end, *_ in self._rows(lease, "usage"):
            usage.setdefault(card, []).append((begin, end))
        down: dict[str, list[Span]] = {}
        announced: dict[str, list[tuple[int, Span]]] = {}
        for card, _, _, begin, end, cause, told, _ in self._rows(lease, "outage"):
            if cause in ("provider", "maintenance"):
                down.setdefault(card, []).append((begin, end))
            if cause == "maintenance" and told is not None:
                announced.setdefault(card, []).append((begin - told, (begin, end)))
        return {c: coalesced(s) for c, s in usage.items()}, {c: coalesced(s) for c, s in down.items()}, announced

    def _held(
        self, card: str, spans: list[Span], within: Span, plan: Plan, down: dict[str, list[Span]],
        announced: dict[str, list[tuple[int, Span]]],
    ) -> Held:  # fmt: skip
        excused = [span for before, span in announced.get(card, []) if before >= plan.notice_us]
        # A run that was over long before this period changes nothing here.
        mine = [s for s in clipped(spans, within) if s[1] > self.within[0] - 1]
        return held(mine, down.get(card, []), card, excused)

    def _holds(self, lease: str, paid: list[Span]) -> dict[str, list[Span]]:
        out: dict[str, list[Span]] = {}
        rows = self._ledger.rows(
            "SELECT h.card_uuid AS card,g.from_us,g.to_us FROM hold h JOIN hold_log g ON g.hold_id=h.id WHERE h.lease_id=? AND "
            "g.seq=(SELECT MAX(seq) FROM hold_log WHERE hold_id=h.id AND seq<=?)",
            (lease, self._at.hold),
        )
        for row in rows:
            end = FOREVER if row["to_us"] is None else row["to_us"]
            out.setdefault(row["card"], []).append((row["from_us"], end))
        return {card: common(coalesced(spans), paid) for card, spans in out.items()}

    def _volumes(self, lease: str, within: Span) -> tuple[tuple[int, tuple[Span, ...]], ...]:
        found: dict[int, list[Span]] = {}
        for _, _, gib, begin, end, *_ in self._rows(lease, "usage", "volume"):
            found.setdefault(gib, []).append((begin, end))
        # Two volumes of one size are two: their time is added, not joined.
        return tuple((gib, tuple(clipped(sorted(spans), within))) for gib, spans in sorted(found.items()))

    def _egress(self, lease: str, within: Span) -> int:
        return sum(
            sent for _, _, sent, _, end, *_ in self._rows(lease, "usage", "egress")
            if within[0] < end <= within[1] and self.within[0] < end <= self.within[1]
        )  # fmt: skip


def touched(ledger: Ledger, tenant: str, since: Mark, until: Mark, periods: dict[str, Span]) -> list[str]:
    """Which of these billing periods something recorded between two marks may change."""
    spans = [
        (r["from_us"], r["to_us"]) for r in ledger.rows(
            "SELECT m.from_us,m.to_us FROM meter m JOIN lease l ON l.id=m.lease_id WHERE l.tenant_id=? AND m.seq>? AND "
            "m.seq<=?", (tenant, since.meter, until.meter))
    ]  # fmt: skip
    spans += [
        (r["at_us"], FOREVER) for r in ledger.rows(
            "SELECT e.at_us FROM lease_event e JOIN lease l ON l.id=e.lease_id WHERE l.tenant_id=? AND e.seq>? AND e.seq<=?",
            (tenant, since.event, until.event))
    ]  # fmt: skip
    spans += [
        (max(0, r["from_us"]), FOREVER) for r in ledger.rows(
            "SELECT t.from_us FROM lease_terms t JOIN lease l ON l.id=t.lease_id WHERE l.tenant_id=? AND t.seq>? AND t.seq<=?",
            (tenant, since.terms, until.terms))
    ]  # fmt: skip
    if not spans:
        return []
    merged = coalesced((a, max(b, a + 1)) for a, b in spans)
    begins = [a for a, _ in merged]

    def is_touched(span: Span) -> bool:
        i = bisect.bisect_left(begins, span[1])
        # A run that was cut or prolonged later changes the months after it, too, by its granules.
        return any(b > span[0] for _, b in merged[:i])

    return [p for p, span in periods.items() if is_touched(span)]


def one_currency(ledger: Ledger, tenant: str) -> tuple[str, int]:
    """(currency, digits) of a tenant.

    Raises:
        LedgerError: there is no such tenant.
    """
    row = ledger.known("tenant", tenant, "tenant")
    return row["currency"], row["minor_units"]
