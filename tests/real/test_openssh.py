"""The whole way over real OpenSSH servers: agent, host keys, jumps, frozen and killed peers."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console.app import Config, Console
from console.fleet.fleetfile import read_fleet
from console.fleet.state import LinkState, ProblemCode, ReadingState
from console.remote.check import check_node
from console.remote.targets import SshOptions
from console.telemetry.messages import Passphrase, Trust
from tests.nvml.build import build_library
from tests.real.openssh import Sshd, descendants, ensure_account, make_key, why_not

NODE_PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or "python3"
"""A Python that the test account may run; ours may lie in a private folder."""

pytestmark = [pytest.mark.real, pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")]


class Lab:
    """Some servers with cards, a client key, and a fleet file that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.user = ensure_account()
        self.library = build_library(folder / "nvml")
        self.key = make_key(folder / "id")
        self.servers: list[Sshd] = []
        self.consoles: list[Console] = []
        (folder / "scenario").write_text("cards 2\n")
        self.known = folder / "known_hosts"
        self.known.write_text("")

    def server(self, name: str, known: bool = True, extra: tuple[str, ...] = ()) -> Sshd:
        env = {"LD_LIBRARY_PATH": str(self.library.parent), "CARDKEEPER_NVML_SCENARIO": str(self.folder / "scenario")}
        made = Sshd(self.folder / name, env, extra)
        made.prepare()
        made.allow(self.key.with_suffix(".pub"))
        made.start()
        self.servers.append(made)
        if known:
            self.known.write_text(self.known.read_text() + made.host_line)
        return made

    def fleet(self, nodes: dict[str, Sshd], more: str = "", node_more: str = "") -> Path:
        text = f'[defaults]\nuser = "{self.user}"\nidentity = "{self.key}"\nknown_hosts = "{self.known}"\n'
        text += f'python = "{NODE_PYTHON}"\n'
        for name, server in nodes.items():
            text += f'[[node]]\nname = "{name}"\nhost = "127.0.0.1"\nport = {server.port}\n{node_more}\n'
        path = self.folder / "fleet.toml"
        path.write_text(text + more)
        return path

    def console(self, path: Path) -> Console:
        made = Console(Config(fleet=path, data=self.folder / "data")).start()
        self.consoles.append(made)
        return made

    def close(self) -> None:
        for console in self.consoles:
            console.close()
        for server in self.servers:
            server.stop()


@pytest.fixture
def lab(tmp_path):
    made = Lab(tmp_path)
    yield made
    made.close()


def wait(console, holds, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        console.live.pump()
        if holds(console.live):
            return
        time.sleep(0.05)
    raise AssertionError([(n.node.name, n.link.name, n.problem) for n in console.live.nodes])


def all_live(live):
    return bool(live.nodes) and all(n.link is LinkState.LIVE for n in live.nodes)


def problem_of(live, index=0):
    return live.nodes[index].problem.code if live.nodes and live.nodes[index].problem else None


def test_cards_over_openssh_and_nothing_stays_on_the_node(lab):
    server = lab.server("a")
    path = lab.fleet({"gpu01": server})
    console = lab.console(path)
    wait(console, lambda live: len(live.entities) == 2 and live.reading("GPU-mock-1", "power_limit").value)
    reading = console.live.reading("GPU-mock-1", "utilization_gpu")
    assert (reading.value, reading.state) == (51, ReadingState.FRESH)
    console.close()
    watch = subprocess.Popen(
        [sys.executable, "-m", "console", "watch", "--fleet", str(path), "--json", "--seconds", "60"],
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert watch.stdout.readline()
    assert any("python" in Path(f"/proc/{p}/cmdline").read_text() for p in server.sessions())
    for pid in (*descendants(watch.pid), watch.pid):
        os.kill(pid, signal.SIGKILL)
    watch.wait()
    watch.stdout.close()
    deadline = time.monotonic() + 10
    while server.sessions() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.sessions() == []


def test_a_crashed_collector_is_started_again(lab):
    console = lab.console(lab.fleet({"gpu01": lab.server("a")}))
    wait(console, all_live)
    os.kill(console.collector_pid, signal.SIGKILL)
    wait(console, lambda live: live.collector not in ("", "starting"))
    wait(console, lambda live: all_live(live) and live.reading("GPU-mock-0", "power_draw").value == 615.0)


def test_an_unknown_key_is_never_accepted_until_it_is_trusted(lab):
    server = lab.server("a", known=False)
    console = lab.console(lab.fleet({"gpu01": server}))
    wait(console, lambda live: problem_of(live) is ProblemCode.KEY_UNKNOWN)
    shown = console.live.nodes[0].problem.facts["fingerprint"]
    told = subprocess.run(
        ["ssh-keygen", "-lf", str(server.folder / "host_key.pub")], capture_output=True, text=True, check=True
    ).stdout
    assert shown in told
    assert "Accepted" not in (server.folder / "log").read_text()
    console.live.send(Trust("gpu01", "SHA256:wrong"))
    time.sleep(1.0)
    assert lab.known.read_text() == ""
    console.live.send(Trust("gpu01", shown))
    wait(console, all_live)
    assert lab.known.read_text() == server.host_line


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_trust_asks_at_a_terminal_and_records_only_after_yes(lab, answer):
    server = lab.server("a", known=False)
    path = lab.fleet({"gpu01": server})
    ours, theirs = pty.openpty()
    told = subprocess.Popen(
        [sys.executable, "-m", "console", "fleet", "trust", "gpu01", "--fleet", str(path)],
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    os.close(theirs)
    seen = ""
    while "Type yes" not in seen:
        seen += os.read(ours, 4096).decode()
    assert "SHA256:" in seen
    assert lab.known.read_text() == ""
    os.write(ours, answer.encode() + b"\n")
    assert told.wait(20) == (0 if answer == "yes" else 1)
    told.stdout.close()
    os.close(ours)
    assert lab.known.read_text() == (server.host_line if answer == "yes" else "")


def test_a_changed_key_is_refused_with_both_fingerprints(lab):
    server = lab.server("a", known=False)
    other = make_key(lab.folder / "other")
    kind, blob, *_ = other.with_suffix(".pub").read_text().split()
    lab.known.write_text(f"[127.0.0.1]:{server.port} {kind} {blob}\n")
    console = lab.console(lab.fleet({"gpu01": server}))
    wait(console, lambda live: problem_of(live) is ProblemCode.KEY_CHANGED)
    facts = console.live.nodes[0].problem.facts
    assert facts["fingerprint"] != facts["old_fingerprint"]
    console.live.send(Trust("gpu01", facts["fingerprint"]))
    time.sleep(1.0)
    console.live.pump()
    assert console.live.nodes[0].link is LinkState.FAILED
    assert blob in lab.known.read_text()
    assert "Accepted" not in (server.folder / "log").read_text()


def test_a_hashed_line_and_a_revoked_key(lab):
    server = lab.server("a")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(lab.known)], check=True, capture_output=True)
    assert lab.known.read_text().startswith("|1|")
    path = lab.fleet({"gpu01": server})
    console = lab.console(path)
    wait(console, all_live)
    console.close()
    lab.known.write_text("@revoked " + server.host_line + server.host_line)
    console = lab.console(path)
    wait(console, lambda live: problem_of(live) is ProblemCode.KEY_REVOKED)


def test_certificates_of_hosts_and_users(lab):
    authority = make_key(lab.folder / "ca")
    server = lab.server("a", known=False)
    server.stop()
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test"]
    subprocess.run([*sign, "-h", "-n", "127.0.0.1", str(server.folder / "host_key.pub")], check=True)
    (server.folder / "authorized_keys").write_text("")
    subprocess.run([*sign, "-n", lab.user, str(lab.key.with_suffix(".pub"))], check=True)
    public = authority.with_suffix(".pub")
    server.extra = (f"HostCertificate {server.folder}/host_key-cert.pub", f"TrustedUserCAKeys {public}")
    server.start()
    lab.known.write_text(f"@cert-authority [127.0.0.1]:{server.port} {public.read_text()}")
    console = lab.console(lab.fleet({"gpu01": server}))
    wait(console, all_live)


def test_a_host_certificate_for_another_name_is_not_accepted(lab):
    authority = make_key(lab.folder / "ca")
    server = lab.server("a", known=False)
    server.stop()
    public = authority.with_suffix(".pub")
    sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "test", "-h", "-n", "elsewhere"]
    subprocess.run([*sign, str(server.folder / "host_key.pub")], check=True)
    server.extra = (f"HostCertificate {server.folder}/host_key-cert.pub",)
    server.start()
    lab.known.write_text(f"@cert-authority [127.0.0.1]:{server.port} {public.read_text()}")
    console = lab.console(lab.fleet({"gpu01": server}))
    wait(console, lambda live: problem_of(live) is ProblemCode.KEY_UNKNOWN)
    assert "elsewhere" in console.live.nodes[0].problem.why


def test_jump_hosts_in_a_row(lab):
    first, second, node = (lab.server(n) for n in ("j1", "j2", "n"))
    jumps = "".join(
        f'[[jump]]\nname = "{name}"\nhost = "127.0.0.1"\nport = {s.port}\nuser = "{lab.user}"\n'
        f'identity = "{lab.key}"\nknown_hosts = "{lab.known}"\n'
        for name, s in (("j1", first), ("j2", second))
    )
    path = lab.fleet({"gpu01": node, "gpu02": node}, jumps, 'jump = ["j1", "j2"]')
    console = lab.console(path)
    wait(console, lambda live: bool(live.nodes) and live.nodes[0].link is LinkState.LIVE)
    assert (first.folder / "log").read_text().count("Accepted publickey") == 1
    checks = {c.name: c for c in check_node(read_fleet(path), "gpu01", SshOptions(use_agent=False))}
    assert checks["cards"].status == "ok"
    assert "j1 -> j2 -> gpu01" in checks["port"].text


def test_one_host_under_two_names_is_told(lab):
    node = lab.server("n")
    console = lab.console(lab.fleet({"gpu01": node, "gpu02": node}))
    wait(console, lambda live: ProblemCode.CONFIG in (problem_of(live, 0), problem_of(live, 1)))
    assert len(console.live.entities) == 2


def test_a_locked_key_is_asked_for_and_kept_in_memory_only(lab):
    lab.key = make_key(lab.folder / "locked", "correct horse")
    server = lab.server("a")
    console = lab.console(lab.fleet({"gpu01": server}))
    wait(console, lambda live: problem_of(live) is ProblemCode.PASSPHRASE)
    identity = console.live.nodes[0].problem.facts["identity"]
    console.live.send(Passphrase(identity, "battery staple"))
    wait(console, lambda live: live.nodes[0].problem and "wrong" in live.nodes[0].problem.what)
    console.live.send(Passphrase(identity, "correct horse"))
    wait(console, all_live)
    found = [p for p in lab.folder.rglob("*") if p.is_file() and b"correct horse" in p.read_bytes()]
    assert found == []


def test_no_key_accepted_says_what_was_tried(lab):
    server = lab.server("a")
    (server.folder / "authorized_keys").write_text("")
    console = lab.console(lab.fleet({"gpu01": server}))
    wait(console, lambda live: problem_of(live) is ProblemCode.AUTH)
    assert str(lab.key) in console.live.nodes[0].problem.why


def test_frozen_nodes_go_stale_and_the_others_keep_their_cadence(lab):
    servers = {f"gpu0{i}": lab.server(f"s{i}") for i in range(1, 5)}
    for i, server in enumerate(servers.values()):
        server.stop()
        (server.folder / "scenario").write_text("cards 0\n")
        server.env["CARDKEEPER_NVML_SCENARIO"] = str(server.folder / "scenario")
        server.start()
        assert i < 4
    console = lab.console(lab.fleet(servers))
    wait(console, all_live)
    frozen = servers["gpu01"]
    for pid in frozen.sessions():
        os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    wait(console, lambda live: bool(live.nodes) and live.nodes[0].link is LinkState.STALE, 6.0)
    assert time.monotonic() - begun < 5.5
    longest = 0.0
    while console.live.nodes[0].link is LinkState.STALE and time.monotonic() - begun < 16:
        turn = time.monotonic()
        console.live.pump()
        longest = max(longest, *(n.counters.last_line_s for n in console.live.nodes[1:]))
        assert time.monotonic() - turn < 0.1
        time.sleep(0.05)
    assert console.live.nodes[0].link is not LinkState.STALE
    assert time.monotonic() - begun < 15.5
    assert longest < 2.5
    for pid in frozen.sessions():
        os.kill(pid, signal.SIGCONT)
    wait(console, all_live)


def test_keys_are_renewed_again_and_again_without_a_pause(lab):
    server = lab.server("a", extra=("RekeyLimit 16K", "LogLevel DEBUG1"))
    (lab.folder / "scenario").write_text("cards 60\n")
    path = lab.fleet({"gpu01": server})
    path.write_text(path.read_text().replace("[defaults]", "[defaults]\ninterval_s = 0.5"))
    console = lab.console(path)
    wait(console, all_live)
    wait(console, lambda live: live.nodes[0].counters.bytes > 200_000, 40)
    counters = console.live.nodes[0].counters
    assert (counters.reconnects, counters.missed, counters.dropped) == (0, 0, {})
    assert (server.folder / "log").read_text().count("SSH2_MSG_NEWKEYS received") >= 4


_FLOOD = """#!{python}
import json, sys, time
begun, n = time.monotonic(), 0
def put(tag, **fields):
    global n
    fields.update(t=tag, n=n, w=time.time(), m=time.monotonic())
    sys.stdout.write('{{"t":"%s",' % tag + json.dumps(fields)[1:] + "\\n")
    n += 1
put("hello", v=1, mode="none", reason="", boot_id="b", period={{"fast": 1.0, "medium": 5.0, "slow": 30.0}},
    columns={{}}, host_columns={{}}, entities=[], versions={{}}, host={{}})
for i in range({lines}):
    put("event", kind="note", uuid="", at=time.time(), source="agent", text="x" * 4000, code=None)
put("bye", reason="done")
sys.stdout.flush()
time.sleep(60)
"""


def test_many_windows_full_of_bytes_arrive_whole_and_in_order(lab):
    # OpenSSH grants 2 MiB at a time, paramiko less: without acknowledgement a stream stops for ever at its window.
    server = lab.server("a")
    lines = 2000
    flood = lab.folder / "flood"
    flood.write_text(_FLOOD.format(python=NODE_PYTHON, lines=lines))
    flood.chmod(0o755)
    path = lab.fleet({"gpu01": server})
    path.write_text(path.read_text().replace(f'python = "{NODE_PYTHON}"', f'python = "{flood}"'))
    console = lab.console(path)
    wait(console, lambda live: bool(live.nodes) and live.nodes[0].counters.lines >= lines + 2, 30)
    counters = console.live.nodes[0].counters
    assert counters.lines == lines + 2
    assert counters.bytes > 8_000_000
    assert (counters.missed, counters.dropped, counters.reconnects) == (0, {}, 0)


def test_a_restarted_server_is_found_again(lab):
    server = lab.server("a")
    console = lab.console(lab.fleet({"gpu01": server}))
    wait(console, all_live)
    server.stop()
    wait(console, lambda live: bool(live.nodes) and live.nodes[0].link is LinkState.LOST)
    server.start()
    wait(console, all_live, 30)
    assert console.live.nodes[0].counters.reconnects >= 1


def test_a_node_without_python_is_read_by_nvidia_smi(lab):
    server = lab.server("a")
    tool = lab.folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(
        "#!/bin/sh\nwhile true; do echo '0, GPU-smi-0, NVIDIA T4, 550.1, 00000000:1B:00.0, S1, 42, 10, 1024, 200, 15360, "
        "30.5, 55, [N/A], 1590, 5000, 0x0000000000000004, P0'; sleep 0.5; done\n"
    )
    tool.chmod(0o755)
    lab.folder.joinpath("bin").chmod(0o755)
    server.stop()
    server.env["PATH"] = f"{tool.parent}:/usr/bin:/bin"
    server.start()
    path = lab.fleet({"gpu01": server})
    path.write_text(path.read_text().replace(NODE_PYTHON, "no-such-python3"))
    console = lab.console(path)
    wait(console, lambda live: bool(live.entities))
    live = console.live
    assert live.nodes[0].hello.mode == "smi"
    wait(console, lambda live: live.reading("GPU-smi-0", "utilization_gpu").value == 42)
    assert live.reading("GPU-smi-0", "memory_used").value == 1024 << 20
    assert live.reading("GPU-smi-0", "temperature_memory").state is ReadingState.NOT_SUPPORTED


def test_neither_python_nor_nvidia_smi(lab):
    server = lab.server("a")
    path = lab.fleet({"gpu01": server})
    path.write_text(path.read_text().replace(NODE_PYTHON, "no-such-python3"))
    console = lab.console(path)
    wait(console, lambda live: problem_of(live) is ProblemCode.PYTHON)


def test_the_command_line_over_openssh(lab):
    path = lab.fleet({"gpu01": lab.server("a")})
    done = subprocess.run(
        [sys.executable, "-m", "console", "cards", "--fleet", str(path), "--json"],
        capture_output=True, text=True, timeout=60, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    cards = json.loads(done.stdout)
    assert [c["uuid"] for c in cards] == ["GPU-mock-0", "GPU-mock-1"]
    assert cards[0]["readings"]["power_draw"] == {
        "value": 615.0,
        "unit": "W",
        "state": "fresh",
        "age_s": pytest.approx(1, abs=2),
    }
    assert cards[0]["readings"]["fan_speed"]["state"] == "not_supported"
    checked = subprocess.run(
        [sys.executable, "-m", "console", "fleet", "check", "--fleet", str(path), "--json"],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    rows = [json.loads(line) for line in checked.stdout.splitlines()]
    assert checked.returncode == 0
    assert {r["check"]: r["status"] for r in rows}["driver"] == "ok"
