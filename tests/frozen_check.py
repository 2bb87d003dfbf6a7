"""Tries the built binary as a person would, and prints its size and start time. Run by `dev.py build`."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = ROOT / "dist" / "cardkeeper" / ("cardkeeper.exe" if sys.platform == "win32" else "cardkeeper")
_log = logging.getLogger("frozen")


def main() -> int:
    """0 when everything the binary must do was done."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    begun = time.perf_counter()
    subprocess.run([BINARY, "--version"], check=True)
    seconds = time.perf_counter() - begun
    server = subprocess.Popen([BINARY, "--demo-server", "--nodes", "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin is not None
    assert server.stdout is not None
    fleet = json.loads(server.stdout.readline())["fleet"]
    try:
        subprocess.run([BINARY, "fleet", "check", "--fleet", fleet], check=True)
    finally:
        server.stdin.close()
        server.wait(15)
    subprocess.run([BINARY, "demo", "--no-window", "--nodes", "2", "--seconds", "10"], check=True)
    folder = BINARY.parent
    files = [p for p in folder.rglob("*") if p.is_file()]
    banned = [p.name for p in files if any(n in p.name for n in ("Qt6Qml", "Qt6Quick", "Qt6Designer", "WebEngine"))]
    size = sum(p.stat().st_size for p in files if not p.is_symlink())
    _log.info(json.dumps({"megabytes": round(size / 1e6, 1), "version_s": round(seconds, 2), "banned": banned}))
    return 1 if banned else 0


if __name__ == "__main__":
    sys.exit(main())
