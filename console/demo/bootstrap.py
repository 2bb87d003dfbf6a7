"""What the console streams to a node: taken in, checked against its hash and against our own sources."""

from __future__ import annotations

import functools
import json
import logging
import re
import zlib
from hashlib import sha256
from typing import Any

from console.remote.bundle import PACKAGE, agent_bundle

_log = logging.getLogger(__name__)
_COMMAND = re.compile(r"[A-Za-z0-9._/+-]+ -u -c '")
MAX_HEADER = 1 << 16
MAX_PROGRAM = 4 << 20
_MAX_SOURCES = 32 << 20


def is_bootstrap(command: str) -> bool:
    """Whether a command line starts the agent."""
    return _COMMAND.match(command) is not None


class Intake:
    """Standard input of a node's python3: the header line, the program, then control lines.

    Attributes:
        config: of the header once it is there.
        program: once it is there whole.
    """

    def __init__(self) -> None:
        self._kept = bytearray()
        self._header: dict[str, Any] | None = None
        self.program: bytes | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The configuration for the agent."""
        return {} if self._header is None else dict(self._header["config"])

    @property
    def sha256(self) -> str:
        """What the program's hash should be."""
        return "" if self._header is None else str(self._header["sha256"])

    def take(self, data: bytes) -> list[bytes]:
        """The control lines that `data` completes.

        Raises:
            ValueError: this is no agent's program.
        """
        self._kept += data
        if self._header is None and not self._take_header():
            return []
        if self.program is None and not self._take_program():
            return []
        if len(self._kept) > MAX_HEADER and b"\n" not in self._kept:
            raise ValueError("a control line without end")
        *lines, rest = bytes(self._kept).split(b"\n")
        self._kept = bytearray(rest)
        return lines

    def _take_header(self) -> bool:
        end = self._kept.find(b"\n")
        if end < 0:
            if len(self._kept) > MAX_HEADER:
                raise ValueError("the first line has no end")
            return False
        header = json.loads(self._kept[:end])
        if not isinstance(header, dict) or not isinstance(header.get("config"), dict):
            raise ValueError("the first line is no header")
        if not 0 < int(header.get("bundle", 0)) <= MAX_PROGRAM or "sha256" not in header:
            raise ValueError("the first line names no program of a size that is allowed")
        self._header = header
        del self._kept[: end + 1]
        return True

    def _take_program(self) -> bool:
        assert self._header is not None
        size = int(self._header["bundle"])
        if len(self._kept) < size:
            return False
        self.program = bytes(self._kept[:size])
        del self._kept[:size]
        return True


def check_program(program: bytes, wanted_sha256: str, is_agent: bool = True) -> None:
    """Check what was streamed; agent sources other than ours are logged, once a program.

    Raises:
        ValueError: it was damaged on its way, or is no program.
    """
    found = sha256(program).hexdigest()
    if found != wanted_sha256:
        raise ValueError("the program was damaged on its way")
    if is_agent and found != agent_bundle().sha256:
        _tell_difference(program)


@functools.lru_cache(8)
def _tell_difference(program: bytes) -> None:
    theirs, ours = _sources(program), _sources(agent_bundle().data)
    differing = sorted(n for n in theirs.keys() | ours.keys() if theirs.get(n) != ours.get(n))
    _log.warning(
        "the console streams another agent than this demo runs (%s): restart both from one installation",
        ", ".join(differing) or "same sources, packed otherwise",
    )


def _sources(program: bytes) -> dict[str, str]:
    """Agent modules by name.

    Raises:
        ValueError: this is no program of ours.
    """
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(program, _MAX_SOURCES)
        modules = json.loads(text)["modules"]
        return {name: source for name, source, _ in modules if name.split(".")[0] == PACKAGE}
    except (zlib.error, KeyError, TypeError) as exc:
        raise ValueError(f"the program cannot be read: {exc}") from exc
