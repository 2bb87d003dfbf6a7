"""What a month costs to bill: a million meter events of 200 tenants, rated, invoiced and checked again."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from console.ledger import invoices, leases, meter, pool, tenants
from console.ledger.meter import Event
from console.ledger.store import Ledger
from console.ledger.times import parse_instant

TENANTS, EVENTS = 200, 1_000_000
HOUR = 3_600_000_000


def _rss_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    found = work()
    return time.process_time() - begun, found


def _fill(ledger: Ledger, count: int, events: int) -> None:
    """Tenants with a lease of seven cards each, metered in slices of minutes, out of step with each other."""
    begin = parse_instant("2026-03-01T00:00:00Z", "t")
    pool.add_sku(ledger, "bench", "h100", "NVIDIA", "Hopper", "H100", 81_559)
    cards = [[f"GPU-{t:03d}-{c}" for c in range(7)] for t in range(count)]
    seen = [pool.Seen(u, "H100", f"gpu{t:03d}", "r1") for t, mine in enumerate(cards) for u in mine]
    pool.bind(ledger, "bench", seen, begin)
    spec = {
        "kind": "payg", "currency": "CNY", "price_per_card_hour": "6.95", "granularity_s": 60,
        "discounts": [{"name": "volume", "percent": "7.5"}], "tax_percent": "6",
    }  # fmt: skip
    tenants.add_plan(ledger, "bench", "hourly", spec)
    each = events // count // 7
    step = 31 * 24 * HOUR // each
    with ledger.writing():
        for t in range(count):
            tenants.add(ledger, "bench", f"t{t:03d}", "", "UTC", "CNY")
            lease = leases.request(ledger, "bench", f"t{t:03d}", "hourly", "h100", 7, begin, name=f"L{t:03d}")
            leases.activate(ledger, "bench", lease.id, cards[t], begin)
        for t in range(count):
            meter.append(ledger, (
                Event("bench", f"{c}/{i}", "usage", f"L{t:03d}", begin + i * step, begin + (i + 1) * step, c)
                for c in cards[t] for i in range(each)
            ))  # fmt: skip


def opened(lines: int = 10_000) -> dict[str, Any]:
    """Milliseconds from lines to pixels of an invoice of that many lines, and until it is read from the file."""
    from console.ledger.rating import Category, Line
    from console.ui.business import tables
    from console.ui.business.lines import LinesTable
    from console.ui.early import application

    application()
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder), wall_ns=_April()) as ledger:
        tenants.add(ledger, "bench", "t", "", "UTC", "CNY")
        made = [
            Line(
                Category.USAGE,
                "",
                "p",
                1,
                "",
                f"Card time {i}",
                0,
                1,
                3_600_000_000,
                "card-hour",
                1,
                1,
                1,
                i,
                "2026-03",
            )
            for i in range(lines)
        ]
        at = invoices.mark(ledger)
        invoices._write(
            ledger, "bench", invoices.Draft("t", "2026-03", "CNY", 2, tuple(made), 0, 0, at), ledger.now_us()
        )
        table = LinesTable(tables.titles("lines"), "Lines")
        table.resize(1100, 600)
        table.show()
        begun = time.perf_counter()
        found = tables.invoice_lines(invoices.get(ledger, "2026-03-t"))
        read = time.perf_counter()
        table.show_rows(found)
        table.repaint()
        shown = time.perf_counter()
    return {"lines": lines, "read_ms": round((read - begun) * 1e3), "show_ms": round((shown - read) * 1e3)}


def month(events: int = EVENTS, count: int = TENANTS) -> dict[str, Any]:
    """CPU seconds on one core: recording, rating and invoicing, checking; and the growth of memory while invoicing."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder), wall_ns=_April()) as ledger:
        fill_s, _ = _timed(lambda: _fill(ledger, count, events))
        before = _rss_mib()
        invoice_s, total = _timed(lambda: sum(_issue(ledger, t) for t in range(count)))
        grown = _rss_mib() - before
        verify_s, checked = _timed(lambda: invoices.verify(ledger))
        size = os.path.getsize(ledger.path)
    return {
        "events": checked["meter_rows"], "tenants": count, "record_s": round(fill_s, 1), "invoice_s": round(invoice_s, 1),
        "verify_s": round(verify_s, 1), "ok": checked["ok"], "memory_grown_mib": round(grown, 1),
        "bytes_an_event": round(size / max(1, checked["meter_rows"])), "lines": total,
    }  # fmt: skip


class _April:
    def __call__(self) -> int:
        return parse_instant("2026-04-02T00:00:00Z", "t") * 1000


def _issue(ledger: Ledger, tenant: int) -> int:
    return len(invoices.issue(ledger, "bench", f"t{tenant:03d}", "2026-03")["lines"])
