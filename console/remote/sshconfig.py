"""What the user's SSH configuration says of a host, without running anything that stands in it.

paramiko's reader runs `Match exec` commands with the host's name in them (measured: a hostile name ran a command), so
such blocks and every ProxyCommand are cut out before it sees the text, unless the operator opts in.
"""

from __future__ import annotations

import glob
import io
import logging
from dataclasses import dataclass
from pathlib import Path

import paramiko

from console.fleet.names import is_host

_log = logging.getLogger(__name__)
_MAX_DEPTH = 16  # OpenSSH's own limit of nested Include


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What the configuration says; None where it says nothing."""

    hostname: str
    port: int | None = None
    user: str | None = None
    identities: tuple[str, ...] = ()
    jumps: tuple[str, ...] = ()
    known_hosts: tuple[str, ...] = ()


class SshConfig:
    """The user's SSH configuration, read once.

    Attributes:
        ignored: what was left out, for a person: "Match exec in FILE line N".
    """

    def __init__(self, path: Path, run_commands: bool = False) -> None:
        self.ignored: list[str] = []
        self._run = run_commands
        text = "".join(self._lines(path, 0))
        self._config = paramiko.SSHConfig()
        try:
            self._config.parse(io.StringIO(text))
        except paramiko.ssh_exception.ConfigParseError as exc:
            self.ignored.append(f"{path} cannot be read: {exc}")
            self._config = paramiko.SSHConfig()
        for note in self.ignored:
            _log.warning("SSH config: %s was ignored", note)

    def lookup(self, host: str) -> HostConfig:
        """What applies to `host`.

        Raises:
            ValueError: the name has characters that no host name has; it is not looked up.
        """
        if not is_host(host):
            raise ValueError(f"{host!r} is not a host name")
        found = self._config.lookup(host)
        hostname = found.get("hostname", host)
        if not is_host(hostname):
            raise ValueError(f"HostName {hostname!r} of {host} is not a host name")
        port = found.get("port", "")
        jumps = [j.strip() for j in found.get("proxyjump", "").split(",") if j.strip() and j.strip().lower() != "none"]
        return HostConfig(
            hostname=hostname,
            port=int(port) if port.isdigit() and 0 < int(port) < 65536 else None,
            user=found.get("user"),
            identities=tuple(found.get("identityfile", ())),
            jumps=tuple(jumps),
            known_hosts=tuple(found.get("userknownhostsfile", "").split()),
        )

    def _lines(self, path: Path, depth: int) -> list[str]:
        try:
            raw = path.expanduser().read_text("utf-8", "replace").splitlines()
        except OSError:
            return []
        out: list[str] = []
        skipping = False
        for number, line in enumerate(raw, 1):
            words = line.strip().replace("=", " ", 1).split()
            key = words[0].lower() if words else ""
            if key in ("host", "match"):
                skipping = key == "match" and not self._run and any(w.lower().lstrip("!") == "exec" for w in words[1:])
                if skipping:
                    self.ignored.append(f"Match exec in {path} line {number}")
            if skipping:
                continue
            if key == "proxycommand" and not self._run:
                self.ignored.append(f"ProxyCommand in {path} line {number}")
            elif key == "include" and depth < _MAX_DEPTH:
                for included in self._included(words[1:]):
                    out += self._lines(included, depth + 1)
            else:
                out.append(line + "\n")
        return out

    @staticmethod
    def _included(patterns: list[str]) -> list[Path]:
        out: list[Path] = []
        for pattern in patterns:
            full = Path(pattern.strip('"')).expanduser()
            base = full if full.is_absolute() else Path.home() / ".ssh" / full
            out += [Path(p) for p in sorted(glob.glob(str(base)))]
        return out
