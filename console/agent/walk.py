"""Walking the cards without letting a hung one stop the rest.

NVML calls cannot be cancelled. A worker thread walks the cards; when one call outlasts its limit, the card is marked
hung, the thread is left to its fate and a new one walks on with the next card. When the next card hangs as well, the
driver holds one lock over all of them: the rest are marked at once and wait for the same thread, instead of costing a
thread and a limit each. A hung card is tried again when its thread comes back.
"""

import threading

from .card import CardLost, lost_row
from .verdict import ERROR

SERIAL_AFTER = 2


class Walk(object):
    """Samples all cards of a node for one tier at a time.

    Attributes:
        hung: cards whose call has not come back, to their thread.
        news: [(kind, uuid, text), ...] since the caller emptied it: "card_lost", "card_hung", "card_back", "agent".
    """

    def __init__(self, cards, clock, isolate):
        self._cards = cards
        self._clock = clock
        self._isolate = isolate
        self._worker = None
        self._blamed = set()
        self.hung = {}
        self.news = []

    def sample(self, tier, limit, places=None, each_s=None):
        """[(values, letters), ...] for the cards at `places` (all by default), in order.

        `limit` is what one card may take, in seconds; `each_s` is called about once a second while waiting.
        """
        chosen = range(len(self._cards)) if places is None else places
        out = self._walk(chosen, limit, lambda card: self._one(card, tier), each_s)
        return [out.get(p) or lost_row(tier) for p in chosen]

    def learn(self, limit):
        """Have every card read its facts."""
        self._walk(range(len(self._cards)), limit, lambda card: card.learn(self._clock()), None)

    def _walk(self, chosen, limit, call, each_s):
        if not self._isolate:
            return {p: call(self._cards[p]) for p in chosen}
        out, hung_now = {}, 0
        todo = [p for p in chosen if self._cards[p] not in self.hung]
        while todo:
            todo = self._run(todo, limit, call, out, each_s, hung_now + 1 >= SERIAL_AFTER)
            hung_now += 1
        return out

    def _run(self, todo, limit, call, out, each_s, is_serial):
        """Walk `todo`; returns what a hung card left undone."""
        worker = self._worker
        if worker is None or not worker.is_idle():
            worker = self._worker = _Worker(self._clock)
        worker.give([(p, self._cards[p]) for p in todo], call, out)
        while True:
            place, since = worker.wait(min(1.0, limit))
            if place is None:
                return []
            if each_s is not None:
                each_s()
            if self._clock() - since > limit:
                left = worker.abandon(place)
                if left is None:
                    continue
                self._worker = None
                self._mark(worker, [place], "an NVML call did not return within %.0f s" % limit)
                if is_serial:
                    self._mark(worker, left, "the driver answers for no card: its calls wait for one another")
                    return []
                return left

    def _mark(self, worker, places, text):
        for place in places:
            card = self._cards[place]
            self.hung[card] = worker
            self.news.append(("card_hung", card.uuid, text))

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
        was_lost = card.lost
        if was_lost and tier != "slow":
            return lost_row(tier)
        try:
            row = card.sample(tier, self._clock())
        except CardLost as exc:
            if not was_lost:
                self.news.append(("card_lost", card.uuid, str(exc)))
            return lost_row(tier)
        except Exception as exc:  # a fault of ours: it must not take the other cards along
            if (card, tier) not in self._blamed:
                self._blamed.add((card, tier))
                self.news.append(("agent", card.uuid, "%s tier: %s: %s" % (tier, type(exc).__name__, exc)))
            return lost_row(tier, ERROR)
        if was_lost and not card.lost:
            self.news.append(("card_back", card.uuid, "the driver knows the card again"))
        return row


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
            try:
                row = call(card)
            except Exception:  # `call` answers for its faults; whatever else must not kill this thread
                row = None
            with self._changed:
                self._current = None
                if self._abandoned:
                    self._returned = True
                    return
                out[place] = row
                self._changed.notify_all()
