"""Where a node really is: the fleet file over the user's SSH configuration over the defaults."""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from pathlib import Path

from console.fleet.model import Fleet, Jump, Node
from console.fleet.names import is_host
from console.fleet.state import ProblemCode
from console.remote.errors import problem
from console.remote.sshconfig import HostConfig, SshConfig

_MAX_JUMPS = 8


def default_known_hosts() -> tuple[Path, ...]:
    """Where OpenSSH looks when nothing else is said."""
    return (Path.home() / ".ssh" / "known_hosts", Path("/etc/ssh/ssh_known_hosts"))


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How the workstation does SSH.

    Attributes:
        config: path of the user's SSH configuration; "" reads none.
        run_config_commands: let `Match exec` run. Off: a name in a fleet file must not run a command.
        use_agent: ask the SSH agent.
        parallel: connections being made at once.
    """

    config: str = "~/.ssh/config"
    run_config_commands: bool = False
    use_agent: bool = True
    parallel: int = 16


@dataclass(frozen=True, slots=True)
class Target:
    """A host to connect to, everything decided.

    Attributes:
        name: the node's or jump's name, for error texts.
        hostname, port, user: where.
        key_host, key_port: under which known_hosts knows it.
        known_hosts: files to read; the first takes a key that is trusted now.
        jumps: targets on the way, outermost first.
    """

    name: str
    hostname: str
    port: int
    user: str
    identities: tuple[str, ...]
    identity_is_explicit: bool
    known_hosts: tuple[Path, ...]
    jumps: tuple[Target, ...] = field(default=())

    @property
    def key_host(self) -> str:
        """The host as known_hosts knows it."""
        return self.hostname

    @property
    def key_port(self) -> int:
        """The port as known_hosts knows it."""
        return self.port

    @property
    def route(self) -> str:
        """The way there, for people: "bastion -> gpu01"."""
        return " -> ".join([*(j.name for j in self.jumps), self.name])


class Targets:
    """Resolves nodes of a fleet. Reads the SSH configuration once."""

    def __init__(self, fleet: Fleet, options: SshOptions) -> None:
        self._jumps = {j.name: j for j in fleet.jumps}
        self._nodes = {n.name: n for n in fleet.nodes}
        self.config = SshConfig(Path(options.config), options.run_config_commands) if options.config else None

    def of(self, name: str) -> Target:
        """The target of a node.

        Raises:
            LinkProblem: no such node, a bad host name, or jumps that go in a circle.
        """
        node = self._nodes.get(name)
        if node is None:
            raise problem(ProblemCode.CONFIG, f"there is no node {name} in the fleet", "", "see: cardkeeper nodes")
        return self._resolve(node, node.jump, ())

    def _resolve(self, place: Node | Jump, jumps: tuple[str, ...], seen: tuple[str, ...]) -> Target:
        said = self._look_up(place)
        identities = (place.identity,) if place.identity else said.identities
        files = (Path(place.known_hosts),) if place.known_hosts else tuple(Path(k) for k in said.known_hosts)
        return Target(
            name=place.name,
            hostname=said.hostname,
            port=place.port or said.port or 22,
            user=place.user or said.user or getpass.getuser(),
            identities=tuple(identities),
            identity_is_explicit=place.identity is not None,
            known_hosts=tuple(f.expanduser() for f in (files or default_known_hosts())),
            jumps=self._route(jumps or said.jumps, (*seen, place.name)),
        )

    def _look_up(self, place: Node | Jump) -> HostConfig:
        if not is_host(place.host):
            raise problem(
                ProblemCode.CONFIG,
                f"{place.name}: {place.host!r} is not a host name",
                "",
                "correct `host` in the fleet file",
                person=True,
            )
        if self.config is None:
            return HostConfig(place.host)
        try:
            return self.config.lookup(place.host)
        except ValueError as exc:
            raise problem(ProblemCode.CONFIG, f"{place.name}: {exc}", "", "correct it", person=True) from exc

    def _route(self, names: tuple[str, ...], seen: tuple[str, ...]) -> tuple[Target, ...]:
        if len(seen) > _MAX_JUMPS or any(n in seen for n in names):
            raise problem(
                ProblemCode.CONFIG,
                f"the jump hosts go in a circle: {' -> '.join((*seen, *names))}",
                "",
                "correct `jump` in the fleet file or ProxyJump in your SSH config",
                person=True,
            )
        return tuple(self._jump(name, seen) for name in names)

    def _jump(self, name: str, seen: tuple[str, ...]) -> Target:
        known = self._jumps.get(name)
        if known is not None:
            return self._resolve(known, (), seen)
        user, _, place = name.rpartition("@")
        host, _, port = place.partition(":") if place.count(":") == 1 else (place, "", "")
        jump = Jump(host, host, int(port) if port.isdigit() else None, user or None)
        return self._resolve(jump, (), seen)
