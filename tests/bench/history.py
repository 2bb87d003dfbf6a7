"""What history costs: bytes a sample beside Prometheus and SQLite rows, CPU of the writer, time of the queries."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sqlite_utils

from console.fleet.metrics import CARD_METRIC, Kind
from console.history.curves import draw
from console.history.reader import Reader
from console.history.recorder import Pass, Recorder
from console.history.retention import Limits
from console.history.store import tier_metrics

T0 = 1_767_225_600.0
_METRICS = {t: tier_metrics("card", t) for t in ("fast", "medium", "slow")}
_PERIOD = {"fast": 1.0, "medium": 5.0, "slow": 30.0}


class Load:
    """Cards that train, serve or idle: each metric as a driver would report it, whole units and real noise."""

    def __init__(self, cards: int, seed: int = 1) -> None:
        self.random = np.random.default_rng(seed)
        self.cards = cards
        self.busy = self.random.choice([0.0, 0.35, 0.96], cards, p=[0.25, 0.25, 0.5])
        self.temperature = 30.0 + 35.0 * self.busy
        self.energy = self.random.uniform(1e8, 2e9, cards)
        self.used = np.round(self.busy * 70e9 / 2**21) * 2**21

    def second(self, now: float) -> dict[str, np.ndarray]:
        """One second of every fast metric, [cards] each."""
        noise = self.random.normal(0.0, 1.0, self.cards)
        active = np.clip(np.rint(100 * self.busy + 2.0 * noise * (self.busy > 0)), 0, 100)
        power = np.round(70.0 + 590.0 * active / 100.0 + 6.0 * noise, 3)
        self.temperature += 0.02 * (30.0 + 0.055 * power - self.temperature)
        self.energy += power
        clock = np.where(self.busy > 0, 1980.0 - 15.0 * np.rint(np.abs(noise)), 345.0)
        serving = self.busy == 0.35
        self.used = np.where(serving, self.used + np.rint(noise) * 2**21, self.used).clip(0)
        return {
            "utilization_gpu": active,
            "utilization_memory": np.rint(active * 0.6),
            "memory_used": self.used,
            "memory_reserved": np.full(self.cards, 640.0 * 2**20),
            "memory_total": np.full(self.cards, 80.0 * 2**30),
            "power_draw": power,
            "energy": np.round(self.energy, 3),
            "temperature_gpu": np.rint(self.temperature),
            "temperature_memory": np.rint(self.temperature + 11),
            "clock_sm": clock,
            "clock_memory": np.where(self.busy > 0, 2619.0, 1593.0),
            "clocks_event_reasons": np.where(self.busy > 0, 0.0, 1.0),
            "pstate": np.zeros(self.cards),
            "pcie_tx": np.rint(active * 6e6 + 1e5 * np.abs(noise)),
            "pcie_rx": np.rint(active * 14e6 + 3e5 * np.abs(noise)),
            "nvlink_tx": np.rint(active * 2.6e9 + 1e7 * noise * (active > 0)),
            "nvlink_rx": np.rint(active * 2.6e9 - 1e7 * noise * (active > 0)),
        }

    def rows(self, now: float, tier: str) -> np.ndarray:
        """[cards, metrics] of a tier."""
        if tier == "fast":
            found = self.second(now)
            return np.stack([found[m] for m in _METRICS["fast"]], axis=1)
        made = np.zeros((self.cards, len(_METRICS[tier])))
        for i, m in enumerate(_METRICS[tier]):
            if CARD_METRIC[m].kind is Kind.GAUGE and CARD_METRIC[m].unit == "%":
                made[:, i] = np.rint(self.busy * 80)
        return made


def _recorder(folder: Path, clock: Callable[[], float], nodes: int, cards: int) -> Recorder:
    recorder = Recorder(folder, Limits(), lambda *_: None, lambda _: None, clock)
    for n in range(nodes):
        recorder.describe(f"n{n}", [(f"GPU-{n}-{c}", "card", c, "H100", "", {}) for c in range(cards)])
        recorder.set_periods(f"n{n}", _PERIOD)
    return recorder


def _fill(folder: Path, nodes: int, cards: int, seconds: int, from_s: float = T0, flush_s: int = 4) -> dict[str, float]:
    """Record made-up passes; {"cpu_s", "longest_transaction_ms", "samples"}."""
    now = [from_s]
    recorder = _recorder(folder, lambda: now[0], nodes, cards)
    load = Load(nodes * cards)
    uuids = [tuple(f"GPU-{n}-{c}" for c in range(cards)) for n in range(nodes)]
    phases = np.random.default_rng(2).uniform(0.0, 1.0, nodes)
    used, samples = 0.0, 0
    for second in range(seconds):
        now[0] += 1.0
        for tier, period in _PERIOD.items():
            if second % period:
                continue
            values = load.rows(now[0], tier).reshape(nodes, cards, -1)
            samples += values.size
            for n in range(nodes):
                at = int((now[0] - 1.0 + phases[n]) * 1e6) + int(load.random.integers(0, 900))
                recorder.sampled(Pass(f"n{n}", uuids[n], tier, at, 0, values[n], 1, None, None))
        if second % flush_s == flush_s - 1:
            begun = time.thread_time()
            recorder.flush()
            recorder.tidy()
            used += time.thread_time() - begun
    longest = recorder.store.longest_s
    recorder.close()
    return {"cpu_s": used, "longest_transaction_ms": 1000.0 * longest, "samples": float(samples)}


def write(nodes: int = 400, cards: int = 8, seconds: int = 420) -> dict[str, Any]:
    """The writer at 3,200 cards and 1 Hz: share of a core and the longest write transaction; then an hour's joining."""
    folder = Path(tempfile.mkdtemp())
    try:
        found = _fill(folder, nodes, cards, seconds)
        small = _fill(folder / "hour", 10, cards, 3700 + 400)
        return {
            "cards": nodes * cards,
            "percent_of_a_core": round(100.0 * found["cpu_s"] / seconds, 1),
            "longest_transaction_ms": round(found["longest_transaction_ms"], 1),
            "over_an_hour_and_its_joining_scaled_percent": round(100.0 * small["cpu_s"] / 4100 * nodes / 10, 1),
            "samples_a_second": round(found["samples"] / seconds),
        }
    finally:
        shutil.rmtree(folder)


def size(cards: int = 8, hours: float = 3.0) -> dict[str, Any]:
    """Bytes a stored sample of the fast tier at 1 Hz, beside Prometheus' blocks of the same values and SQLite rows."""
    folder = Path(tempfile.mkdtemp())
    seconds = int(hours * 3600)
    try:
        load = Load(cards)
        table = np.stack([load.rows(T0 + s, "fast") for s in range(seconds)])
        ours = _our_bytes(folder / "ours", table)
        count = table.size
        out: dict[str, Any] = {"samples": count, "ours_bytes_a_sample": round(ours / count, 3)}
        prometheus = _prometheus_bytes(folder / "prometheus", table)
        if prometheus is None:
            out["prometheus"] = "promtool is not installed (Debian package prometheus)"
        else:
            out["prometheus_bytes_a_sample"] = round(prometheus / count, 3)
            out["ratio"] = round(ours / prometheus, 3)
        short = table[:3600]
        out["wide_rows_bytes_a_sample"] = round(_row_bytes(folder / "wide.db", short, True) / short.size, 2)
        out["narrow_rows_bytes_a_sample"] = round(_row_bytes(folder / "narrow.db", short, False) / short.size, 2)
        return out
    finally:
        shutil.rmtree(folder)


def _our_bytes(folder: Path, table: np.ndarray) -> int:
    """The pages that the seconds take once their hours are joined, indexes included."""
    now = [T0]
    seconds, cards, _ = table.shape
    recorder = _recorder(folder, lambda: now[0], 1, cards)
    uuids = tuple(f"GPU-0-{c}" for c in range(cards))
    jitter = np.random.default_rng(3).integers(0, 900, seconds)
    for second in range(seconds):
        now[0] += 1.0
        at = int((T0 + second) * 1e6) + int(jitter[second])
        recorder.sampled(Pass("n0", uuids, "fast", at, 0, table[second], 1, None, None))
        if second % 4 == 3:
            recorder.flush()
            recorder.tidy()
    now[0] += 4000.0
    recorder.flush()
    for _ in range(5):
        recorder.tidy()
    pages = (
        "SELECT sum(pgsize) FROM dbstat WHERE name IN ('chunks', 'columns', 'recent', 'chunks_place', 'recent_place')"
    )
    try:
        used = int(recorder.store.rows(pages)[0][0])
    except Exception:
        used = int(recorder.store.rows("SELECT sum(bytes) FROM chunks")[0][0])
    recorder.close()
    return used


def _prometheus_bytes(folder: Path, table: np.ndarray) -> int | None:
    if shutil.which("promtool") is None:
        return None
    folder.mkdir()
    text = folder / "samples.txt"
    seconds, cards, metrics = table.shape
    jitter = np.random.default_rng(3).integers(0, 900, seconds) / 1e6
    with text.open("w") as out:
        for m in range(metrics):
            name = _METRICS["fast"][m]
            out.write(f"# TYPE {name} gauge\n")
            for c in range(cards):
                out.writelines(
                    f'{name}{{uuid="GPU-{c}"}} {v!r} {T0 + s + jitter[s]:.3f}\n'
                    for s, v in enumerate(table[:, c, m].tolist())
                )
        out.write("# EOF\n")
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(folder / "data")],
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.returncode == 0
    return sum(f.stat().st_size for f in (folder / "data").rglob("*") if f.is_file())


def _row_bytes(path: Path, table: np.ndarray, wide: bool) -> int:
    db = sqlite_utils.Database(path)
    seconds, cards, _ = table.shape
    names = _METRICS["fast"]
    if wide:
        rows = (
            {"card": c, "t": int(T0) + s, **dict(zip(names, table[s, c].tolist(), strict=True))}
            for s in range(seconds) for c in range(cards)
        )  # fmt: skip
        db["wide"].insert_all(rows, pk=("card", "t"))
    else:
        narrow = (
            {"card": c, "metric": m, "t": int(T0) + s, "value": float(table[s, c, m])}
            for s in range(seconds) for c in range(cards) for m in range(len(names))
        )  # fmt: skip
        db["narrow"].insert_all(narrow, pk=("card", "metric", "t"))
    db.vacuum()
    db.conn.close()
    return path.stat().st_size


def query(cards: int = 1000, fleet: int = 3200) -> dict[str, Any]:
    """Milliseconds, warm: a day of one metric to 1,000 points, a day's fleet average by the minute, a map at a moment."""
    folder = Path(tempfile.mkdtemp())
    try:
        _fill(folder / "card", 1, 8, 86_400)
        reader = Reader(folder / "card")
        day = _timed(lambda: reader.points("GPU-0-3", "power_draw", T0, T0 + 86_400, 1000))
        drawn = _timed(lambda: draw(reader, "GPU-0-3", "power_draw", T0, T0 + 86_400, 1000))
        minutes = _timed(lambda: reader.minutes("GPU-0-3", "power_draw", T0, T0 + 86_400))
        reader.close()
        _wide_day(folder / "fleet", fleet)
        reader = Reader(folder / "fleet")
        names = [f"GPU-{i}" for i in range(cards)]
        some = _timed(lambda: reader.fleet_average("power_draw", names, T0, T0 + 86_399))
        whole = _timed(lambda: reader.fleet_average("power_draw", None, T0, T0 + 86_399))
        moment = _timed(lambda: reader.moment(int(T0 + 40_000) // 60, [("card", m) for m in _METRICS["fast"]]))
        reader.close()
        return {
            "day_to_at_most_1000_points_as_the_window_draws_it_ms": drawn,
            "day_to_1000_points_from_every_second_ms": day,
            "day_of_minute_rows_ms": minutes,
            f"day_average_of_a_fleet_of_{fleet}_cards_ms": whole,
            f"day_average_of_{cards}_chosen_of_{fleet}_cards_ms": some,
            f"map_of_{fleet}_cards_at_a_moment_ms": moment,
        }
    finally:
        shutil.rmtree(folder)


def _wide_day(folder: Path, cards: int) -> None:
    """A day of minute means of a fleet, written as the recorder writes it."""
    now = [T0]
    recorder = _recorder(folder, lambda: now[0], 1, 1)
    store = recorder.store
    ids = np.array([store.entity_id(f"GPU-{i}", f"n{i // 8}", int(T0 * 1e6)) for i in range(cards)], dtype=np.int32)
    load = Load(cards)
    for block in range(int(T0) // 600, (int(T0) + 86_400) // 600):
        minutes = [load.second(T0) for _ in range(10)]
        states = np.ones((10, cards), dtype=np.uint8)
        columns = {
            store.metric_ids["card", m]: (ids, np.stack([s[m] for s in minutes]).astype(np.float32), states)
            for m in (_METRICS["fast"] if block % 144 == 66 else ["power_draw"])
        }
        store.write_wide(block, columns)
    recorder.close()


def _timed(call: Callable[[], object], runs: int = 15) -> float:
    call()
    took = []
    for _ in range(runs):
        begun = time.perf_counter()
        call()
        took.append(1000.0 * (time.perf_counter() - begun))
    return round(statistics.median(took), 2)


def all_of_it() -> dict[str, Any]:
    """Size, writer and queries."""
    return {"size": size(), "write": write(), "query": query()}
