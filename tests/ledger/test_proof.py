"""What a recording says of leased cards: gaps and outages, each noted once; a gap costs nobody anything; idle in money."""

import itertools

import numpy as np
import pytest

from console import proof
from console.fleet.model import NodeEvent
from console.fleet.state import ReadingState
from console.ledger import invoices, leases, meter, pool, tenants
from console.ledger.store import Ledger
from console.usage import statement
from tests.history.fleet_of import FAST, T0, Taped
from tests.ledger.conftest import MODEL, Clock

MINUTE = 60_000_000
STEP_S = 10.0
BEGIN = int(T0 // 60 * 60 + 60) * 1_000_000
"""The first whole minute of the recording; the lease begins then."""

LOST, BACK = "card_lost", "card_back"


class Recording(Taped):
    """A node of two cards, read every ten seconds by the real recorder; `load` is their utilisation."""

    load = 97.0
    lost = False

    def values(self):
        made = super().values()
        made[:, FAST.index("utilization_gpu")] = self.load
        return made

    def until(self, minute):
        """Be read until so many minutes after the lease began."""
        while self.now < BEGIN / 1e6 + 60.0 * minute:
            self.now += STEP_S - 1.0
            quality = np.full((2, len(FAST)), int(ReadingState.FRESH), dtype=np.uint8)
            if self.lost:
                quality[0] = int(ReadingState.LOST)
            self.second({"n0": quality})
            self.flush()

    def silent(self, minute):
        """Be read by nobody until then."""
        self.now = BEGIN / 1e6 + 60.0 * minute

    def happens(self, kind, text):
        self.recorder.happened(NodeEvent("n0", "GPU-n0-0", self.now, self.now, kind, None, "agent", text))


@pytest.fixture
def shop(tmp_path):
    clock, tape = Clock(BEGIN), Recording(tmp_path)
    with Ledger(tmp_path, wall_ns=clock) as ledger:
        pool.add_sku(ledger, "op", "h100", "NVIDIA", "Hopper", MODEL, 81_559)
        pool.bind(ledger, "op", [pool.Seen(u, MODEL, "n0", "riyadh") for u in tape.uuids("n0")], BEGIN - MINUTE)
        tenants.add(ledger, "op", "atlas", "Atlas Weather", "UTC", "USD")
        tenants.add_plan(ledger, "op", "hourly", {"kind": "payg", "currency": "USD", "price_per_card_hour": "60"})
        one = leases.request(ledger, "op", "atlas", "hourly", "h100", 2, BEGIN, name="L1")
        leases.activate(ledger, "op", one.id, tape.uuids("n0"), BEGIN)
        yield tmp_path, ledger, clock, tape
    tape.recorder.close()


def take(shop, minute):
    folder, ledger, clock, tape = shop
    tape.recorder.flush()
    clock.us = BEGIN + minute * MINUTE
    return proof.take(folder, ledger, BEGIN)


def outages(ledger):
    return ledger.rows("SELECT * FROM meter WHERE kind='outage' ORDER BY seq")


def test_a_gap_is_noted_once_and_billed_all_the_same(shop):
    _, ledger, clock, tape = shop
    tape.until(10)
    tape.silent(13)
    tape.until(20)
    tape.silent(40)
    tape.until(50)
    found = take(shop, 50)
    assert (found["gaps"], found["outages"]) == (2, 0), "three minutes are none; twenty are one a card"
    assert take(shop, 50)["recorded"] == 0
    gaps = ledger.rows("SELECT from_us,to_us FROM meter WHERE kind='gap'")
    assert all(19 * MINUTE <= g["to_us"] - g["from_us"] <= 20 * MINUTE for g in gaps)
    assert invoices.draft(ledger, "atlas", "2026-01").lines == ()
    meter.tick(ledger)
    (line,) = invoices.draft(ledger, "atlas", "2026-01").lines
    assert line.quantity == 2 * (clock.us - BEGIN)


def test_a_lost_card_is_the_providers_outage_until_it_is_back(shop):
    _, ledger, _, tape = shop
    tape.until(10)
    tape.happens(LOST, "GPU is lost")
    begun, tape.lost = tape.now, True
    tape.until(30)
    tape.happens(BACK, "the driver knows the card again")
    ended, tape.lost = tape.now, False
    tape.until(50)
    found = take(shop, 50)
    assert (found["outages"], found["gaps"]) == (1, 0)
    (row,) = outages(ledger)
    assert (row["cause"], row["evidence"], row["card_uuid"]) == ("provider", "telemetry", "GPU-n0-0")
    assert "GPU is lost" in row["note"]
    assert abs(row["from_us"] / 1e6 - begun) < 3.0, "the recorder corrects the node's clock, which is two seconds off"
    assert abs(row["to_us"] / 1e6 - ended) <= 60.0
    meter.tick(ledger)
    (line,) = invoices.draft(ledger, "atlas", "2026-01").lines
    assert line.quantity == pytest.approx(2 * 50 * MINUTE - (row["to_us"] - row["from_us"]), abs=1_000_000)


def test_a_lost_card_that_is_read_again_is_back_though_nobody_says_so(shop):
    _, ledger, _, tape = shop
    tape.until(10)
    tape.happens(LOST, "gone from the inventory")
    tape.until(50)
    take(shop, 50)
    (row,) = outages(ledger)
    assert row["to_us"] - row["from_us"] <= MINUTE


def test_an_outage_that_goes_on_is_recorded_piece_by_piece(shop):
    _, ledger, _, tape = shop
    tape.until(10)
    tape.happens(LOST, "lost")
    tape.lost = True
    for minute in (20, 30, 40):
        tape.until(minute)
        take(shop, minute)
    rows = outages(ledger)
    assert len(rows) == 3
    assert all(a["to_us"] == b["from_us"] for a, b in itertools.pairwise(rows))
    assert rows[-1]["to_us"] == BEGIN + 40 * MINUTE - proof.SETTLED_US


def test_a_statement_tells_idle_time_and_what_was_not_seen(shop):
    folder, ledger, clock, tape = shop
    tape.until(40)
    tape.load = 0.4
    tape.until(50)
    tape.silent(100)
    tape.load = 97.0
    tape.until(102)
    tape.recorder.flush()
    clock.us = BEGIN + 100 * MINUTE
    found = statement(folder, ledger, "atlas", "2026-01")
    (lease,) = found["leases"]
    assert float(lease["seen_percent"]) == pytest.approx(50, abs=1.5)
    assert float(lease["idle_percent"]) == pytest.approx(20, abs=2.5)
    # Twenty card-minutes at one a minute.
    assert float(lease["waste"]) == pytest.approx(20, abs=2.1)
    assert found["waste"] == lease["waste"]
    assert "nvmlDeviceGetUtilizationRates" in found["how"]


def test_without_a_record_waste_is_unknown_and_never_nothing(shop):
    folder, ledger, clock, _ = shop
    clock.us = BEGIN + 100 * MINUTE
    (lease,) = statement(folder, ledger, "atlas", "2026-01")["leases"]
    assert (lease["seen_percent"], lease["idle_percent"], lease["waste"]) == ("0", None, None)
