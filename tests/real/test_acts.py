"""Acting over real OpenSSH: two consoles and one card, and a link that is lost in the middle of a change."""

import fcntl
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from console.app import Config, Console
from console.fleet.metrics import Tier
from console.operate import Operations
from console.operations.journal import OpState, StepState
from console.operations.states import NODE, Admin, Book, Refusal
from tests.real.openssh import why_not
from tests.real.test_openssh import Lab, all_live, wait

RACES = 300 if os.environ.get("CARDKEEPER_LONG") else 10
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]


class Bench(Lab):
    """One node whose card book lies in the account's own folder, and consoles that act on it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "scenario").write_text("cards 2\nprocess 0 0\nprocess 1 0\n")
        self.state = folder / "state"
        self.state.mkdir()
        self.state.chmod(0o777)
        self.desks: list[Operations] = []

    def server(self, name, known=True, extra=()):
        made = super().server(name, known, extra)
        made.stop()
        made.env["XDG_STATE_HOME"] = str(self.state)
        return made.start()

    def desk(self, path: Path, name: str) -> Operations:
        console = Console(Config(fleet=path, data=self.folder / name)).start()
        self.consoles.append(console)
        wait(console, all_live)
        wait(console, lambda live: bool(live.entities) and bool((live.sample_times(Tier.MEDIUM) > 0.0).all()))
        made = Operations(console.live, self.folder / name)
        made.by = f"{name}@ws"
        self.desks.append(made)
        return made

    def book(self) -> dict:
        return json.loads((self.state / "cardkeeper" / "book.json").read_text())

    def close(self) -> None:
        for desk in self.desks:
            desk.close()
        super().close()


@pytest.fixture
def lab(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.close()


def planned(desk, verb, words, **more):
    desk.pause(0.05)
    return desk.plan(desk.asked(verb, "raced", **more), words)


def test_two_consoles_race_for_a_card_and_one_gets_it(lab):
    path = lab.fleet({"gpu01": lab.server("gpu01")})
    desks = {name: lab.desk(path, name) for name in ("amal", "bea")}
    card = desks["amal"].live.entities[0].entity.uuid
    wins = dict.fromkeys(desks, 0)
    for _ in range(RACES):
        plans = {n: planned(d, "assign", [card], tenant=n) for n, d in desks.items()}
        assert all(p.changes for p in plans.values()), [p.refused for p in plans.values()]
        assert not plans["amal"].changes[0].view.book.is_shared
        begin, ends = threading.Barrier(len(desks)), {}

        def race(name, plans=plans, begin=begin, ends=ends):
            begin.wait()
            try:
                ends[name] = desks[name].carry_out(plans[name]).state
            except Refusal as exc:
                ends[name] = str(exc)

        threads = [threading.Thread(target=race, args=(n,)) for n in desks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        won = [n for n, end in ends.items() if end is OpState.DONE]
        assert len(won) == 1, ends
        entry = lab.book()["entries"][card]
        assert entry["assignment"]["tenant"] == won[0]
        wins[won[0]] += 1
        desk = desks[won[0]]
        assert desk.carry_out(planned(desk, "release", [card])).state is OpState.DONE
        assert lab.book()["entries"] == {}
    assert sum(wins.values()) == RACES
    for desk in desks.values():
        heads = {"gpu01": desk.journal.head()}
        assert desk.journal.verify(heads).fault == ""


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_link_lost_in_the_middle_is_ambiguous_until_the_node_was_looked_at(lab, is_applied):
    """The change waits for the book's lock when the link dies; the node's program goes on, or dies with it."""
    server = lab.server("gpu01")
    path = lab.fleet({"gpu01": server})
    desk = lab.desk(path, "amal")
    done = desk.carry_out(planned(desk, "drain", ["gpu01"]))
    desk.carry_out(planned(desk, "undrain", ["gpu01"]))
    assert done.state is OpState.WAITING
    generation = lab.book()["generation"]
    plan = planned(desk, "drain", ["gpu01"])
    with (lab.state / "cardkeeper" / "lock").open("r") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ends = {}
        thread = threading.Thread(target=lambda: ends.update(op=desk.carry_out(plan)))
        thread.start()
        changer = _waiting_for(lab, server)
        for pid in server.sessions():
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            if name.startswith("sshd") or not is_applied:
                os.kill(pid, signal.SIGKILL)
        thread.join(60.0)
        fcntl.flock(lock, fcntl.LOCK_UN)
    op = ends["op"]
    assert op.state is OpState.AMBIGUOUS
    (step,) = desk.journal.steps(op.id)
    assert step.state is StepState.AMBIGUOUS
    end = time.monotonic() + 15.0
    while Path(f"/proc/{changer}").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert (lab.book()["generation"] > generation) == is_applied
    # The server itself lives; the console comes back by its own.
    wait(lab.consoles[0], all_live, 60.0)
    resumed = desk.resume(op)
    assert resumed.state is OpState.WAITING
    entry = desk.read_books(["gpu01"])["gpu01"]
    assert isinstance(entry, Book)
    assert entry.entry(NODE).admin is Admin.DRAINING
    assert len(entry.entry(NODE).holds) == 1, "done once, whoever was asked"
    assert lab.book()["generation"] == generation + 1
    assert desk.journal.verify().fault == ""


def _waiting_for(lab, server):
    """The process on the node that waits for the book's lock."""
    lock = str(lab.state / "cardkeeper" / "lock")
    end = time.monotonic() + 20.0
    while time.monotonic() < end:
        for pid in server.sessions():
            try:
                files = [os.readlink(f) for f in Path(f"/proc/{pid}/fd").iterdir()]
            except OSError:
                continue
            if lock in files:
                return pid
        time.sleep(0.02)
    raise AssertionError("nothing on the node waits for the lock")
