"""What acting costs: compare-and-set over SSH, from the click to the hold on the node, planning of many nodes."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from console.app import Config, Console
from console.operate import LiveDoor, Operations
from console.operations.door import Declined
from tests.bench.collector import fleet

CLICKS = 24


def _spread(seconds: list[float]) -> dict[str, float]:
    found = sorted(seconds)
    at = {"p50": found[len(found) // 2], "p99": found[int(len(found) * 0.99)], "max": found[-1]}
    return {k: round(v * 1e3, 1) for k, v in at.items()}


@contextmanager
def _node_and_consoles(folder: Path) -> Iterator[tuple[str, list[Console]]]:
    """A real OpenSSH server and two consoles that watch it."""
    from tests.real.test_acts import Bench
    from tests.real.test_openssh import all_live, wait

    lab = Bench(folder)
    try:
        path = lab.fleet({"gpu01": lab.server("gpu01")})
        for name in ("amal", "bea"):
            console = Console(Config(fleet=path, data=folder / name)).start()
            lab.consoles.append(console)
            wait(console, all_live)
        yield "gpu01", lab.consoles
    finally:
        lab.close()


def compare_and_set(changes: int = 150) -> dict[str, Any]:
    """Milliseconds of one change of the card book over real OpenSSH: alone, and with two consoles at one entry."""
    from tests.real.openssh import why_not

    if why_not():
        return {"skipped": why_not()}
    with tempfile.TemporaryDirectory() as folder, _node_and_consoles(Path(folder)) as (node, consoles):
        os.chmod(folder, 0o755)
        alone = _changes(consoles[0], node, "alone", changes)
        told: dict[int, list[tuple[float, bool]]] = {}

        def race(i: int) -> None:
            told[i] = _changes(consoles[i], node, f"c{i}", changes)

        threads = [threading.Thread(target=race, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        both = told[0] + told[1]
        won = sum(w for _, w in both)
    return {
        "alone_ms": _spread([s for s, _ in alone]), "two_consoles_ms": _spread([s for s, _ in both]),
        "changes": len(both), "applied": won, "refused_as_stale": len(both) - won,
    }  # fmt: skip


def _changes(console: Console, node: str, name: str, count: int) -> list[tuple[float, bool]]:
    """(seconds, whether it was applied) of changes to one entry, each on the generation seen last."""
    door, out, gen = LiveDoor(_Pumped(console)), [], 0  # type: ignore[arg-type]
    for i in range(count):
        entry = {"assignment": {"tenant": name, "op": name}, "holds": []}
        request = {
            "verb": "book.change", "key": f"{name}-{i}", "ops": [name], "head": "",
            "changes": [{"target": "node", "gen": gen, "entry": entry}],
        }  # fmt: skip
        begun = time.perf_counter()
        try:
            reply, won = door.ask(node, request), True
        except Declined as exc:
            if exc.code != "stale":
                raise
            reply, won = {}, False
        out.append((time.perf_counter() - begun, won))
        if not won:
            reply = door.ask(node, {"verb": "book.read"})
        gen = reply["book"]["entries"]["node"]["gen"]
    return out


class _Pumped:
    """A live fleet whose owner asks and reads in one thread."""

    def __init__(self, console: Console) -> None:
        self._live = console.live

    def ask(self, node: str, request: dict[str, Any], timeout_s: float) -> Any:
        waiting = self._live.ask(node, request, timeout_s)
        while not waiting.done():
            self._live.pump()
            time.sleep(0.001)
        return waiting


def planning(nodes: int = 200) -> dict[str, Any]:
    """Seconds for a drain of that many nodes: reading their card books over SSH, then the plan itself."""
    with fleet(nodes) as console, tempfile.TemporaryDirectory() as folder:
        time.sleep(8.0)
        console.live.pump()
        operations = Operations(console.live, Path(folder), on_live=_pumping(console))
        try:
            names = [n.node.name for n in console.live.nodes if n.hello is not None]
            targets = operations.sight.resolve(names)
            few = names[:25]
            books, looks, plans, all_plans = [], [], [], []
            for _ in range(5):
                begun = time.perf_counter()
                found = operations.read_books(names)
                books.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                for one in targets:
                    operations.sight.view(one, found[one.node])  # type: ignore[arg-type]
                operations.sight.pool(targets)
                looks.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                operations.plan(operations.asked("drain", "bench"), few)
                plans.append(time.perf_counter() - begun)
                begun = time.perf_counter()
                made = operations.plan(operations.asked("drain", "bench"), names)
                all_plans.append(time.perf_counter() - begun)
        finally:
            operations.close()
    return {
        "nodes": len(names), "books_ms": _spread(books), "on_the_live_fleet_ms": _spread(looks),
        "plan_of_25_ms": _spread(plans), "plan_of_all_ms": _spread(all_plans), "answer": made.refused[0][1],
    }  # fmt: skip


def _pumping(console: Console) -> Callable[[Callable[[], Any]], Any]:
    def run(call: Callable[[], Any]) -> Any:
        console.live.pump()
        return call()

    return run


def click(nodes: int = 200) -> dict[str, Any]:
    """Milliseconds from pressing the button of the dialog until the hold stands in the node's card book on disk."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtWidgets import QMainWindow

    from console.commands import registry
    from console.ui.acts import ACTS
    from console.ui.dialogs.act import ActDialog
    from console.ui.early import application
    from console.ui.theme import DARK, Theme
    from console.ui.window import MainWindow

    app = application()
    Theme.apply(app, DARK)
    seconds: list[float] = []
    frames: list[float] = []
    with fleet(nodes) as console, tempfile.TemporaryDirectory() as folder:
        console.config = Config(data=Path(folder), demo=console.config.demo)
        frame = QMainWindow()
        frame.resize(1440, 900)
        window = MainWindow(console, frame)
        frame.setCentralWidget(window)
        frame.show()

        def until(holds: Callable[[], bool], limit: float = 60.0) -> None:
            end = time.monotonic() + limit
            while not holds():
                begun = time.perf_counter()
                app.processEvents()
                frames.append(time.perf_counter() - begun)
                if time.monotonic() > end:
                    raise AssertionError("it did not come to be")
                time.sleep(0.002)

        end = time.monotonic() + 12.0
        until(lambda: time.monotonic() > end)
        window.context.desk.arm()
        known = [n.node.name for n in console.live.nodes if n.hello is not None][: CLICKS * 2]
        assert console._demo is not None
        books = console._demo.fleet.parent / "books"
        for name in known[:: max(1, len(known) // CLICKS)]:
            window.context.desk.arm()
            dialog = ActDialog(
                frame, window.context, ACTS["acts.drain_node"], registry["acts.drain_node"].title, [name], "bench", {}
            )
            dialog.show()
            until(lambda d=dialog: d.plan is not None or bool(d.error.text()))  # type: ignore[misc]
            if dialog.plan is None or not dialog.plan.changes:
                dialog.reject()
                continue
            dialog.word.setText(dialog.plan.word)
            op, path = dialog.plan.asked.op, books / name / "book.json"
            begun = time.perf_counter()
            dialog.button.click()
            until(lambda p=path, o=op: _holds(p, o))  # type: ignore[misc]
            seconds.append(time.perf_counter() - begun)
            until(lambda: not window.context.desk.running)
            journal = window.context.desk._open().journal
            window.context.desk.undo(op, lambda why: None)
            until(lambda: not window.context.desk.running)
            for region in {n.node.region for n in console.live.nodes}:
                journal.trip(region, "so that this goes on")
            journal.reset_breaker("bench")
        window.stop()
        frame.close()
    return {
        "nodes": nodes, "acts": len(seconds), "hold_on_the_node_ms": _spread(seconds),
        "mean_ms": round(statistics.mean(seconds) * 1e3, 1), "event_loop_ms": _spread(frames),
    }  # fmt: skip


def _holds(path: Path, op: str) -> bool:
    try:
        entries = json.loads(path.read_text())["entries"].values()
    except (OSError, ValueError):
        return False
    return any(h["op"] == op for e in entries for h in e["holds"])
