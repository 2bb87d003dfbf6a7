"""Keys to log in with: the SSH agent's, key files, and OpenSSH certificates beside them. Never a password."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from console.fleet.state import ProblemCode
from console.remote.errors import problem

_log = logging.getLogger(__name__)
_DEFAULT_FILES = ("id_ed25519", "id_ecdsa", "id_rsa")


class Passphrases:
    """Passphrases of key files, in memory only, by the file's full path. Thread-safe; never printed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: dict[str, str] = {}

    def put(self, identity: str, secret: str) -> None:
        """Remember the passphrase of a key file."""
        with self._lock:
            self._secrets[_full(identity)] = secret

    def get(self, identity: str) -> str | None:
        """The passphrase of a key file, if it was given."""
        with self._lock:
            return self._secrets.get(_full(identity))

    def drop(self, identity: str) -> None:
        """Forget a passphrase that turned out wrong."""
        with self._lock:
            self._secrets.pop(_full(identity), None)

    def __repr__(self) -> str:
        return f"Passphrases({len(self._secrets)} kept)"


def _full(identity: str) -> str:
    return str(Path(identity).expanduser())


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key to try and where it came from, for error texts."""

    key: paramiko.PKey
    source: str


@dataclass(slots=True)
class KeyRing:
    """Finds the keys for a connection.

    Attributes:
        use_agent: ask the SSH agent too.
    """

    passphrases: Passphrases
    use_agent: bool = True

    def candidates(self, name: str, identities: tuple[str, ...], explicit: bool) -> Iterator[Candidate]:
        """Keys in the order to try: named files, the agent's, default files.

        `explicit`: the fleet file named the identity, so a file that is missing or locked is the operator's to mend.

        Raises:
            LinkProblem: a named file is missing, unreadable, or needs its passphrase.
        """
        chosen = identities or tuple(str(Path.home() / ".ssh" / f) for f in _DEFAULT_FILES)
        locked: str | None = None
        for identity in chosen:
            path = Path(identity).expanduser()
            if not path.is_file():
                if explicit and identities:
                    raise problem(
                        ProblemCode.AUTH,
                        f"{name}: the key file {path} does not exist",
                        "",
                        "correct `identity` in the fleet file",
                        person=True,
                    )
                continue
            key = self._load(name, path)
            if key is None:
                locked = locked or str(path)
                continue
            certificate = path.with_name(path.name + "-cert.pub")
            if certificate.is_file():
                certified = self._load(name, path)
                assert certified is not None
                certified.load_certificate(str(certificate))
                yield Candidate(certified, str(certificate))
            yield Candidate(key, str(path))
        if self.use_agent:
            yield from _agent_keys()
        if locked is not None:
            raise problem(
                ProblemCode.PASSPHRASE,
                f"{name}: the key {locked} is locked",
                "its passphrase is needed, and the SSH agent has no key that the node accepts",
                f"give the passphrase (kept in memory only), or run: ssh-add {locked}",
                person=True,
                identity=locked,
            )

    def _load(self, name: str, path: Path) -> paramiko.PKey | None:
        """The key in a file; None when it is locked and its passphrase is not known."""
        secret = self.passphrases.get(str(path))
        try:
            return _read_key(path, secret)
        except paramiko.PasswordRequiredException:
            return None
        except (paramiko.SSHException, ValueError, OSError) as exc:
            if secret is not None:
                self.passphrases.drop(str(path))
                raise problem(
                    ProblemCode.PASSPHRASE,
                    f"{name}: the passphrase of {path} is wrong",
                    "",
                    "give it again",
                    person=True,
                    identity=str(path),
                ) from exc
            raise problem(
                ProblemCode.AUTH,
                f"{name}: the key file {path} cannot be read",
                str(exc),
                "check the file and its permissions",
                person=True,
            ) from exc


def _read_key(path: Path, secret: str | None) -> paramiko.PKey:
    """The key in a file, whichever of the kinds it is (PKey.from_path takes no text as a passphrase).

    Raises:
        PasswordRequiredException: it is locked and there is no passphrase.
        SSHException, ValueError: it is no key, or the passphrase is wrong.
        OSError: it cannot be read.
    """
    failure: Exception = paramiko.SSHException("not a private key")
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key_file(str(path), password=secret)
        except paramiko.PasswordRequiredException:
            raise
        except (paramiko.SSHException, ValueError) as exc:
            failure = exc
    raise failure


def _agent_keys() -> Iterator[Candidate]:
    try:
        agent = paramiko.Agent()
        keys = agent.get_keys()
    except (paramiko.SSHException, OSError, EOFError) as exc:
        _log.info("the SSH agent cannot be asked: %s", exc)
        return
    for key in keys:
        yield Candidate(key, f"SSH agent ({key.comment or key.get_name()})")
