"""How this program starts itself again: as a module from source, as the same binary when frozen."""

from __future__ import annotations

import sys

COLLECTOR = "--collector"
DEMO_SERVER = "--demo-server"


def own_command(*arguments: str) -> list[str]:
    """The command line that starts this program with `arguments`."""
    if getattr(sys, "frozen", False):
        return [sys.executable, *arguments]
    return [sys.executable, "-m", "console", *arguments]
