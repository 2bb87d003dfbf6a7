"""Acting from the command line on a running demo fleet: plans change nothing, acts are seen, undone and audited."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free(cards):
    """A card of which nobody uses anything; whoever takes it gives it back."""
    for card in cards:
        memory = card["readings"]["memory_used"]["value"]
        idle = not card["processes"] and memory is not None and memory < 2 << 30
        if idle and not card["slices"]:
            return card
    raise AssertionError("the demo has no free card left")


def test_a_plan_prints_and_changes_nothing(cardkeeper, cards):
    node = next(c["node"] for c in cards if c["processes"] and c["node"].endswith("r01-01"))
    plan = cardkeeper("drain", node, "--reason", "xid 79", "--plan")["plan"]
    (target,) = plan["targets"]
    assert (target["node"], target["before"], target["after"]) == (node, "in_service", "draining")
    assert (plan["confirm"], len(plan["digest"]), plan["money"]) == (node, 64, None)
    assert sum("compute-mode" in c for c in target["commands"]) == 8
    assert {p["user"] for p in target["processes"]} - {""}
    assert plan["blast"]["cards"] == 8
    assert cardkeeper("holds") == []
    assert cardkeeper("operations", "list") == []


def test_without_yes_and_without_a_terminal_nothing_happens(cardkeeper, cards):
    said = cardkeeper("drain", cards[0]["node"], "--reason", "xid 79", code=1)
    assert "--yes" in said
    assert cardkeeper("holds") == []


def test_a_drain_is_held_seen_by_another_console_and_undone(cardkeeper, cards):
    card = next(c for c in cards if c["processes"] and not c["slices"])
    done = cardkeeper("drain", card["uuid"], "--reason", "row remap", "--yes")
    assert done["done"]
    op = done["operation"]
    assert (op["state"], {s["state"] for s in op["steps"]}) == ("waiting", {"confirmed"})
    for desk in ("amal", "bea"):
        (hold,) = cardkeeper("holds", desk=desk)
        assert {"target", "reason", "owner", "session", "since", "expires"} <= set(hold)
        assert (hold["node"], hold["reason"]) == (card["node"], "row remap")
        assert card["uuid"] in (hold["target"], hold.get("card"))
    assert [o["id"] for o in cardkeeper("operations", "list", "--open")] == [op["id"]]
    resumed = cardkeeper("operations", "resume", op["id"], "--yes")
    assert resumed["waiting"], "what still runs there is named"
    undone = cardkeeper("operations", "undo", op["id"][:6], "--yes")
    assert undone["operation"]["state"] == "undone"
    assert cardkeeper("holds") == []
    assert cardkeeper("audit", "verify")["good"]
    whats = [row.get("verb") for row in cardkeeper("audit", "show", streams=True)]
    assert "drain" in whats


def test_an_idle_card_is_proven_drained_verified_and_returned(cardkeeper, cards):
    card = free(cards)
    done = cardkeeper("drain", card["uuid"], "--reason", "firmware", "--deadline", "40s", "--yes")
    assert done["operation"]["state"] == "done", done
    back = cardkeeper("undrain", card["uuid"], "--reason", "firmware is in", "--yes")
    assert back["operation"]["state"] == "done"
    assert cardkeeper("holds") == []


def test_one_of_two_tenants_gets_the_card(cardkeeper, cards):
    card = free(cards)
    given = cardkeeper("assign", card["uuid"], "--tenant", "atlas", "--until", "60d", "--reason", "c17", "--yes")
    assert given["operation"]["state"] == "done"
    said = cardkeeper("assign", card["uuid"], "--tenant", "boreal", "--reason", "c18", "--yes", desk="bea", code=1)
    assert "atlas" in said
    plan = cardkeeper("drain", card["uuid"], "--reason", "xid 79", "--plan")["plan"]
    assert plan["targets"][0]["tenant"] == "atlas"
    assert plan["blast"]["tenants"] == 1
    cardkeeper("release", card["uuid"], "--reason", "over", "--yes", desk="bea")
    cardkeeper("assign", card["uuid"], "--tenant", "boreal", "--reason", "c18", "--yes", desk="bea")
    cardkeeper("release", card["uuid"], "--reason", "over", "--yes")


def test_a_hold_of_a_lost_console_is_adopted_and_lifted(cardkeeper, cards):
    card = free(cards)
    op = cardkeeper("drain", card["uuid"], "--reason", "left", "--yes", desk="gone")["operation"]["id"]
    assert cardkeeper("operations", "adopt", op, "--yes", desk="bea")["adopted"] == [f"{card['node']} {card['uuid']}"]
    cardkeeper("undrain", card["uuid"], "--reason", "nobody wants it", "--yes", desk="bea")
    assert cardkeeper("holds") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("drain", "no-such-node", "--reason", "r", "--plan"), "no-such-node"),
        (("drain", "node:nothing", "--reason", "r", "--plan"), "nothing"),
        (("drain", "NODE", "--reason", " ", "--plan"), "say why"),
        (("drain", "NODE", "--reason", "r", "--deadline", "soon"), "span of time"),
        (("drain", "NODE", "--reason", "r", "--on-deadline", "force"), "--deadline"),
        (("assign", "NODE", "--tenant", "atlas", "--reason", "r", "--until", "yesterday"), "past"),
        (("operations", "show", "zzzz"), "operations list"),
        (("reset", "NODE", "--reason", "r", "--yes"), "drain"),
    ],
)
def test_what_is_wrong_is_said_in_words(cardkeeper, cards, arguments, words):
    said = cardkeeper(*(cards[0]["node"] if a == "NODE" else a for a in arguments), code=1)
    assert words in said


def test_at_a_terminal_the_word_confirms_and_another_does_not(demo, cards, tmp_path):
    card = free(cards)
    for answer, is_done in (("yes\n", False), (f"{card['node']}\n", True)):
        assert _typed(demo, tmp_path, card["uuid"], answer) == is_done
    whole = [sys.executable, "-m", "console", "undrain", card["uuid"], "--reason", "done", "--yes", "--fleet", demo]
    subprocess.run([*whole, "--data", str(tmp_path)], cwd=ROOT, capture_output=True, timeout=90, check=True)


def _typed(demo, data, uuid, answer):
    """Whether a drain asked for at a terminal was done after `answer` was typed."""
    ours, theirs = pty.openpty()
    whole = [sys.executable, "-m", "console", "drain", uuid, "--reason", "xid", "--fleet", demo, "--data", str(data)]
    process = subprocess.Popen(whole, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said, is_answered = b"", False
    while select.select([ours], [], [], 60.0)[0]:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        said += part
        if not is_answered and b"Type " in said:
            is_answered = True
            os.write(ours, answer.encode())
    os.close(ours)
    process.wait(20)
    assert is_answered, said.decode()
    return process.returncode == 0 and b"waiting" in said
