"""One run over a node's cards: hello, passes, processes, events; NVML opened again when it was not there."""

import platform
import threading
from collections import deque

from . import AGENT_VERSION, columns
from .events import EventSet, XidLog
from .node import NvmlAbsent, find_cards, layout_of, open_nvml, short_pci, versions
from .processes import ProcessReader
from .walk import Walk

LIMIT_S = {"fast": 2.0, "medium": 5.0, "slow": 5.0}
RETRY_NVML_S = 30.0
PROCESSES_AGAIN_S = 30.0
KERNEL_EVERY_S = 30.0


class Session(object):
    """Everything the loop does with a node, in the loop's thread; only the event set waits in a thread of its own."""

    def __init__(self, frames, nvml, host, periods, config, clock, wall):
        self._frames = frames
        self._nvml = nvml
        self._host = host
        self._periods = dict(periods)
        self._isolate = bool(config.get("isolate", True))
        self._clock = clock
        self._wall = wall
        self._cards = []
        self._places = {}
        self._walk = Walk([], clock, self._isolate)
        self._cost = {}
        self._mode, self._reason = "none", ""
        self._layout = None
        self._try_at = 0.0
        self._told_processes = None
        self._told_at = 0.0
        self._events = None
        self._queue = deque(maxlen=1000)
        self._xids = XidLog()
        self._kernel = host.kernel_log()
        self._kernel_due = 0.0
        self._closed = threading.Event()

    def begin(self, fast_s):
        """Open NVML and say hello."""
        self._periods["fast"] = fast_s
        self._open()
        self._hello()

    def change_period(self, fast_s):
        """Say hello again with another fast period."""
        self._periods["fast"] = fast_s
        self._hello()

    def _open(self):
        self._try_at = self._clock() + RETRY_NVML_S
        lost = []
        try:
            open_nvml(self._nvml)
            self._cards, lost = find_cards(self._nvml)
            self._mode, self._reason = "nvml", ""
        except NvmlAbsent as exc:
            self._mode, self._reason, self._cards = "none", str(exc), []
        except Exception as exc:  # whatever NVML does, the host's readings go on
            self._mode, self._reason, self._cards = "none", "NVML failed: %s" % exc, []
        self._places = {c.uuid: i for i, c in enumerate(self._cards)}
        self._walk.close()
        self._walk = Walk(self._cards, self._clock, self._isolate)
        self._processes = ProcessReader(self._nvml, self._host)
        self._told_processes = None
        if self._mode == "nvml":
            self._layout = layout_of(self._nvml, self._cards)
            self._watch_events()
        for text in lost:
            self._frames.event("card_lost", "", self._wall(), "agent", text)

    def _watch_events(self):
        events = EventSet(self._nvml, self._cards)
        if not events.is_open:
            return
        self._events = events
        if self._isolate:
            waiter = threading.Thread(target=self._wait_events, args=(events,), name="events")
            waiter.daemon = True
            waiter.start()

    def _wait_events(self, events):
        while events.is_open and not self._closed.is_set():
            found = events.wait(1000)
            if found is not None:
                self._queue.append(found + (self._wall(),))

    def _hello(self):
        facts = self._host.facts()
        known = {"agent": AGENT_VERSION, "python": platform.python_version(), "kernel": facts.pop("kernel", "")}
        known["os"] = facts.pop("os", "")
        if self._mode == "nvml":
            known.update(versions(self._nvml))
        if self._kernel is not None and self._kernel.source:
            facts["kernel_log"] = self._kernel.source
        entities = [
            {
                "uuid": c.uuid,
                "kind": "slice" if c.parent else "card",
                "index": c.index,
                "name": c.name,
                "parent": c.parent,
                "facts": c.facts,
            }
            for c in self._cards
        ]
        self._frames.put(
            "hello",
            v=1,
            mode=self._mode,
            reason=self._reason,
            boot_id=facts.pop("boot_id", ""),
            period=self._periods,
            columns={t: list(n) for t, n in columns.CARDS.items()},
            host_columns={t: list(n) for t, n in columns.HOST.items()},
            entities=entities,
            versions=known,
            host=facts,
        )

    def pass_tier(self, tier, only=None):
        """Sample one tier of all cards, or the fast tier of the cards named in `only`."""
        begun = self._clock()
        places = None if only is None else [self._places[u] for u in only if u in self._places]
        if places is not None and not places:
            return
        if tier == "slow":
            self._look_again(begun)
        if tier == "medium":
            self._pass_processes(begun)
        rows = self._rows(tier, places)
        fields = {"k": tier, "c": [r[0] for r in rows]}
        if any(r[1] is not None for r in rows):
            fields["q"] = [r[1] for r in rows]
        if places is not None:
            fields["i"] = places
        else:
            self._cost[tier] = (self._clock() - begun) * 1000.0
            if tier != "medium":
                values, letters = self._host.fast(begun, self._cost) if tier == "fast" else self._host.slow(begun)
                fields["h"] = values
                if letters is not None:
                    fields["hq"] = letters
        self._frames.put("s", **fields)
        if tier == "slow":
            self._frames.put("detail", **self._host.detail(begun))
        self._tell_news()

    def _rows(self, tier, places):
        self._walk.recall()
        return self._walk.sample(tier, LIMIT_S[tier], places, lambda: self._frames.beat(2.0))

    def _tell_news(self):
        while self._walk.news:
            kind, uuid, text = self._walk.news.pop(0)
            self._frames.event(kind, uuid, self._wall(), "agent", text)

    def _look_again(self, now):
        """Try NVML again where it was not there, and say hello anew when MIG slices changed."""
        if self._mode != "nvml":
            if now >= self._try_at:
                before = self._mode, self._reason
                self._open()
                if (self._mode, self._reason) != before:
                    self._hello()
            return
        if self._walk.hung:
            return
        layout = layout_of(self._nvml, self._cards)
        # A lost card keeps its place: leaving it out would make it vanish from the screen.
        present = {entry[0] for entry in layout}
        if layout != [entry for entry in self._layout if entry[0] in present]:
            if self._events is not None:
                self._events.close()
            self._open()
            self._hello()

    def _pass_processes(self, now):
        if self._mode != "nvml" or self._walk.hung:
            return
        found, unreadable = [], {}
        for card in self._cards:
            if card.lost:
                unreadable[card.uuid] = "l"
                continue
            rows, letter = self._processes.read(card)
            card.processes = len(rows) if letter == "." else (None, letter)
            if letter != ".":
                unreadable[card.uuid] = letter
            found.extend(rows)
        self._processes.forget({p["pid"] for p in found})
        signature = sorted((p["uuid"], p["pid"], (p["memory"] or 0) >> 20) for p in found), unreadable
        if signature != self._told_processes or now - self._told_at >= PROCESSES_AGAIN_S:
            self._told_processes, self._told_at = signature, now
            self._frames.put("procs", p=found[:4096], q=unreadable)

    def poll_events(self):
        """Tell what NVML's events and the kernel's log have brought."""
        if self._events is not None and not self._isolate:
            found = self._events.wait(0)
            if found is not None:
                self._queue.append(found + (self._wall(),))
        while self._queue:
            uuid, code, at = self._queue.popleft()
            if self._xids.is_new(uuid, code, at, "nvml"):
                self._frames.event("xid", uuid, at, "nvml", "Xid %d from the NVML event set" % code, code)
        if self._kernel is None:
            return
        if self._kernel.source != "kmsg" and self._clock() < self._kernel_due:
            return
        self._kernel_due = self._clock() + KERNEL_EVERY_S
        self._tell_kernel()

    def _tell_kernel(self):
        uptime = None
        by_pci = {short_pci(c): c.uuid for c in self._cards if not c.parent}
        for since_boot, pci, code, text in self._kernel.poll():
            if uptime is None:
                uptime = self._host.uptime()
            at = self._wall() - max(0.0, (uptime or since_boot) - since_boot)
            uuid = by_pci.get(pci, "")
            if self._xids.is_new(uuid, code, at, "kernel"):
                self._frames.event("xid", uuid, at, "kernel", text, code)

    def close(self):
        """Let go of everything; a hung card keeps NVML from being shut down."""
        self._closed.set()
        self._walk.close()
        if self._kernel is not None:
            self._kernel.close()
        if self._mode == "nvml" and not self._walk.hung:
            if self._events is not None and not self._isolate:
                self._events.close()
            try:
                self._nvml.nvmlShutdown()
            except Exception:  # at the end nobody is left to be told
                pass
