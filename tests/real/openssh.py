"""Real OpenSSH servers on loopback: own configuration, host keys, user keys, an account with /bin/sh."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

ACCOUNT = "cardkeeper-test"
SSHD = "/usr/sbin/sshd"


def why_not() -> str:
    """Why real servers cannot be run here, or ""."""
    if not Path(SSHD).exists() or shutil.which("ssh-keygen") is None:
        return "openssh-server is not installed"
    if os.geteuid() != 0:
        return "a server for another account needs root"
    return ""


def ensure_account() -> str:
    """The test account, made if need be: root's shell may run slow start-up files for every command."""
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", ACCOUNT], check=True)
        # An account without a password is locked, which some builds of sshd refuse even for keys.
        subprocess.run(["usermod", "-p", "*", ACCOUNT], check=True)
    return ACCOUNT


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> Path:
    """A key pair at `path`."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True)
    return path


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Sshd:
    """One sshd. `folder` holds its keys and its log."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        if not (self.folder / "host_key").exists():
            make_key(self.folder / "host_key")
        (self.folder / "authorized_keys").touch()

    def allow(self, public: Path) -> None:
        with (self.folder / "authorized_keys").open("a") as file:
            file.write(public.read_text())

    @property
    def host_line(self) -> str:
        kind, blob, *_ = (self.folder / "host_key.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {blob}\n"

    def start(self) -> Sshd:
        Path("/run/sshd").mkdir(exist_ok=True)
        lines = [
            f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys", f"PidFile {self.folder}/pid", "StrictModes no",
            "UsePAM no", "PasswordAuthentication no", "UseDNS no", "MaxStartups 2000", "MaxSessions 1000", *self.extra,
        ]  # fmt: skip
        if self.env:
            lines.append("SetEnv " + " ".join(f"{k}={v}" for k, v in self.env.items()))
        config = self.folder / "sshd_config"
        config.write_text("\n".join(lines) + "\n")
        for path in (self.folder, *self.folder.parents):
            if path == Path("/tmp"):
                break
            path.chmod(path.stat().st_mode | 0o055)
        self.process = subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", str(self.folder / "log")])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def sessions(self) -> list[int]:
        """Process ids of everything below the listening server."""
        assert self.process is not None
        return descendants(self.process.pid)

    def stop(self) -> None:
        if self.process is None:
            return
        for pid in self.sessions():
            try:
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.kill()
        self.process.wait()
        self.process = None


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        for child in children.get(todo.pop(), []):
            found.append(child)
            todo.append(child)
    return found
