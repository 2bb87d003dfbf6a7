"""One run over a node's cards: hello, passes, processes, events; NVML opened again when it was not there."""

import platform

from . import AGENT_VERSION, columns
from .aside import Aside
from .node import NvmlAbsent, find_cards, open_nvml, versions
from .processes import Owners, fitting
from .verdict import ERROR, FRESH, LOST
from .walk import Walk
from .xids import XidWatch

LIMIT_S = {"fast": 2.0, "medium": 5.0, "slow": 5.0}
OPEN_LIMIT_S = 4.0
HOST_LIMIT_S = 1.0
OWNERS_LIMIT_S = 2.0
RETRY_NVML_S = 30.0
PROCESSES_AGAIN_S = 30.0
MAX_PROCESSES = 4096
PROCESS_BYTES = 900000  # the console drops a line over 1 MiB
CLOCK_STEP_S = 0.5


class Session(object):
    """Everything the loop does with a node. Whatever may hang (NVML, /sys, the user database) is asked in threads of
    its own when `isolate` is set, so that the loop goes on."""

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
        self._xids = XidWatch(nvml, host, clock, wall, self._isolate)
        self._opening = Aside("open", self._isolate)
        self._reading_host = Aside("host", self._isolate)
        self._reading_owners = Aside("owners", self._isolate)
        self._owners = Owners(host)
        self._cost = {}
        self._mode, self._reason = "none", ""
        self._versions = {}
        self._facts = {}
        self._layout = {}
        self._try_at = 0.0
        self._told_processes = None
        self._told_at = 0.0
        self._told_host = set()
        self._offset = wall() - clock()

    def begin(self, fast_s):
        """Open NVML and say hello."""
        self._periods["fast"] = fast_s
        try:
            self._facts = self._reading_host.ask(self._host.facts, OPEN_LIMIT_S)[1] or {}
        except Exception as exc:
            self._walk.news.append(("agent", "", "the host's facts: %s: %s" % (type(exc).__name__, exc)))
        self._open()
        self._hello()
        self._tell_news()

    def change_period(self, fast_s):
        """Say hello again with another fast period."""
        self._periods["fast"] = fast_s
        self._hello()

    def tick(self):
        """What every turn of the loop brings: XIDs, a driver that answers at last, a stepped clock."""
        for uuid, at, source, text, code in self._xids.poll():
            self._frames.event("xid", uuid, at, source, text, code)
        done, found = self._opening.late()
        if done:
            self._adopt(found)
            self._driver_changed()
        offset = self._wall() - self._clock()
        step, self._offset = offset - self._offset, offset
        if abs(step) >= CLOCK_STEP_S:
            self._frames.event("clock_step", "", self._wall(), "agent", "the clock was set by %+.3f s" % step)

    def _open(self):
        """Open NVML and look for its cards; True when an answer came in time."""
        self._try_at = self._clock() + RETRY_NVML_S
        done, found = self._opening.ask(self._find, OPEN_LIMIT_S)
        if done:
            self._adopt(found)
        elif self._mode != "nvml":
            self._reason = "the NVIDIA driver has not answered for %.0f s; still waiting for it" % OPEN_LIMIT_S
        return done

    def _find(self):
        """(mode, reason, cards, lost, versions); never raises."""
        try:
            open_nvml(self._nvml)
            cards, lost = find_cards(self._nvml)
            return "nvml", "", cards, lost, versions(self._nvml)
        except NvmlAbsent as exc:
            return "none", str(exc), [], [], {}
        except Exception as exc:  # whatever NVML does, the host's readings go on
            return "none", "NVML failed: %s" % exc, [], [], {}

    def _adopt(self, found):
        self._mode, self._reason, cards, lost, self._versions = found
        # A lost card keeps its row: leaving it out would make it vanish from the screen.
        present = {c.uuid for c in cards}
        cards = cards + [c for c in self._cards if c.lost and c.uuid not in present]
        self._cards = cards
        self._places = {c.uuid: i for i, c in enumerate(cards)}
        self._layout = {c.uuid: c.layout for c in cards}
        news = self._walk.news
        self._walk.close()
        self._walk = Walk(cards, self._clock, self._isolate)
        self._walk.news = news
        self._walk.learn(LIMIT_S["fast"])
        self._xids.follow(cards)
        self._told_processes = None
        for text in lost:
            self._walk.news.append(("card_lost", "", text))

    def _hello(self):
        facts = dict(self._facts)
        known = {"agent": AGENT_VERSION, "python": platform.python_version(), "kernel": facts.pop("kernel", "")}
        known["os"] = facts.pop("os", "")
        known.update(self._versions)
        if self._xids.kernel_source:
            facts["kernel_log"] = self._xids.kernel_source
        entities = [
            {
                "uuid": c.uuid,
                "kind": "slice" if c.parent else "card",
                "index": c.index,
                "name": c.name,
                "parent": c.parent,
                "facts": dict(c.facts),
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
        self._walk.recall()
        rows = self._walk.sample(tier, LIMIT_S[tier], places, lambda: self._frames.beat(2.0))
        fields = {"k": tier, "c": [r[0] for r in rows]}
        if any(r[1] is not None for r in rows):
            fields["q"] = [r[1] for r in rows]
        detail = None
        if places is not None:
            fields["i"] = places
        else:
            self._cost[tier] = (self._clock() - begun) * 1000.0
            if tier != "medium":
                values, letters, detail = self._read_host(tier, begun)
                fields["h"] = values
                if letters is not None:
                    fields["hq"] = letters
        self._frames.put("s", **fields)
        if detail is not None:
            self._frames.put("detail", **detail)
        if tier == "medium":
            self._tell_processes(begun)
        self._tell_news()

    def _read_host(self, tier, now):
        """(values, letters, detail or None). A host that cannot be read does not take the cards along."""

        def read():
            if tier == "fast":
                return self._host.fast(now, self._cost) + (None,)
            return self._host.slow(now) + (self._host.detail(now),)

        try:
            self._reading_host.late()  # of a pass that was given up: of no use any more
            done, found = self._reading_host.ask(read, HOST_LIMIT_S if tier == "fast" else OPEN_LIMIT_S)
        except Exception as exc:
            done, found = False, None
            text = "the host's %s tier: %s: %s" % (tier, type(exc).__name__, exc)
            if text not in self._told_host and len(self._told_host) < 20:
                self._told_host.add(text)
                self._walk.news.append(("agent", "", text))
        if done:
            return found
        width = len(columns.HOST[tier])
        return [None] * width, ERROR * width, None

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
                    self._driver_changed()
            return
        if self._walk.hung or all(self._layout[c.uuid] == c.layout for c in self._cards):
            return
        if self._open():
            self._hello()

    def _driver_changed(self):
        self._hello()
        text = self._reason or "NVML answers: %d cards, driver %s" % (len(self._cards), self._versions.get("driver"))
        self._frames.event("driver", "", self._wall(), "agent", text)

    def _tell_processes(self, now):
        """Who works on the cards, when that changed and every PROCESSES_AGAIN_S."""
        if self._mode != "nvml":
            return
        listed, unreadable, on_slices = [], {}, set()
        for card in sorted(self._cards, key=lambda c: not c.parent):
            if card.lost or card in self._walk.hung:
                unreadable[card.uuid] = LOST
                continue
            if card.processes_letter != FRESH:
                unreadable[card.uuid] = card.processes_letter
            for row in card.processes:
                if card.parent:
                    on_slices.add((card.parent, row[0]))
                elif (card.uuid, row[0]) in on_slices:  # told of the slice already
                    continue
                listed.append((card.uuid,) + row)
        signature = sorted((uuid, pid, (memory or 0) >> 20) for uuid, pid, _, memory, _ in listed), unreadable
        if signature == self._told_processes and now - self._told_at < PROCESSES_AGAIN_S:
            return
        self._reading_owners.late()
        done, found = self._reading_owners.ask(lambda: self._owners.describe(listed), OWNERS_LIMIT_S)
        if not done:
            # The user database may be on the network: the rows without names are better than none.
            found = [{"uuid": r[0], "pid": r[1], "kind": r[2], "memory": r[3], "util": r[4]} for r in listed]
        else:
            self._told_processes, self._told_at = signature, now
        self._frames.put("procs", p=fitting(found[:MAX_PROCESSES], PROCESS_BYTES), q=unreadable)

    def close(self):
        """Let go of everything. NVML is shut down only when no call into it is under way."""
        self._walk.close()
        for aside in (self._opening, self._reading_host, self._reading_owners):
            aside.close()
        is_quiet = self._xids.close()
        if self._mode == "nvml" and is_quiet and not self._walk.hung and not self._opening.is_stuck():
            try:
                self._nvml.nvmlShutdown()
            except Exception:  # at the end nobody is left to be told
                pass
