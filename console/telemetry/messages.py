"""What the collector tells the window and what the window asks of it: msgpack frames over a pipe.

Each frame is a 4-byte big-endian length and that many bytes. Numbers do not travel here but in shared memory; these
messages carry names, texts and changes.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import msgspec

from console.fleet.model import Entity, Fleet, GpuProcess, Node, NodeEvent
from console.fleet.state import LinkState, Problem
from console.telemetry.rings import BlockPlace
from console.telemetry.wire import Detail, Hello

MAX_FRAME = 64 << 20


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The collector runs. Its process id, for `kill` and for the about page."""

    pid: int


class BoardPlace(msgspec.Struct, frozen=True, tag="board"):
    """A board to attach instead of the one before."""

    path: str
    size: int
    entities: int
    nodes: int


class NodeSlot(msgspec.Struct, frozen=True, tag="slot"):
    """Node `node.name` has board row `slot`; None means that it was removed."""

    node: Node
    slot: int | None


class NodeLayout(msgspec.Struct, frozen=True, tag="layout"):
    """The agent said hello: what the node has and where its numbers are (`row` is the first entity's board row)."""

    name: str
    hello: Hello
    entities: list[Entity]
    row: int
    block: BlockPlace


class LinkChange(msgspec.Struct, frozen=True, tag="link"):
    """The link of a node changed. `since` is this machine's monotonic second; `reconnects` counts since the start."""

    name: str
    state: LinkState
    problem: Problem | None
    since: float
    reconnects: int


class NodeProcesses(msgspec.Struct, frozen=True, tag="procs"):
    """All processes on a node's cards; `unreadable` maps a UUID to its verdict letter."""

    name: str
    processes: list[GpuProcess]
    unreadable: dict[str, str]


class NodeDetail(msgspec.Struct, frozen=True, tag="detail"):
    """Disks and ports of a node."""

    name: str
    detail: Detail


class Happened(msgspec.Struct, frozen=True, tag="event"):
    """An event; `lost` counts events that did not fit the pipe before this one."""

    event: NodeEvent
    lost: int = 0


class Dropped(msgspec.Struct, frozen=True, tag="dropped"):
    """Lines of a node that were refused, by kind since the start, and the newest reason."""

    name: str
    kinds: dict[str, int]
    newest: str


class Recording(msgspec.Struct, frozen=True, tag="recording"):
    """Whether history is written: state "on", "off" (not asked for) or "failed", and why."""

    state: str
    text: str = ""


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """What came of an Ask. `reply` is JSON, None where there is none; `was_sent` False: the node never got it."""

    id: int
    name: str
    was_sent: bool
    reply: bytes | None
    text: str = ""


Message = (
    Answered
    | Ready
    | BoardPlace
    | NodeSlot
    | NodeLayout
    | LinkChange
    | NodeProcesses
    | NodeDetail
    | Happened
    | Dropped
    | Recording
)


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The first request: the fleet to watch, where live data goes, and the workstation's SSH options.

    `history` is the folder to record into; "" records nothing.
    """

    fleet: Fleet
    folder: str
    ssh: dict[str, Any] = {}
    history: str = ""


class Focus(msgspec.Struct, frozen=True, tag="focus"):
    """Sample these cards every `period_s` seconds (>= 0.5); replaces the focus before. Empty: none."""

    uuids: list[str]
    period_s: float = 0.5


class AddNode(msgspec.Struct, frozen=True, tag="add"):
    """Watch one more node, or the same name under new settings."""

    node: Node


class RemoveNode(msgspec.Struct, frozen=True, tag="remove"):
    """Stop watching a node."""

    name: str


class Reconnect(msgspec.Struct, frozen=True, tag="reconnect"):
    """Try again now, whatever the back-off says."""

    name: str


class Trust(msgspec.Struct, frozen=True, tag="trust"):
    """Record the host key with this SHA256 fingerprint for the node, then connect."""

    name: str
    fingerprint: str


class Passphrase(msgspec.Struct, frozen=True, tag="passphrase"):
    """Unlock a key file. Kept in the collector's memory only; never logged."""

    identity: str
    secret: str

    def __repr__(self) -> str:
        return f"Passphrase(identity={self.identity!r}, secret=<hidden>)"


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Ask a node one question (JSON, see console.agent.answer) on its connection; Answered comes back with `id`."""

    id: int
    name: str
    request: bytes
    timeout_s: float = 30.0


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End in good order."""


Request = Ask | Start | Focus | AddNode | RemoveNode | Reconnect | Trust | Passphrase | Stop

_LENGTH = struct.Struct(">I")
_encoder = msgspec.msgpack.Encoder()
message_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
request_decoder: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)


def pack(message: Message | Request) -> bytes:
    """The frame of one message, its length in front."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


_json_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def pack_json(message: Message) -> bytes:
    """One message as JSON, for a store that must be read years later."""
    return msgspec.json.encode(message)


def unpack_json(data: bytes) -> Message:
    """The message of `pack_json`.

    Raises:
        ValueError: damaged, or of a kind that this version does not know.
    """
    return _json_decoder.decode(data)


def read_frame(stream: BinaryIO) -> bytes | None:
    """The body of the next frame, or None at the end of the stream (also when it ends within a frame).

    Raises:
        ValueError: the length is beyond MAX_FRAME, so the stream is not ours.
    """
    head = _read_exactly(stream, _LENGTH.size)
    if head is None:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MAX_FRAME:
        raise ValueError(f"frame of {length} bytes; the limit is {MAX_FRAME}")
    return _read_exactly(stream, length)


def _read_exactly(stream: BinaryIO, count: int) -> bytes | None:
    parts: list[bytes] = []
    while count:
        part = stream.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
