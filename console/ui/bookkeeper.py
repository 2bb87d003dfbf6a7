"""The window's ledger: read and written in a thread of its own, so that the Qt thread never waits for the disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from console.ledger.errors import LedgerError
from console.ledger.pool import Seen
from console.ledger.store import Ledger
from console.standing import Standing, look
from console.stock import stock

EVERY_S = 10.0


class Bookkeeper(QObject):
    """The ledger of one data folder. GUI thread only, but for what it does in its thread.

    Attributes:
        standing: as read last, None before, and where there is no ledger.
        problem: why it could not be read, "" otherwise.

    Signals:
        changed: the standing is another.
    """

    changed = Signal()

    def __init__(self, folder: Path | None) -> None:
        """`folder` None: a recording, which has no business."""
        super().__init__()
        self.standing: Standing | None = None
        self.problem = ""
        self.is_read = False
        self._folder = folder
        self._pool: ThreadPoolExecutor | None = None
        self._looking: Future[Standing | None] | None = None
        self._doing: list[tuple[Future[Any], Callable[[Any], None], Callable[[str], None]]] = []
        self._looked_at = -EVERY_S

    @property
    def can_write(self) -> bool:
        """Whether there is a ledger to write."""
        return self._folder is not None

    def tick(self, is_shown: bool) -> None:
        """Once a second: take what was read or done; read anew now and then while somebody looks."""
        for one in [d for d in self._doing if d[0].done()]:
            self._doing.remove(one)
            self._settle(*one)
        if self._looking is not None and self._looking.done():
            self._take()
        if is_shown and time.monotonic() - self._looked_at >= EVERY_S:
            self.look()

    def look(self) -> None:
        """Read the ledger soon."""
        if self._folder is None or self._looking is not None:
            return
        self._looked_at = time.monotonic()
        self._looking = self._thread().submit(look, self._folder)

    def stock(self, cards: Sequence[Seen]) -> None:
        """Begin the demo's ledger over these cards."""
        folder = self._folder
        if folder is not None:
            self._doing.append((self._thread().submit(stock, folder, cards), lambda _: None, self._wrong))

    def _wrong(self, why: str) -> None:
        self.problem = why
        self.changed.emit()

    def do(self, work: Callable[[Ledger], Any], done: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        """Change the ledger; `done` or `failed` is called on the Qt thread."""
        folder = self._folder
        if folder is None:
            return

        def run() -> Any:
            with Ledger(folder) as ledger:
                return work(ledger)

        self._doing.append((self._thread().submit(run), done, failed))

    def _thread(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        return self._pool

    def _settle(self, made: Future[Any], done: Callable[[Any], None], failed: Callable[[str], None]) -> None:
        try:
            found = made.result()
        except LedgerError as exc:
            failed(str(exc))
        else:
            done(found)
        self._looked_at = -EVERY_S
        self.look()

    def _take(self) -> None:
        assert self._looking is not None
        try:
            self.standing, self.problem = self._looking.result(), ""
        except LedgerError as exc:
            self.problem = str(exc)
        self._looking, self.is_read = None, True
        self.changed.emit()

    def close(self) -> None:
        """End the thread."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
