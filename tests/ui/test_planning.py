"""Planning in the window: a request is typed or filled in, candidates are on the rack map, quotes and capacity are read."""

import json

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest

from console.ledger import leases, pool, tenants
from console.ledger.store import Ledger
from console.ui.planning import words
from console.ui.planning.quote import band_text
from tests.ui.test_alarms import WatchingConsole, make, tick  # noqa: F401 - a fixture
from tests.ui.test_business import MODEL, cells

DAY = 86_400_000_000


@pytest.fixture
def shop(tmp_path, live_fleet):
    """A ledger over the test fleet, in two racks, with one lease that may be moved and a tenant who waits."""
    entities = live_fleet.live.entities
    uuids = [e.entity.uuid for e in entities]
    with Ledger(tmp_path) as ledger:
        now = ledger.now_us()
        begin = now - 100 * DAY
        pool.add_sku(ledger, "op", "h100", "NVIDIA", "Hopper", MODEL, 81_559)
        pool.bind(ledger, "op", [pool.Seen(u, MODEL, e.entity.node, "r1", "acme", f"rack-{e.entity.node}") for u, e in
                                 zip(uuids, entities, strict=True)], begin)  # fmt: skip
        tenants.add(ledger, "op", "atlas", "", "UTC", "USD", "weather")
        tenants.add_plan(ledger, "op", "hourly", {"kind": "payg", "currency": "USD", "price_per_card_hour": "2"}, begin)
        one = leases.request(
            ledger, "op", "atlas", "hourly", "h100", 1, begin, now + 20 * DAY, {"movable": True}, name="L1"
        )
        leases.activate(ledger, "op", one.id, uuids[:1], begin)
    return tmp_path, uuids


@pytest.fixture
def page(shop, make, qtbot):  # noqa: F811
    window = make()
    window.go("planning")
    found = window.page("planning")
    found.window_of = window
    qtbot.waitUntil(lambda: until(window, lambda: found.request.found is not None), timeout=10_000)
    return found


def until(window, is_so):
    tick(window)
    return is_so()


def asked(page, qtbot, text):
    """Type a request and wait for its answer."""
    page.request.found = None
    page.request.text.clear()
    QTest.keyClicks(page.request.text, text)
    qtbot.waitUntil(lambda: until(page.window_of, lambda: page.request.found is not None), timeout=10_000)
    return page.request


def test_a_request_is_typed_and_its_candidates_are_seen(page, shop, qtbot):
    uuids = shop[1]
    view = asked(page, qtbot, "4 x h100, one node, for 10 days")
    assert (view.cards.value(), view.days.value(), view.sku.currentData()) == (4, 10, "h100")
    assert view.together.currentData() == "node"
    rows = cells(view.candidates)
    assert [r[0] for r in rows] == ["1", "2"]
    chosen = [s for s in view.map.squares() if s.state == "chosen"]
    assert len(chosen) == 4
    assert {s.node for s in chosen} == {rows[0][1]}
    held = [s for s in view.map.squares() if s.state == "held"]
    assert [s.uuid for s in held] == [uuids[0]]
    assert held[0].why == "lease: L1 of atlas"
    view.candidates.selectRow(1)
    again = {s.node for s in view.map.squares() if s.state == "chosen"}
    assert again == {rows[1][1]}
    square = next(s for s in view.map.squares() if s.node == rows[0][1])
    QTest.mouseClick(view.map.viewport(), Qt.MouseButton.LeftButton, pos=square.box.center())
    assert view.candidates.currentRow() == 0, "a click on a node chooses its candidate"


def test_the_fields_write_the_request_and_keep_what_they_do_not_know(page, qtbot):
    view = asked(page, qtbot, "2 x h100, 80 GB, driver >= 500, for 5 days")
    view.cards.setValue(3)
    view.region.setCurrentIndex(view.region.findData("r1"))
    view.tenant.setCurrentIndex(view.tenant.findData("atlas"))
    assert view.text.text() == "3 x h100, in r1, 80 GB, driver >= 500, for 5 days, tenant atlas"
    view.days.setValue(0)
    assert view.text.text() == "3 x h100, in r1, 80 GB, driver >= 500, tenant atlas"


def test_the_best_candidate_is_reserved_and_another_only_with_a_reason(page, shop, qtbot):
    view = asked(page, qtbot, "1 x h100, for 10 days")
    assert not view.reserve.isEnabled(), "nobody to reserve it for"
    view = asked(page, qtbot, "1 x h100, for 10 days, tenant atlas, plan hourly")
    assert view.reserve.isEnabled()
    assert not view.why.isVisible()
    view.candidates.selectRow(1)
    assert view.why.isVisible()
    assert not view.reserve.isEnabled()
    QTest.keyClicks(view.why, "beside their other card")
    taken = list(view.candidate()["cards"])
    qtbot.mouseClick(view.reserve, Qt.MouseButton.LeftButton)

    def is_reserved():
        with Ledger(shop[0]) as ledger:
            return [r.held for r in leases.listing(ledger) if r.state == "reserved"] == [tuple(taken)]

    qtbot.waitUntil(lambda: until(page.window_of, is_reserved), timeout=10_000)
    with Ledger(shop[0]) as ledger:
        note = json.loads(ledger.rows("SELECT body FROM audit WHERE what='placement overridden'")[-1]["body"])
    assert note["reason"] == "beside their other card"
    qtbot.waitUntil(
        lambda: until(
            page.window_of, lambda: any(s.state == "held" and s.uuid == taken[0] for s in view.map.squares())
        ),
        timeout=10_000,
    )


def test_where_nothing_fits_it_says_what_helps_and_bad_text_says_why(page, qtbot):
    view = asked(page, qtbot, "64 x h100, one node")
    assert cells(view.candidates) == []
    assert "Nothing fits" in view.head.text()
    assert any(line.startswith("cards: ") for line in view.notes.texts)
    view.text.setText("8 x h100, quickly!")
    assert "is not understood" in view.head.text()
    assert view.text.property("bad") is True


def test_a_quote_follows_its_sliders_is_kept_and_saved(page, shop, qtbot, tmp_path):
    page.show_view("quote")
    view = page.quote

    def shows(total):
        return lambda: until(page.window_of, lambda: view.found is not None and view.found["total"] == total)

    view.price.setText("6.95")
    view.currency.setText("cny")
    qtbot.waitUntil(shows("2001600.00"), timeout=10_000)
    assert view.total.text().replace("\u202f", " ").replace("\u2009", " ") == "2 001 600.00 CNY"
    assert [name for name, _, _ in view.bars.rows] == ["low", "likely", "high"]
    low, likely, high = (value for _, value, _ in view.bars.rows)
    assert low < likely == 2001600.0 < high
    view.sliders["cards"].setValue(100)
    qtbot.waitUntil(shows("1000800.00"), timeout=10_000)
    view.plan.setCurrentIndex(view.plan.findData("hourly"))
    view.tenant.setCurrentIndex(view.tenant.findData("atlas"))
    qtbot.waitUntil(shows("288000.00"), timeout=10_000)
    assert not view.price.isEnabled()
    qtbot.mouseClick(view.keep, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: until(page.window_of, lambda: view.kept.rowCount() == 1), timeout=10_000)
    assert cells(view.kept)[0][1:5] == ["atlas", "–", "288000.00", "USD"]
    path = tmp_path / "quote.pdf"
    view.save_to(cells(view.kept)[0][0], path)
    qtbot.waitUntil(lambda: until(page.window_of, path.exists), timeout=20_000)
    assert path.read_bytes().startswith(b"%PDF")
    view.deposit.setText("x")
    qtbot.waitUntil(lambda: until(page.window_of, lambda: "not a number" in view.total.text()), timeout=10_000)
    assert not view.keep.isEnabled()


def test_renting_is_held_beside_owning(page, qtbot):
    page.show_view("quote")
    own = page.quote.own
    qtbot.waitUntil(
        lambda: until(page.window_of, lambda: "Owning is cheaper above" in own.answer.text()), timeout=10_000
    )
    own.fields["capex"].setText("900000")
    qtbot.waitUntil(lambda: until(page.window_of, lambda: "never cheaper" in own.answer.text()), timeout=10_000)
    own.fields["life_months"].setText("soon")
    qtbot.waitUntil(lambda: until(page.window_of, lambda: "whole number" in own.answer.text()), timeout=10_000)


def test_capacity_shows_pools_contracts_and_what_earns_nothing(page, shop, qtbot):
    page.show_view("capacity")
    view = page.capacity
    qtbot.waitUntil(lambda: until(page.window_of, lambda: view.found is not None), timeout=20_000)
    (row,) = cells(view.pools)
    assert row[:4] == ["h100", "r1", "16", "1"]
    assert row[5] == "15"
    assert view.test.text().startswith("h100 r1. Forecast: ")
    assert "Back-test" in view.test.text()
    assert sum(len(v) for v in view.wall._leases.values()) == 1
    names = [title.text() for title, _ in view._tiles]
    assert names[0] == "Rentable"
    assert view._tiles[0][1].text() == "16"
    view.wall.grab()
    (box, text), *_ = view.wall._boxes
    QTest.mouseMove(view.wall, box.center())
    assert "L1  atlas  1 × h100" in text


def test_a_move_that_helps_is_offered_as_a_command(shop, make, qtbot, live_fleet):  # noqa: F811
    folder, uuids = shop
    by_node = {}
    for e in live_fleet.live.entities:
        by_node.setdefault(e.entity.node, []).append(e.entity.uuid)
    first = next(n for n, cards in by_node.items() if uuids[0] in cards)
    other = next(n for n in by_node if n != first)
    with Ledger(folder) as ledger:
        now = ledger.now_us()
        full = by_node[other][: len(by_node[other]) - 1]
        big = leases.request(ledger, "op", "atlas", "hourly", "h100", len(full), now - DAY, now + 30 * DAY, name="BIG")
        leases.activate(ledger, "op", big.id, full, now - DAY)
        whole = len(by_node[first])
        leases.request(ledger, "op", "atlas", "hourly", "h100", whole, now + DAY, now + 60 * DAY, name="WAITS")
    window = make()
    window.go("planning", "capacity")
    view = window.page("planning").capacity
    qtbot.waitUntil(lambda: until(window, lambda: bool(view.moves)), timeout=20_000)
    (row,) = cells(view.moving)
    assert row[:5] == ["L1", "atlas", first, other, "1"]
    assert row[5].startswith(f"+1 of {whole} × h100") or f"+1 of {whole} × h100" in row[5]
    qtbot.mouseClick(view.copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text().startswith("cardkeeper lease move L1 ")


def test_scenarios_stand_side_by_side(page, qtbot):
    page.show_view("scenarios")
    view = page.scenarios
    view.tenant.setCurrentIndex(view.tenant.findData("atlas"))
    qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: until(page.window_of, lambda: view.found is not None), timeout=20_000)
    assert [r[0] for r in cells(view.table)] == ["as it is", "price drop", "atlas leaves", "all together"]
    assert view.plot.isVisible()
    view.drop.setValue(0)
    view.tenant.setCurrentIndex(0)
    qtbot.mouseClick(view.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: until(page.window_of, lambda: "say what changes" in view.head.text()), timeout=20_000)


def test_a_fleet_without_a_ledger_says_how_to_begin(make, qtbot):  # noqa: F811
    window = make()
    QTest.keyClick(window, Qt.Key.Key_F9)
    window.go("planning")
    page = window.page("planning")
    qtbot.waitUntil(lambda: until(window, lambda: "No ledger was begun" in page._head.text()), timeout=10_000)


def test_words():
    assert words.class_text("8 x h100@riyadh|h100@johor") == "8 × h100  2 regions"
    assert words.class_text("1 x a100@riyadh|h100@riyadh") == "1 × a100 | h100  riyadh"
    assert words.money("-1234567.50").replace("\u202f", " ").replace("\u2009", " ") == "-1 234 567.50"
    assert words.money("12") == "12"
    assert (words.count(4.0), words.count(4.52)) == ("4", "4.5")
    assert band_text("efficiency", 41) == "38.0/41.0/43.0"
    assert band_text("overhead", 0) == "0.0/0.0/0.0"
    assert band_text("overhead", 60) == "18.0/60.0/95.0"


def test_a_pointer_on_the_map_tells_why(page, qtbot):
    view = asked(page, qtbot, "1 x h100")
    said = []
    page.window_of.context.pointed.connect(said.append)
    held = next(s for s in view.map.squares() if s.state == "held")
    QTest.mouseMove(view.map.viewport(), held.box.center() - QPoint(0, view.map.verticalScrollBar().value()))
    qtbot.waitUntil(lambda: any("lease: L1 of atlas" in text for text in said), timeout=5_000)
