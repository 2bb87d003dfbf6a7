"""A picture of every view, from the demo fleet: dark, light, a longer language, and right to left."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, QTranslator
from PySide6.QtWidgets import QApplication, QMainWindow, QWidget

from console.app import Config, Console, Demo
from console.fleet.condition import Condition
from console.fleet.state import Problem, ProblemCode
from console.ui.dialogs.addnode import AddNodeDialog
from console.ui.dialogs.hostkey import HostKeyDialog
from console.ui.early import application
from console.ui.palette import KeysDialog, Palette
from console.ui.theme import DARK, LIGHT, Theme, Tokens
from console.ui.window import MainWindow

SIZE = (1440, 900)
WARM_UP_S = 75.0
_ACCENTS = str.maketrans("aeiouAEIOUcn", "àéîöûÀÉÎÖÛçñ")


class Pseudo(QTranslator):
    """A language two fifths longer than English, so that what would be cut off is seen."""

    def translate(self, context: str, text: str, disambiguation: str | None = None, n: int = -1) -> str:
        if not text:
            return ""
        parts = re.split(r"(\{\w*\}|%n)", text)
        longer = "".join(p if i % 2 else p.translate(_ACCENTS) for i, p in enumerate(parts))
        return "[" + longer + "~" * max(1, len(text) * 2 // 5) + "]"

    def isEmpty(self) -> bool:
        return False


def _settle(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def run(config: Config, directory: Path, warm_up_s: float = WARM_UP_S) -> int:
    """Write the pictures; returns 0."""
    directory.mkdir(parents=True, exist_ok=True)
    app = application()
    console = Console(config if config.fleet is not None else Config(data=config.data, demo=Demo())).start()
    try:
        begun = time.monotonic()
        for tokens in (DARK, LIGHT):
            Theme.apply(app, tokens)
            _pictures(console, directory, tokens, max(3.0, warm_up_s - (time.monotonic() - begun)))
        Theme.apply(app, DARK)
        pseudo = Pseudo()
        app.installTranslator(pseudo)
        _some(console, directory, "pseudo")
        app.removeTranslator(pseudo)
        app.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        _some(console, directory, "rtl")
        app.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
    finally:
        console.close()
    return 0


def _open(console: Console) -> tuple[QMainWindow, MainWindow]:
    frame = QMainWindow()
    frame.resize(*SIZE)
    content = MainWindow(console, frame)
    frame.setCentralWidget(content)
    frame.show()
    _settle(1.5)
    return frame, content


def _close(frame: QMainWindow, content: MainWindow) -> None:
    content.stop()
    frame.close()
    frame.deleteLater()
    _settle(0.1)


def _sickest(content: MainWindow) -> str:
    judged, live = content.context.rows.judged, content.context.live
    for wanted in (Condition.CRITICAL, Condition.WARNING, Condition.WELL):
        for row, condition in enumerate(judged.conditions):
            if condition == wanted:
                return live.entities[row].entity.uuid
    return ""


def _pictures(console: Console, directory: Path, tokens: Tokens, warm_up_s: float) -> None:
    frame, content = _open(console)
    _settle(warm_up_s)
    save = _saver(directory, tokens.name)
    save("fleet-map", frame)
    uuid = _sickest(content)
    content.context.select(uuid)
    _settle(1.2)
    save("fleet-map-inspector", frame)
    content.context.select("")
    content.run("fleet.toggle")
    _settle(1.2)
    save("fleet-table", frame)
    content.fleet_page.filter.set_text("is:faulty temp>>80")
    _settle(0.5)
    save("fleet-filter-error", frame)
    content.fleet_page.filter.set_text("")
    content.run("fleet.toggle")
    content.go("nodes")
    _settle(1.2)
    save("nodes", frame)
    content.go("events")
    _settle(0.5)
    save("events", frame)
    content.go("node", console.live.entities[0].entity.node)
    _settle(1.5)
    save("node", frame)
    row = console.live.entity(uuid)
    busy = console.live.entities[0].entity.uuid
    content.go("card", busy)
    _settle(2.5)
    save("card", frame)
    if row is not None:
        content.go("card", uuid)
        _settle(2.0)
        save("card-sick", frame)
    for name, dialog in _dialogs(frame, content):
        dialog.show()
        _settle(0.4)
        save(name, dialog)
        dialog.close()
    _close(frame, content)


def _dialogs(frame: QMainWindow, content: MainWindow) -> list[tuple[str, QWidget]]:
    from console.commands import registry
    from console.registry import Face

    facts = {
        "host": "10.0.0.11",
        "port": "22",
        "key_type": "ssh-ed25519",
        "fingerprint": "SHA256:Tg1lDdbnH1sV1r4BqLzYk1Zkq8q9mS9pQe0b0b3Jx5k",
        "old_fingerprint": "SHA256:2yT1tq0p7h3o9kLw1c5uV8rX4nM6bQ2sD7fG1hJ3kL0",
        "old_file": "~/.ssh/known_hosts",
        "old_line": "17",
    }
    unknown = Problem(ProblemCode.KEY_UNKNOWN, "", "", "", facts, True)
    why = "the node was reinstalled, or somebody is in between"
    changed = Problem(
        ProblemCode.KEY_CHANGED, "", why, "Only if it was reinstalled: ssh-keygen -R 10.0.0.11", facts, True
    )
    commands = registry.of(Face.WINDOW)
    return [
        ("dialog-key-unknown", HostKeyDialog(frame, "gpu07", unknown)),
        ("dialog-key-changed", HostKeyDialog(frame, "gpu07", changed)),
        ("dialog-add-node", AddNodeDialog(frame, content.context)),
        ("palette", Palette(frame, commands, {c.id: content.reason(c) for c in commands})),
        ("keys", KeysDialog(frame, [c for c in commands if not content.reason(c)])),
    ]


def _some(console: Console, directory: Path, name: str) -> None:
    frame, content = _open(console)
    save = _saver(directory, name)
    content.context.select(_sickest(content))
    _settle(1.2)
    save("fleet-map", frame)
    content.run("fleet.toggle")
    _settle(1.2)
    save("fleet-table", frame)
    content.go("node", console.live.entities[0].entity.node)
    _settle(1.5)
    save("node", frame)
    content.go("card", console.live.entities[0].entity.uuid)
    _settle(1.5)
    save("card", frame)
    _close(frame, content)


def _saver(directory: Path, suffix: str) -> Callable[[str, QWidget], None]:
    def save(name: str, widget: QWidget) -> None:
        widget.grab().save(str(directory / f"{name}-{suffix}.png"))

    return save
