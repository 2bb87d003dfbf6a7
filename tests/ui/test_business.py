"""The business in the window: the calendar is dragged over, what is held refuses, money is shown and traced to its lines."""

import time

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox

from console.ledger import invoices, leases, meter, pool, tenants
from console.ledger.leases import State
from console.ledger.meter import Event
from console.ledger.store import Ledger
from console.ledger.times import period_of, shifted, span_of
from console.ui.business import tables
from console.ui.business.calendar import DAY_US, Span
from console.ui.business.lines import LinesTable
from tests.ui.test_acts import during
from tests.ui.test_alarms import WatchingConsole, make, tick  # noqa: F401 - a fixture

MODEL = "NVIDIA H100 80GB HBM3"
HOUR = 3_600_000_000


@pytest.fixture
def shop(tmp_path, live_fleet):
    """A ledger over the test fleet: a lease since the month before last, invoiced for both months."""
    uuids = [e.entity.uuid for e in live_fleet.live.entities]
    with Ledger(tmp_path) as ledger:
        now = ledger.now_us()
        month = shifted(period_of(now, "UTC"), -2)
        begin = span_of(month, "UTC")[0]
        pool.add_sku(ledger, "op", "h100", "NVIDIA", "Hopper", MODEL, 81_559)
        pool.bind(ledger, "op", [pool.Seen(u, MODEL, e.entity.node, "r1") for u, e in
                                 zip(uuids, live_fleet.live.entities, strict=True)], begin)  # fmt: skip
        tenants.add(ledger, "op", "atlas", "Atlas <b>Weather</b>", "UTC", "USD", "weather")
        tenants.add(ledger, "op", "berlin", "", "Europe/Berlin", "USD")
        tenants.add_plan(ledger, "op", "hourly", {"kind": "payg", "currency": "USD", "price_per_card_hour": "2"}, begin)
        one = leases.request(ledger, "op", "atlas", "hourly", "h100", 2, begin, name="L1")
        leases.activate(ledger, "op", one.id, uuids[:2], begin)
        for period in (month, shifted(month, 1)):
            invoices.issue(ledger, "op", "atlas", period)
    return tmp_path, uuids


@pytest.fixture
def page(shop, make, qtbot):  # noqa: F811
    window = make()
    window.go("business")
    found = window.page("business")
    qtbot.waitUntil(lambda: settled(window) and bool(found.calendar.rows), timeout=10_000)
    found.window_of = window
    return found


def settled(window):
    tick(window)
    return window.context.books.standing is not None


def cells(table):
    return [[table.item(r, c).text() for c in range(table.columnCount())] for r in range(table.rowCount())]


def drag(page, first, last, begin, end, release=True):
    calendar = page.calendar
    at = QPoint(calendar.x_of(begin), calendar.y_of(first) + 10)
    to = QPoint(calendar.x_of(end), calendar.y_of(last) + 10)
    QTest.mousePress(calendar.viewport(), Qt.MouseButton.LeftButton, pos=at)
    for step in range(1, 5):
        QTest.mouseMove(calendar.viewport(), at + (to - at) * step / 4)
    QTest.mouseMove(calendar.viewport(), to)
    if release:
        QTest.mouseRelease(calendar.viewport(), Qt.MouseButton.LeftButton, pos=to)


def test_the_figures_of_the_day_and_every_view(page, shop):
    values = [value.text() for _, value in page._tiles.values()]
    assert values[:4] == ["16", "2", "14", "0"]
    assert values[4].endswith(" USD")
    assert values[5] == "unknown", "nothing was recorded, so waste is not known"
    (first, second) = cells(page.tenants)
    assert (first[0], first[1], first[3]) == ("atlas", "Atlas <b>Weather</b>", "2")
    assert float(first[6]) >= float(first[5]) > 0.0
    assert second[5:7] == ["0.00", "0.00"]
    assert cells(page.pool) == [["h100", "r1", "16", "2", "14"]]
    assert [r[:3] for r in cells(page.usage)] == [["L1", "atlas", "h100"]]
    assert [r[0] for r in cells(page.leases)] == ["L1"]
    assert len(cells(page.cards)) == 2
    assert cells(page.cards)[0][2].endswith("%")


def test_free_time_is_dragged_over_and_reserved(page, qtbot):
    window, calendar = page.window_of, page.calendar
    begin = calendar._now + 3 * DAY_US
    words = []
    calendar.pointed.connect(words.append)

    def choose(dialog):
        dialog.who.setCurrentText("berlin")
        qtbot.mouseClick(dialog.button, Qt.MouseButton.LeftButton)

    during(qtbot, lambda: drag(page, 4, 6, begin, begin + 5 * DAY_US), choose)
    assert any(w.startswith("3 cards, ") for w in words)
    qtbot.waitUntil(lambda: settled(window) and len(cells(page.leases)) == 2, timeout=10_000)
    made = cells(page.leases)[0]
    assert made[1:5] == ["berlin", "reserved", "3", "h100"]
    assert sum(bool(r.bars) for r in calendar.rows) == 5
    page.leases.selectRow(0)
    assert page.cancel.isEnabled()

    def yes(box):
        assert isinstance(box, QMessageBox)
        button = next(b for b in box.buttons() if b.text().startswith("Cancel the"))
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    during(qtbot, lambda: qtbot.mouseClick(page.cancel, Qt.MouseButton.LeftButton), yes)
    qtbot.waitUntil(lambda: settled(window) and cells(page.leases)[0][2] == "cancelled", timeout=10_000)
    assert sum(bool(r.bars) for r in calendar.rows) == 2


def test_what_is_held_refuses_while_it_is_dragged_over(page, qtbot):
    calendar = page.calendar
    held = next(i for i, r in enumerate(calendar.rows) if r.bars)
    assert held == 0
    words = []
    calendar.pointed.connect(words.append)
    begin = calendar._now + DAY_US
    drag(page, 3, 1, begin, begin + DAY_US, release=False)
    assert "Refused: held by L1 of atlas" in words[-1]
    assert calendar.conflict(Span(1, 3, begin, begin + DAY_US)).lease == "L1"
    QTest.mouseRelease(calendar.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(calendar.x_of(begin + DAY_US), 60))
    assert QApplication.activeModalWidget() is None
    assert len(cells(page.leases)) == 1


def test_a_click_on_a_bar_shows_its_lease(page):
    calendar = page.calendar
    QTest.mouseClick(
        calendar.viewport(),
        Qt.MouseButton.LeftButton,
        pos=QPoint(calendar.x_of(calendar._now) + 20, calendar.y_of(0) + 8),
    )
    assert page.chosen_lease().id == "L1"
    assert calendar.lease == "L1"
    assert not page.cancel.isEnabled(), "a lease that began is returned, not cancelled"


def test_what_another_console_took_meanwhile_is_refused_in_words(page, shop, qtbot, monkeypatch):
    folder, _ = shop
    window, calendar = page.window_of, page.calendar
    begin = calendar._now + 3 * DAY_US
    told = []
    monkeypatch.setattr("console.ui.window.tell", lambda _parent, title, text, more="": told.append(text))

    def choose(dialog):
        with Ledger(folder) as ledger:
            other = leases.request(ledger, "other", "berlin", "hourly", "h100", 1, begin, name="L9")
            leases.reserve(ledger, "other", other.id, [calendar.rows[4].uuid])
        qtbot.mouseClick(dialog.button, Qt.MouseButton.LeftButton)

    during(qtbot, lambda: drag(page, 4, 4, begin, begin + DAY_US), choose)
    qtbot.waitUntil(lambda: settled(window) and bool(told), timeout=10_000)
    assert "is held by lease L9" in told[0]

    def reserved():
        settled(window)
        return [one.state for one in window.context.books.standing.leases].count(State.RESERVED)

    qtbot.waitUntil(lambda: reserved() == 1, timeout=10_000)


def test_an_invoice_shows_its_lines(page, qtbot):
    page.show_view("invoices")
    page.invoices.selectRow(0)
    qtbot.waitUntil(lambda: settled(page.window_of) and bool(page.lines.texts()), timeout=10_000)
    (line,) = page.lines.texts()
    assert line[:2] == ["Card time", "L1"]
    assert line[5] == cells(page.invoices)[0][3]


def test_looking_records_nothing(page, shop, qtbot):
    folder, _ = shop
    with Ledger(folder) as ledger:
        before = ledger.one("SELECT count(*) AS n FROM meter")["n"]
        page._books.look()
        qtbot.waitUntil(lambda: settled(page.window_of) and page._books._looking is None, timeout=10_000)
        assert ledger.one("SELECT count(*) AS n FROM meter")["n"] == before
        assert meter.verify(ledger)[1] is None


def test_a_fleet_without_a_ledger_says_how_to_begin(make, qtbot):  # noqa: F811
    window = make()
    window.go("business")
    page = window.page("business")

    def told():
        tick(window)
        return "cardkeeper tenant add" in page._head.text()

    qtbot.waitUntil(told, timeout=10_000)
    assert page.leases.rowCount() == 0


def test_ten_thousand_lines_open_soon(qtbot):
    table = LinesTable(tables.titles("lines"), "Lines")
    qtbot.addWidget(table)
    table.resize(900, 500)
    table.show()
    rows = [[f"Card time {i}", f"L{i}", "1", "card-hour", "2", "2.00"] for i in range(10_000)]
    begun = time.perf_counter()
    table.show_rows(rows)
    table.repaint()
    assert time.perf_counter() - begun < 1.0
    assert table.model().rowCount() == 10_000
    assert table.model().index(9_999, 0).data() == "Card time 9999"


def test_outages_show_as_less_revenue_and_never_as_waste(shop):
    folder, uuids = shop
    from console.standing import look

    with Ledger(folder) as ledger:
        now = ledger.now_us()
        meter.append(ledger, [Event("h", "o", "outage", "L1", now - HOUR, now, uuids[0], cause="provider")])
    found = look(folder)
    assert found is not None
    assert found.usage[0].waste is None
