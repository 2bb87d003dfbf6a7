"""Commands done by a server on another machine, through a real OpenSSH server that forwards to its loopback."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.real.openssh import Sshd, ensure_account, free_port, make_key, why_not

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]


def cardkeeper(data, *arguments, token="", code=0):
    environment = dict(os.environ, CARDKEEPER_TOKEN=token)
    done = subprocess.run(
        [sys.executable, "-m", "console", *arguments, "--data", str(data), "--json"], cwd=ROOT, capture_output=True,
        text=True, timeout=120, check=False, env=environment, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout) if code == 0 else done.stderr


@pytest.fixture
def server(tmp_path):
    """(data folder of a desk, its fleet file, token): the API runs on the loopback behind an sshd."""
    data, desk, port = tmp_path / "server", tmp_path / "desk", free_port()
    data.mkdir()
    desk.mkdir()
    user, key = ensure_account(), make_key(tmp_path / "id")
    sshd = Sshd(tmp_path / "sshd")
    sshd.prepare()
    sshd.allow(key.with_suffix(".pub"))
    sshd.start()
    (tmp_path / "known").write_text(sshd.host_line)
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        f'[[node]]\nname = "ops"\nhost = "127.0.0.1"\nport = {sshd.port}\nuser = "{user}"\nidentity = "{key}"\n'
        f'known_hosts = "{tmp_path / "known"}"\n'
    )
    token = cardkeeper(data, "caller", "add", "desk", "--scope", "operator")["token"]
    process = subprocess.Popen(
        [sys.executable, "-m", "console", "serve", "--fleet", str(fleet), "--data", str(data), "--port", str(port)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5):
                break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.2)
    yield desk, fleet, f"ops:{port}", token
    process.terminate()
    assert process.wait(30) == 0
    sshd.stop()


def test_a_desk_works_on_the_servers_ledger(server, tmp_path):
    desk, fleet, at, token = server

    def there(*arguments, code=0, token=token):
        return cardkeeper(desk, *arguments, "--on", at, "--fleet", str(fleet), token=token, code=code)

    there("tenant", "add", "atlas", "--currency", "USD", "--tz", "UTC")
    plan = tmp_path / "plan.json"
    plan.write_text('{"kind": "payg", "currency": "USD", "price_per_card_hour": "2.35"}')
    assert there("plan", "add", "hourly", "--file", str(plan))["price"] == "2.35"
    assert [t["id"] for t in there("tenant", "list")] == ["atlas"]
    assert there("ledger", "verify")["ok"]
    assert not (desk / "ledger.sqlite").exists(), "the desk keeps no ledger of its own"
    for wrong, words in (
        ({"token": "ck_wrong", "code": 1}, "give a token"),
        ({"token": "", "code": 1}, "CARDKEEPER_TOKEN"),
    ):
        assert words in there("tenant", "list", **wrong)
    assert "is not done by a server" in there("history", "stats", code=1)
    assert "there is a tenant atlas already" in there(
        "tenant", "add", "atlas", "--currency", "USD", "--tz", "UTC", code=1
    )


def test_a_port_where_nobody_listens_says_what_to_do(server):
    desk, fleet, _, token = server
    said = cardkeeper(desk, "tenant", "list", "--on", f"ops:{free_port()}", "--fleet", str(fleet), token=token, code=1)
    assert "cannot be reached" in said
    assert "cardkeeper serve" in said


@pytest.fixture
def stocked(server, tmp_path):
    """The server's ledger has a pool, a tenant and a plan."""
    from console.ledger import pool, tenants
    from console.ledger.store import Ledger

    with Ledger(tmp_path / "server") as ledger:
        pool.add_sku(ledger, "op", "h100", "NVIDIA", "Hopper", "H100", 81_559)
        cards = [pool.Seen(f"GPU-{i}", "H100", "gpu00", "riyadh") for i in range(8)]
        pool.bind(ledger, "op", cards, ledger.now_us() - 86_400_000_000)
        tenants.add(ledger, "op", "atlas", "Atlas Weather", "Asia/Riyadh", "USD")
        tenants.add_plan(ledger, "op", "hourly", {"kind": "payg", "currency": "USD", "price_per_card_hour": "2.35"})
    return server


def test_a_window_shows_and_changes_the_servers_business(stocked, qtbot, monkeypatch, tmp_path):
    from console.books import ServersBooks
    from console.ledger.leases import State
    from console.ledger.store import Ledger
    from console.ui.bookkeeper import Bookkeeper

    desk, fleet, at, token = stocked
    monkeypatch.setenv("CARDKEEPER_TOKEN", token)
    keeper = Bookkeeper(lambda: ServersBooks(at, fleet), is_own=False)

    def reads(what):
        keeper.tick(True)
        if keeper.standing is None or keeper._looking is not None:
            return False
        return what(keeper.standing)

    try:
        qtbot.waitUntil(lambda: reads(lambda s: len(s.cards) == 8), timeout=30_000)
        standing = keeper.standing
        assert (standing.tenants[0].name, standing.plans, standing.skus) == (
            "Atlas Weather", ("hourly",), (("h100", "riyadh", 8, 0),),
        )  # fmt: skip
        begin = standing.at + 3_600_000_000
        made, refused = [], []
        ask = ("atlas", "hourly", "h100", ["GPU-1", "GPU-2"], begin, begin + 86_400_000_000)
        keeper.do(lambda books: books.reserve(*ask), made.append, refused.append)
        qtbot.waitUntil(lambda: reads(lambda s: bool(made) and len(s.bars) == 2), timeout=30_000)
        assert keeper.standing.leases[0].state is State.RESERVED
        keeper.do(lambda books: books.reserve(*ask), made.append, refused.append)
        qtbot.waitUntil(lambda: reads(lambda s: bool(refused)), timeout=30_000)
        assert f"is held by lease {made[0]}" in refused[0]
        keeper.do(lambda books: books.cancel(made[0], "enough"), made.append, refused.append)
        qtbot.waitUntil(lambda: reads(lambda s: not s.bars), timeout=30_000)
        keeper.do(lambda books: books.begin(made[0]), made.append, refused.append)
        qtbot.waitUntil(lambda: reads(lambda s: len(refused) == 2), timeout=30_000)
        assert "the server begins its leases" in refused[1]
    finally:
        keeper.close()
    with Ledger(tmp_path / "server", writes=False) as ledger:
        assert {r["actor"] for r in ledger.rows("SELECT DISTINCT actor FROM lease_event")} == {"api:desk"}
    assert not (desk / "ledger.sqlite").exists()
