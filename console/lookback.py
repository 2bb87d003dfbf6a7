"""Reads history in a thread of its own for those who must not wait: ask with a key, take what has been found."""

from __future__ import annotations

import collections
import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from console.history.errors import HistoryError

if TYPE_CHECKING:
    from console.history.reader import Reader

_log = logging.getLogger(__name__)

AGAIN_S = 5.0
"""How long after a failure the file is opened again."""


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to a question: `value`, or why there is none."""

    key: Hashable
    value: Any
    problem: str = ""


class Lookback:
    """One thread and one reader over one folder.

    A question whose slot is asked again before its turn is forgotten: of a dragged time bar only the newest counts.
    """

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open = open_reader
        self._asked: collections.OrderedDict[Hashable, tuple[Hashable, Callable[[Reader], Any]]] = (
            collections.OrderedDict()
        )
        self._found: collections.deque[Found] = collections.deque()
        self._wake = threading.Condition()
        self._ended = False
        self._thread: threading.Thread | None = None

    def ask(self, slot: Hashable, key: Hashable, work: Callable[[Reader], Any], first: bool = False) -> None:
        """Let `work` be done; `first` before all that waits. What was asked in the same slot and waits is dropped."""
        with self._wake:
            self._asked.pop(slot, None)
            self._asked[slot] = key, work
            if first:
                self._asked.move_to_end(slot, last=False)
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(target=self._work, name="lookback", daemon=True)
                self._thread.start()
            self._wake.notify()

    def take(self) -> list[Found]:
        """What was found since the last call."""
        return [self._found.popleft() for _ in range(len(self._found))]

    def close(self) -> None:
        """End the thread; blocks until what it does is done."""
        with self._wake:
            self._ended = True
            self._asked.clear()
            self._wake.notify()
        if self._thread is not None:
            self._thread.join(10.0)

    def _next(self) -> tuple[Hashable, Callable[[Reader], Any]] | None:
        with self._wake:
            while not self._asked and not self._ended:
                self._wake.wait()
            return None if self._ended else self._asked.popitem(last=False)[1]

    def _work(self) -> None:
        reader: Reader | None = None
        try:
            while (asked := self._next()) is not None:
                key, work = asked
                try:
                    reader = reader or self._open()
                    self._found.append(Found(key, work(reader)))
                except HistoryError as exc:
                    if reader is not None:
                        reader.close()
                    reader = None
                    self._found.append(Found(key, None, str(exc)))
                except Exception as exc:  # noqa: BLE001 - the thread must live on, and the window must hear of it
                    _log.exception("history could not be read")
                    self._found.append(Found(key, None, f"history could not be read: {exc}"))
        finally:
            if reader is not None:
                reader.close()
