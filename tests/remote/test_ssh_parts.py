"""known_hosts, the SSH configuration and hostile names, without a server."""

import base64
import logging
import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.fleet.fleetfile import parse_fleet
from console.fleet.model import Fleet, Node
from console.fleet.names import is_host, is_name
from console.remote import bundle
from console.remote.auth import Passphrases
from console.remote.errors import LinkProblem
from console.remote.hostkeys import KnownHosts, Verdict, fingerprint, host_token, matches, parse_line, record
from console.remote.smi import SmiTranslator
from console.remote.sshconfig import SshConfig
from console.remote.targets import SshOptions, Targets
from console.telemetry.messages import Passphrase
from console.telemetry.wire import Hello, decode

KEY = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00 " + b"k" * 32
OTHER = KEY[:-1] + b"x"


def line(host, blob=KEY, marker=""):
    return f"{marker}{host} ssh-ed25519 {base64.b64encode(blob).decode()}\n"


@pytest.mark.parametrize(
    ("patterns", "token", "hit"),
    [
        ("gpu01", "gpu01", True),
        ("gpu0?", "gpu01", True),
        ("*.example,!bad.example", "a.example", True),
        ("*.example,!bad.example", "bad.example", False),
        ("[gpu01]:2222", "[gpu01]:2222", True),
        ("[gpu01]:2222", "gpu01", False),
        ("gpu[01]", "gpu0", False),
        ("|1|bad|bad", "gpu01", False),
    ],
)
def test_patterns(patterns, token, hit):
    assert matches(patterns, token) is hit


def test_verdicts(tmp_path):
    path = tmp_path / "known"
    path.write_text("# ours\n\nnonsense\n" + line("gpu01") + line("gpu02", marker="@revoked ") + line("gpu02"))
    hosts = KnownHosts([path])
    assert hosts.judge("gpu01", 22, KEY).verdict is Verdict.KNOWN
    assert hosts.judge("gpu01", 22, OTHER).verdict is Verdict.CHANGED
    assert hosts.judge("gpu02", 22, KEY).verdict is Verdict.REVOKED
    assert hosts.judge("gpu03", 22, KEY).verdict is Verdict.UNKNOWN
    assert hosts.judge("gpu01", 2222, KEY).verdict is Verdict.UNKNOWN


def test_recording_keeps_the_file_and_hashes_where_it_hashes(tmp_path):
    path = tmp_path / "known"
    record(path, "gpu01", 22, KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    record(path, "gpu02", 2222, OTHER)
    assert path.read_text() == line("gpu01") + line("[gpu02]:2222", OTHER)
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    record(path, "gpu03", 22, KEY)
    assert path.read_text().count("|1|") == 3
    hosts = KnownHosts([path])
    assert [
        hosts.judge(h, p, k).verdict for h, p, k in (("gpu01", 22, KEY), ("gpu02", 2222, OTHER), ("gpu03", 22, KEY))
    ] == [Verdict.KNOWN] * 3


def test_fingerprints_are_opensshs(tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "k")], check=True)
    blob = base64.b64decode((tmp_path / "k.pub").read_text().split()[1])
    told = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "k.pub")], capture_output=True, text=True, check=True
    ).stdout
    assert fingerprint(blob) in told


@given(st.text(max_size=200), st.text(max_size=30))
def test_any_line_is_an_entry_or_none(text, host):
    entry = parse_line(text)
    if entry is not None:
        assert isinstance(matches(entry.patterns, host_token(host, 22)), bool)


def test_match_exec_and_proxycommand_never_run(tmp_path, caplog):
    canary = tmp_path / "canary"
    config = tmp_path / "config"
    config.write_text(
        f'Match exec "touch {canary} %h"\n  User root\nHost gpu01\n  HostName 10.0.0.1\n  ProxyCommand touch {canary}\n'
        f"  User ops\n  Port 2200\n  ProxyJump bastion,two\n"
    )
    with caplog.at_level(logging.ERROR):
        found = SshConfig(config)
    host = found.lookup("gpu01")
    assert (host.hostname, host.user, host.port, host.jumps) == ("10.0.0.1", "ops", 2200, ("bastion", "two"))
    assert len(found.ignored) == 2
    assert not canary.exists()


def test_includes_are_followed(tmp_path):
    (tmp_path / "more").write_text("Host gpu01\n  Port 2201\n")
    (tmp_path / "config").write_text(f"Include {tmp_path}/mo*\n")
    assert SshConfig(tmp_path / "config").lookup("gpu01").port == 2201


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=40))
def test_hostile_names_reach_neither_config_nor_command(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp()
    canary = folder / "F"
    config = folder / "hostile-config"
    config.write_text(f'Match exec "test %h = safe"\n  User root\nHost *\n  IdentityFile {folder}/k\n')
    fleet = Fleet("x", "", (Node(name, name),))
    try:
        target = Targets(fleet, SshOptions(config=str(config))).of(name)
        assert is_host(target.hostname)
    except LinkProblem as exc:
        assert not is_host(name), exc  # noqa: PT017
    assert not canary.exists()
    if not is_name(name):
        with pytest.raises(ValueError):
            bundle.command(name + " ;")


def test_jumps_in_a_circle_are_told(tmp_path):
    (tmp_path / "config").write_text("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n")
    fleet = parse_fleet('[[node]]\nname = "a"\n', "x")
    with pytest.raises(LinkProblem, match="circle"):
        Targets(fleet, SshOptions(config=str(tmp_path / "config"))).of("a")


def test_secrets_are_not_printed():
    kept = Passphrases()
    kept.put("~/.ssh/id", "correct horse")
    assert "horse" not in repr(kept)
    assert "horse" not in repr(Passphrase("~/.ssh/id", "correct horse"))


def test_the_bundle_is_the_same_each_time_and_small():
    program = bundle.agent_bundle()
    assert program.sha256 == bundle.build(
        bundle.Path(bundle.__file__).parent.parent / "agent",
        {"pynvml": bundle.Path(__import__("pynvml").__file__)},
    ).sha256  # fmt: skip
    assert len(program.data) < 120_000


@given(st.binary(max_size=300), st.integers(1, 50))
def test_what_nvidia_smi_says_never_raises(data, cut):
    translator = SmiTranslator(1.0)
    out = b"".join(translator.feed(data[i : i + cut]) for i in range(0, len(data), cut))
    assert all(decode(part) for part in out.splitlines())


def test_nvidia_smi_rows_become_frames():
    row = "0, GPU-a, T4, 550, 00000000:1B:00.0, S, 42, 1, 10, [N/A], 100, 30.5, 55, [N/A], 1590, 5000, 0x4, P0\n"
    out = SmiTranslator(1.0).feed((row * 2).encode())
    frames = [decode(part) for part in out.splitlines()]
    assert isinstance(frames[0], Hello)
    assert frames[1].c[0][0] == 42
    assert frames[1].q[0].count("n") > 2
    assert os.sep not in frames[0].mode
