"""The window's alarms: what is found becomes alarms, whatever page or moment is shown; what people do with them is kept."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from console.app import person
from console.checkup import Checkup
from console.health.alarms import Alarm, AlarmError, Alarms, Change
from console.health.store import AlarmStore, AlarmStoreError
from console.notify import Notifications

_log = logging.getLogger(__name__)
MUTED_S = 3600.0


class Watch(QObject):
    """Alarms of the live fleet. GUI thread; the file is read and written in a thread of its own.

    Attributes:
        alarms: as of now; nothing stands before the file was read.
        problem: why alarms are not remembered, "" while they are.

    Signals:
        changed: alarms are others.
        called: a new alarm of the top severity, for sound and notice.
    """

    changed = Signal()
    called = Signal(object)

    def __init__(self, checkup: Checkup, folder: Path | None, notifications: Notifications | None = None) -> None:
        """`folder` None: a recording, which raises no alarms. `notifications`: who else is told."""
        super().__init__()
        self.alarms = Alarms()
        self.problem = ""
        self._checkup = checkup
        self._notifications = notifications
        self._muted_until = 0.0
        self._pool: ThreadPoolExecutor | None = None
        self._store: AlarmStore | None = None
        self._reading: Future[dict[str, Alarm]] | None = None
        self._writing: list[Future[None]] = []
        self.by = person()
        self._is_ready = False
        if folder is not None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="alarms")
            self._reading = self._pool.submit(self._read, folder)

    def _read(self, folder: Path) -> dict[str, Alarm]:
        self._store = AlarmStore(folder)
        return self._store.standing()

    # The clock

    def tick(self, out: set[str]) -> None:
        """Once a second, after the checkup looked. `out`: cards and nodes out of service on purpose."""
        if self._pool is None:
            return
        if self._reading is not None and self._reading.done():
            self._take()
        if not self._is_ready or self._checkup.facts is None or not self._checkup.facts.nodes:
            return
        self._settle()
        changes = self.alarms.update(self._checkup.examiner.causes, out, time.time())
        self._note(changes)
        top = [c.alarm for c in changes if c.what in ("raised", "raised again", "worse") and c.alarm.severity == 1]
        if any(a.is_shown for a in top) and time.monotonic() >= self._muted_until:
            self.called.emit(next(a for a in top if a.is_shown))

    def _take(self) -> None:
        assert self._reading is not None
        try:
            self.alarms = Alarms(self._reading.result())
        except AlarmStoreError as exc:
            self.problem = str(exc)
        self._reading, self._is_ready = None, True
        self.changed.emit()

    def _settle(self) -> None:
        for one in [f for f in self._writing if f.done()]:
            self._writing.remove(one)
            try:
                one.result()
                self.problem = ""
            except AlarmStoreError as exc:
                self.problem = str(exc)

    def _note(self, changes: list[Change]) -> None:
        if not changes:
            return
        if self._pool is not None and self._store is not None:
            self._writing.append(self._pool.submit(self._store.write, changes))
        if self._notifications is not None:
            self._notifications.tell(changes)
        self.changed.emit()

    # What people do; each raises AlarmError

    def acknowledge(self, name: str, why: str = "") -> None:
        """Take note of an alarm."""
        self._note(self.alarms.acknowledge(name, self.by, why, time.time()))

    def shelve(self, name: str, why: str, seconds: float) -> None:
        """Put an alarm aside."""
        now = time.time()
        self._note(self.alarms.shelve(name, self.by, why, now + seconds, now))

    def unshelve(self, name: str) -> None:
        """Take an alarm back."""
        self._note(self.alarms.unshelve(name, self.by, time.time()))

    @property
    def muted_s(self) -> float:
        """Seconds for which no sound is made."""
        return max(0.0, self._muted_until - time.monotonic())

    def mute(self) -> None:
        """No sound for an hour; or sound again."""
        self._muted_until = 0.0 if self.muted_s else time.monotonic() + MUTED_S

    def close(self) -> None:
        """Write what is left and end the thread."""
        if self._notifications is not None:
            self._notifications.close()
        if self._pool is not None:
            self._pool.shutdown(wait=True)
        if self._store is not None:
            self._store.close()


__all__ = ["AlarmError", "Watch"]
