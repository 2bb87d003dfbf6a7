"""What plugins build on, and how they are loaded. A plugin is a folder in plugins/ with a module that has `PLUGIN`.

Nothing is loaded unless the fleet file names it (`scheduler = "slurm"` on a node). Only folders that were shipped with this
program are looked at: a plugin is code that acts on nodes.
"""

from __future__ import annotations

import importlib
import re
from functools import cache

from console.operations.scheduler import Argv, Job, Place, Scheduler, SchedulerState

__all__ = ["Argv", "Job", "Place", "PluginError", "Scheduler", "SchedulerState", "scheduler"]

_NAME = re.compile(r"^[a-z][a-z0-9_]{0,31}$")


class PluginError(RuntimeError):
    """A plugin that is named cannot be used; the text says why."""


@cache
def scheduler(name: str) -> Scheduler:
    """The scheduler plugin of that name.

    Raises:
        PluginError: there is none, or it is not one.
    """
    if not _NAME.match(name):
        raise PluginError(f"{name!r} is not the name of a plugin")
    try:
        found = importlib.import_module(f"plugins.{name}").PLUGIN
    except ModuleNotFoundError as exc:
        raise PluginError(f"there is no plugin {name!r}; schedulers that are there: slurm") from exc
    except AttributeError as exc:
        raise PluginError(f"plugins/{name} has no PLUGIN") from exc
    if not isinstance(found, Scheduler):
        raise PluginError(f"plugins/{name} is not a scheduler's plugin")
    return found
