"""Loopback SSH servers for simulated nodes: one port and host key a node, public-key login, the real agent inside."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
)

from console.demo.agentrun import AgentRun, finish, in_thread
from console.demo.bootstrap import is_bootstrap
from console.demo.simulation.node import SimulatedNode
from console.demo.smi import serve_smi

_log = logging.getLogger(__name__)
USER = "demo"
_LOOK_S = 0.5
_REPLY_S = 0.05
"""The answer to a request goes out before what the command says; paramiko tells nobody when it has gone."""


class ServerTransport(paramiko.Transport):
    """Looks at the socket once a second, as the console's side does."""

    _active_check_timeout = 1.0


class DemoNode:
    """One simulated node as an SSH server: its listening socket and the connections that stand."""

    def __init__(
        self, node: SimulatedNode, host_key: paramiko.PKey, client_key: paramiko.PKey, burst: bool, books: Path
    ) -> None:
        self.node = node
        self.host_key = host_key
        self._client_key = client_key
        self._burst = burst
        self._books = books
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
        if self.node.is_away():
            sock.close()
            return
        sock.setblocking(True)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
            with contextlib.suppress(OSError):
                transport.sock.shutdown(socket.SHUT_RDWR)
            in_thread("close", transport.close)

    def has_connections(self) -> bool:
        """Whether anybody is connected."""
        with self._lock:
            return any(t.is_active() for t in self._transports)

    def is_client(self, user: str, key: paramiko.PKey) -> bool:
        """Whether `key` is the demo's one client key, for its one user."""
        return user == USER and key.asbytes() == self._client_key.asbytes()

    def start(self, channel: Any, command: str) -> None:
        """Run what was asked for: the agent's bootstrap, nvidia-smi, or nothing that is here.

        On the transport's thread, so that no byte comes before its reader.
        """
        plan = self.node.plan
        if is_bootstrap(command) and plan.has_python:
            AgentRun(self.node, channel, self._burst, self._books)
        elif command.startswith("nvidia-smi ") and plan.has_driver:
            in_thread("nvidia-smi", lambda: _after_reply(lambda: serve_smi(self.node, channel, command)))
        else:
            name = command.split(" ", 1)[0]
            text = f"sh: 1: {name}: not found (a simulated node has the agent's python3 and nvidia-smi)\n"
            in_thread("not found", lambda: _after_reply(lambda: finish(channel, 127, text)))


def _after_reply(call: Callable[[], None]) -> None:
    time.sleep(_REPLY_S)
    call()


class _Session(paramiko.ServerInterface):
    """What one connection may do."""

    def __init__(self, demo: DemoNode) -> None:
        self._demo = demo

    def get_allowed_auths(self, username: str) -> str:
        """Public key only."""
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """The demo's client key opens, nothing else."""
        return AUTH_SUCCESSFUL if self._demo.is_client(username, key) else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Sessions only."""
        return OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        """Start it."""
        self._demo.start(channel, command.decode("utf-8", "replace"))
        return True


class DemoServers:
    """All nodes of a demo behind one accepting thread. `close` ends everything."""

    def __init__(self, nodes: list[DemoNode]) -> None:
        self.nodes = nodes
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="accept", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        scripted = [n for n in self.nodes if n.node.plan.script]
        with selectors.DefaultSelector() as selector:
            for node in self.nodes:
                selector.register(node.listener, selectors.EVENT_READ, node)
            while not self._end.is_set():
                for key, _ in selector.select(_LOOK_S):
                    key.data.accept()
                for node in scripted:
                    if node.node.is_away() and node.has_connections():
                        _log.info("%s leaves the network", node.node.plan.name)
                        node.drop()

    def close(self) -> None:
        """Stop accepting and cut every connection."""
        self._end.set()
        self._thread.join(2.0)
        for node in self.nodes:
            node.listener.close()
            node.drop()
