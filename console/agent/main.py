"""The agent's loop: three tiers on their periods, events, control lines, and the end."""

import json
import os
import sys
import threading
import time
import traceback

from .frames import Frames, Gone
from .host import HostReader
from .probe import probe
from .session import Session

MIN_PERIOD_S = 0.5
BEAT_S = 2.0
DEFAULT_TTL_S = 120.0
GRACE_S = 3.0


class Control(object):
    """What the console asked for, taken in by a thread of its own.

    Attributes:
        stop: set at the end of the stream or when told to stop.
    """

    def __init__(self, period, stop, clock):
        self._lock = threading.Lock()
        self._clock = clock
        self.stop = stop
        self.fast_s = period
        self.focus = ()
        self.focus_s = MIN_PERIOD_S
        self.heard = clock()
        self.wake = threading.Event()
        self.refused = ""

    def read(self, lines):
        """Take lines until they end; the end of the stream is the end of the agent."""
        try:
            for line in lines:
                self.take(line)
        except (OSError, ValueError):
            pass
        finally:
            self.stop.set()
            self.wake.set()

    def take(self, line):
        """One control line; what is not understood is ignored."""
        try:
            order = json.loads(line.decode("utf-8"))
            kind = order.get("c")
            uuids = tuple(str(u) for u in order.get("uuids") or ())[:64]
        except (ValueError, TypeError, AttributeError, RecursionError):
            return
        with self._lock:
            self.heard = self._clock()
            if kind == "stop":
                self.stop.set()
            elif kind == "focus":
                self.focus = uuids
                self.focus_s = self._period(order.get("period"), self.focus_s)
            elif kind == "rate":
                self.fast_s = self._period(order.get("fast"), self.fast_s)
            else:
                return
        self.wake.set()

    def _period(self, asked, otherwise):
        if not isinstance(asked, (int, float)) or asked != asked:
            return otherwise
        if asked < MIN_PERIOD_S:
            self.refused = "an interval of %.3f s was asked for; %.1f s is the least" % (asked, MIN_PERIOD_S)
        return min(3600.0, max(MIN_PERIOD_S, float(asked)))


def run(config, lines, write, nvml, host, clock=time.monotonic, wall=time.time, stop=None, attach=None):
    """Sample until the console goes away.

    `config`: {"mode": "stream" or "probe", "period": {"fast", "medium", "slow"}, "phase", "ttl_s", "isolate"}.
    `lines` gives control lines as bytes; `write` takes one whole frame line. With "isolate" false everything runs in
    the calling thread but the reading of `lines`; who delivers control lines himself passes None for `lines`
    and gets the Control by `attach`. Returns an exit code.
    """
    frames = Frames(write, clock, wall)
    if config.get("mode") == "probe":
        frames.put("probe", checks=probe(nvml, host, wall))
        return 0
    periods = {"fast": 1.0, "medium": 5.0, "slow": 30.0}
    periods.update(config.get("period") or {})
    control = Control(max(MIN_PERIOD_S, float(periods["fast"])), stop or threading.Event(), clock)
    if periods["fast"] < MIN_PERIOD_S:
        control.refused = "an interval of %.3f s was asked for; %.1f s is the least" % (periods["fast"], MIN_PERIOD_S)
    if attach is not None:
        attach(control)
    if lines is not None:
        reader = threading.Thread(target=control.read, args=(lines,), name="control")
        reader.daemon = True
        reader.start()
    session = Session(frames, nvml, host, periods, config, clock, wall)
    try:
        return _loop(config, periods, control, frames, session, clock, wall)
    except Gone:
        return 0
    except Exception as exc:
        frames.farewell("the agent failed: %s: %s" % (type(exc).__name__, exc))
        raise
    finally:
        session.close()


def _loop(config, periods, control, frames, session, clock, wall):
    ttl = float(config.get("ttl_s", DEFAULT_TTL_S))
    session.begin(control.fast_s)
    fast = control.fast_s
    start = clock()
    # Spread over the period, so that a thousand nodes do not speak at one instant.
    phase = float(config.get("phase", 0.0)) % 1.0
    next_fast = start + (phase - wall() / fast) % 1.0 * fast
    due = {"medium": next_fast, "slow": next_fast}
    next_focus = next_fast
    while not control.stop.is_set():
        now = clock()
        if now - control.heard > ttl:
            frames.farewell("no word from the console for %.0f s" % ttl)
            return 0
        if control.refused:
            text, control.refused = control.refused, ""
            frames.event("agent", "", wall(), "agent", text)
        if control.fast_s != fast:
            fast, next_fast = control.fast_s, now
            session.change_period(fast)
        if now >= next_fast:
            session.pass_tier("fast")
            next_fast = _after(next_fast, fast, clock())
            next_focus = next_fast - fast + control.focus_s
        elif control.focus and now >= next_focus:
            session.pass_tier("fast", control.focus)
            next_focus = _after(next_focus, control.focus_s, clock())
        for tier in ("medium", "slow"):
            if clock() >= due[tier] and clock() < next_fast:
                session.pass_tier(tier)
                due[tier] = _after(due[tier], float(periods[tier]), clock())
        session.tick()
        frames.beat(BEAT_S)
        until = min(next_fast, next_focus if control.focus else next_fast)
        until = min([until] + [d for d in due.values() if d < next_fast])
        control.wake.wait(min(max(0.0, until - clock()), 1.0))
        control.wake.clear()
    return 0


def _after(due, period, now):
    """The next due time that lies ahead; what was missed is skipped, not caught up."""
    steps = int((now - due) / period) + 1 if now >= due else 0
    return due + steps * period


def main(config):
    """Entry on a node: standard input carries control lines, standard output frames."""
    out = sys.stdout.buffer
    lock = threading.Lock()

    def write(line):
        with lock:
            out.write(line)
            out.flush()

    try:
        import pynvml as nvml
    except Exception:  # any failure means: no NVML, host readings go on
        nvml = None
    stop = threading.Event()

    def lines():
        while True:
            line = sys.stdin.buffer.readline(65536)
            if not line:
                # A call hung in the driver must not keep us here: leave at once.
                threading.Timer(2.0, os._exit, (0,)).start()
                return
            yield line

    def watch(control):
        """End at the console's silence even where the loop cannot: blocked in a full pipe, or in the driver."""
        limit = float(config.get("ttl_s", DEFAULT_TTL_S)) + GRACE_S

        def wait():
            while True:
                left = limit - (time.monotonic() - control.heard)
                if left <= 0.0:
                    os._exit(0)
                time.sleep(left)

        threading.Thread(target=wait, name="ttl", daemon=True).start()

    try:
        code = run(config, lines(), write, nvml, HostReader(), stop=stop, attach=watch)
    except Exception:
        traceback.print_exc()  # the console shows what a node's program says on standard error
        code = 1
    sys.stdout = open(os.devnull, "w")  # a broken pipe must not complain at exit
    os._exit(code)
