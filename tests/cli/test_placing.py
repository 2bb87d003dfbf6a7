"""Placement from the command line, over a running demo with troubles in it."""

import json
from collections import Counter

import pytest


@pytest.fixture
def file(tmp_path):
    def write(value):
        path = tmp_path / "document.json"
        path.write_text(json.dumps(value))
        return str(path)

    return write


@pytest.fixture
def shop(cardkeeper, file):
    """A tenant, a plan, the demo's cards in the pool, and what lies between its regions."""
    cardkeeper("tenant", "add", "atlas", "--currency", "USD", "--tz", "Asia/Riyadh", "--title", "Atlas Weather")
    cardkeeper(
        "plan", "add", "hourly", "--file", file({"kind": "payg", "currency": "USD", "price_per_card_hour": "2.35"})
    )
    cardkeeper("pool", "bind", "--skus", "--since", "2026-01-01T00:00:00Z")
    return {c["uuid"]: c for c in cardkeeper("pool", "list") if not c["parent"]}


def usual(shop):
    """The SKU that there is most of, by name and count on its fullest node."""
    sku, _ = Counter(c["sku"] for c in shop.values()).most_common(1)[0]
    return sku, max(Counter(c["node"] for c in shop.values() if c["sku"] == sku).values())


def test_what_is_sick_is_no_candidate_and_says_why(cardkeeper, shop):
    findings = cardkeeper("findings")
    sick = {f["card"] for f in findings if f["card"] in shop and f["severity"] <= 2}
    bad = {f["node"] for f in findings if not f["card"] and f["severity"] <= 2}
    assert sick or bad, "the demo has troubles by now"
    found = cardkeeper("place", "1 x any", "--refused", "--limit", "200")
    assert found["refused"]["health"] >= len(sick)
    offered = {u for c in found["candidates"] for u in c["cards"]}
    assert offered
    assert not offered & sick
    assert not {n["node"] for c in found["candidates"] for n in c["nodes"]} & bad
    whys = {r["card"]: r["why"] for r in found["refused_cards"]}
    assert all(whys[u].startswith("health: ") for u in sick), whys
    blind = cardkeeper("place", "1 x any", "--blind", "--limit", "200")
    assert "health" not in blind["refused"]


def test_a_request_is_placed_reserved_and_no_longer_offered(cardkeeper, shop):
    sku, most = usual(shop)
    text = f"{most} x {sku}, one node, for 60 days"
    found = cardkeeper("place", text, "--blind")
    best = found["candidates"][0]
    assert best["nodes"] == [{"node": shop[best["cards"][0]]["node"], "cards": most}]
    assert (best["rank"], best["sku"], best["left_on_nodes"]) == (1, sku, 0)
    assert "name the tenant and the plan" in cardkeeper("place", "reserve", text, "--blind", code=1)
    assert best["costs"] is None
    assert (found["free"], best["scattered_after"]) == (len(cardkeeper("pool", "list")), None), (
        "nobody asked for anything yet"
    )
    cardkeeper("tenant", "add", "helix", "--currency", "EUR", "--tz", "Europe/Berlin")
    assert "pays in EUR" in cardkeeper("place", f"{text}, tenant helix, plan hourly", "--blind", code=1)
    whole = f"{text}, tenant atlas, plan hourly"
    costs = cardkeeper("place", whole, "--blind")["candidates"][0]["costs"]
    assert (costs["total"], costs["currency"]) == (f"{most * 60 * 24 * 2.35:.2f}", "USD")
    made = cardkeeper("place", "reserve", whole, "--blind", "--name", "L1")
    shown = cardkeeper("lease", "show", made["lease"])
    assert (shown["lease"], shown["state"], sorted(shown["held"])) == ("L1", "reserved", sorted(best["cards"]))
    again = cardkeeper("place", text, "--blind", "--refused")
    assert not {u for c in again["candidates"] for u in c["cards"]} & set(best["cards"])
    assert again["refused"]["lease"] == most
    assert again["free"] == found["free"] - most
    assert again["scattered"] is not None
    whys = {r["card"]: r["why"] for r in again["refused_cards"]}
    assert whys[best["cards"][0]] == "lease: L1 of atlas"


def test_another_choice_than_the_best_needs_a_reason_that_is_kept(cardkeeper, shop):
    sku, _ = usual(shop)
    text = f"1 x {sku}, for 7 days, tenant atlas, plan hourly"
    found = cardkeeper("place", text, "--blind")
    other = found["candidates"][1]["cards"][0]
    assert "--why" in cardkeeper("place", "reserve", text, "--blind", "--candidate", "2", code=1)
    assert "--why" in cardkeeper("place", "reserve", text, "--blind", "--cards", other, code=1)
    made = cardkeeper("place", "reserve", text, "--blind", "--candidate", "2", "--why", "near their other cards")
    assert cardkeeper("lease", "show", made["lease"])["held"] == [other]
    kept = cardkeeper("ledger", "audit", "--what", "placement overridden")
    assert kept[-1]["body"]["reason"] == "near their other cards"
    assert kept[-1]["body"]["best"]["cards"] == found["candidates"][0]["cards"]
    assert "there is no candidate 999" in cardkeeper(
        "place", "reserve", text, "--blind", "--candidate", "999", "--why", "x", code=1
    )


def test_where_nothing_fits_it_says_what_would_help(cardkeeper, shop):
    sku, most = usual(shop)
    regions = sorted({c["region"] for c in shop.values()})
    found = cardkeeper("place", f"{most + 1} x {sku}, one node", "--blind")
    assert found["candidates"] == []
    assert found["misses"]
    assert any(m["relax"].startswith("cards: ") and m["cards"] == most for m in found["misses"])
    assert "there is no region" in cardkeeper("place", f"1 x {sku}, in atlantis", "--blind", code=1)
    assert "is not understood" in cardkeeper("place", f"1 x {sku}, quickly!", "--blind", code=1)
    abroad = cardkeeper("place", f"1 x {sku}, data in SA", "--blind")
    assert abroad["candidates"] == []
    assert abroad["refused"]["residency"]
    home = next(c["region"] for c in shop.values() if c["sku"] == sku)
    placed = cardkeeper("region", "place", home, "--country", "sa", "--power", "0.05", "--currency", "USD")
    assert (placed["country"], placed["power_nano_per_kwh"]) == ("SA", 50_000_000)
    known = cardkeeper("place", f"1 x {sku}, data in SA", "--blind")["candidates"]
    assert {c["region"] for c in known} == {home}
    assert known[0]["power_per_kwh"] == "0.05"
    if len(regions) > 1:
        away = next(r for r in regions if r != home)
        cardkeeper("region", "link", home, away, "--rtt-ms", "62", "--mbit-s", "10000")
        near = cardkeeper("place", f"1 x {sku}, {away} or within 70 ms of it", "--blind")
        assert home in {c["region"] for c in near["candidates"]}
        cardkeeper("region", "link", home, away, "--rtt-ms", "62", "--mbit-s", "10000", "--egress", "0.02")
        (linked, *_) = cardkeeper("place", f"1 x {sku}, in {home}, {away} or within 70 ms of it", "--blind")[
            "candidates"
        ]
        assert (linked["rtt_ms"], linked["mbit_s"], linked["egress_per_gib"]) == (62, 10000, "0.02")
        far = cardkeeper("place", f"1 x {sku}, {away} or within 20 ms of it", "--blind")
        assert home not in {c["region"] for c in far["candidates"]}
