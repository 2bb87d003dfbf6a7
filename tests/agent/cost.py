"""Prints what the agent costs on this machine over the C library, as JSON: python -m tests.agent.cost [SECONDS].

Of the driver's own time it says nothing: the library answers at once.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

from console.agent import columns
from tests.agent.agent_process import AgentProcess, is_sample
from tests.nvml.build import build_library


def cpu_s(pid):
    """User and system time of a process in seconds, to the nanosecond where the kernel tells it."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9 if _is_single(pid) else _threads_s(pid)


def _is_single(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir())) == 1


def _threads_s(pid):
    return sum(int((t / "schedstat").read_text().split()[0]) for t in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def rss_mib(pid):
    """Resident memory in MiB."""
    line = next(x for x in Path(f"/proc/{pid}/status").read_text().splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def measure(seconds, period):
    """{"percent_of_a_core", "cpu_ms_per_fast_sample", ...} of one agent with eight cards."""
    with tempfile.TemporaryDirectory() as folder:
        agent = AgentProcess(build_library(Path(folder)), "", period=period)
        try:
            agent.until(is_sample("slow"), 60)
            begun, at = cpu_s(agent.process.pid), time.monotonic()
            passes = 0
            walls = []
            while time.monotonic() - at < seconds:
                sample = agent.until(is_sample("fast"), 20)
                passes += 1
                walls.append(sample.h[columns.HOST_FAST.index("agent_fast_ms")])
            spent, lasted = cpu_s(agent.process.pid) - begun, time.monotonic() - at
            return {
                "percent_of_a_core": round(100 * spent / lasted, 3),
                "cpu_ms_per_fast_sample": round(1000 * spent / passes, 3),
                "wall_ms_of_the_cards_walk_median": sorted(walls)[len(walls) // 2],
                "fast_samples": passes,
                "rss_mib": round(rss_mib(agent.process.pid), 1),
            }
        finally:
            agent.close()


def main():
    """Measure the whole agent at 1 Hz, and the fast tier alone at 2 Hz."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    never = 86400.0
    out = {
        "all_tiers_at_1_hz": measure(seconds, {"fast": 1.0, "medium": 5.0, "slow": 30.0}),
        "fast_tier_only_at_2_hz": measure(min(seconds, 20.0), {"fast": 0.5, "medium": never, "slow": never}),
        "python": sys.version.split()[0],
        "cards": 8,
    }
    sys.stdout.write(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
