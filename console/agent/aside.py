"""Asking something that may never answer, without waiting for it for ever."""

import threading


class Aside(object):
    """Runs one call at a time in a thread of its own. With `isolate` false calls run in the caller's thread.

    A call that outlasts its limit keeps the thread; until it comes back every other is refused, and what it found may
    be fetched by `late`.
    """

    def __init__(self, name, isolate):
        self._name = name
        self._isolate = isolate
        self._changed = threading.Condition()
        self._call = None
        self._answer = None
        self._given_up = False
        self._closed = False
        self._thread = None

    def ask(self, call, limit_s):
        """(True, what `call` returned), or (False, None) when it did not return in time or an earlier one is stuck.

        Raises what `call` raises.
        """
        if not self._isolate:
            return True, call()
        with self._changed:
            if self._call is not None or self._answer is not None:
                return False, None
            self._call = call
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=self._name)
                self._thread.daemon = True
                self._thread.start()
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answer is not None, limit_s)
            if self._answer is None:
                self._given_up = True
                return False, None
            return self._take()

    def late(self):
        """(True, result) of a call that was given up and has come back since, once; else (False, None).

        Raises what the call raised.
        """
        with self._changed:
            if not self._given_up or self._answer is None:
                return False, None
            self._given_up = False
            return self._take()

    def is_stuck(self):
        """Whether a call that was given up is still out."""
        with self._changed:
            return self._given_up and self._answer is None

    def close(self):
        """Let the thread end; one that is stuck is left behind."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self):
        (value, error), self._answer = self._answer, None
        if error is not None:
            raise error
        return True, value

    def _work(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._call is not None or self._closed)
                if self._closed:
                    return
                call = self._call
            try:
                answer = (call(), None)
            except Exception as exc:
                answer = (None, exc)
            with self._changed:
                self._call, self._answer = None, answer
                self._changed.notify_all()
