"""The window: header, rail, pages with their history, inspector; commands bound to what they do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QSettings, QSize, Qt, QTimer
from PySide6.QtGui import QCloseEvent, QGuiApplication, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QMainWindow,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from console.app import Console
from console.commands import registry
from console.fleet.condition import Condition
from console.fleet.model import EntityKind
from console.fleet.state import LinkState
from console.registry import Command, Face
from console.ui.context import Context
from console.ui.fleet.page import FleetPage
from console.ui.icons import icon
from console.ui.inspector import Inspector
from console.ui.text import PlainLabel, set_tip, tr
from console.ui.theme import DARK, LIGHT, Theme

PUMP_MS = 100
TICK_S = 1.0
NARROW = 1200


@dataclass(frozen=True, slots=True)
class Place:
    """A page and its argument, as history keeps it."""

    page: str
    argument: str = ""


class Header(QFrame):
    """What fleet this is and how it is, in words."""

    def __init__(self, on_palette: Callable[[], None], on_keys: Callable[[], None]) -> None:
        super().__init__()
        self.setObjectName("header")
        self.setFixedHeight(44)
        self.fleet = PlainLabel("", "heading")
        self.state = PlainLabel("", "quiet")
        self.sick = PlainLabel("", "critical")
        self.mode = PlainLabel("", "quiet")
        palette = QToolButton()
        palette.setText(tr("Ctrl+K  command…"))
        palette.setProperty("chip", True)
        palette.clicked.connect(on_palette)
        keys = QToolButton()
        keys.setText("?")
        keys.setProperty("chip", True)
        keys.setAccessibleName(tr("Keys"))
        keys.clicked.connect(on_keys)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 12, 0)
        layout.setSpacing(16)
        for widget in (self.fleet, self.mode, self.state, self.sick):
            layout.addWidget(widget)
        layout.addStretch(1)
        layout.addWidget(palette)
        layout.addWidget(keys)


class MainWindow(QWidget):
    """The content of the window over one running console."""

    def __init__(self, console: Console, frame: QMainWindow, settings: QSettings | None = None) -> None:
        super().__init__()
        self.frame = frame
        self.context = Context(console)
        self._settings = settings
        self._history: list[Place] = []
        self._place = Place("")
        self._last_tick = 0.0
        self._pages: dict[str, QWidget] = {}
        self._stack = QStackedWidget()
        self.header = Header(lambda: self.run("palette.open"), lambda: self.run("keys.show"))
        self.inspector = Inspector(self.context)
        self.fleet_page = FleetPage(self.context)
        self._add_page("fleet", self.fleet_page)
        self._rail_buttons: dict[str, QToolButton] = {}
        self._build()
        self._actions = self._bind()
        self._shortcuts = self._make_shortcuts()
        self.context.go.connect(self.go)
        self._timer = QTimer(self)
        self._timer.setInterval(PUMP_MS)
        self._timer.timeout.connect(self.pump)
        self._timer.start()
        self.go("fleet", "")
        self.fleet_page.map.setFocus()

    def _build(self) -> None:
        body = QHBoxLayout()
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        body.addWidget(self._make_rail())
        body.addWidget(self._stack, 1)
        body.addWidget(self.inspector)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addLayout(body, 1)

    def _make_rail(self) -> QFrame:
        rail = QFrame()
        rail.setObjectName("rail")
        rail.setFixedWidth(76)
        layout = QVBoxLayout(rail)
        layout.setContentsMargins(6, 12, 6, 12)
        layout.setSpacing(4)
        for page, title in (("fleet", tr("Fleet")), ("nodes", tr("Nodes")), ("events", tr("Events"))):
            button = self._rail_button(page, title)
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, p=page: self.go(p, ""))
            self._rail_buttons[page] = button
            layout.addWidget(button)
        layout.addStretch(1)
        theme = self._rail_button("theme", tr("Theme"))
        theme.clicked.connect(lambda: self.run("theme.toggle"))
        layout.addWidget(theme)
        self._rail = rail
        self._theme_button = theme
        return rail

    def _rail_button(self, name: str, title: str) -> QToolButton:
        button = QToolButton()
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setIconSize(QSize(20, 20))
        button.setText(title)
        button.setIcon(icon(name))
        button.setFixedWidth(64)
        set_tip(button, title)
        return button

    # Pages

    def _add_page(self, name: str, page: QWidget) -> None:
        self._pages[name] = page
        self._stack.addWidget(page)

    def page(self, name: str) -> QWidget:
        """The page of that name, made on first use (plots are imported only then)."""
        if name not in self._pages:
            self._add_page(name, _make_page(name, self.context))
        return self._pages[name]

    def go(self, name: str, argument: str = "") -> None:
        """Show a page, remembering the one before."""
        place = Place(name, argument)
        if place == self._place:
            return
        if self._place.page:
            self._history = [*self._history[-50:], self._place]
        self._show(place)

    def _show(self, place: Place) -> None:
        self._place = place
        page = self.page(place.page)
        self._stack.setCurrentWidget(page)
        if hasattr(page, "open") and place.argument:
            page.open(place.argument)
        for name, button in self._rail_buttons.items():
            button.setChecked(name == place.page or (name == "fleet" and place.page == "card"))
        self.inspector.is_allowed = place.page in ("fleet", "node")
        self.inspector.refresh()

    # Commands

    def _bind(self) -> dict[str, Callable[[], object]]:
        fleet = self.fleet_page
        return {
            "go.fleet": lambda: self.go("fleet"),
            "go.nodes": lambda: self.go("nodes"),
            "go.events": lambda: self.go("events"),
            "go.in": self._go_in,
            "go.out": self._go_out,
            "go.back": self._go_back,
            "go.last": self._go_back,
            "go.next": lambda: self._on("card", lambda page: page.step(1)),
            "go.previous": lambda: self._on("card", lambda page: page.step(-1)),
            "filter.edit": self._edit_filter,
            "filter.clear": lambda: fleet.filter.set_text(""),
            "filter.faults": self._toggle_faults,
            "palette.open": self._open_palette,
            "keys.show": self._show_keys,
            "fleet.toggle": fleet.toggle,
            "fleet.group": fleet.next_group,
            "fleet.metric": fleet.next_metric,
            "copy.name": self._copy_name,
            "copy.link": lambda: QGuiApplication.clipboard().setText(self.link()),
            "theme.toggle": self._toggle_theme,
            "time.utc": self._toggle_utc,
            "node.add": self._add_node,
            "node.reconnect": lambda: self._on("node", lambda page: page.reconnect()),
            "node.trust": lambda: self._on("node", lambda page: page.act()),
            "app.quit": self.frame.close,
        }

    def _make_shortcuts(self) -> list[QShortcut]:
        out = []
        for command in registry.of(Face.WINDOW):
            keys = [command.key, "Enter"] if command.key == "Return" else [command.key]
            keys += [":"] if command.id == "palette.open" else []
            for key in keys:
                if key:
                    shortcut = QShortcut(QKeySequence(key), self.frame)
                    shortcut.activated.connect(lambda c=command: self._pressed(c))
                    shortcut.activatedAmbiguously.connect(lambda c=command: self._pressed(c))
                    out.append(shortcut)
        for digit in range(1, 10):
            shortcut = QShortcut(QKeySequence(str(digit)), self.frame)
            shortcut.activated.connect(lambda d=digit: self._on("fleet", lambda page, d=d: page.set_metric(d - 1)))
            out.append(shortcut)
        return out

    def _pressed(self, command: Command) -> None:
        typing = isinstance(QApplication.focusWidget(), QLineEdit)
        if typing and command.id == "go.in":
            self.fleet_page.stack.currentWidget().setFocus()
            return
        self.run(command.id)

    def run(self, name: str) -> None:
        """Run a command of the window by its id."""
        if not self.reason(registry[name]):
            self._actions[name]()

    def reason(self, command: Command) -> str:
        """Why a command cannot run now, or ""."""
        if command.page and command.page != self._place.page:
            return tr("only on the %s page").replace("%s", tr(command.page))
        return ""

    def _on(self, name: str, act: Callable[[QWidget], object]) -> None:
        if self._place.page == name:
            act(self._pages[name])

    def _go_in(self) -> None:
        page = self._pages.get(self._place.page)
        if hasattr(page, "open_selected"):
            page.open_selected()

    def _go_out(self) -> None:
        live = self.context.live
        if isinstance(QApplication.focusWidget(), QLineEdit):
            self._stack.currentWidget().setFocus()
        elif self._place.page == "card":
            row = live.entity(self._place.argument)
            self.go("node", row.entity.node) if row is not None else self.go("fleet")
        elif self._place.page != "fleet":
            self.go("fleet")
        elif self.context.selection:
            self.context.select("")

    def _go_back(self) -> None:
        if self._history:
            place = self._history.pop()
            self._history.append(self._place)
            self._show(place)

    def _edit_filter(self) -> None:
        self.go("fleet")
        self.fleet_page.filter.focus()

    def _toggle_faults(self) -> None:
        self.go("fleet")
        on = self.context.query_text == "is:faulty"
        self.fleet_page.filter.set_text("" if on else "is:faulty")

    def _open_palette(self) -> None:
        from console.ui.palette import Palette

        commands = [c for c in registry.of(Face.WINDOW) if c.id != "palette.open"]
        palette = Palette(self.frame, commands, {c.id: self.reason(c) for c in commands})
        if palette.exec() and palette.chosen:
            self.run(palette.chosen)

    def _show_keys(self) -> None:
        from console.ui.palette import KeysDialog

        KeysDialog(self.frame, [c for c in registry.of(Face.WINDOW) if not self.reason(c)]).exec()

    def _copy_name(self) -> None:
        name = self._place.argument or self.context.selection
        if name:
            QGuiApplication.clipboard().setText(name)

    def link(self) -> str:
        """A link to this view: fleet, page, what it shows and the filter."""
        from urllib.parse import quote, urlencode

        query = urlencode({"filter": self.context.query_text}) if self.context.query_text else ""
        path = f"{quote(self.context.live.fleet.name)}/{self._place.page}/{quote(self._place.argument)}".rstrip("/")
        return f"console://{path}" + (f"?{query}" if query else "")

    def _toggle_theme(self) -> None:
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        Theme.apply(app, LIGHT if Theme.now is DARK else DARK)
        self.dress()

    def dress(self) -> None:
        """Let everything that paints itself take over the theme."""
        for name, button in {**self._rail_buttons, "theme": self._theme_button}.items():
            button.setIcon(icon(name))
        for page in self._pages.values():
            if hasattr(page, "dress"):
                page.dress()
        self.update()

    def _toggle_utc(self) -> None:
        self.context.utc = not self.context.utc
        self.context.ticked.emit()
        self.context.events.emit([])

    def _add_node(self) -> None:
        from console.ui.dialogs.addnode import AddNodeDialog

        AddNodeDialog(self.frame, self.context).exec()

    # The clock

    def pump(self) -> None:
        """Take what the collector told; once a second refresh what is visible."""
        changes = self.context.live.pump()
        now = time.monotonic()
        is_due = now - self._last_tick >= TICK_S - 0.02
        if changes.directory or is_due:
            self.context.rows.refresh()
        if changes.directory:
            self.context.directory.emit()
        if changes.nodes:
            self.context.changed.emit(changes.nodes)
        if changes.events:
            self.context.events.emit(changes.events)
        if is_due:
            self._last_tick = now
            self._show_header()
            self.context.ticked.emit()

    def _show_header(self) -> None:
        live, header = self.context.live, self.header
        nodes = live.nodes
        up = sum(n.link is LinkState.LIVE for n in nodes)
        cards = sum(e.entity.kind is EntityKind.CARD for e in live.entities)
        sick = int((self.context.rows.judged.conditions >= Condition.WARNING).sum())
        header.fleet.set_foreign(live.fleet.name)
        header.state.setText(
            tr("{up}/{all} nodes live   {cards} cards").format(up=up, all=len(nodes), cards=cards)
            if not live.collector
            else live.collector
        )
        header.sick.setText(tr("{n} need attention").format(n=sick) if sick else "")
        header.mode.setText(tr("DEMO: simulated nodes") if live.fleet.demo else "")
        if header.property("mode") != ("demo" if live.fleet.demo else ""):
            header.setProperty("mode", "demo" if live.fleet.demo else "")
            header.style().unpolish(header)
            header.style().polish(header)

    def resizeEvent(self, event: QResizeEvent) -> None:
        narrow = self.width() < NARROW
        style = Qt.ToolButtonStyle.ToolButtonIconOnly if narrow else Qt.ToolButtonStyle.ToolButtonTextUnderIcon
        for button in (*self._rail_buttons.values(), self._theme_button):
            button.setToolButtonStyle(style)
            button.setFixedWidth(40 if narrow else 64)
        self._rail.setFixedWidth(52 if narrow else 76)
        super().resizeEvent(event)

    def stop(self) -> None:
        """Stop the clock and remember the layout."""
        self._timer.stop()
        if self._settings is not None:
            self._settings.setValue("geometry", self.frame.saveGeometry())
            self._settings.setValue("theme", Theme.now.name)

    def closeEvent(self, event: QCloseEvent) -> None:
        self.stop()
        super().closeEvent(event)


def _make_page(name: str, context: Context) -> QWidget:
    if name == "nodes":
        from console.ui.pages.nodes import NodesPage

        return NodesPage(context)
    if name == "events":
        from console.ui.pages.events import EventsPage

        return EventsPage(context)
    if name == "node":
        from console.ui.pages.node import NodePage

        return NodePage(context)
    if name == "card":
        from console.ui.pages.card import CardPage

        return CardPage(context)
    raise KeyError(name)
