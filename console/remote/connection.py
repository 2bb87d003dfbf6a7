"""Making connections: straight or through jumps that many nodes share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from console.remote.auth import KeyRing
from console.remote.targets import Target
from console.remote.transport import Transport, handshake, log_in, open_socket, tunnel


@dataclass(slots=True)
class _Shared:
    lock: threading.Lock = field(default_factory=threading.Lock)
    transport: Transport | None = None
    users: int = 0


class Connector:
    """Connects to targets. Thread-safe; a jump is connected once and closed when its last user is gone."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._lock = threading.Lock()
        self._jumps: dict[tuple[Target, ...], _Shared] = {}

    def connect(self, target: Target, started: Callable[[Transport], None] | None = None) -> Transport:
        """An authenticated connection; give it back with `release`.

        Raises:
            LinkProblem: of the target or of a jump on the way.
        """
        transport = self.shake(target, started)
        try:
            log_in(target, transport, self._keys)
        except BaseException:
            transport.close()
            self.release(target)
            raise
        return transport

    def shake(self, target: Target, started: Callable[[Transport], None] | None = None) -> Transport:
        """An encrypted connection to a host whose key is known, not logged in; give it back with `release`.

        Raises:
            LinkProblem: of the target or of a jump on the way.
        """
        sock = self._socket(target)
        try:
            return handshake(target, sock, started)
        except BaseException:
            self.release(target)
            raise

    def release(self, target: Target) -> None:
        """The connection to `target` has ended: let go of its jumps."""
        if not target.jumps:
            return
        with self._lock:
            shared = self._jumps.get(target.jumps)
            if shared is None:
                return
            shared.users -= 1
            if shared.users > 0:
                return
            del self._jumps[target.jumps]
        if shared.transport is not None:
            close_now(shared.transport)
            self.release(_last(target.jumps))

    def close(self) -> None:
        """Close every jump."""
        with self._lock:
            shared = list(self._jumps.values())
            self._jumps.clear()
        for jump in shared:
            if jump.transport is not None:
                close_now(jump.transport)

    def _socket(self, target: Target) -> Any:
        if not target.jumps:
            return open_socket(target)
        jump = _last(target.jumps)
        with self._lock:
            shared = self._jumps.setdefault(target.jumps, _Shared())
            shared.users += 1
        try:
            with shared.lock:
                if shared.transport is None or not shared.transport.is_active():
                    shared.transport = self.connect(jump)
                    shared.transport.set_keepalive(15)
            return tunnel(shared.transport, jump.name, target)
        except BaseException:
            self.release(target)
            raise


def _last(jumps: tuple[Target, ...]) -> Target:
    """The last jump, reached through those before it."""
    *before, last = jumps
    return Target(
        last.name,
        last.hostname,
        last.port,
        last.user,
        last.identities,
        last.identity_is_explicit,
        last.known_hosts,
        tuple(before) or last.jumps,
    )


def close_now(transport: Transport) -> None:
    """Close a connection whose peer may be frozen: the socket first, so that nothing waits for it."""
    sock = transport.sock
    with contextlib.suppress(OSError, EOFError, AttributeError):
        if hasattr(sock, "shutdown"):
            sock.shutdown(2)
    with contextlib.suppress(Exception):
        transport.close()
