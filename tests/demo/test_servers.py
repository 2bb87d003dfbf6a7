"""The demo as a process: its servers, its folder, its end. Real sockets, real SSH."""

import contextlib
import hashlib
import json
import logging
import signal
import socket
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import paramiko
import pytest

from console.demo import bootstrap
from console.demo.__main__ import main
from console.fleet.fleetfile import read_fleet
from console.remote import bundle, smi
from console.telemetry.wire import Hello, Sample, decode

ROOT = Path(__file__).resolve().parents[2]


class DemoProcess:
    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "console.demo", *arguments],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.ready = json.loads(self.process.stdout.readline())
        self.folder = Path(self.ready["fleet"]).parent
        self.nodes = {n.name: n for n in read_fleet(Path(self.ready["fleet"])).nodes}

    def client(self, node, key=None, user="demo"):
        client = paramiko.SSHClient()
        client.load_host_keys(self.ready["known_hosts"])
        chosen = key or paramiko.Ed25519Key.from_private_key_file(str(self.folder / "client_key"))
        client.connect(
            "127.0.0.1",
            node.port,
            user,
            pkey=chosen,
            look_for_keys=False,
            allow_agent=False,
            timeout=10,
            banner_timeout=10,
        )
        return client

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        errors = self.process.stderr.read().decode()
        self.process.stderr.close()
        return errors


@pytest.fixture
def start():
    made = []

    def begin(*arguments):
        made.append(DemoProcess(*arguments))
        return made[-1]

    yield begin
    for demo in made:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()
        for stream in (demo.process.stdin, demo.process.stdout, demo.process.stderr):
            with contextlib.suppress(OSError):
                stream.close()


def lines_of(client, command, first=b"", seconds=8.0, until=lambda lines: len(lines) >= 4):
    """(lines of output, exit status or None, standard error)."""
    channel = client.get_transport().open_session(timeout=10)
    channel.settimeout(0.2)
    channel.exec_command(command)
    if first:
        with contextlib.suppress(OSError):
            channel.sendall(first)
    data, end = b"", time.monotonic() + seconds
    while time.monotonic() < end and not until(data.split(b"\n")[:-1]):
        try:
            got = channel.recv(65536)
        except TimeoutError:
            continue
        if not got:
            break
        data += got
    ended = channel.closed or channel.exit_status_ready()
    status = channel.recv_exit_status() if ended else None
    errors = b""
    while channel.recv_stderr_ready():
        errors += channel.recv_stderr(4096)
    channel.close()
    return data.split(b"\n")[:-1], status, errors.decode()


def program(config=None):
    made = bundle.agent_bundle()
    return made.header(config or {"mode": "stream", "node": "x", "phase": 0.0, "ttl_s": 60}) + made.data


def test_the_fleet_file_is_ours_and_says_that_it_is_a_demo(start):
    demo = start("--nodes", "5", "--cards", "2", "--seed", "9", "--interval", "2")
    assert demo.ready["pid"] == demo.process.pid
    fleet = read_fleet(Path(demo.ready["fleet"]))
    assert fleet.demo
    assert fleet.name == "Demo fleet (simulated)"
    assert len(fleet.nodes) == 5
    assert {n.interval_s for n in fleet.nodes} == {2.0}
    assert all(n.region and n.rack and n.supplier and n.labels for n in fleet.nodes)
    assert stat.S_IMODE(demo.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((demo.folder / "client_key").stat().st_mode) == 0o600
    raw = tomllib.loads(Path(demo.ready["fleet"]).read_text())
    assert {n["host"] for n in raw["node"]} == {"127.0.0.1"}


def test_the_streamed_agent_answers(start):
    demo = start("--nodes", "2", "--cards", "2")
    with demo.client(next(iter(demo.nodes.values()))) as client:
        lines, _, _ = lines_of(client, bundle.command("python3"), program())
        found = [decode(x) for x in lines]
        assert isinstance(found[0], Hello)
        assert [e.name for e in found[0].entities] == ["NVIDIA H100 80GB HBM3"] * 2
        assert any(isinstance(x, Sample) and x.k == "fast" for x in found)
        # A control line is heard, and the agent ends as asked.
        stop = program() + b'{"c":"ping"}\n{"c":"stop"}\n'
        _, status, errors = lines_of(client, bundle.command("python3"), stop, until=lambda _: False)
        assert (status, errors) == (0, "")
        probe = program({"mode": "probe", "node": "x"})
        lines, status, _ = lines_of(client, bundle.command("python3"), probe, until=lambda _: False)
        assert status == 0
        names = [c["name"] for c in decode(lines[0]).checks]
        assert names[:5] == ["python", "host", "nvml", "driver", "cards"]
    assert demo.close() == ""


def test_only_the_demos_key_and_user_open(start):
    demo = start("--nodes", "1", "--cards", "1")
    node = next(iter(demo.nodes.values()))
    with pytest.raises(paramiko.AuthenticationException):
        demo.client(node, key=paramiko.ECDSAKey.generate())
    with pytest.raises(paramiko.AuthenticationException):
        demo.client(node, user="root")
    sock = socket.create_connection(("127.0.0.1", node.port))
    transport = paramiko.Transport(sock)
    try:
        transport.start_client(timeout=10)
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            transport.auth_password("demo", "demo")
        assert refused.value.allowed_types == ["publickey"]
    finally:
        transport.close()


def test_other_commands_and_broken_programs_are_refused(start):
    demo = start("--nodes", "1", "--cards", "1")
    with demo.client(next(iter(demo.nodes.values()))) as client:
        never = lambda _: False  # noqa: E731
        _, status, errors = lines_of(client, "rm -rf /", until=never)
        assert status == 127
        assert "rm: not found" in errors
        good = bundle.agent_bundle()
        for first, said in (
            (good.header({}) + b"x" * len(good.data), "damaged"),
            (b"hello\n", "python3"),
            (b"x" * (bootstrap.MAX_HEADER + 1), "no end"),
            (json.dumps({"bundle": 1 << 40, "sha256": "", "config": {}}).encode() + b"\n", "size"),
        ):
            _, status, errors = lines_of(client, bundle.command("python3"), first, until=never)
            assert status == 1, said
            assert said in errors
        lines, _, _ = lines_of(client, bundle.command("python3"), program())
        assert isinstance(decode(lines[0]), Hello)  # the connection has not suffered


def test_the_node_without_python_has_nvidia_smi(start):
    demo = start("--nodes", "11", "--cards", "2")
    node = list(demo.nodes.values())[10]
    with demo.client(node) as client:
        _, status, errors = lines_of(client, bundle.command("python3"), until=lambda _: False)
        assert status == 127
        assert "not found" in errors
        rows, _, _ = lines_of(client, smi.command(0.5))
        translator = smi.SmiTranslator(0.5)
        found = [decode(x) for x in translator.feed(b"\n".join(rows) + b"\n").splitlines()]
        hello = found[0]
        assert (hello.mode, [e.name for e in hello.entities]) == ("smi", ["NVIDIA A100-SXM4-80GB"] * 2)
        assert all(value is not None for value in found[1].c[0][:5])
        _, status, errors = lines_of(client, "nvidia-smi --query-gpu=index,no.such --format=csv", until=lambda _: False)
        assert status == 2
        assert "no.such" in errors


def test_a_node_that_drops_refuses_and_comes_back(start):
    # 40 s of absence from second 420.
    demo = start("--nodes", "6", "--cards", "1", "--skip", "417")
    node = list(demo.nodes.values())[5]
    client = demo.client(node)
    try:
        end = time.monotonic() + 15.0
        while client.get_transport().is_active() and time.monotonic() < end:
            time.sleep(0.1)
        assert not client.get_transport().is_active()
    finally:
        client.close()
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    with pytest.raises((paramiko.SSHException, EOFError, OSError)):
        demo.client(node)
    with demo.client(next(iter(demo.nodes.values()))) as other:  # the rest stay
        assert other.get_transport().is_active()


def test_burst_lets_all_emit_at_one_instant(start):
    demo = start("--nodes", "2", "--cards", "1", "--burst")
    for node in demo.nodes.values():
        with demo.client(node) as client:
            config = {"mode": "stream", "node": "x", "phase": 0.5, "ttl_s": 60}
            lines, _, _ = lines_of(client, bundle.command("python3"), program(config), until=lambda n: len(n) >= 8)
            fast = [x for x in map(decode, lines) if isinstance(x, Sample) and x.k == "fast"]
            assert min(x.w % 1.0 for x in fast) < 0.25
            assert max(x.w % 1.0 for x in fast) < 0.4


@pytest.mark.parametrize("end", ["stdin", signal.SIGTERM, signal.SIGINT])
def test_it_ends_and_leaves_nothing(start, end):
    demo = start("--nodes", "2", "--cards", "1")
    client = demo.client(next(iter(demo.nodes.values())))
    try:
        assert demo.folder.exists()
        if isinstance(end, signal.Signals):
            demo.process.send_signal(end)
        else:
            demo.process.stdin.close()
        assert demo.process.wait(10) == 0
        assert not demo.folder.exists()
        assert demo.process.stderr.read() == b""
    finally:
        client.close()


def test_wrong_usage_is_told(capsys):
    for arguments in (["--nodes", "0"], ["--cards", "17"], ["--interval", "0.1"], ["--skip", "-1"], ["--nope"]):
        assert main(arguments) == 2
        assert "error" in capsys.readouterr().err
    assert main(["--help"]) == 0


def test_other_sources_than_ours_are_told_once(caplog, tmp_path):
    import pynvml

    folder = tmp_path / "agent"
    folder.mkdir()
    for file in (ROOT / "console" / "agent").glob("*.py"):
        (folder / file.name).write_text(file.read_text())
    (folder / "rates.py").write_text("# another\n")
    other = bundle.build(folder, {"pynvml": Path(pynvml.__file__)})
    ours = bundle.agent_bundle()
    bootstrap.check_program(ours.data, ours.sha256)
    assert caplog.records == []
    for _ in range(2):
        bootstrap.check_program(other.data, other.sha256)
    assert len(caplog.records) == 1
    assert "cardkeeper_agent.rates" in caplog.text
    with pytest.raises(ValueError, match="damaged"):
        bootstrap.check_program(other.data, ours.sha256)
    with pytest.raises(ValueError, match="cannot be read"):
        bootstrap.check_program(b"junk", hashlib.sha256(b"junk").hexdigest())


def test_a_program_in_any_pieces_is_taken():
    for size in (1, 7, 1000, 1 << 20):
        intake, lines = bootstrap.Intake(), []
        data = program({"mode": "probe"}) + b'{"c":"ping"}\n{"c":'
        for at in range(0, len(data), size):
            lines += intake.take(data[at : at + size])
        assert intake.program == bundle.agent_bundle().data
        assert intake.config == {"mode": "probe"}
        assert lines == [b'{"c":"ping"}']
    with pytest.raises(ValueError):
        bootstrap.Intake().take(b"[]\n")
    intake = bootstrap.Intake()
    intake.take(program())
    with pytest.raises(ValueError, match="without end"):
        intake.take(b"x" * (bootstrap.MAX_HEADER + 1))


def test_bootstraps_are_known():
    assert bootstrap.is_bootstrap(bundle.command("python3"))
    assert bootstrap.is_bootstrap(bundle.command("/opt/py-3.9/bin/python3"))
    assert not bootstrap.is_bootstrap("python3 -c 'print(1)'")
    assert not bootstrap.is_bootstrap("rm -rf / ; python3 -u -c 'x'")
