"""The card book: compare-and-set under a lock, nothing of another dropped, nothing damaged overwritten."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.agent import book
from console.agent.answer import answer

ROOT = Path(__file__).resolve().parents[2]
RACES = 10_000 if os.environ.get("CARDKEEPER_LONG") else 600
RACER = """
import sys
from console.agent.book import Refused, answer_book
folder, me, first, last = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
print("ready", flush=True)
for race in range(first, last):
    sys.stdin.readline()
    target = "GPU-%d" % race
    entry = {"assignment": {"tenant": me, "op": me}, "holds": []}
    request = {"verb": "book.change", "node": "n", "key": "%s-%d" % (me, race), "ops": [me], "head": "",
               "changes": [{"target": target, "gen": 0, "entry": entry}]}
    won = False
    while True:
        try:
            answer_book(request, folder)
            won = True
        except Refused as exc:
            if exc.code == "locked":
                continue
            assert exc.code == "stale", exc.code
        break
    print("won" if won else "lost", flush=True)
"""


def change(folder, key, *changes, ops=(), head=""):
    request = {"verb": "book.change", "node": "gpu01", "key": key, "ops": list(ops), "head": head, "changes": changes}
    return answer(json.loads(json.dumps(request)), str(folder), "/nonexistent")


def entry(op, reason="xid 79"):
    return {"admin": "draining", "holds": [{"op": op, "owner": "amal@ws1", "reason": reason, "session": "s1"}]}


def read(folder):
    return answer({"verb": "book.read", "node": "gpu01"}, str(folder), "/nonexistent")


def test_two_consoles_never_both_get_a_card(tmp_path):
    """Two processes race for RACES cards, each with its own compare-and-set; every card has exactly one tenant."""
    most = book.MAX_ENTRIES // 2
    for first in range(0, RACES, most):
        last = min(RACES, first + most)
        folder = tmp_path / str(first)
        folder.mkdir()
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, str(folder), me, str(first), str(last)],
                cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for me in ("amal", "bea")
        ]  # fmt: skip
        assert [racer.stdout.readline() for racer in racers] == ["ready\n"] * 2
        won = [set(), set()]
        for race in range(first, last):
            for racer in racers:
                racer.stdin.write("go\n")
                racer.stdin.flush()
            for mine, racer in zip(won, racers, strict=True):
                if racer.stdout.readline() == "won\n":
                    mine.add(race)
        for racer in racers:
            racer.communicate(timeout=60)
        assert [racer.returncode for racer in racers] == [0, 0]
        assert won[0] & won[1] == set(), "granted twice"
        assert won[0] | won[1] == set(range(first, last))
        assert all(won), "one of them never raced"
        found = json.loads((folder / "book.json").read_text())
        assert found["generation"] == last - first
        for race in range(first, last):
            tenant = found["entries"][f"GPU-{race}"]["assignment"]["tenant"]
            assert race in won[("amal", "bea").index(tenant)]


def test_an_old_generation_is_refused_and_says_what_is(tmp_path):
    assert change(tmp_path, "k1", {"target": "node", "gen": 0, "entry": entry("op1")})["ok"]
    reply = change(tmp_path, "k2", {"target": "node", "gen": 0, "entry": entry("op2")}, ops=["op1"])
    assert (reply["ok"], reply["code"]) == (False, "stale")
    assert "it is 1 now, 0 was expected" in reply["text"]
    assert read(tmp_path)["book"]["generation"] == 1


def test_the_same_key_is_applied_once(tmp_path):
    first = change(tmp_path, "k1", {"target": "node", "gen": 0, "entry": entry("op1")}, head="h1")
    second = change(tmp_path, "k1", {"target": "node", "gen": 0, "entry": entry("op1")}, head="h2")
    assert (first["again"], second["again"]) == (False, True)
    assert second["book"] == first["book"]
    assert second["book"]["head"] == "h1"


def test_all_changes_of_a_request_or_none(tmp_path):
    change(tmp_path, "k1", {"target": "GPU-b", "gen": 0, "entry": entry("op1")})
    reply = change(
        tmp_path, "k2", {"target": "GPU-a", "gen": 0, "entry": entry("op2")},
        {"target": "GPU-b", "gen": 0, "entry": entry("op2")},
    )  # fmt: skip
    assert reply["code"] == "stale"
    assert set(read(tmp_path)["book"]["entries"]) == {"GPU-b"}


@pytest.mark.parametrize("new", [None, {"admin": "in_service", "holds": []}])
def test_anothers_hold_is_never_dropped(tmp_path, new):
    change(tmp_path, "k1", {"target": "node", "gen": 0, "entry": entry("op1", "new fans")})
    reply = change(tmp_path, "k2", {"target": "node", "gen": 1, "entry": new}, ops=["op2"])
    assert reply["code"] == "foreign"
    assert "amal@ws1 (new fans)" in reply["text"]
    assert change(tmp_path, "k3", {"target": "node", "gen": 1, "entry": new}, ops=["op1"])["ok"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"v": 1, "generation": 1}', "damaged"),
        ('{"v": 1, "generation": "1", "entries": {}}', "damaged"),
        ('{"v": 1, "generation": 1, "entries": {"node": {"holds": []}}}', "damaged"),
        ('{"v": 99, "generation": 1, "entries": {}}', "newer"),
        ("x" * (book.MAX_BYTES + 1), "damaged"),
    ],
)
def test_a_book_that_is_not_understood_stays_as_it_is(tmp_path, text, code):
    path = tmp_path / "book.json"
    path.write_text(text)
    assert read(tmp_path)["code"] == code
    reply = change(tmp_path, "k1", {"target": "node", "gen": 0, "entry": entry("op1")})
    assert reply["code"] == code
    assert str(path) in reply["text"]
    assert path.read_text() == text


def test_a_full_book_and_many_keys_stay_bounded(tmp_path):
    for i in range(book.KEPT_KEYS + 20):
        gen = read(tmp_path)["book"]["entries"].get("node", {}).get("gen", 0)
        assert change(tmp_path, f"k{i}", {"target": "node", "gen": gen, "entry": entry("op1")}, ops=["op1"])["ok"]
    kept = read(tmp_path)["book"]["applied"]
    assert len(kept) == book.KEPT_KEYS
    assert f"k{book.KEPT_KEYS + 19}" in kept
    many = [{"target": f"GPU-{i}", "gen": 0, "entry": entry("op1")} for i in range(book.MAX_ENTRIES)]
    assert change(tmp_path, "full", *many)["code"] == "full"


def test_another_holding_the_lock_is_told_not_waited_for_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "LOCK_S", 0.1)
    lock = book.locked(str(tmp_path))
    try:
        assert change(tmp_path, "k1", {"target": "node", "gen": 0, "entry": entry("op1")})["code"] == "locked"
    finally:
        lock.close()
    assert change(tmp_path, "k1", {"target": "node", "gen": 0, "entry": entry("op1")})["ok"]


def test_a_writer_killed_at_any_moment_leaves_a_whole_book(tmp_path):
    for at in range(12):
        racer = subprocess.Popen(
            [sys.executable, "-c", RACER, str(tmp_path), f"k{at}", str(at * 1000), str(at * 1000 + 900)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        racer.stdin.write("go\n" * 900)
        racer.stdin.flush()
        for _ in range(2 + at):
            racer.stdout.readline()
        racer.kill()
        racer.communicate()
        found = read(tmp_path)
        assert found["ok"], found
        assert found["book"]["generation"] == len(found["book"]["entries"])


def test_where_there_is_no_shared_folder_the_book_is_the_logins_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    reply = change(tmp_path / "none", "k1", {"target": "node", "gen": 0, "entry": entry("op1")})
    assert (reply["shared"], reply["folder"]) == (False, str(tmp_path / "state" / "cardkeeper"))


def test_a_shared_book_that_may_not_be_written_is_no_reason_for_a_second_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setattr(os, "access", lambda *_: False)
    reply = change(shared, "k1", {"target": "node", "gen": 0, "entry": entry("op1")})
    assert reply["code"] == "no_right"
    assert "join its group" in reply["text"]
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "request_",
    [
        {}, {"verb": "rm"}, {"verb": "book.change"}, {"verb": "book.change", "key": "k", "changes": [{}]},
        {"verb": "do"}, {"verb": "do", "do": "sh"}, {"verb": "do", "do": "reset", "uuid": "x; reboot"},
        {"verb": "do", "do": "compute-mode", "uuid": "GPU-1", "mode": "9"}, {"verb": "exec", "calls": [["sh", "-c", "id"]]},
        {"verb": "exec", "calls": [[]]}, {"verb": "do", "do": "devices", "uuid": "GPU-1", "users": ["a b"]},
        {"verb": "do", "do": "kill", "pid": "1;id", "started": 5}, {"verb": "alive", "pids": ["x"]},
    ],
)  # fmt: skip
def test_what_is_not_understood_is_refused_in_words(tmp_path, request_):
    reply = answer(request_, str(tmp_path), "/nonexistent")
    assert reply["ok"] is False
    assert reply["code"] in ("bad", "no_right")
    assert reply["text"]
