"""One SSH connection: TCP or a jump's tunnel, handshake, strict host key, login."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import paramiko
from paramiko.ssh_exception import AuthenticationException, BadAuthenticationType

from console.fleet.state import ProblemCode
from console.remote.auth import KeyRing
from console.remote.errors import LinkProblem, handshake_problem, problem, tcp_problem
from console.remote.hostkeys import Answer, KnownHosts, Verdict, fingerprint
from console.remote.targets import Target

_log = logging.getLogger(__name__)

CONNECT_S = 10.0
BANNER_S = 15.0
AUTH_S = 20.0
_MAX_KEYS = 6  # sshd's MaxAuthTries; more attempts only make it hang up


class Transport(paramiko.Transport):
    """paramiko's Transport, tuned.

    Its thread looks at the socket ten times a second even when idle, which is most of an idle connection's cost
    (paramiko issue 361); once a second is enough, as data wakes it at once. AES-GCM is a third cheaper than CTR+HMAC.
    """

    _active_check_timeout = 1.0
    _preferred_ciphers = (
        "aes128-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "aes128-ctr",
        "aes192-ctr",
        "aes256-ctr",
    )
    _preferred_macs = (
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    )

    def __init__(self, sock: Any, known_types: list[str], has_authority: bool) -> None:
        super().__init__(sock)
        self.daemon = True
        names: list[str] = list(paramiko.Transport._preferred_keys)  # type: ignore[attr-defined]
        # As OpenSSH does: ask first for what known_hosts has, or a known host would look unknown by another key.
        wanted = [n for t in known_types for n in (("rsa-sha2-512", "rsa-sha2-256") if t == "ssh-rsa" else (t,))]
        self._preferred_keys = tuple(
            [n for n in dict.fromkeys(wanted) if n in names] + [n for n in names if n not in wanted]
        )
        self._has_authority = has_authority

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host key algorithms in order; certificates first for hosts an authority signs for, else not at all."""
        plain = tuple(self._filter_algorithm("keys"))  # type: ignore[attr-defined]
        if not self._has_authority:
            return plain
        return tuple(f"{n}-cert-v01@openssh.com" for n in plain) + plain

    def shown_key(self) -> bytes:
        """The host's key or certificate in wire form."""
        key: Any = self.host_key
        blob = getattr(key, "public_blob", None)
        return bytes(blob.key_blob) if blob is not None else bytes(key.asbytes())


def open_socket(target: Target) -> socket.socket:
    """A TCP connection to a target.

    Raises:
        LinkProblem: with the reason.
    """
    try:
        sock = socket.create_connection((target.hostname, target.port), timeout=CONNECT_S)
    except OSError as exc:
        raise tcp_problem(target.name, target.hostname, target.port, exc) from exc
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def tunnel(jump: Transport, jump_name: str, target: Target) -> paramiko.Channel:
    """A connection to a target through a jump host.

    Raises:
        LinkProblem: the jump cannot reach the target.
    """
    try:
        return jump.open_channel("direct-tcpip", (target.hostname, target.port), ("127.0.0.1", 0), timeout=CONNECT_S)
    except (paramiko.SSHException, EOFError, OSError) as exc:
        raise problem(
            ProblemCode.JUMP,
            f"{target.name}: {jump_name} cannot reach {target.hostname}:{target.port}",
            str(exc),
            f"log in to {jump_name} and try: ssh {target.hostname}; check AllowTcpForwarding there",
        ) from exc


def handshake(target: Target, sock: Any, started: Callable[[Transport], None] | None = None) -> Transport:
    """Encrypt the connection and check the host's key.

    `started` is told of the transport before anything blocks, so that another thread can close it.

    Raises:
        LinkProblem: the handshake failed, or the key is unknown, changed or revoked.
    """
    hosts = KnownHosts(target.known_hosts)
    types, has_authority = hosts.preferred_types(target.key_host, target.key_port)
    transport: Transport | None = None
    try:
        transport = Transport(sock, types, has_authority)
        if started is not None:
            started(transport)
        transport.banner_timeout = BANNER_S
        transport.auth_timeout = AUTH_S
        transport.start_client(timeout=BANNER_S)
        check_key(target, hosts, transport.shown_key())
    except LinkProblem:
        _close(transport, sock)
        raise
    except (paramiko.SSHException, EOFError, OSError) as exc:
        _close(transport, sock)
        raise handshake_problem(target.name, exc) from exc
    return transport


def _close(transport: Transport | None, sock: Any) -> None:
    if transport is not None:
        transport.close()
    sock.close()


def check_key(target: Target, hosts: KnownHosts, blob: bytes) -> None:
    """Accept a known key and nothing else.

    Raises:
        LinkProblem: unknown, changed or revoked, with fingerprints for a person.
    """
    answer = hosts.judge(target.key_host, target.key_port, blob)
    if answer.verdict is Verdict.KNOWN:
        return
    found = _key_problem(target, answer, blob)
    found.key = blob
    raise found


def _key_problem(target: Target, answer: Answer, blob: bytes) -> LinkProblem:
    new = fingerprint(blob)
    kind = blob[4 : 4 + blob[3]].decode("ascii", "replace")
    facts = {
        "fingerprint": new,
        "key_type": kind,
        "host": target.key_host,
        "port": str(target.key_port),
        "file": str(target.known_hosts[0]) if target.known_hosts else "",
        "target": target.name,
    }
    if answer.verdict is Verdict.UNKNOWN:
        return problem(
            ProblemCode.KEY_UNKNOWN,
            f"{target.name}: the host key is not known ({kind} {new})",
            answer.reason or f"no line of {facts['file']} is for {target.key_host}",
            f"compare the fingerprint with the node's own, then run: cardkeeper fleet trust {target.name}",
            person=True,
            **facts,
        )
    entry = answer.entry
    assert entry is not None
    facts |= {"old_fingerprint": fingerprint(entry.blob), "old_file": entry.path, "old_line": str(entry.line)}
    if answer.verdict is Verdict.REVOKED:
        return problem(
            ProblemCode.KEY_REVOKED,
            f"{target.name}: the host key {new} is revoked",
            f"{entry.path} line {entry.line} says @revoked",
            "do not connect; the key may be stolen. Give the node a new key",
            person=True,
            **facts,
        )
    token = target.key_host if target.key_port == 22 else f"[{target.key_host}]:{target.key_port}"
    return problem(
        ProblemCode.KEY_CHANGED,
        f"{target.name}: THE HOST KEY HAS CHANGED. Known {facts['old_fingerprint']}, shown {new}",
        f"{entry.path} line {entry.line} has another key: the node was reinstalled, or somebody is in between",
        f"find out why. Only if the node was reinstalled: ssh-keygen -f {entry.path} -R '{token}'",
        person=True,
        **facts,
    )


def log_in(target: Target, transport: Transport, keys: KeyRing) -> None:
    """Authenticate by public key.

    Raises:
        LinkProblem: no key was accepted, or one needs its passphrase.
    """
    tried: list[str] = []
    try:
        for candidate in keys.candidates(target.name, target.identities, target.identity_is_explicit):
            if len(tried) >= _MAX_KEYS:
                break
            tried.append(candidate.source)
            try:
                if not transport.auth_publickey(target.user, candidate.key):
                    return
            except BadAuthenticationType as exc:
                raise _refused(target, tried, f"the node only allows: {', '.join(exc.allowed_types)}") from exc
            except AuthenticationException:
                _log.info("%s: %s was not accepted", target.name, candidate.source)
    except (paramiko.SSHException, EOFError, OSError) as exc:
        raise _refused(target, tried, str(exc) or "the node closed the connection") from exc
    raise _refused(target, tried, "")


def _refused(target: Target, tried: list[str], why: str) -> LinkProblem:
    keys = ", ".join(tried) if tried else "none: no key file and no SSH agent key was found"
    return problem(
        ProblemCode.AUTH,
        f"{target.name}: {target.user}@{target.hostname} accepted no key",
        (why + "; " if why else "") + f"tried {keys}",
        f"put your public key into {target.user}'s authorized_keys on the node, or name `identity` in the fleet file",
        person=True,
    )
