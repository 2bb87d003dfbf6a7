"""A picture of every view, from the demo fleet: dark, light, narrow, a longer language, and right to left.

A new view is one more row in VIEWS.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QMainWindow, QWidget

from console.app import Config, Console, Demo
from console.commands import registry
from console.fleet.condition import Condition
from console.fleet.fleetfile import FleetError, parse_fleet
from console.fleet.state import Problem, ProblemCode
from console.registry import Face
from console.ui import i18n
from console.ui.acts import ACTS
from console.ui.business.page import BusinessPage
from console.ui.dialogs.act import ActDialog
from console.ui.dialogs.addnode import AddNodeDialog
from console.ui.dialogs.gotime import GoDialog
from console.ui.dialogs.hostkey import HostKeyDialog
from console.ui.dialogs.shelve import ShelveDialog
from console.ui.early import application
from console.ui.palette import KeysDialog, Palette, entries
from console.ui.planning.page import PlanningPage
from console.ui.start import StartPage
from console.ui.theme import DARK, LIGHT, Theme
from console.ui.window import MainWindow

SIZE, NARROW = (1440, 900), (1366, 768)
WARM_UP_S = 150.0
_SETTLE_S = 1.2

_BROKEN = """[[node]]
name = "gpu 01"
host = "10.0.0.11"
intervall_s = 1.0

[[node]]
name = "gpu02"
host = "10.0.0.12"
jump = ["bastoin"]
"""


@dataclass(frozen=True, slots=True)
class View:
    """One picture: `show` brings the window there; it may return a dialog, which is pictured instead.

    Attributes:
        everywhere: also in the longer language, right to left and narrow.
        settle_s: how long live data needs to be on the screen.
    """

    name: str
    show: Callable[[MainWindow], QWidget | None]
    everywhere: bool = False
    settle_s: float = _SETTLE_S


def _business(window: MainWindow, view: str = "leases") -> None:
    """The demo's own business."""
    page = window.page("business")
    assert isinstance(page, BusinessPage)
    window.go("business")
    page.show_view(view)
    window.context.books.look()
    page.invoices.selectRow(0)
    page.tenants.selectRow(1)


def _planning(window: MainWindow, view: str = "request", text: str = "") -> None:
    """The demo's own business, planned."""
    page = window.page("planning")
    assert isinstance(page, PlanningPage)
    window.go("planning")
    page.show_view(view)
    if text:
        page.request.text.setText(text)
    if view == "scenarios":
        page.scenarios.tenant.setCurrentIndex(1)
        page.scenarios.ask()


def _fleet(view: str, selected: bool = False, filtered: str = "") -> Callable[[MainWindow], None]:
    def show(window: MainWindow) -> None:
        window.go("fleet")
        window.fleet_page.set_view(view)
        window.fleet_page.set_group("rack")
        window.fleet_page.set_metric(0)
        window.fleet_page.filter.edit.setText(filtered)
        window.context.select(_sickest(window) if selected else "")

    return show


def _grouped(window: MainWindow) -> None:
    _fleet("map")(window)
    window.fleet_page.set_group("sku")
    window.fleet_page.set_metric(3)


def _nodes(window: MainWindow) -> None:
    _fleet("map")(window)
    window.go("nodes")
    window.page("nodes").table.selectRow(9)  # type: ignore[attr-defined]


def _events(window: MainWindow) -> None:
    window.go("events")


def _node(window: MainWindow) -> None:
    window.context.select("")
    window.go("node", window.context.live.entities[0].entity.node)


def _card(window: MainWindow) -> None:
    window.go("card", window.context.live.entities[0].entity.uuid)


def _sick_card(window: MainWindow) -> None:
    window.go("card", _sickest(window))


def _past(page: str) -> Callable[[MainWindow], None]:
    def show(window: MainWindow) -> None:
        if window.context.timeline.is_live:
            window.run("time.back")
            _settle(1.0)
        _fleet("map")(window) if page == "fleet" else _card(window)

    return show


def _hour(window: MainWindow) -> None:
    window.run("time.live")
    _card(window)
    window.run("span.wider")


def _go_to_time(window: MainWindow) -> QWidget:
    window.run("span.narrower")
    dialog = GoDialog(window.frame, window.actions_of.follow_time)
    dialog.edit.insert("last tuesday")
    dialog.accept()
    return dialog


def _verdict(window: MainWindow) -> None:
    row = window.context.live.entity(_sickest(window))
    window.go("node", row.entity.node if row is not None else window.context.live.nodes[0].node.name)


def _act(name: str, reason: str = "") -> Callable[[MainWindow], QWidget]:
    def show(window: MainWindow) -> QWidget:
        window.run("time.live")
        window.context.desk.arm()
        act, acts = ACTS[name], window.actions_of.acts
        card = window.context.live.entities[0].entity
        words = [card.node if act.node else card.uuid]
        return ActDialog(
            window.frame, window.context, act, registry[name].title, words, reason or acts.why(words, act), {}
        )

    return show


def _acted(page: str) -> Callable[[MainWindow], None]:
    """A drain that waits for its work, made once, and the page."""

    def show(window: MainWindow) -> None:
        desk = window.context.desk
        if not desk.told:
            desk.arm()
            words = [window.context.live.entities[0].entity.node]
            desk.plan(
                "drain", words, "XID 79: fell off the bus", lambda p: desk.carry_out(p, _ignore, _ignore), _ignore
            )
            _settle(4.0)
        window.go(page)

    return show


def _ignore(_: object) -> None:
    """What comes of it is in the picture."""


def _settings(window: MainWindow) -> None:
    window.go("settings")


def _palette(words: str) -> Callable[[MainWindow], QWidget]:
    def show(window: MainWindow) -> QWidget:
        palette = Palette(window.frame, entries(window.context, window.actions_of.reason))
        palette.edit.setText(words)
        return palette

    return show


def _keys(window: MainWindow) -> QWidget:
    window.go("fleet")
    reason = window.actions_of.reason
    return KeysDialog(window.frame, [c for c in registry.of(Face.WINDOW) if not reason(c)])


def _key_dialog(code: ProblemCode) -> Callable[[MainWindow], QWidget]:
    facts = {
        "host": "10.0.0.11",
        "port": "22",
        "key_type": "ssh-ed25519",
        "fingerprint": "SHA256:Tg1lDdbnH1sV1r4BqLzYk1Zkq8q9mS9pQe0b0b3Jx5k",
        "old_fingerprint": "SHA256:2yT1tq0p7h3o9kLw1c5uV8rX4nM6bQ2sD7fG1hJ3kL0",
        "old_file": "~/.ssh/known_hosts",
        "old_line": "17",
    }
    why = "the node was reinstalled, or somebody is in between"
    problem = Problem(code, "", why, "Only if it was reinstalled: ssh-keygen -R 10.0.0.11", facts, True)
    return lambda window: HostKeyDialog(window.frame, "gpu07", problem)


def _add_node(window: MainWindow) -> QWidget:
    return AddNodeDialog(window.frame, window.context)


def _starting(window: MainWindow) -> QWidget:
    page = StartPage(lambda: None, lambda: None)
    page.tell("starting the demo fleet")
    return page


def _fault(window: MainWindow) -> QWidget:
    page = StartPage(lambda: None, lambda: None)
    try:
        parse_fleet(_BROKEN, "/home/ops/.config/cardkeeper/fleet.toml")
    except FleetError as exc:
        page.fail(exc)
    return page


VIEWS: tuple[View, ...] = (
    View("fleet-map", _fleet("map")),
    View("fleet-map-inspector", _fleet("map", selected=True), everywhere=True),
    View("fleet-map-temperature", _grouped),
    View("fleet-table", _fleet("table", selected=True), everywhere=True),
    View("fleet-table-wide", _fleet("table")),
    View("fleet-filter-error", _fleet("table", filtered="is:faulty temp>>80"), settle_s=0.3),
    View("fleet-no-match", _fleet("map", filtered="node:nowhere"), settle_s=0.3),
    View("nodes", _nodes, everywhere=True),
    View("events", _events, settle_s=0.4),
    View("node", _node, everywhere=True, settle_s=1.5),
    View("card", _card, everywhere=True, settle_s=2.5),
    View("card-sick", _sick_card, settle_s=2.0),
    View("past-map", _past("fleet"), everywhere=True, settle_s=2.0),
    View("past-card", _past("card"), everywhere=True, settle_s=2.0),
    View("card-hour", _hour, settle_s=2.0),
    View("dialog-go-to-time", _go_to_time, everywhere=True, settle_s=0.3),
    View("business", lambda window: _business(window), everywhere=True, settle_s=4.0),
    View("business-tenants", lambda window: _business(window, "tenants"), settle_s=3.0),
    View("business-usage", lambda window: _business(window, "usage"), settle_s=3.0),
    View("business-invoices", lambda window: _business(window, "invoices"), settle_s=3.0),
    View("planning-request", lambda window: _planning(window), everywhere=True, settle_s=3.0),
    View(
        "planning-nothing-fits",
        lambda window: _planning(window, "request", "64 x h100, one node, riyadh-1 or within 20 ms of it"),
        settle_s=2.0,
    ),
    View("planning-quote", lambda window: _planning(window, "quote"), everywhere=True, settle_s=2.0),
    View("planning-capacity", lambda window: _planning(window, "capacity"), everywhere=True, settle_s=3.0),
    View("planning-scenarios", lambda window: _planning(window, "scenarios"), everywhere=True, settle_s=3.0),
    View("alarms", lambda window: window.go("alarms"), everywhere=True, settle_s=2.0),
    View("node-verdict", _verdict, everywhere=True, settle_s=2.0),
    View("dialog-put-aside", lambda window: ShelveDialog(window.frame, "Clocks held by the power brake"), settle_s=0.3),
    View("dialog-drain", _act("acts.drain_node", "XID 79: fell off the bus"), everywhere=True, settle_s=2.5),
    View("dialog-assign", _act("acts.assign", "contract 17"), settle_s=2.5),
    View("operations", _acted("operations"), everywhere=True, settle_s=2.0),
    View("assignments", _acted("assignments"), everywhere=True, settle_s=2.0),
    View("fleet-map-drained", _fleet("map"), settle_s=2.0),
    View("settings", _settings, everywhere=True, settle_s=0.3),
    View("dialog-key-unknown", _key_dialog(ProblemCode.KEY_UNKNOWN), settle_s=0.3),
    View("dialog-key-changed", _key_dialog(ProblemCode.KEY_CHANGED), settle_s=0.3),
    View("dialog-add-node", _add_node, everywhere=True, settle_s=0.3),
    View("palette", _palette(""), settle_s=0.3),
    View("palette-find", _palette("r01-03"), everywhere=True, settle_s=0.3),
    View("keys", _keys, everywhere=True, settle_s=0.3),
    View("starting", _starting, settle_s=0.2),
    View("fleet-file-fault", _fault, everywhere=True, settle_s=0.2),
)


def _settle(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def _sickest(window: MainWindow) -> str:
    judged, live = window.context.rows.judged, window.context.live
    for wanted in (Condition.CRITICAL, Condition.WARNING, Condition.WELL):
        for row, condition in enumerate(judged.conditions):
            if condition == wanted:
                return live.entities[row].entity.uuid
    return ""


def run(config: Config, directory: Path, warm_up_s: float = WARM_UP_S) -> int:
    """Write the pictures; returns 0."""
    directory.mkdir(parents=True, exist_ok=True)
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    app = application()
    i18n.use(app, "en")
    # Pictures of the past need one, and it is nobody's: it goes when they are taken.
    with tempfile.TemporaryDirectory() as folder:
        chosen = replace(config, data=Path(folder), record=True)
        _run(chosen if config.fleet is not None else replace(chosen, demo=Demo()), app, directory, warm_up_s)
    return 0


def _run(config: Config, app: QApplication, directory: Path, warm_up_s: float) -> None:
    console = Console(config).start()
    try:
        Theme.apply(app, DARK)
        _take(console, directory, "dark", SIZE, VIEWS, warm_up_s)
        Theme.apply(app, LIGHT)
        _take(console, directory, "light", SIZE, VIEWS)
        some = [v for v in VIEWS if v.everywhere]
        _take(console, directory, "narrow", NARROW, some)
        Theme.apply(app, DARK)
        pseudo = i18n.Pseudo()
        app.installTranslator(pseudo)
        _take(console, directory, "pseudo", SIZE, some)
        app.removeTranslator(pseudo)
        app.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
        _take(console, directory, "rtl", SIZE, some)
        app.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
    finally:
        console.close()


def _take(
    console: Console,
    directory: Path,
    suffix: str,
    size: tuple[int, int],
    views: tuple[View, ...] | list[View],
    warm_up_s: float = _SETTLE_S,
) -> None:
    frame = QMainWindow()
    frame.resize(*size)
    window = MainWindow(console, frame)
    frame.setCentralWidget(window)
    frame.show()
    _settle(warm_up_s)
    for view in views:
        dialog = view.show(window)
        if dialog is not None:
            if dialog.parent() is None:
                dialog.resize(*size)
            dialog.show()
        _settle(view.settle_s)
        (dialog or frame).grab().save(str(directory / f"{view.name}-{suffix}.png"))
        if dialog is not None:
            dialog.close()
            dialog.deleteLater()
    window.stop()
    frame.close()
    frame.deleteLater()
    _settle(0.1)
