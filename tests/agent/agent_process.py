"""The agent as a process over the test library, streamed as it is to a node."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from console.agent import columns
from console.remote import bundle
from console.telemetry.wire import Line, Sample, decode


class AgentProcess:
    """Runs the bootstrap command under a Python; `lines` collects decoded frames."""

    def __init__(
        self,
        library: Path | None,
        scenario: str = "",
        python: str = sys.executable,
        is_read: bool = True,
        **config: Any,
    ) -> None:
        env = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
        if library is not None:
            file = library.parent / f"scenario-{time.monotonic_ns()}"
            file.write_text(scenario)
            env |= {"LD_LIBRARY_PATH": str(library.parent), "CARDKEEPER_NVML_SCENARIO": str(file)}
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", "exec " + bundle.command(python)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env,
        )  # fmt: skip
        program = bundle.agent_bundle()
        settings = {"mode": "stream", "period": {"fast": 0.5, "medium": 0.6, "slow": 0.8}, **config}
        self.send_raw(program.header(settings) + program.data)
        self.lines: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        self.seen: list[Line] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        if is_read:
            self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            self.lines.put(decode(raw.rstrip(b"\n")))
        self.lines.put(None)

    def fill_pipe(self) -> None:
        """Shrink the pipe that the agent writes to, so that it is full after a few lines."""
        assert self.process.stdout is not None
        fcntl.fcntl(self.process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)

    def send_raw(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, **order: Any) -> None:
        self.send_raw(json.dumps(order).encode() + b"\n")

    def until(self, wanted: Any, seconds: float = 15.0) -> Line:
        """The first line that `wanted(line)` holds for."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                line = self.lines.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                break
            if line is None:
                raise AssertionError(f"the agent ended: {self.process.stderr.read().decode()[-2000:]}")
            self.seen.append(line)
            if wanted(line):
                return line
        raise AssertionError("the line did not come")

    def ever(self, wanted: Any, seconds: float = 15.0) -> Line:
        """Like `until`, but a line that came already will do."""
        return next((line for line in self.seen if wanted(line)), None) or self.until(wanted, seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        if self._reader.ident is not None:
            self._reader.join(2.0)


def values(sample: Any, entity: int = 0) -> dict[str, tuple[Any, str]]:
    """{metric: (value, letter)} of one entity of a sample."""
    ids = columns.CARDS[sample.k]
    letters = (sample.q[entity] if sample.q and sample.q[entity] else None) or "." * len(ids)
    return {m: (v, q) for m, v, q in zip(ids, sample.c[entity], letters, strict=True)}


def is_sample(tier: str) -> Any:
    """Whether a line is a sample of all entities in `tier`."""
    return lambda line: isinstance(line, Sample) and line.k == tier and line.i is None


def is_event(kind: str) -> Any:
    """Whether a line is an event of that kind."""
    return lambda line: getattr(line, "kind", None) == kind
