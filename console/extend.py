"""What plugins build on, and how they are loaded. A plugin is a folder in plugins/ with a module that has `PLUGIN`.

Nothing is loaded unless a file of the operator names it: `scheduler = "slurm"` on a node, `plugin = "webhook"` in notify.toml.
Only folders that were shipped with this program are looked at: a plugin is code that acts on nodes.
"""

from __future__ import annotations

import importlib
import re
from functools import cache

from console.health.notify import Message, Notifier
from console.operations.scheduler import Argv, Job, Place, Scheduler, SchedulerState

__all__ = [
    "Argv", "Job", "Message", "Notifier", "Place", "PluginError", "Scheduler", "SchedulerState", "notifier", "scheduler",
]  # fmt: skip

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")


class PluginError(RuntimeError):
    """A plugin that is named cannot be used; the text says why."""


def _plugin(name: str, known: str) -> object:
    if not _NAME.fullmatch(name):
        raise PluginError(f"{name!r} is not the name of a plugin")
    try:
        return importlib.import_module(f"plugins.{name}").PLUGIN
    except ModuleNotFoundError as exc:
        raise PluginError(f"there is no plugin {name!r}; {known}") from exc
    except AttributeError as exc:
        raise PluginError(f"plugins/{name} has no PLUGIN") from exc


@cache
def scheduler(name: str) -> Scheduler:
    """The scheduler plugin of that name.

    Raises:
        PluginError: there is none, or it is not one.
    """
    found = _plugin(name, "schedulers that are there: slurm")
    if not isinstance(found, Scheduler):
        raise PluginError(f"plugins/{name} is not a scheduler's plugin")
    return found


@cache
def notifier(name: str) -> Notifier:
    """The notifier plugin of that name.

    Raises:
        PluginError: there is none, or it is not one.
    """
    found = _plugin(name, "notifiers that are there: webhook")
    if not isinstance(found, Notifier):
        raise PluginError(f"plugins/{name} is not a notifier's plugin")
    return found
