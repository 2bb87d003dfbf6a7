"""The business from the command line, over a running demo: pool, tenant, plan, a lease on real agents, its meter and bill."""

import csv
import io
import json
from decimal import Decimal

import pytest

from tests.cli.test_acts import free


@pytest.fixture
def file(tmp_path):
    def write(value):
        path = tmp_path / "document.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return str(path)

    return write


@pytest.fixture
def shop(cardkeeper, file):
    """A tenant, a plan, and the demo's cards in the pool."""
    cardkeeper("tenant", "add", "atlas", "--currency", "KWD", "--tz", "Asia/Kuwait", "--title", "أطلس للطقس")
    made = cardkeeper(
        "plan", "add", "hourly", "--file", file('{"kind": "payg", "currency": "KWD", "price_per_card_hour": 0.75}')
    )
    assert (made["price"], made["version"]) == ("0.75", 1), "0.75 stays what it was"
    found = cardkeeper("pool", "bind", "--skus", "--since", "2026-01-01T00:00:00Z")
    pooled = {c["uuid"]: c for c in cardkeeper("pool", "list")}
    assert (found["commissioned"], found["without_sku"]) == (len(pooled), [])
    assert len(pooled) > 40
    return pooled


def test_a_lease_is_active_only_when_the_node_confirms_and_is_billed_by_its_clock(
    cardkeeper, cards, shop, file, tmp_path
):
    card = free(cards)
    sku = shop[card["uuid"]]["sku"]
    asked = cardkeeper(
        "lease", "request", "--tenant", "atlas", "--plan", "hourly", "--sku", sku, "--cards", "1", "--name", "L1"
    )
    assert asked["state"] == "requested"
    held = cardkeeper("lease", "reserve", "L1", card["uuid"])
    assert (held["state"], held["held"]) == ("reserved", [card["uuid"]])
    other = cardkeeper(
        "lease", "request", "--tenant", "atlas", "--plan", "hourly", "--sku", sku, "--cards", "1", "--name", "L2"
    )
    assert "is held by lease L1" in cardkeeper("lease", "reserve", other["lease"], card["uuid"], code=1)
    look = cardkeeper("lease", "begin", "L1", "--plan")
    assert look["plan"]["targets"][0]["card"] == card["uuid"]
    assert cardkeeper("lease", "show", "L1")["state"] == "reserved", "a plan changes nothing"
    done = cardkeeper("lease", "begin", "L1", "--yes", "--digest", look["plan"]["digest"])
    assert done["lease"]["state"] == "active"
    taken = cardkeeper("holds", "--node", card["node"])
    assert any(h.get("tenant") == "atlas" for h in taken), taken
    assert cardkeeper("pool", "list")[list(shop).index(card["uuid"])]["tenant"] == "atlas"
    back = cardkeeper("lease", "return", "L1", "--why", "done", "--yes")
    assert back["lease"]["state"] == "returned"
    assert not any(h.get("tenant") == "atlas" for h in cardkeeper("holds", "--node", card["node"]))
    shown = cardkeeper("lease", "show", "L1")
    assert [e["state"] for e in shown["events"]] == ["requested", "reserved", "active", "draining", "returned"]
    rows = cardkeeper("meter", "list", "--lease", "L1")
    active, returned = (next(e["at"] for e in shown["events"] if e["state"] == s) for s in ("active", "returned"))
    assert [(r["from"], r["to"], r["kind"]) for r in rows] == [(active, returned, "usage")]
    cardkeeper("lease", "end", "L2", "--state", "cancelled", "--why", "too late")
    assert cardkeeper("ledger", "verify")["ok"]


def test_an_invoice_in_every_form(cardkeeper, shop, file, tmp_path):
    sku = next(iter(shop.values()))["sku"]
    cardkeeper("lease", "request", "--tenant", "atlas", "--plan", "hourly", "--sku", sku, "--cards", "1", "--name", "L1",
               "--begin", "2026-03-01T00:00:00+03:00")  # fmt: skip
    from console.ledger import leases
    from console.ledger.store import Ledger
    from console.ledger.times import parse_instant

    # A lease of last spring: begun and returned then, which the command line alone cannot say.
    folder = max(tmp_path.parent.rglob("ledger.sqlite"), key=lambda p: p.stat().st_mtime).parent
    with Ledger(folder) as ledger:
        uuid = next(u for u, c in shop.items() if c["sku"] == sku)
        leases.activate(ledger, "op", "L1", [uuid], parse_instant("2026-03-01T00:00:00+03:00", "t"))
        leases.give_back(ledger, "op", "L1", parse_instant("2026-04-01T00:00:00+03:00", "t"))
    draft = cardkeeper("invoice", "draft", "atlas", "--period", "2026-03")
    assert (draft["total"], draft["invoice"]) == ("558.000", None)
    made = cardkeeper("invoice", "issue", "atlas", "--period", "2026-03")
    assert (made["total"], made["digest"]) == ("558.000", draft["digest"])
    assert [i["invoice"] for i in cardkeeper("invoice", "list")] == [made["invoice"]]
    out = {}
    for kind in ("pdf", "html", "json", "focus"):
        path = tmp_path / f"invoice.{kind}"
        cardkeeper("invoice", "export", made["invoice"], "-o", str(path), "--kind", kind, "--issuer", "Gulf Compute")
        out[kind] = path.read_bytes()
    assert out["pdf"].startswith(b"%PDF")
    assert "أطلس للطقس" in out["html"].decode()
    assert json.loads(out["json"]) == made
    rows = list(csv.DictReader(io.StringIO(out["focus"].decode())))
    assert sum(Decimal(r["BilledCost"]) for r in rows) == Decimal("558")
    assert {r["BillingCurrency"] for r in rows} == {"KWD"}
    assert rows[0]["PricingQuantity"] == "744.0"
    assert rows[0]["BillingPeriodStart"] == "2026-02-28T21:00:00Z"
    assert "there is no invoice" in cardkeeper("invoice", "export", "none", "-o", str(tmp_path / "x"), code=1)
    assert cardkeeper("ledger", "verify")["invoices"] == 1


def test_what_if_reads_a_document_and_keeps_nothing(cardkeeper, file):
    usage = {
        "id": "1",
        "lease": "a",
        "card": "g",
        "from": "2026-03-01T00:00:00+01:00",
        "to": "2026-04-01T00:00:00+02:00",
    }
    document = {
        "tenant": {"id": "t", "tz": "Europe/Berlin", "currency": "EUR"}, "period": "2026-03",
        "plan": {"kind": "payg", "price_per_card_hour": "0.1", "granularity_s": 1, "minimum_s": 0}, "usage": [usage, usage],
    }  # fmt: skip
    assert cardkeeper("ledger", "what-if", file(document))["total"] == "74.30"
    for wrong, words in (("{", "not JSON"), ({"period": "2026-03"}, "tenant is missing")):
        assert words in cardkeeper("ledger", "what-if", file(wrong), code=1)
    assert "Traceback" not in cardkeeper("ledger", "what-if", "/no/such/file", code=1)
