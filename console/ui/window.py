"""The window: header, rail, pages with their history, inspector, status line; and the clock that drives them."""

from __future__ import annotations

import time

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtGui import QCloseEvent, QContextMenuEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMainWindow, QStackedWidget, QVBoxLayout, QWidget

from console.app import Console
from console.health.alarms import Alarm
from console.ui.actions import Actions
from console.ui.context import Context
from console.ui.fleet.page import FleetPage
from console.ui.header import Header, StatusLine
from console.ui.history import History, Place
from console.ui.icons import app_icon
from console.ui.inspector import Inspector
from console.ui.notice import Notice
from console.ui.pages import PAGES
from console.ui.preferences import Preferences
from console.ui.rail import Rail
from console.ui.text import ask, tell, tr
from console.ui.theme import Theme, Tokens
from console.ui.timebar import TimeBar

PUMP_MS = 100
TICK_S = 1.0
NARROW = 1200


class MainWindow(QWidget):
    """The content of the window over one running console.

    Attributes:
        context: what the pages share.
        history: where the person has been.
    """

    def __init__(self, console: Console, frame: QMainWindow, preferences: Preferences | None = None) -> None:
        super().__init__()
        self.frame = frame
        self.preferences = preferences or Preferences(None)
        self.context = Context(console, self.preferences)
        self.history = History()
        self._above: dict[str, Place] = {}
        self._last_tick = 0.0
        self._shown_fleet: tuple[object, int] = (console.live, 0)
        self._pages: dict[str, QWidget] = {}
        self._stack = QStackedWidget()
        self.header = Header(self.context)
        self.rail = Rail(self.go)
        self.inspector = Inspector(self.context)
        self.status = StatusLine(self.context)
        self.timebar = TimeBar(self.context)
        self._build()
        self.actions_of = Actions(self)
        self.context.go.connect(self.go)
        self.context.asked.connect(self.run)
        self.context.timeline.moved.connect(self._moved)
        self.context.themed.connect(lambda: self.wear(Theme.chosen(self.preferences.theme)))
        self.context.desk.failed.connect(self._failed)
        self.context.desk.woke.connect(self._woke)
        self.context.watch.called.connect(self._called)
        self.frame.setWindowIcon(app_icon())
        self.notice = Notice(self)
        self.notice.clicked.connect(self._look_at_alarms)
        self.context.desk.armed.connect(self.header.refresh)
        self.frame.installEventFilter(self)
        self._timer = QTimer(self)
        self._timer.setInterval(PUMP_MS)
        self._timer.timeout.connect(self.pump)
        self._timer.start()
        self.go("fleet")
        self.header.refresh()
        if self.context.rules_problem:
            tell(self.frame, tr("A file beside the fleet file cannot be used"), self.context.rules_problem)

    def _build(self) -> None:
        body = QHBoxLayout()
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(0)
        body.addWidget(self.rail)
        body.addWidget(self._stack, 1)
        body.addWidget(self.inspector)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self.header)
        layout.addLayout(body, 1)
        layout.addWidget(self.timebar)
        layout.addWidget(self.status)

    def begin(self) -> None:
        """Go where the configuration points: the end of a recording, or a link."""
        config = self.context.console.config
        if config.replay is not None:
            self.context.timeline.look_at_end()
        if config.page is not None:
            self.go(*config.page)
        if config.link:
            wrong = self.actions_of.follow(config.link)
            if wrong:
                self.context.said.emit(wrong)

    # Pages

    @property
    def place(self) -> Place:
        """Where the person is."""
        return self.history.now

    @property
    def stack(self) -> QStackedWidget:
        """What holds the pages."""
        return self._stack

    @property
    def fleet_page(self) -> FleetPage:
        """The fleet page."""
        page = self.page("fleet")
        assert isinstance(page, FleetPage)
        return page

    def page(self, name: str) -> QWidget:
        """The page of that name, made on first use (plots are imported only then)."""
        if name not in self._pages:
            made = PAGES[name].make(self.context)
            if hasattr(made, "restore") and self.preferences.pages.get(name):
                made.restore(self.preferences.pages[name])
            self._pages[name] = made
            self._stack.addWidget(made)
        return self._pages[name]

    def go(self, name: str, argument: str = "") -> None:
        """Show a page, remembering the one before."""
        before = self.history.now
        if self.history.visit(Place(name, argument)):
            if before.page and before.page != name:
                self._above[name] = before
            self._show()

    def back(self, step: int = -1) -> None:
        """One place back (-1) or forward (1) in history."""
        if (self.history.back() if step < 0 else self.history.forward()) is not None:
            self._show()

    def last(self) -> None:
        """The view seen before this one."""
        place = self.history.last()
        if place is not None:
            self.go(place.page, place.argument)

    def up(self) -> None:
        """One level up: where the page was entered from, or what stands above it."""
        place = self.history.now
        above = self._above.get(place.page, Place("fleet"))
        if place.page == "fleet":
            return
        is_level = above.page in ("fleet", "nodes", "events", "node") and above.page != place.page
        self.go(above.page, above.argument) if is_level else self.go("fleet")

    def _show(self) -> None:
        place = self.history.now
        page = self.page(place.page)
        self._stack.setCurrentWidget(page)
        if place.argument and hasattr(page, "open"):
            page.open(place.argument)
        about = PAGES[place.page]
        self.rail.show_page(about)
        self.inspector.is_allowed = about.inspects
        self.inspector.refresh()
        self.context.pointed.emit("")
        page.setFocus()

    def run(self, command: str) -> None:
        """Run a command of the window by its id."""
        self.actions_of.run(command)

    # Looks

    def wear(self, tokens: Tokens) -> None:
        """Put on a theme."""
        app = QApplication.instance()
        assert isinstance(app, QApplication)
        Theme.apply(app, tokens)
        self.header.dress()
        self.rail.dress()
        self.timebar.dress()
        for page in self._pages.values():
            if hasattr(page, "dress"):
                page.dress()
        self.update()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        # Qt would give the first button of the header the focus, and Enter would press it.
        self._stack.currentWidget().setFocus()

    def resizeEvent(self, event: QResizeEvent) -> None:
        narrow = self.width() < NARROW
        self.rail.set_slim(narrow)
        self.header.set_narrow(narrow)
        self.inspector.set_narrow(narrow)
        super().resizeEvent(event)

    # The clock

    def pump(self) -> None:
        """Take what the collector told; once a second refresh what is visible."""
        line, desk = self.context.timeline, self.context.desk
        changes = self.context.console.live.pump()
        line.pump()
        desk.pump()
        now = time.monotonic()
        is_due = now - self._last_tick >= TICK_S - 0.02
        if line.is_live:
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
            self.header.refresh()
            self.status.tick()
            self.context.look()
            desk.tick(self.place.page in ("operations", "assignments"))
            self.context.books.tick(self.place.page in ("business", "planning"))
            self.context.ticked.emit() if line.is_live else self.timebar.tick()

    def _moved(self) -> None:
        """Swap what all pages show when the moment is another."""
        line, context = self.context.timeline, self.context
        fleet = context.console.live if line.is_live else line.past
        key = (fleet, fleet.version if fleet is line.past else 0)
        if key != self._shown_fleet:
            self._shown_fleet = key
            context.show_fleet(fleet)
        self.header.refresh()

    # Acts

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        """What can be done to what was clicked."""
        if self.actions_of.acts.words():
            self.actions_of.acts.menu(event.globalPos())

    def _called(self, alarm: Alarm) -> None:
        """A new alarm of the top severity: a sound, a notice on the desktop, and the task bar asks for attention."""
        QApplication.beep()
        QApplication.alert(self.frame)
        lead = alarm.lead
        where = lead.node or tr("the fleet")
        self.context.said.emit(f"{lead.signal}: {where}; {tr('F5 shows the alarms')}")
        self.notice.show(f"{lead.signal}: {where}", lead.do)

    def _look_at_alarms(self) -> None:
        self.frame.showNormal() if self.frame.isMinimized() else self.frame.show()
        self.frame.raise_()
        self.frame.activateWindow()
        self.go("alarms")

    def _woke(self, what: str) -> None:
        self.context.said.emit(what)
        tell(self.frame, tr("Acts are locked"), what)

    def _failed(self, why: str) -> None:
        self.context.said.emit(why)
        tell(
            self.frame,
            tr("It was not done, or not all of it"),
            why,
            tr("F6 shows its steps; go on with it or undo it there."),
        )

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Closing the window while something is under way names what stays in force."""
        if watched is self.frame and event.type() == QEvent.Type.Close:
            stays = self.context.desk.in_force()
            if stays and not ask(
                self.frame, tr("Drains stay in force"),
                tr("Closing ends the waiting here. The holds stay on the nodes, and any console may go on:"),
                "\n".join(stays[:12]), tr("Close"),
            ):  # fmt: skip
                event.ignore()
                return True
        return False

    def stop(self) -> None:
        """Stop the clock and note the layout; `preferences.save` writes it."""
        self._timer.stop()
        self.notice.close()
        self.frame.removeEventFilter(self)
        self.context.timeline.close()
        self.context.desk.close()
        self.context.watch.close()
        self.context.books.close()
        self.preferences.geometry = self.frame.saveGeometry()
        for name, page in self._pages.items():
            if hasattr(page, "state"):
                self.preferences.pages[name] = page.state()

    def closeEvent(self, event: QCloseEvent) -> None:
        self.stop()
        super().closeEvent(event)
