"""Builds the test library; `old_driver` leaves out what came after driver 470."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCES = sorted(Path(__file__).parent.glob("*.c"))


def build_library(directory: Path, old_driver: bool = False) -> Path:
    """Compile libnvidia-ml.so.1 into `directory`; returns its path."""
    directory.mkdir(parents=True, exist_ok=True)
    out = directory / "libnvidia-ml.so.1"
    flags = ["-DOLD_DRIVER"] if old_driver else []
    command = ["cc", "-std=gnu11", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", *flags]
    command += ["-Wno-format-truncation", "-Wl,-soname,libnvidia-ml.so.1", "-o", str(out)]
    subprocess.run([*command, *map(str, SOURCES)], check=True)
    return out
