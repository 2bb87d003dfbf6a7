"""Rates out of counters."""


class Rates(object):
    """Remembers counters by key and turns them into units a second."""

    def __init__(self):
        self._last = {}

    def rate(self, key, count, now):
        """Units a second since the call before, or None at the first call and after a reset. `now`: monotonic s."""
        before = self._last.get(key)
        self._last[key] = (count, now)
        if before is None or count < before[0] or now <= before[1]:
            return None
        return (count - before[0]) / (now - before[1])
