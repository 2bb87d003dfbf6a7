"""Loopback SSH servers for simulated nodes: one port and host key a node, public-key login, the real agent inside."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import selectors
import socket
import threading
import time
import zlib
from typing import Any

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from console.agent import main as agent
from console.demo.simulation.host import SimulatedHost
from console.demo.simulation.node import SimulatedNode
from console.demo.simulation.nvml import SimulatedNvml
from console.demo.smi import serve_smi
from console.remote.stream import Fed, acknowledge

_log = logging.getLogger(__name__)
_MAX_PROGRAM = 4 << 20


class ServerTransport(paramiko.Transport):
    """Looks at the socket once a second, as the console's side does."""

    _active_check_timeout = 1.0


class DemoNode(paramiko.ServerInterface):
    """One simulated node as an SSH server."""

    def __init__(self, node: SimulatedNode, host_key: paramiko.PKey, client_key: paramiko.PKey, burst: bool) -> None:
        self.node = node
        self.host_key = host_key
        self._client_key = client_key
        self._burst = burst
        self._transports: list[ServerTransport] = []
        self._lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.listener.setblocking(False)
        self.port = int(self.listener.getsockname()[1])

    def accept(self) -> None:
        """Take one connection, or refuse it while the script says that the node is away."""
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        if self.node.is_refusing():
            sock.close()
            return
        sock.setblocking(True)
        transport = ServerTransport(sock)
        transport.daemon = True
        transport.add_server_key(self.host_key)
        with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(event=threading.Event(), server=_Session(self))
        with self._lock:
            self._transports = [t for t in self._transports if t.is_active()] + [transport]

    def drop(self) -> None:
        """Cut every connection."""
        with self._lock:
            transports, self._transports = self._transports, []
        for transport in transports:
            with contextlib.suppress(Exception):
                transport.sock.shutdown(socket.SHUT_RDWR)
            threading.Thread(target=transport.close, daemon=True).start()

    def has_connections(self) -> bool:
        """Whether anybody is connected."""
        with self._lock:
            return any(t.is_active() for t in self._transports)

    def is_client(self, key: paramiko.PKey) -> bool:
        """Whether `key` is the demo's one client key."""
        return key.asbytes() == self._client_key.asbytes()

    def start(self, channel: Any, command: str) -> None:
        """Run what was asked for: the agent's bootstrap, nvidia-smi, or nothing that is here."""
        if " -u -c '" in command and self.node.plan.has_python:
            AgentRun(self, channel, self._burst)
        elif command.startswith("nvidia-smi ") and self.node.plan.has_driver:
            threading.Thread(target=serve_smi, args=(self.node, channel, command), daemon=True).start()
        else:
            threading.Thread(target=_not_found, args=(channel, command.split(" ", 1)[0]), daemon=True).start()


class _Session(paramiko.ServerInterface):
    """What one connection may do."""

    def __init__(self, demo: DemoNode) -> None:
        self._demo = demo

    def get_allowed_auths(self, username: str) -> str:
        """Public key only."""
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """The demo's client key opens, nothing else."""
        return AUTH_SUCCESSFUL if self._demo.is_client(key) else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Sessions only."""
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        """Start it; the answer to the request goes out first."""
        self._demo.start(channel, command.decode("utf-8", "replace"))
        return True


def _not_found(channel: Any, name: str) -> None:
    time.sleep(0.05)  # the answer to the request goes first
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.sendall_stderr(f"sh: 1: {name}: not found\n".encode())
        channel.send_exit_status(127)
        channel.close()


class AgentRun:
    """The agent over one channel: takes the streamed program, checks it, and runs ours with the same sources."""

    def __init__(self, demo: DemoNode, channel: Any, burst: bool) -> None:
        self._demo = demo
        self._channel = channel
        self._burst = burst
        self._input = b""
        self._header: dict[str, Any] | None = None
        self._control: agent.Control | None = None
        self._started = False
        self._stop = threading.Event()
        self._fed = Fed(self._take, self._ended)
        channel.in_buffer = self._fed

    def _ended(self) -> None:
        self._stop.set()
        if self._control is not None:
            self._control.stop.set()
            self._control.wake.set()

    def _take(self, data: bytes) -> None:
        """Bytes of the console, on the transport's thread."""
        self._input += data
        if self._header is None:
            line, found, rest = self._input.partition(b"\n")
            if not found:
                return
            self._header, self._input = json.loads(line), rest
        if not self._started:
            size = min(int(self._header["bundle"]), _MAX_PROGRAM)
            if len(self._input) < size:
                return
            program, self._input = self._input[:size], self._input[size:]
            self._started = True
            threading.Thread(target=self._run, args=(program,), daemon=True).start()
        *lines, self._input = self._input.split(b"\n")
        for line in lines:
            if self._control is not None:
                self._control.take(line)

    def _run(self, program: bytes) -> None:
        assert self._header is not None
        code = 1
        with contextlib.suppress(OSError, EOFError, ValueError, paramiko.SSHException):
            if hashlib.sha256(program).hexdigest() != self._header["sha256"]:
                self._channel.sendall_stderr(b"the program was damaged on its way\n")
            else:
                zlib.decompress(program)
                code = self._sample(dict(self._header["config"]))
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.send_exit_status(code)
            self._channel.close()

    def _sample(self, config: dict[str, Any]) -> int:
        node = self._demo.node
        config["isolate"] = False
        if self._burst:
            config["phase"] = 0.0

        def attach(control: agent.Control) -> None:
            self._control = control

        return int(
            agent.run(
                config,
                None,
                self._write,
                SimulatedNvml(node),
                SimulatedHost(node),
                wall=node.wall,
                stop=self._stop,
                attach=attach,
            )
        )

    def _write(self, line: bytes) -> None:
        while self._demo.node.is_hanging() and not self._stop.is_set():
            time.sleep(0.25)
        self._channel.sendall(line)
        if self._fed.unread > 1 << 16:
            acknowledge(self._channel, self._fed.take_unread())


class DemoServers:
    """All nodes of a demo behind one accepting thread. `close` ends everything."""

    def __init__(self, nodes: list[DemoNode]) -> None:
        self.nodes = nodes
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="accept", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        selector = selectors.DefaultSelector()
        for node in self.nodes:
            selector.register(node.listener, selectors.EVENT_READ, node)
        scripted = [n for n in self.nodes if n.node.plan.script]
        while not self._end.is_set():
            for key, _ in selector.select(0.5):
                key.data.accept()
            for node in scripted:
                if node.node.is_refusing() and node.has_connections():
                    _log.info("%s leaves the network", node.node.plan.name)
                    node.drop()
        selector.close()

    def close(self) -> None:
        """Stop accepting and cut every connection."""
        self._end.set()
        self._thread.join(2.0)
        for node in self.nodes:
            node.listener.close()
            node.drop()
