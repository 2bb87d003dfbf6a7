"""The agent's lines: schema and decoding. One JSON object a line, named keys; hostile until decoded here.

A stream is one `hello`, then frames. `n` is a sequence number that grows by one with every line; `w` the node's wall
clock and `m` its monotonic clock, both in seconds at the moment of sampling. Version 1.

A sample line carries, for each entity of the hello (or those listed in `i`), the values of one tier in the order of
the hello's `columns[tier]`, and optionally one verdict letter a column: `.` fresh, `n` not supported, `p` no
permission, `l` lost, `e` error (console.fleet.state.STATE_LETTERS). No letters means that all are fresh. A value whose
letter is not `.` is null.
"""

from __future__ import annotations

from typing import Literal

import msgspec

WIRE_VERSION = 1
MAX_LINE = 1 << 20
"""Bytes; a longer line is dropped unread."""

MAX_ENTITIES = 256
MAX_PROCESSES = 4096
MAX_TEXT = 4096


class HelloEntity(msgspec.Struct, frozen=True):
    """A card or slice. `parent` is the card's UUID for a slice."""

    uuid: str
    kind: Literal["card", "slice"]
    index: int
    name: str
    parent: str = ""
    facts: dict[str, str] = {}


class Hello(msgspec.Struct, frozen=True, tag="hello", tag_field="t"):
    """First line of a stream, and again whenever the entities or their columns change.

    Attributes:
        v: wire version.
        mode: "nvml", "smi" (reduced: nvidia-smi only) or "none" (host readings only; `reason` says why).
        period: seconds per tier.
        columns: metric ids per tier for entities; keys "fast", "medium", "slow".
        host_columns: metric ids per tier for the host; keys "fast", "slow".
        versions: "agent", "python", "driver", "cuda", "nvml", "kernel", "os", ... to their versions.
        host: facts of the host: "hostname", "boot_id", "cpu", "cores", ...
    """

    v: int
    n: int
    w: float
    m: float
    mode: Literal["nvml", "smi", "none"]
    reason: str
    boot_id: str
    period: dict[str, float]
    columns: dict[str, list[str]]
    host_columns: dict[str, list[str]]
    entities: list[HelloEntity]
    versions: dict[str, str] = {}
    host: dict[str, str] = {}


class Sample(msgspec.Struct, frozen=True, tag="s", tag_field="t"):
    """One pass of one tier.

    Attributes:
        k: tier.
        c: values per entity; `i` gives the entity numbers when it is not all of them in order (a focused card).
        q: verdict letters per entity, or null for an entity whose values are all fresh.
        h: host values, when the pass read the host; hq their letters.
    """

    n: int
    w: float
    m: float
    k: Literal["fast", "medium", "slow"]
    c: list[list[float | None]]
    q: list[str | None] | None = None
    i: list[int] | None = None
    h: list[float | None] | None = None
    hq: str | None = None


class Beat(msgspec.Struct, frozen=True, tag="beat", tag_field="t"):
    """The agent is alive; sent whenever nothing else was for 2 s."""

    n: int
    w: float
    m: float


class WireProcess(msgspec.Struct, frozen=True):
    """A process on a card or slice. `memory` in bytes or null; `util` in percent or null."""

    uuid: str
    pid: int
    kind: Literal["compute", "graphics", "mps"]
    memory: int | None = None
    user: str = ""
    command: str = ""
    started: float | None = None
    container: str = ""
    slurm_job: str = ""
    pod: str = ""
    util: float | None = None


class Processes(msgspec.Struct, frozen=True, tag="procs", tag_field="t"):
    """All processes on all entities; sent when it changed, and every 30 s. `q`: uuid -> letter where unreadable."""

    n: int
    w: float
    m: float
    p: list[WireProcess]
    q: dict[str, str] = {}


class WireEvent(msgspec.Struct, frozen=True, tag="event", tag_field="t"):
    """Something happened. `uuid` is "" for the whole node; `at` is the node's wall clock of the event itself.

    kind: "xid", "card_lost", "card_hung", "card_back", "agent", "driver", "clock_step".
    """

    n: int
    w: float
    m: float
    kind: str
    uuid: str
    at: float
    source: Literal["nvml", "kernel", "agent"]
    text: str
    code: int | None = None


class Disk(msgspec.Struct, frozen=True):
    """A file system. Bytes."""

    mount: str
    device: str
    fstype: str
    size: int
    used: int


class Port(msgspec.Struct, frozen=True):
    """A network interface or InfiniBand port. Rates in B/s, None until two readings exist; errors since boot."""

    name: str
    kind: Literal["net", "ib"]
    state: str
    speed: str
    rx: float | None
    tx: float | None
    errors: int


class Detail(msgspec.Struct, frozen=True, tag="detail", tag_field="t"):
    """The host's parts, each slow pass."""

    n: int
    w: float
    m: float
    disks: list[Disk]
    ports: list[Port]


class Probe(msgspec.Struct, frozen=True, tag="probe", tag_field="t"):
    """The answer of the agent's probe mode (`fleet check`): checks in order, each ok / warn / fail / unknown."""

    n: int
    w: float
    m: float
    checks: list[dict[str, str]]


class Bye(msgspec.Struct, frozen=True, tag="bye", tag_field="t"):
    """The agent ends by itself and says why."""

    n: int
    w: float
    m: float
    reason: str


Line = Hello | Sample | Beat | Processes | WireEvent | Detail | Probe | Bye


class FrameError(ValueError):
    """A line that is not a valid frame; `kind` names the counter it belongs to: "long", "syntax", "type", "range"."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def decode(line: bytes) -> Line:
    """The typed form of one line.

    Raises:
        FrameError: too long, not JSON, of a wrong type, or beyond a limit.
    """
    if len(line) > MAX_LINE:
        raise FrameError("long", f"line of {len(line)} bytes; the limit is {MAX_LINE}")
    try:
        frame = _decoder.decode(line)
    except msgspec.ValidationError as exc:
        raise FrameError("type", str(exc)) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise FrameError("syntax", str(exc)) from exc
    _check_limits(frame)
    return frame


def _check_limits(frame: Line) -> None:
    if frame.n < 0 or not (0 <= frame.w < 1e11) or not (0 <= frame.m < 1e11):
        raise FrameError("range", f"sequence or clock out of range: n={frame.n} w={frame.w} m={frame.m}")
    if isinstance(frame, Hello):
        if len(frame.entities) > MAX_ENTITIES:
            raise FrameError("range", f"{len(frame.entities)} entities; the limit is {MAX_ENTITIES}")
        if len({e.uuid for e in frame.entities}) != len(frame.entities):
            raise FrameError("range", "two entities with one UUID")
    elif isinstance(frame, Processes) and len(frame.p) > MAX_PROCESSES:
        raise FrameError("range", f"{len(frame.p)} processes; the limit is {MAX_PROCESSES}")


class LineSplitter:
    """Cuts a byte stream into lines with a bounded buffer. Not thread-safe.

    Attributes:
        overlong: lines dropped because they passed MAX_LINE.
    """

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._skipping = False
        self.overlong = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The complete lines that `data` finishes, without their newline; blank ones left out."""
        *whole, rest = data.split(b"\n")
        lines: list[bytes] = []
        for part in whole:
            self._keep(part)
            if not self._skipping and self._buffer.strip():
                lines.append(bytes(self._buffer))
            self._buffer.clear()
            self._skipping = False
        self._keep(rest)
        return lines

    def _keep(self, part: bytes) -> None:
        if self._skipping:
            return
        if len(self._buffer) + len(part) > self._limit:
            self.overlong += 1
            self._skipping = True
            self._buffer.clear()
            return
        self._buffer += part
