"""Commands done by a server elsewhere: its API, through an SSH connection that is opened for it. One writer, many desks."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

from console.app import ConsoleError
from console.exposure import DOCUMENT, OPERATOR, VIEWER, is_read, parameters, path
from console.fleet.fleetfile import read_fleet
from console.fleet.model import Fleet, Node
from console.fleet.names import is_host
from console.registry import Command
from console.remote.passage import Passage
from console.selling import read_json

PORT = 8089
ANSWER_S = 120.0
TOKEN = "CARDKEEPER_TOKEN"


class Attached:
    """A server's commands. Close it, or use it as a context."""

    def __init__(self, place: str, fleet_path: Path) -> None:
        """Connect to `place`: a node of the fleet file, or [USER@]HOST; with :PORT the API's own port.

        Raises:
            ConsoleError: there is no token, or the place is none.
            LinkProblem: the host cannot be reached.
        """
        self._token = os.environ.get(TOKEN, "")
        if not self._token:
            raise ConsoleError(f"set {TOKEN} to a token of that server: cardkeeper caller add NAME --scope operator")
        host, _, port = place.partition(":")
        if port and not port.isdigit():
            raise ConsoleError(f"--on {place}: the port is no number")
        fleet, name = _fleet(host, fleet_path)
        self._place = name
        self._passage = Passage(fleet, name, int(port or PORT))

    def __enter__(self) -> Attached:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._passage.close()

    def call(self, command: Command, values: dict[str, Any]) -> Any:
        """What a command answers there.

        Raises:
            ConsoleError: the server has no such command, refuses, or its answer is none.
            LinkProblem: the connection is gone.
        """
        if command.id not in (*VIEWER, *OPERATOR):
            raise ConsoleError(f"{command.id.replace('.', ' ')} is not done by a server; leave out --on")
        given = {p.name: values[p.name] for p in parameters(command) if values.get(p.name) is not None}
        if DOCUMENT in given:
            given["document"] = read_json(given.pop(DOCUMENT))
        connection = http.client.HTTPConnection("127.0.0.1", timeout=ANSWER_S)
        connection.sock = self._passage.open()
        connection.sock.settimeout(ANSWER_S)
        headers = {"Authorization": f"Bearer {self._token}", "Host": "127.0.0.1"}
        try:
            if is_read(command):
                query = urlencode({k: str(v).lower() if isinstance(v, bool) else v for k, v in given.items()})
                connection.request("GET", path(command) + (f"?{query}" if query else ""), headers=headers)
            else:
                body = json.dumps(given).encode()
                connection.request("POST", path(command), body, headers | {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return self._understood(answer.status, answer.read())
        except (OSError, http.client.HTTPException) as exc:
            raise ConsoleError(f"{self._place}: the server did not answer: {exc}") from exc
        finally:
            connection.close()

    def _understood(self, status: int, body: bytes) -> Any:
        try:
            found = json.loads(body)
        except ValueError as exc:
            raise ConsoleError(
                f"{self._place}: the server answered something that is not JSON (status {status})"
            ) from exc
        if status >= 400:
            detail = found.get("detail") if isinstance(found, dict) else None
            raise ConsoleError(f"{self._place}: {detail or f'status {status}'}")
        return found


def _fleet(host: str, fleet_path: Path) -> tuple[Fleet, str]:
    """(a fleet that has this host, its name there): a node of the fleet file, or a host by itself."""
    if fleet_path.exists():
        fleet = read_fleet(fleet_path)
        if any(n.name == host for n in fleet.nodes):
            return fleet, host
    user, _, address = host.rpartition("@")
    if not is_host(address):
        raise ConsoleError(f"--on {host}: this is no host")
    return Fleet("", "", (Node(address, address, user=user or None),)), address
