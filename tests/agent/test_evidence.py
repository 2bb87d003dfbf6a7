"""Evidence on the node: fixed commands, a driver that hangs is not waited for, nothing is larger than it may be."""

import time

from console.agent import evidence


def test_commands_are_fixed_and_each_part_says_how_it_was_made():
    asked = []

    def run(command):
        asked.append(command)
        return 0, "x" * (2 * evidence.MOST)

    parts = evidence.collect(run)["parts"]
    assert {"nvidia-smi-q", "kernel-log", "pci", "topology"} <= set(parts)
    assert all(len(p["text"]) <= evidence.MOST and p["command"] for p in parts.values())
    assert asked[0] == ["nvidia-smi", "-q"]


def test_what_is_missing_or_forbidden_is_said():
    parts = evidence.collect(lambda command: (127, f"{command[0]}: No such file or directory"))["parts"]
    assert parts["nvidia-smi-q"]["status"] == 127
    assert "may not read" in parts["kernel-log"]["text"]


def test_a_command_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(evidence, "COMMAND_S", 0.3)
    begun = time.monotonic()
    status, text = evidence._run(["sleep", "30"])
    assert (status, "did not end" in text) == (124, True)
    assert time.monotonic() - begun < 5.0
