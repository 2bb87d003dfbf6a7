"""Where public traces lie, for tests and benchmarks: CARDKEEPER_TRACES, or shared/data beside the project."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(os.environ.get("CARDKEEPER_TRACES", Path(__file__).resolve().parents[2] / "shared" / "data"))
OPENB = ROOT / "openb"
NODES = OPENB / "openb_node_list_gpu_node.csv"


def pods(name: str) -> Path:
    """The list of pods of a workload, like gpuspec10."""
    return OPENB / f"openb_pod_list_{name}.csv"
