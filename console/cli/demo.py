"""`demo --no-window`: the demo fleet for a terminal or a script."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter

import numpy as np

from console.app import Config, Console
from console.cli import output
from console.fleet.state import LinkState, ReadingState
from console.telemetry.live import LiveFleet

TELL_EVERY_S = 5.0


def run_demo(config: Config, as_json: bool, seconds: float | None) -> int:
    """Run until interrupted or `seconds` have passed, telling the state now and then; 1 when nothing became live."""
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.set())
    console = Console(config).start()
    begun = told = time.monotonic()
    was_live = False
    try:
        while not end.wait(0.1) and (seconds is None or time.monotonic() - begun < seconds):
            console.live.pump()
            if time.monotonic() - told >= TELL_EVERY_S:
                told = time.monotonic()
                was_live = _tell(console.live, as_json) or was_live
        console.live.pump()
        was_live = _tell(console.live, as_json) or was_live
    finally:
        console.close()
    return 0 if was_live else 1


def _tell(live: LiveFleet, as_json: bool) -> bool:
    links = Counter(n.link for n in live.nodes)
    util = live.column("utilization_gpu")
    fresh = int((util.states == ReadingState.FRESH).sum())
    mean = float(np.nanmean(util.fresh)) if fresh else None
    row = {
        "nodes": len(live.nodes),
        "live": links[LinkState.LIVE],
        "cards": len(live.entities),
        "fresh": fresh,
        "utilization_gpu": mean,
        "events": len(live.events),
    }
    if as_json:
        output.write_json(row)
    else:
        shown = "–" if mean is None else f"{mean:.0f} %"
        output.write_line(
            f"{row['live']}/{row['nodes']} nodes live, {row['cards']} cards, {fresh} with fresh readings, "
            f"mean utilisation {shown}, {row['events']} events"
        )
    return links[LinkState.LIVE] > 0
