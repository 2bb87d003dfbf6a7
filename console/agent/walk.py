"""Walking the cards without letting a hung one stop the rest.

NVML calls cannot be cancelled. A worker thread walks the cards; when one call outlasts its limit, the card is marked
hung, the thread is left to its fate and a new one walks on with the next card. A hung card is tried again when its
thread comes back.
"""

import threading

from .card import CardLost, lost_row


class Walk(object):
    """Samples all cards of a node for one tier at a time.

    Attributes:
        hung: cards whose call has not come back.
        news: [(kind, uuid, text), ...] since the caller emptied it: "card_lost", "card_hung", "card_back".
    """

    def __init__(self, cards, clock, isolate):
        self._cards = cards
        self._clock = clock
        self._isolate = isolate
        self._worker = None
        self.hung = {}
        self.news = []

    def sample(self, tier, limit, places=None, each_s=None):
        """[(values, letters), ...] for the cards at `places` (all by default), in order.

        `limit` is what one card may take, in seconds; `each_s` is called about once a second while waiting.
        """
        chosen = range(len(self._cards)) if places is None else places
        if not self._isolate:
            return [self._one(self._cards[p], tier) for p in chosen]
        out = {}
        todo = [p for p in chosen if self._cards[p] not in self.hung]
        while todo:
            todo = self._run(todo, tier, limit, out, each_s)
        return [out.get(p) or lost_row(tier) for p in chosen]

    def _run(self, todo, tier, limit, out, each_s):
        """Walk `todo`; returns what a hung card left undone."""
        worker = self._worker
        if worker is None or not worker.is_idle():
            worker = self._worker = _Worker(self._clock)
        worker.give([(p, self._cards[p]) for p in todo], lambda card: self._one(card, tier), out)
        while True:
            place, since = worker.wait(1.0)
            if place is None:
                return []
            if each_s is not None:
                each_s()
            if self._clock() - since > limit:
                card = self._cards[place]
                left = worker.abandon(place)
                if left is None:
                    continue
                self.hung[card] = worker
                self._worker = None
                self.news.append(("card_hung", card.uuid, "an NVML call did not return within %.0f s" % limit))
                return left

    def recall(self):
        """Take back cards whose hung call has returned."""
        for card, worker in list(self.hung.items()):
            if worker.has_returned():
                del self.hung[card]
                worker.stop()
                self.news.append(("card_back", card.uuid, "the NVML call returned"))

    def close(self):
        """Let the worker end; one that hangs in the driver is left behind."""
        if self._worker is not None:
            self._worker.stop()

    def _one(self, card, tier):
        if card.lost:
            return lost_row(tier)
        try:
            return card.sample(tier, self._clock())
        except CardLost as exc:
            self.news.append(("card_lost", card.uuid, str(exc)))
            return lost_row(tier)


class _Worker(object):
    """A thread that does one list of jobs at a time."""

    def __init__(self, clock):
        self._clock = clock
        self._changed = threading.Condition()
        self._jobs = []
        self._current = None
        self._since = 0.0
        self._abandoned = False
        self._returned = False
        self._stopped = False
        thread = threading.Thread(target=self._work, name="cards")
        thread.daemon = True
        thread.start()

    def is_idle(self):
        with self._changed:
            return not self._jobs and self._current is None and not self._abandoned

    def give(self, jobs, call, out):
        with self._changed:
            self._call, self._out = call, out
            self._jobs = list(jobs)
            self._changed.notify_all()

    def wait(self, seconds):
        """(place in work, since when) after `seconds` or at the end, when place is None."""
        with self._changed:
            if self._jobs or self._current is not None:
                self._changed.wait_for(lambda: not self._jobs and self._current is None, seconds)
            if self._current is None:
                return (self._jobs[0][0], self._clock()) if self._jobs else (None, 0.0)
            return self._current, self._since

    def abandon(self, place):
        """The places not yet walked, and this thread is nobody's; None when it went on meanwhile."""
        with self._changed:
            if self._current != place:
                return None
            self._abandoned = True
            left = [p for p, _ in self._jobs]
            self._jobs = []
            return left

    def has_returned(self):
        with self._changed:
            return self._returned

    def stop(self):
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _work(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jobs or self._stopped)
                if self._stopped:
                    return
                place, card = self._jobs.pop(0)
                self._current, self._since = place, self._clock()
                call, out = self._call, self._out
            row = call(card)
            with self._changed:
                self._current = None
                if self._abandoned:
                    self._returned = True
                    return
                out[place] = row
                self._changed.notify_all()
