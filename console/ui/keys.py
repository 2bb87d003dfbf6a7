"""Keys from the table of commands. A letter never acts while a person types."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from console.commands import registry
from console.registry import Command, Face

ALIASES: dict[str, tuple[str, ...]] = {
    "palette.open": (":",),
    "go.in": ("Enter",),
}
"""Second keys: what other programs taught, and the keypad."""

_WITHIN = ("Space", "Ctrl+Space")
"""Keys that press a button wherever else they are used, so they belong to the page's content alone."""


def bind(frame: QWidget, content: QWidget, pressed: Callable[[Command], None]) -> list[QShortcut]:
    """Let every key of the window's commands call `pressed`. `content` is where cards are walked."""
    made = []
    for command in registry.of(Face.WINDOW):
        for key in (command.key, *ALIASES.get(command.id, ())):
            if not key:
                continue
            is_within = key in _WITHIN
            shortcut = QShortcut(QKeySequence(key), content if is_within else frame)
            if is_within:
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(lambda c=command: pressed(c))
            shortcut.activatedAmbiguously.connect(lambda c=command: pressed(c))
            made.append(shortcut)
    return made


def bind_digits(frame: QWidget, pressed: Callable[[int], None]) -> list[QShortcut]:
    """Let the keys 1 to 9 call `pressed` with 0 to 8."""
    made = []
    for digit in range(1, 10):
        shortcut = QShortcut(QKeySequence(str(digit)), frame)
        shortcut.activated.connect(lambda d=digit: pressed(d - 1))
        made.append(shortcut)
    return made


def key_text(command: Command) -> str:
    """The keys of a command for a person: "Ctrl+K  :"."""
    keys = [k for k in (command.key, *ALIASES.get(command.id, ())) if k and k != "Enter"]
    return "  ".join(keys)
