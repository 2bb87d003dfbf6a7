"""XIDs from both sources, NVML's event set and the kernel's log, each in a thread of its own."""

import threading
from collections import deque

from .events import EventSet, XidLog
from .node import short_pci

KERNEL_COMMAND_EVERY_S = 30.0
KMSG_EVERY_S = 1.0
WATCH_AGAIN_S = (1.0, 30.0)
KERNEL_FIRST_S = 1.5
_WAIT_MS = 500


class XidWatch(object):
    """Gathers XIDs. With `isolate` false nothing waits and both sources are asked by `poll`, in its thread."""

    def __init__(self, nvml, host, clock, wall, isolate):
        self._nvml = nvml
        self._host = host
        self._clock = clock
        self._wall = wall
        self._isolate = isolate
        self._log = XidLog()
        self._events = None
        self._again_at = 0.0
        self._cards = []
        self._from_nvml = deque(maxlen=1000)
        self._from_kernel = deque(maxlen=1000)
        self._ended = threading.Event()
        self._turn = threading.Event()
        self._watcher = None
        self._kernel = host.kernel_log()
        self._kernel_due = 0.0
        if self._kernel is not None and isolate:
            self._start("kernel", self._follow_kernel)

    @property
    def kernel_source(self):
        """Where the kernel's log is read from, "" when unknown as yet or nowhere."""
        return "" if self._kernel is None else self._kernel.source

    def follow(self, cards):
        """Watch these cards from now on."""
        self._turn.set()  # ends the watch over the cards of before
        self._turn = threading.Event()
        self._cards = list(cards)
        if not cards:
            return
        if self._isolate:
            self._watcher = self._start("events", self._watch, list(cards), self._turn)
        else:
            self._events = EventSet(self._nvml, self._cards)
            self._again_at = self._clock() + WATCH_AGAIN_S[1]

    def poll(self):
        """[(uuid, unix second, "nvml" or "kernel", text, code), ...] not told before, the kernel's wording first."""
        if not self._isolate:
            self._ask_both()
        out = []
        by_pci = None
        while self._from_kernel:
            at, pci, code, text = self._from_kernel.popleft()
            if by_pci is None:
                by_pci = {short_pci(c): c.uuid for c in self._cards if not c.parent}
            uuid = by_pci.get(pci, "")
            if self._log.is_new(uuid, code, at, "kernel"):
                out.append((uuid, at, "kernel", text, code))
        # The kernel's line says what happened, NVML only the number: it gets a moment to come first.
        patience = KERNEL_FIRST_S if self._isolate and self.kernel_source == "kmsg" else 0.0
        while self._from_nvml and self._clock() - self._from_nvml[0][3] >= patience:
            uuid, code, at, _ = self._from_nvml.popleft()
            if self._log.is_new(uuid, code, at, "nvml"):
                out.append((uuid, at, "nvml", "Xid %d from the NVML event set" % code, code))
        return out

    def close(self):
        """Let go; True when no call into NVML is under way any more."""
        self._ended.set()
        self._turn.set()
        if self._watcher is not None:
            self._watcher.join(_WAIT_MS / 1000.0 + 0.2)
            return not self._watcher.is_alive()
        if self._events is not None:
            self._events.close()
        if self._kernel is not None and not self._isolate:
            self._kernel.close()
        return True

    def _start(self, name, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, name=name)
        thread.daemon = True
        thread.start()
        return thread

    def _ask_both(self):
        if self._events is not None and not self._events.is_open and self._clock() >= self._again_at:
            self.follow(self._cards)
        if self._events is not None:
            self._take(self._events.wait(0))
        if self._kernel is not None and (self.kernel_source == "kmsg" or self._clock() >= self._kernel_due):
            self._kernel_due = self._clock() + KERNEL_COMMAND_EVERY_S
            self._read_kernel()

    def _watch(self, cards, turn):
        """The events' thread: it alone frees the set it waits on. A lost card ends a set; the others get a new one."""
        pause, longest = WATCH_AGAIN_S
        while not turn.is_set():
            events = EventSet(self._nvml, [c for c in cards if not c.lost])
            while events.is_open and not turn.is_set():
                self._take(events.wait(_WAIT_MS))
            events.close()
            turn.wait(pause)
            pause = min(longest, 2.0 * pause)

    def _take(self, found):
        if found is not None:
            self._from_nvml.append(found + (self._wall(), self._clock()))

    def _follow_kernel(self):
        while not self._ended.is_set():
            self._read_kernel()
            self._ended.wait(KMSG_EVERY_S if self.kernel_source == "kmsg" else KERNEL_COMMAND_EVERY_S)
        self._kernel.close()

    def _read_kernel(self):
        uptime = None
        for since_boot, pci, code, text in self._kernel.poll():
            if uptime is None:
                uptime = self._host.uptime()
            at = self._wall() - max(0.0, (uptime or since_boot) - since_boot)
            self._from_kernel.append((at, pci, code, text))
