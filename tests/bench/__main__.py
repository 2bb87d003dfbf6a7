"""`dev.py bench [NAME ...]`: run benchmarks and print one JSON document. What they start, they stop."""

from __future__ import annotations

import json
import sys

from tests.bench import collector, health, history, ledger, operations, placement, window

BENCHES = {
    "collector": collector.fan_in,
    "latency": collector.latency,
    "agent": collector.agent_cost,
    "history": history.all_of_it,
    "health": health.all_of_it,
    "acts": operations.compare_and_set,
    "planning": operations.planning,
    "click": operations.click,
    "start": window.start,
    "paint": window.paint,
    "frames": window.frames,
    "burst": window.burst,
    "flood": window.flood,
    "told": window.told,
    "ledger": ledger.month,
    "invoice": ledger.opened,
    "placement": placement.all_of_it,
}


def main() -> int:
    """Run the named benches, or all."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [n for n in names if n not in BENCHES]
    if unknown:
        sys.stderr.write(f"no such bench: {', '.join(unknown)}; there are {', '.join(BENCHES)}\n")
        return 2
    sys.stdout.write(json.dumps({n: BENCHES[n]() for n in names}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
