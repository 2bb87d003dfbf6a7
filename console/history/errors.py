"""What can go wrong with the history, said so that a person can act on it."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path


class HistoryError(RuntimeError):
    """The history cannot be read or written; the text says what, where, why and the next step."""


class HistoryBusy(HistoryError):
    """Another process records into the same folder. `pid` is that process, 0 where it cannot be told."""

    def __init__(self, text: str, pid: int) -> None:
        super().__init__(text)
        self.pid = pid


def explained(exc: BaseException, path: Path) -> str:
    """Why SQLite or the file system refused, and what to do next."""
    text = str(exc)
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or getattr(exc, "errno", 0) == errno.ENOSPC:
        return f"{path}: the disk is full; free some space, or lower the limits (cardkeeper history prune --plan)"
    if code == sqlite3.SQLITE_READONLY or getattr(exc, "errno", 0) in (errno.EROFS, errno.EACCES):
        return f"{path}: the folder cannot be written; check its owner and mount, or give another with --data"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return f"{path}: the file is damaged ({text}); move it away and recording begins anew"
    if code == sqlite3.SQLITE_IOERR:
        return f"{path}: the disk failed ({text}); look at its health before anything else"
    return f"{path}: {text}"
