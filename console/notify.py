"""Sends what notifiers make of alarms: in a thread, in order, again and again for a while. Never holds up the window."""

from __future__ import annotations

import logging
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterable, Sequence

from console.extend import notifier
from console.fleet.links import Link, write
from console.health.alarms import Change
from console.health.notify import Message, Target, told_change

_log = logging.getLogger(__name__)

TRIES_S = (0.0, 2.0, 10.0, 60.0, 300.0)
"""Waits before each try; a request that fails five times is given up and logged."""

TIMEOUT_S = 10.0
MOST_WAITING = 500


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """A signed request goes where it was meant to go, or nowhere."""


class Notifications:
    """Tells targets of changes.

    Attributes:
        problem: why the newest request could not be delivered, "" otherwise.
        sent, given_up: counts.
    """

    def __init__(self, targets: Sequence[Target], fleet: str, tries_s: Sequence[float] = TRIES_S) -> None:
        self.problem = ""
        self.sent = self.given_up = 0
        self._targets = targets
        self._fleet = fleet
        self._tries = tries_s
        self._waiting: deque[Message] = deque(maxlen=MOST_WAITING)
        self._wake = threading.Event()
        self._ended = threading.Event()
        self._opener = urllib.request.build_opener(_NoRedirect)
        self._thread: threading.Thread | None = None

    def tell(self, changes: Iterable[Change]) -> None:
        """Queue what targets want to hear. Returns at once."""
        for change in changes:
            for target in self._targets:
                if not target.wants(change):
                    continue
                if len(self._waiting) == MOST_WAITING:
                    self.given_up += 1
                made = notifier(target.plugin).message(
                    target.url,
                    target.secret,
                    told_change(change, self._fleet) | {"link": self._link(change)},
                    time.time(),
                )
                self._waiting.append(made)
        if self._waiting and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
            self._thread.start()
        self._wake.set()

    def _link(self, change: Change) -> str:
        """Where the window shows what it is about."""
        lead = change.alarm.lead
        page, argument = ("card", lead.card) if lead.card else ("node", lead.node) if lead.node else ("alarms", "")
        return write(Link(self._fleet, page, argument))

    def close(self, patience_s: float = 2.0) -> None:
        """End the thread; what is not sent by then is given up."""
        end = time.monotonic() + patience_s
        while self._waiting and self._thread is not None and time.monotonic() < end and not self.problem:
            time.sleep(0.02)
        self._ended.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(TIMEOUT_S + 1.0)

    def _work(self) -> None:
        while not self._ended.is_set():
            if not self._waiting:
                self._wake.wait()
                self._wake.clear()
                continue
            message = self._waiting[0]
            self._deliver(message)
            # The oldest may have been pushed out meanwhile.
            if self._waiting and self._waiting[0] is message:
                self._waiting.popleft()

    def _deliver(self, message: Message) -> None:
        for wait in self._tries:
            if self._ended.wait(wait):
                return
            why, is_final = self._post(message)
            self.problem = why
            if not why:
                self.sent += 1
                return
            if is_final:
                break
        self.given_up += 1
        _log.warning("an alarm was not told to %s: %s", message.url.split("?")[0], self.problem)

    def _post(self, message: Message) -> tuple[str, bool]:
        """(why it was not taken or "", whether trying again is of no use)."""
        request = urllib.request.Request(message.url, message.body, dict(message.headers), method="POST")
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as answer:
                return ("" if 200 <= answer.status < 300 else f"HTTP {answer.status}"), False
        except urllib.error.HTTPError as exc:
            with exc:
                # 4xx means the request is wrong, but for "later" and "too many".
                return f"HTTP {exc.code}", 300 <= exc.code < 500 and exc.code not in (408, 425, 429)
        except (OSError, ValueError) as exc:
            return str(exc) or type(exc).__name__, False
