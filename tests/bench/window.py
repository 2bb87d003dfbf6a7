"""What the window costs: start, frames, and calm while the fleet bursts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.collector import fleet

ROOT = Path(__file__).resolve().parents[2]

_FIRST_PAINT = """
import sys, time
begun = time.perf_counter()
{eager}
from console.ui.early import show_early
show_early()
print(time.perf_counter() - begun)
"""
_EAGER = "import numpy, pyqtgraph, paramiko, sqlite_utils, console.app, console.ui.window"


def start(runs: int = 7) -> dict[str, Any]:
    """Seconds from the interpreter's first line to the painted frame, beside the same with everything imported first."""

    def median(eager: str) -> float:
        found = []
        for _ in range(runs):
            done = subprocess.run(
                [sys.executable, "-c", _FIRST_PAINT.format(eager=eager)],
                cwd=ROOT, capture_output=True, text=True, check=True, env=dict(os.environ, QT_QPA_PLATFORM="offscreen"),
            )  # fmt: skip
            found.append(float(done.stdout.split()[-1]))
        return statistics.median(found)

    lazy, eager = median(""), median(_EAGER)
    return {"first_paint_s": round(lazy, 3), "eager_s": round(eager, 3), "ratio": round(lazy / eager, 3)}


def frames(nodes: int = 400, seconds: float = 30.0) -> dict[str, Any]:
    """The window with 3,200 live cards: event-loop turns over the fleet map and table, ms."""
    return _loop(nodes, seconds, burst=False)


def burst(nodes: int = 400, seconds: float = 20.0) -> dict[str, Any]:
    """The same while all agents speak at one instant: lateness of a 60 Hz heartbeat on the Qt thread, ms."""
    return _loop(nodes, seconds, burst=True)


def _loop(nodes: int, seconds: float, burst: bool) -> dict[str, Any]:
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication, QMainWindow

    from console.ui.early import application
    from console.ui.window import MainWindow

    application()
    with fleet(nodes, burst=burst) as console:
        frame = QMainWindow()
        frame.resize(1440, 900)
        content = MainWindow(console, frame)
        frame.setCentralWidget(content)
        frame.show()
        late: list[float] = []
        due = [time.perf_counter()]

        def beat() -> None:
            now = time.perf_counter()
            late.append(1000.0 * max(0.0, now - due[0]))
            due[0] = now + 1 / 60

        timer = QTimer()
        timer.setInterval(16)
        timer.timeout.connect(beat)
        _turn(QApplication, 5.0)
        due[0] = time.perf_counter()
        timer.start()
        out: dict[str, Any] = {"nodes": nodes, "cards": len(console.live.entities)}
        for view in ("map", "table"):
            late.clear()
            _turn(QApplication, seconds / 2)
            values = np.array(late)
            out[view] = {f"late_p{q}_ms": round(float(np.percentile(values, q)), 2) for q in (50, 99)}
            out[view]["late_max_ms"] = round(float(values.max()), 2)
            content.run("fleet.toggle")
        timer.stop()
        content.stop()
        frame.close()
    return out


def _turn(app: Any, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        app.processEvents()
        time.sleep(0.0005)
