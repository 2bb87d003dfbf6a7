"""Capacity, deliveries, moves and scenarios from the command line."""

import json

import pytest


@pytest.fixture
def shop(cardkeeper, tmp_path):
    """A pool with a lease in each of two regions where there are two, and one who waits."""
    cardkeeper("tenant", "add", "atlas", "--currency", "USD", "--tz", "Asia/Riyadh")
    spec = tmp_path / "plan.json"
    spec.write_text(json.dumps({"kind": "payg", "currency": "USD", "price_per_card_hour": "2"}))
    cardkeeper("plan", "add", "hourly", "--file", str(spec))
    cardkeeper("pool", "bind", "--skus", "--since", "2026-01-01T00:00:00Z")
    return [c for c in cardkeeper("pool", "list") if not c["parent"]]


def test_capacity_says_what_is_left_and_when_it_is_full(cardkeeper, shop):
    sku, region = shop[0]["sku"], shop[0]["region"]
    mine = [c["uuid"] for c in shop if (c["sku"], c["region"]) == (sku, region)]
    cardkeeper("lease", "request", "--tenant", "atlas", "--plan", "hourly", "--sku", sku, "--cards", "2", "--name", "R1",
               "--begin", "+10d", "--end", "+40d")  # fmt: skip
    cardkeeper("lease", "reserve", "R1", *mine[:2])
    supplier = shop[0]["supplier"]
    cardkeeper("delivery", "add", "D1", "--supplier", supplier, "--sku", sku, "--region", region, "--cards", "8", "--due",
               "+20d")  # fmt: skip
    found = cardkeeper("capacity", "--days", "60", "--sku", sku, "--region", region)
    (pool,) = found["pools"]
    assert (pool["rentable"], pool["free"], pool["reserved_to_come"], pool["deliveries"]) == (
        len(mine),
        len(mine),
        2,
        8,
    )
    assert [p["rentable"] for p in pool["ahead"]][::8] == [len(mine), len(mine) + 8]
    assert (pool["full"], pool["balance"]) == (None, "ease")
    assert [(e["lease"], e["cards"]) for e in found["expiries"]] == [("R1", 2)]
    assert found["fragments"]["stranded"] <= found["fragments"]["free"]
    put_off = cardkeeper("delivery", "change", "D1", "--due", "+90d", "--why", "customs")
    assert (put_off["put_off"], put_off["state"]) == (1, "due")
    (pool,) = cardkeeper("capacity", "--days", "60", "--sku", sku, "--region", region)["pools"]
    assert {p["rentable"] for p in pool["ahead"]} == {len(mine)}
    assert "one of --due" in cardkeeper("delivery", "change", "D1", "--why", "x", code=1)
    cardkeeper("delivery", "change", "D1", "--cancelled", "--why", "too dear")
    assert [d["state"] for d in cardkeeper("delivery", "list")] == ["cancelled"]
    waits = str(sum(c["sku"] == sku for c in shop) + 1)
    cardkeeper("lease", "request", "--tenant", "atlas", "--plan", "hourly", "--sku", sku, "--cards", waits, "--name", "W1",
               "--begin", "+15d")  # fmt: skip
    full = [p["full"] for p in cardkeeper("capacity", "--sku", sku)["pools"]]
    assert any(full), "what waits is more than there is"
    assert "--days" in cardkeeper("capacity", "--days", "0", code=1)


def test_scenarios_stand_side_by_side(cardkeeper, shop):
    sku = shop[0]["sku"]
    cardkeeper("lease", "request", "--tenant", "atlas", "--plan", "hourly", "--sku", sku, "--cards", "1", "--name", "R2",
               "--begin", "+1d")  # fmt: skip
    cardkeeper("lease", "reserve", "R2", shop[0]["uuid"])
    made = cardkeeper("compare", "--price-drop", "20", "--leaves", "atlas", "--months", "2")
    assert [s["scenario"] for s in made["scenarios"]] == ["as it is", "price drop", "atlas leaves", "all together"]
    (drop,) = made["scenarios"][1]["totals"]
    assert drop["difference_percent"] == -20
    assert made["scenarios"][2]["totals"] == [] or made["scenarios"][2]["totals"][0]["amount"] == "0.00"
    assert "say what changes" in cardkeeper("compare", code=1)
    assert "SUPPLIER=DAYS" in cardkeeper("compare", "--late", "acme", code=1)


def test_defragment_moves_only_who_may_be_moved(cardkeeper, shop):
    found = cardkeeper("defragment", "--blind")
    assert found["moves"] == []
    assert found["fragments"]["free"] == len(cardkeeper("pool", "list"))
