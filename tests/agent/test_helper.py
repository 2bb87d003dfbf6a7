"""The privileged helper: five verbs with checked arguments, and nothing else whatever it is given."""

import os
import random
import shutil
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.acted import SUDOERS

ROOT = Path(__file__).resolve().parents[2]
TRIES = 10_000 if os.environ.get("CARDKEEPER_LONG") else 400
TOOLS = ("nvidia-smi", "systemctl", "setfacl", "chmod")
UUID = "GPU-5d1a8d0a-1c2e-4d6c-9d53-0d2f1b6a7c11"


@pytest.fixture(scope="module")
def helper(tmp_path_factory):
    """The helper with the programs it calls replaced by ones that write down how they were called."""
    place = tmp_path_factory.mktemp("helper")
    for name in TOOLS:
        tool = place / name
        tool.write_text(f'#!/bin/sh\nprintf "%s|" {name} "$@" >> {place}/calls\necho >> {place}/calls\n')
        tool.chmod(0o755)
    text = (ROOT / "resources" / "cardkeeper-node").read_text("utf-8")
    path = place / "cardkeeper-node"
    path.write_text(text.replace("PATH=/usr/sbin", f"PATH={place}:/usr/sbin"))
    path.chmod(0o755)
    return path


def call(helper, *arguments):
    calls = helper.parent / "calls"
    calls.unlink(missing_ok=True)
    done = subprocess.run([str(helper), *arguments], capture_output=True, text=True, timeout=20, check=False)
    made = calls.read_text().splitlines() if calls.exists() else []
    return done.returncode, made, done.stderr


def test_the_verbs_call_what_they_say(helper):
    assert call(helper, "compute-mode", UUID, "2")[:2] == (0, [f"nvidia-smi|-i|{UUID}|-c|2|"])
    assert call(helper, "reset", UUID)[:2] == (0, [f"nvidia-smi|--gpu-reset|-i|{UUID}|"])
    assert call(helper, "reboot")[:2] == (0, ["systemctl|reboot|"])


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("",), ("sh",), ("compute-mode",), ("compute-mode", UUID), ("compute-mode", UUID, "1"), ("reboot", "now"),
        ("compute-mode", f"{UUID};reboot", "2"), ("compute-mode", "GPU-$(id)", "2"), ("compute-mode", "-i", "2"),
        ("reset", "GPU-a b"), ("reset", "GPU-a\nGPU-b"), ("reset", "../GPU-1"), ("reset", "GPU-" + "a" * 90),
        ("devices", "0"), ("devices", "x", "all"), ("devices", "99999", "all"), ("devices", "0", "a;b"),
        ("devices", "0", "-a"), ("devices", "0", ""), ("devices", "0", "a,-b"), ("kill", "1", "1"), ("kill", "0", "1"),
        ("kill", "-1", "5"), ("kill", "12x", "5"), ("kill", "999999999", "5"),
    ],
)  # fmt: skip
def test_bad_arguments_reach_no_program(helper, arguments):
    status, made, said = call(helper, *arguments)
    assert (status, made) == (64, [])
    assert said.startswith("cardkeeper-node: ")


WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=24)


@settings(max_examples=TRIES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(WORD, st.sampled_from(["compute-mode", "reset", "devices", "kill", "reboot", UUID, "2", "all"])),
                max_size=4))  # fmt: skip
def test_whatever_is_said_only_well_formed_words_reach_a_program(helper, arguments):
    status, made, _ = call(helper, *arguments)
    if status == 64:
        assert made == []
        return
    tidy = set(string.ascii_letters + string.digits + "/-")
    assert arguments[0] in ("compute-mode", "reset", "reboot"), "devices and kill name things that are not here"
    assert all(set(a) <= tidy and len(a) <= 84 for a in arguments)
    assert len(made) == 1


def test_a_process_without_a_card_open_is_not_ended(helper):
    process = subprocess.Popen(["sleep", "60"])
    try:
        started = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
        status, _, said = call(helper, "kill", str(process.pid), started)
        assert (status, "no card open" in said) == (64, True)
        status, _, said = call(helper, "kill", str(process.pid), str(int(started) + 1))
        assert (status, "another process has this number" in said) == (64, True)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_names_of_logins_reach_the_access_list_one_by_one(helper):
    minor = random.randrange(300, 400)
    device = Path(f"/dev/nvidia{minor}")
    try:
        device.touch()
    except OSError:
        pytest.skip("this login cannot make a file in /dev")
    try:
        status, made, _ = call(helper, "devices", str(minor), "amal,bea")
        assert status == 0
        assert made == [
            f"setfacl|-b|{device}|", f"chmod|0600|{device}|", f"setfacl|-m|u:amal:rw|{device}|",
            f"setfacl|-m|u:bea:rw|{device}|",
        ]  # fmt: skip
    finally:
        device.unlink()


def test_the_sudoers_line_is_one_that_sudo_accepts(tmp_path):
    visudo = shutil.which("visudo", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if visudo is None:
        pytest.skip("visudo is not installed")
    path = tmp_path / "cardkeeper"
    path.write_text(SUDOERS.format(user="ops"))
    done = subprocess.run([visudo, "-cf", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("sudo") is None, reason="sudo's rights are tried as root")
def test_sudo_allows_the_helper_and_nothing_else(tmp_path):
    """The real sudo, for a login that has nothing else: what `cardkeeper sudoers` prints is not too broad."""
    rule = Path("/etc/sudoers.d/cardkeeper-tried")
    rule.write_text(SUDOERS.format(user="daemon"))
    rule.chmod(0o440)

    def tried(*command):
        whole = ["sudo", "-n", "-u", "daemon", "sudo", "-n", *command]
        return subprocess.run(whole, capture_output=True, text=True, timeout=20, check=False)

    try:
        allowed = [line for line in tried("-l").stdout.splitlines() if "(root)" in line or "(ALL" in line]
        assert [line.split() for line in allowed] == [["(root)", "NOPASSWD:", "/usr/local/sbin/cardkeeper-node"]]
        for command in (("/bin/sh", "-c", "id"), ("/usr/local/sbin/cardkeeper-node-x",), ("-u", "bin", "/bin/true")):
            assert tried(*command).returncode != 0
    finally:
        rule.unlink()
