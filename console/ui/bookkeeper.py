"""The window's ledger: its own file, or a server's; always in a thread of its own, so that the Qt thread never waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from PySide6.QtCore import QObject, Signal

from console.app import ConsoleError
from console.books import Books, OwnBooks
from console.ledger.errors import LedgerError
from console.ledger.pool import Seen
from console.placement.errors import PlacementError
from console.remote.errors import LinkProblem
from console.standing import Standing
from console.stock import stock

EVERY_S = 10.0
Done = Callable[[Any], None]
Failed = Callable[[str], None]


class Opens(Protocol):
    """Opens the books; may wait."""

    def __call__(self) -> Books:
        """Open them."""
        ...


class Bookkeeper(QObject):
    """The ledger of one console. GUI thread only, but for what it does in its thread.

    Attributes:
        standing: as read last, None before, and where there is no ledger.
        problem: why it could not be read, "" otherwise.
        is_own: the ledger is this workstation's own.

    Signals:
        changed: the standing is another.
    """

    changed = Signal()

    def __init__(self, opens: Opens | None, is_own: bool = True) -> None:
        """`opens` None: a recording, which has no business."""
        super().__init__()
        self.standing: Standing | None = None
        self.problem = ""
        self.is_own = is_own
        self.is_read = False
        self._opens = opens
        self._books: Books | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._looking: Future[Standing | None] | None = None
        self._doing: list[tuple[Future[Any], Done, Failed]] = []
        self._looked_at = -EVERY_S
        self._is_closed = False

    @property
    def can_write(self) -> bool:
        """Whether there is a ledger to write."""
        return self._opens is not None

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
        if self._opens is None or self._looking is not None or self._is_closed:
            return
        self._looked_at = time.monotonic()
        self._looking = self._thread().submit(lambda: self._with_books(lambda books: books.look()))

    def do(self, work: Callable[[Books], Any], done: Done, failed: Failed) -> None:
        """Ask or change the ledger; `done` or `failed` is called on the Qt thread."""
        if self._opens is not None and not self._is_closed:
            self._doing.append((self._thread().submit(lambda: self._with_books(work)), done, failed))

    def stock(self, cards: Sequence[Seen]) -> None:
        """Begin the demo's ledger over these cards."""

        def begin(books: Books) -> None:
            if isinstance(books, OwnBooks):
                stock(books.folder, cards)

        self.do(begin, lambda _: None, self._wrong)

    def _wrong(self, why: str) -> None:
        self.problem = why
        self.changed.emit()

    # In its thread

    def _with_books(self, work: Callable[[Books], Any]) -> Any:
        if self._books is None:
            assert self._opens is not None
            self._books = self._opens()
        try:
            return work(self._books)
        except (LinkProblem, ConsoleError):
            # The connection may be gone: another one is made next time.
            self._books.close()
            self._books = None
            raise

    def _end(self) -> None:
        if self._books is not None:
            self._books.close()
            self._books = None

    # On the Qt thread

    def _thread(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        return self._pool

    def _settle(self, made: Future[Any], done: Done, failed: Failed) -> None:
        try:
            found = made.result()
        except (LedgerError, PlacementError, ConsoleError, LinkProblem) as exc:
            failed(_words(exc))
        else:
            done(found)
        self._looked_at = -EVERY_S
        self.look()

    def _take(self) -> None:
        assert self._looking is not None
        try:
            self.standing, self.problem = self._looking.result(), ""
        except (LedgerError, PlacementError, ConsoleError, LinkProblem) as exc:
            self.problem = _words(exc)
        self._looking, self.is_read = None, True
        self.changed.emit()

    def close(self) -> None:
        """End the thread, and what it has open. What somebody still asks for is not done."""
        self._is_closed = True
        if self._pool is not None:
            self._pool.submit(self._end)
            self._pool.shutdown(wait=True)


def _words(exc: Exception) -> str:
    if isinstance(exc, LinkProblem):
        return f"{exc.problem.what}. {exc.problem.next_step}"
    return str(exc)
