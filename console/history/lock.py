"""One writer a folder: a lock held by the recording process, with its process id inside."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from console.history.errors import HistoryBusy, HistoryError, explained

if sys.platform == "win32":
    import msvcrt

    def _take(handle: IO[str]) -> None:
        handle.seek(1 << 20)
        msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(handle: IO[str]) -> None:
        # The kernel frees it when the process ends, however it ends: there is no stale lock to break.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class WriterLock:
    """Holds the folder until `release` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            HistoryBusy: another process holds it.
            HistoryError: the folder cannot be written.
        """
        path = folder / "recording.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._handle = path.open("a+", encoding="ascii")
        except OSError as exc:
            raise HistoryError(explained(exc, path)) from exc
        try:
            _take(self._handle)
        except OSError as exc:
            pid = _holder(self._handle)
            self._handle.close()
            raise HistoryBusy(
                f"{folder}: process {pid or 'unknown'} records there already; end it, or give another folder with --data",
                pid,
            ) from exc
        self._handle.seek(0)
        self._handle.truncate()
        self._handle.write(f"{os.getpid()}\n")
        self._handle.flush()

    def release(self) -> None:
        """Let go. Idempotent."""
        self._handle.close()


def _holder(handle: IO[str]) -> int:
    handle.seek(0)
    text = handle.read(32).strip()
    return int(text) if text.isdigit() else 0
