"""The names by which the agent calls NVML: they are pynvml's, our C library has them, the demo answers them."""

import re
import subprocess
from pathlib import Path

import pynvml

from console.agent import columns
from console.demo.simulation.nvml import SimulatedNvml

SOURCES = "".join(f.read_text() for f in Path(columns.__file__).parent.glob("*.py"))
NAMES = sorted(set(re.findall(r"\b(?:nvml[A-Z]\w+|c_nvml\w+|NVML_GPM_METRICS\w+)", SOURCES)))
# Read as text in docstrings and facts, or answered through another symbol of the library (pynvml's own renaming).
SYMBOLS = {
    "nvmlInit": "nvmlInitWithFlags", "nvmlDeviceGetCount": "nvmlDeviceGetCount_v2",
    "nvmlDeviceGetHandleByIndex": "nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetPciInfo": "nvmlDeviceGetPciInfo_v3",
}  # fmt: skip
ABSENT_ON_PURPOSE = {  # the agent must do without: facts, and what many drivers lack
    "nvmlDeviceGetVbiosVersion", "nvmlDeviceGetInforomImageVersion", "nvmlDeviceGetBoardPartNumber",
    "nvmlDeviceGetNumaNodeId",
}  # fmt: skip


def called():
    whole = {n for n in NAMES if callable(getattr(pynvml, n, None)) and n.startswith("nvml")}
    lists = [n for n in NAMES if n.endswith("RunningProcesses")]
    return (whole - set(lists)) | {n + s for n in lists for s in ("_v3", "_v2")}


TYPES = ("nvmlReturn", "nvmlValue", "nvmlClocksEventReason", "nvmlEventType", "nvmlFieldValue")  # nvml.h's, in comments


def test_every_name_is_pynvmls():
    lists = tuple(n for n in NAMES if n.endswith("RunningProcesses"))
    assert [n for n in NAMES if not hasattr(pynvml, n) and not n.startswith(TYPES)] == []
    assert all(hasattr(pynvml, n + s) for n in lists for s in ("_v3",))
    assert len(called()) > 50


def test_the_c_library_exports_what_the_agent_calls(library):
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True
    ).stdout
    exported = {line.split()[-1] for line in symbols.splitlines()}
    missing = {SYMBOLS.get(n, n) for n in called()} - exported - ABSENT_ON_PURPOSE
    assert {n for n in missing if "MPS" not in n} == set()
    dynamic = subprocess.run(["readelf", "-d", str(library)], capture_output=True, text=True, check=True).stdout
    assert "soname: [libnvidia-ml.so.1]" in dynamic


def test_the_old_driver_lacks_what_it_lacks(old_library):
    symbols = subprocess.run(["nm", "-D", str(old_library)], capture_output=True, text=True, check=True).stdout
    gone = ("RunningProcesses_v3", "MemoryInfo_v2", "FieldValues", "nvmlGpm", "ClocksEventReasons", "SramEcc", "Fabric")
    assert not [name for name in gone if name in symbols]


def test_the_demo_answers_what_the_agent_calls():
    answered = set(dir(SimulatedNvml))
    known_absent = {n for n in called() if n.endswith("_v2") and "Running" in n} | ABSENT_ON_PURPOSE | {
        "nvmlDeviceGetCurrentClocksThrottleReasons", "nvmlDeviceGetOfaUtilization", "nvmlDeviceGetPcieReplayCounter",
        "nvmlDeviceGetRetiredPagesPendingStatus",
    }  # fmt: skip
    assert called() - answered - known_absent == set()
