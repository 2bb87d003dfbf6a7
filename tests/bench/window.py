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
            idle = _idle(seconds / 2)
            _turn(QApplication, seconds / 2)
            values = np.array(late)
            beside = idle.communicate()[0].split()
            out[view] = {f"late_p{q}_ms": round(float(np.percentile(values, q)), 2) for q in (50, 99)}
            out[view]["late_max_ms"] = round(float(values.max()), 2)
            out[view] |= {
                f"idle_process_late_{n}_ms": round(float(v), 2) for n, v in zip(("p99", "max"), beside, strict=True)
            }
            content.run("fleet.toggle")
        timer.stop()
        content.stop()
        frame.close()
    return out


def flood(nodes: int = 400, alarms: int = 500, seconds: float = 60.0) -> dict[str, Any]:
    """The alarms page while that many alarms are raised one after the other: lateness of a 60 Hz heartbeat, ms, and rows."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication, QMainWindow

    from console.ui.early import application
    from console.ui.window import MainWindow
    from tests.health.test_alarms import cause

    application()
    with fleet(nodes) as console:
        frame = QMainWindow()
        frame.resize(1440, 900)
        content = MainWindow(console, frame)
        frame.setCentralWidget(content)
        frame.show()
        content.go("alarms")
        _turn(QApplication, 5.0)
        cards = [(e.entity.uuid, e.entity.node) for e in console.live.entities]
        held = [cause(*_sick(i, cards), since=float(i)) for i in range(alarms)]
        late: list[float] = []
        due = [time.perf_counter()]
        begun = [time.perf_counter()]
        most = [0]

        def beat() -> None:
            now = time.perf_counter()
            late.append(1000.0 * max(0.0, now - due[0]))
            due[0] = now + 1 / 60
            most[0] = max(most[0], content.page("alarms").table.rowCount())

        examiner = content.context.rows.checkup.examiner
        look = examiner.look

        def looked(facts: Any) -> Any:
            found = look(facts)
            share = (time.perf_counter() - begun[0]) / seconds
            examiner.causes = tuple(held[: int(share * alarms)])
            return found

        examiner.look = looked  # type: ignore[method-assign]
        timer = QTimer()
        timer.setInterval(16)
        timer.timeout.connect(beat)
        begun[0] = due[0] = time.perf_counter()
        idle = _idle(seconds)
        timer.start()
        _turn(QApplication, seconds + 2.0)
        timer.stop()
        beside = idle.communicate()[0].split()
        values = np.array(late)
        out = {
            "alarms": len(content.context.watch.alarms.standing), "most_rows": most[0],
            **{f"late_p{q}_ms": round(float(np.percentile(values, q)), 2) for q in (50, 99)},
            "late_max_ms": round(float(values.max()), 2), "idle_process_late_p99_ms": round(float(beside[0]), 2),
        }  # fmt: skip
        content.stop()
        frame.close()
    return out


def _sick(i: int, cards: list[tuple[str, str]]) -> tuple[str, int, str, str]:
    card, node = cards[(i * 37) % len(cards)]
    return card, 1 + i % 3, ("hw-thermal", "remap-pending", "pcie-width")[i % 3], node


def told(nodes: int = 50, seconds: float = 240.0) -> dict[str, Any]:
    """From an XID on a node of the demo, by its own clock, to the window's alarm, seconds."""
    from PySide6.QtWidgets import QApplication, QMainWindow

    from console.ui.early import application
    from console.ui.window import MainWindow

    application()
    with fleet(nodes) as console:
        frame = QMainWindow()
        content = MainWindow(console, frame)
        frame.setCentralWidget(content)
        frame.show()
        late: list[float] = []
        received: list[float] = []
        seen = {e.wall_s for e in console.live.events}
        begun = time.time()

        def heard() -> None:
            now = time.time()
            standing = content.context.watch.alarms.standing.values()
            cards = {a.lead.card for a in standing}
            for event in console.live.events:
                if event.kind == "xid" and event.wall_s not in seen and event.uuid in cards:
                    seen.add(event.wall_s)
                    if event.wall_s > begun:
                        late.append(now - event.wall_s)
                        received.append(event.received_s - event.wall_s)

        content.context.ticked.connect(heard)
        _turn(QApplication, seconds)
        content.stop()
        frame.close()
    return {"xids": len(late)} | (
        {f"p{q}_s": round(float(np.percentile(late, q)), 2) for q in (50, 99)}
        | {f"received_p{q}_s": round(float(np.percentile(received, q)), 2) for q in (50, 99)}
        if late
        else {}
    )


def paint(nodes: int = 400, rounds: int = 40) -> dict[str, Any]:
    """From reading the rings to painted pixels with 3,200 live cards, ms, and how old the median reading is then."""
    from PySide6.QtWidgets import QApplication, QMainWindow

    from console.ui.early import application
    from console.ui.window import MainWindow

    application()
    out: dict[str, Any] = {"nodes": nodes}
    with fleet(nodes) as console:
        frame = QMainWindow()
        frame.resize(1440, 900)
        content = MainWindow(console, frame)
        frame.setCentralWidget(content)
        frame.show()
        _turn(QApplication, 5.0)
        for view in ("map", "table"):
            content.fleet_page.set_view(view)
            _turn(QApplication, 1.5)
            took, ages = [], []
            for _ in range(rounds):
                _turn(QApplication, 0.25)
                page = content.fleet_page
                begun = time.perf_counter()
                content.context.rows.refresh()
                page.refresh()
                (page.map if view == "map" else page.table.viewport()).repaint()
                took.append(1000.0 * (time.perf_counter() - begun))
                ages.append(1000.0 * float(np.median(time.monotonic() - console.live.sample_times())))
            out[view] = {
                "ring_to_paint_p50_ms": round(float(np.percentile(took, 50)), 1),
                "ring_to_paint_p99_ms": round(float(np.percentile(took, 99)), 1),
                "age_when_painted_ms": round(statistics.median(ages)),
            }
        content.stop()
        frame.close()
    return out


_IDLE = """
import sys, time
end = time.perf_counter() + float(sys.argv[1])
late, due = [], time.perf_counter() + 1 / 60
while time.perf_counter() < end:
    time.sleep(max(0.0, due - time.perf_counter()))
    now = time.perf_counter()
    late.append(1000.0 * max(0.0, now - due))
    due = now + 1 / 60
late.sort()
print(late[int(0.99 * len(late))], late[-1])
"""


def _idle(seconds: float) -> subprocess.Popen[str]:
    """A heartbeat in a process that does nothing else: what the machine itself costs."""
    return subprocess.Popen([sys.executable, "-c", _IDLE, str(seconds)], stdout=subprocess.PIPE, text=True)


def _turn(app: Any, seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        app.processEvents()
        time.sleep(0.0005)
