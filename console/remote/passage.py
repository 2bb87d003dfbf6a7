"""A way to a port that listens on a host's loopback alone, through a connection of our own to that host."""

from __future__ import annotations

from typing import Any

import paramiko

from console.fleet.model import Fleet
from console.fleet.state import ProblemCode
from console.remote.auth import KeyRing, Passphrases
from console.remote.connection import Connector, close_now
from console.remote.errors import problem
from console.remote.targets import SshOptions, Targets

OPEN_S = 10.0


class Passage:
    """Connections to one port of a node of `fleet`, whose SSH the node's own entry describes."""

    def __init__(self, fleet: Fleet, name: str, port: int, options: SshOptions | None = None) -> None:
        """Connect.

        Raises:
            LinkProblem: the host cannot be reached, shows another key, or refuses the login.
        """
        options = options or SshOptions()
        self._name, self._port = name, port
        self._target = Targets(fleet, options).of(name)
        self._connector = Connector(KeyRing(Passphrases(), options.use_agent))
        self._transport = self._connector.connect(self._target)

    def open(self) -> Any:
        """One connection: a socket for whoever speaks through it.

        Raises:
            LinkProblem: nothing listens there, or the host forbids forwarding.
        """
        try:
            channel = self._transport.open_channel(
                "direct-tcpip", ("127.0.0.1", self._port), ("127.0.0.1", 0), timeout=OPEN_S
            )
        except (paramiko.SSHException, EOFError, OSError) as exc:
            raise problem(
                ProblemCode.PORT,
                f"{self._name}: port {self._port} of its loopback cannot be reached",
                str(exc),
                f"is it running there? cardkeeper serve --port {self._port}; and sshd must allow TCP forwarding",
            ) from exc
        channel.settimeout(None)
        return channel

    def close(self) -> None:
        """End the connection."""
        close_now(self._transport)
        self._connector.release(self._target)
        self._connector.close()
