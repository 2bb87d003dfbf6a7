"""Builds the test library; `old_driver` leaves out what drivers before 510 lack."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("nvml.c")


def build_library(directory: Path, old_driver: bool = False) -> Path:
    """Compile libnvidia-ml.so.1 into `directory`; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    out = directory / "libnvidia-ml.so.1"
    flags = ["-DOLD_DRIVER"] if old_driver else []
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Wno-format-truncation", *flags]
    subprocess.run([*command, "-Wl,-soname,libnvidia-ml.so.1", "-o", str(out), str(SOURCE)], check=True)
    return out
