"""A channel's output handed straight on from paramiko's own thread, with no second thread a node.

The receive window must be acknowledged by another thread: the transport thread would wait for itself during a rekey.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from paramiko.buffered_pipe import BufferedPipe
from paramiko.common import cMSG_CHANNEL_WINDOW_ADJUST
from paramiko.message import Message

TAIL = 4096


class Fed(BufferedPipe):  # type: ignore[type-arg]
    """Stands in for a channel's input buffer: what arrives goes to `take` at once, the end to `ended`.

    Attributes:
        unread: bytes not yet acknowledged to the peer.
    """

    def __init__(self, take: Callable[[bytes], None], ended: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._take = take
        self._ended = ended
        self._guard = threading.Lock()
        self.unread = 0

    def feed(self, data: Any) -> None:
        """Take data from the transport thread."""
        raw = data if isinstance(data, bytes) else bytes(data)
        with self._guard:
            self.unread += len(raw)
        self._take(raw)

    def close(self) -> None:
        """The channel has ended."""
        super().close()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended()

    def take_unread(self) -> int:
        """The count of bytes to acknowledge now."""
        with self._guard:
            count, self.unread = self.unread, 0
            return count


class Tail:
    """The last TAIL bytes of a stream, as text."""

    def __init__(self) -> None:
        self._data = b""

    def take(self, data: bytes) -> None:
        """Add data."""
        self._data = (self._data + data)[-TAIL:]

    @property
    def text(self) -> str:
        """What was kept, decoded."""
        return self._data.decode("utf-8", "replace").strip()


def acknowledge(channel: Any, count: int) -> None:
    """Tell the peer that `count` bytes were taken. May block during a rekey: never on the transport's thread."""
    grant = channel._check_add_window(count)
    if grant > 0:
        message = Message()
        message.add_byte(cMSG_CHANNEL_WINDOW_ADJUST)
        message.add_int(channel.remote_chanid)
        message.add_int(grant)
        channel.transport._send_user_message(message)
