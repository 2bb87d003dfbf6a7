"""A lease that is moved on real agents, over a demo with cards to spare."""

import contextlib
import json

from tests.cli.test_acts import free


def test_a_lease_is_moved_to_another_card_and_its_clock_goes_on(cardkeeper, cards, tmp_path):
    cardkeeper("tenant", "add", "atlas", "--currency", "USD", "--tz", "Asia/Riyadh")
    spec = tmp_path / "plan.json"
    spec.write_text(json.dumps({"kind": "payg", "currency": "USD", "price_per_card_hour": "2.35"}))
    cardkeeper("plan", "add", "hourly", "--file", str(spec))
    cardkeeper("pool", "bind", "--skus", "--since", "2026-01-01T00:00:00Z")
    shop = {c["uuid"]: c for c in cardkeeper("pool", "list")}
    alike = {}
    well = {n["node"] for n in cardkeeper("nodes") if n["mode"] == "nvml"}
    for card in (c for c in cards if c["uuid"] in shop and c["node"] in well):
        with contextlib.suppress(AssertionError):
            alike.setdefault(shop[card["uuid"]]["sku"], []).append(free([card]))
    sku, (old, *others) = max(alike.items(), key=lambda kind: len(kind[1]))
    cardkeeper(
        "lease", "request", "--tenant", "atlas", "--plan", "hourly", "--sku", sku, "--cards", "1", "--name", "M1", "--movable"
    )  # fmt: skip
    cardkeeper("lease", "reserve", "M1", old["uuid"])
    cardkeeper("lease", "begin", "M1", "--yes")
    looks = ((c, cardkeeper("lease", "move", "M1", c["uuid"], "--why", "make room", "--plan")) for c in others)
    # Some of the demo's cards are not well, and then they are left out.
    new, look = next((c, found) for c, found in looks if not found["plan"]["refused"])
    assert [t["card"] for t in look["plan"]["targets"]] == [new["uuid"], old["uuid"]]
    assert look["plan"]["blast"]["cards"] == 2
    assert cardkeeper("lease", "show", "M1")["held"] == [old["uuid"]]
    assert "changed since" in cardkeeper(
        "lease", "move", "M1", new["uuid"], "--why", "make room", "--yes", "--digest", "x", code=1
    )
    done = cardkeeper(
        "lease", "move", "M1", new["uuid"], "--why", "make room", "--yes", "--digest", look["plan"]["digest"]
    )
    assert (done["lease"]["held"], done["lease"]["state"]) == ([new["uuid"]], "active")
    for card, holds in ((new, True), (old, False)):
        taken = cardkeeper("holds", "--node", card["node"])
        assert any(h["target"] == card["uuid"] and h.get("tenant") == "atlas" for h in taken) == holds
    cardkeeper("lease", "return", "M1", "--why", "done", "--yes")
    events = {e["state"]: e["at"] for e in cardkeeper("lease", "show", "M1")["events"]}
    rows = sorted((r["from"], r["to"], r["card"]) for r in cardkeeper("meter", "list", "--lease", "M1"))
    assert [r[2] for r in rows] == [old["uuid"], new["uuid"]]
    assert (rows[0][0], rows[1][1]) == (events["active"], events["returned"])
    assert rows[0][1] == rows[1][0], "no gap and no overlap"
