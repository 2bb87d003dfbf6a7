"""A lease that begins and ends from the window, on a demo whose nodes are real agents: the ledger follows what they confirm."""

from PySide6.QtCore import Qt

from console.ledger import leases, meter
from console.ledger.leases import State
from console.ledger.store import Ledger
from tests.ui.test_acts import PATIENCE_MS, book, console, during, planned, window  # noqa: F401 - fixtures


def free_card(window):  # noqa: F811
    """(UUID, place of its node) of a card that nobody uses."""
    live = window.context.live
    for row in live.entities:
        one = row.entity
        memory = live.reading(one.uuid, "memory_used").value
        busy = any(p.uuid == one.uuid for p in live.processes(one.node))
        if not one.parent and not busy and memory is not None and memory < 2 << 30:
            if any(e.entity.parent == one.uuid for e in live.entities):
                continue
            return one.uuid, [n.node.name for n in live.nodes].index(one.node)
    raise AssertionError("the demo has no free card")


def confirm(qtbot, dialog):
    planned(qtbot, dialog)
    qtbot.keyClicks(dialog.word, dialog.word.placeholderText())
    assert dialog.button.isEnabled(), dialog.error.text()
    qtbot.mouseClick(dialog.button, Qt.MouseButton.LeftButton)


def state_of(window, name):  # noqa: F811
    standing = window.context.books.standing
    return next((one.state for one in standing.leases if one.id == name), None) if standing else None


def test_a_lease_begins_and_ends_on_its_node(window, qtbot):  # noqa: F811
    window.go("business")
    page = window.page("business")
    qtbot.waitUntil(lambda: bool(page.calendar.rows) and bool(page.leases.rowCount()), timeout=PATIENCE_MS)
    card, node = free_card(window)
    folder = window.context.console.config.history_folder
    with Ledger(folder) as ledger:
        sku = ledger.one("SELECT sku_id FROM card WHERE uuid=?", (card,))["sku_id"]
        for held in leases.conflicts(ledger, [card], ledger.now_us(), None):
            one = leases.get(ledger, held["lease"])
            end = leases.end_early if one.state is State.RESERVED else None
            if end is not None:
                end(ledger, "op", one.id, State.CANCELLED, "for the test")
            else:
                leases.give_back(ledger, "op", one.id)
        now = ledger.now_us()
        asked = leases.request(ledger, "op", "atlas", "hourly-usd", sku, 1, now + 3_600_000_000, name="L-test")
        leases.reserve(ledger, "op", asked.id, [card])
    window.context.books.look()
    qtbot.waitUntil(lambda: state_of(window, "L-test") is State.RESERVED, timeout=PATIENCE_MS)
    page.refresh()
    page._show_lease("L-test")
    assert page.begin.isEnabled()
    assert not page.give_back.isEnabled()
    window.context.desk.arm()
    during(qtbot, lambda: qtbot.mouseClick(page.begin, Qt.MouseButton.LeftButton), lambda d: confirm(qtbot, d))
    qtbot.waitUntil(lambda: state_of(window, "L-test") is State.ACTIVE, timeout=PATIENCE_MS)
    assert book(qtbot, window, node).entry(card).assignment.tenant == "atlas"
    page.refresh()
    page._show_lease("L-test")
    assert page.give_back.isEnabled()
    during(qtbot, lambda: qtbot.mouseClick(page.give_back, Qt.MouseButton.LeftButton), lambda d: confirm(qtbot, d))
    qtbot.waitUntil(lambda: state_of(window, "L-test") is State.RETURNED, timeout=PATIENCE_MS)
    assert book(qtbot, window, node).entry(card).assignment is None
    with Ledger(folder) as ledger:
        rows = ledger.rows("SELECT from_us,to_us FROM meter WHERE lease_id='L-test'")
        events = {
            e["state"]: e["at_us"] for e in ledger.rows("SELECT state,at_us FROM lease_event WHERE lease_id='L-test'")
        }
        assert [(r["from_us"], r["to_us"]) for r in rows] == [(events["active"], events["returned"])]
        assert meter.verify(ledger)[1] is None
