"""What every page shares: the live fleet, the selection, the filter, and where to go."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from console.app import Console
from console.books import OwnBooks, Seen, ServersBooks
from console.checkup import Checkup
from console.extend import PluginError, notifier
from console.fleet.query import All, Query
from console.health import notify
from console.health.triage import TriageError
from console.notify import Notifications
from console.operations.states import NODE as WHOLE
from console.operations.states import Admin
from console.past import PastFleet
from console.placing import bars_of, versions_of
from console.rows import Rows
from console.selling import seen_cards
from console.telemetry.live import LiveFleet
from console.ui.bookkeeper import Bookkeeper
from console.ui.desk import Desk
from console.ui.pdf import pdf_of
from console.ui.preferences import Preferences
from console.ui.text import tr
from console.ui.timeline import Timeline
from console.ui.watch import Watch

NODE = "node:"
"""A selection that begins so names a node; any other is a card's UUID."""


class Context(QObject):
    """Shared state of the window. GUI thread only.

    Signals:
        ticked: once a second, after the rows were refreshed.
        changed: nodes whose link, processes or details changed (a set of names).
        directory: nodes or cards came or went.
        events: new events (a list).
        selected: the selection is another ("" for none).
        marked: cards were marked or unmarked.
        filtered: the filter is another.
        pointed: what is under the pointer or the cursor, in one line ("" for nothing).
        said: something that was done, in one line.
        go: open a page: (page id, argument).
        asked: run a command of the window: its id.
        timed: the cursor of the plots is at this unix second (NaN when it left).
        themed: the preferred theme is another.
    """

    ticked = Signal()
    changed = Signal(object)
    directory = Signal()
    events = Signal(object)
    selected = Signal(str)
    marked = Signal()
    filtered = Signal()
    pointed = Signal(str)
    said = Signal(str)
    go = Signal(str, str)
    asked = Signal(str)
    themed = Signal()
    timed = Signal(float)

    def __init__(self, console: Console, preferences: Preferences) -> None:
        super().__init__()
        self.console = console
        self.preferences = preferences
        self.timeline = Timeline(console)
        self.live: LiveFleet | PastFleet = console.live
        self.rules_problem = ""
        self.rows = Rows(self.live, self._checkup())
        self.desk = Desk(console.live, console.config.history_folder if console.can_act else None, self.rows.checkup)
        self.desk.looked.connect(self._take_books)
        folder = console.config.history_folder if console.can_act else None
        self.watch = Watch(self.rows.checkup, folder, self._notifications() if folder is not None else None)
        self.books = self._bookkeeper(folder)
        self.query: Query = All(())
        self.query_text = ""
        self._selection = ""
        self._whole: set[str] = set()
        self._is_stocked = False

    def _bookkeeper(self, folder: Path | None) -> Bookkeeper:
        """Over one's own ledger, or a server's; a recording has neither."""
        config = self.console.config
        if folder is None:
            return Bookkeeper(None)
        if config.server:
            return Bookkeeper(lambda: ServersBooks(config.server, config.fleet_path), is_own=False)
        return Bookkeeper(lambda: OwnBooks(folder, pdf_of))

    def _checkup(self) -> Checkup:
        """With the site's rules; without them where they cannot be used."""
        try:
            return Checkup(site=self.console.config.fleet_path.parent / "triage.toml")
        except TriageError as exc:
            self.rules_problem = str(exc)
            return Checkup()

    def _notifications(self) -> Notifications | None:
        """Who is told of alarms beside this window; nobody where the file cannot be used."""
        try:
            targets = notify.read(self.console.config.fleet_path.parent / "notify.toml")
            for target in targets:
                notifier(target.plugin)
        except (notify.NotifyError, PluginError) as exc:
            self.rules_problem = f"{self.rules_problem}\n{exc}".strip()
            return None
        return Notifications(targets, self.console.fleet.name) if targets else None

    def look(self) -> None:
        """Once a second: examine the live fleet, whatever is shown, and let alarms follow."""
        if self.live is not self.console.live:
            self.rows.checkup.look(self.console.live)
        self.watch.tick(set(self.rows.out) | self._whole)

    def show_fleet(self, fleet: LiveFleet | PastFleet) -> None:
        """Let every page show this fleet: the live one, or a moment of the past."""
        self.live = self.rows.live = fleet
        self.rows.refresh()
        self.directory.emit()
        self.ticked.emit()
        self.events.emit([])

    def _take_books(self) -> None:
        out, tenants = set(), {}
        self._whole = set()
        for node, book in self.desk.books.items():
            if isinstance(book, str):
                continue
            for entry in book.entries.values():
                uuids = [entry.target]
                if entry.target == WHOLE:
                    if entry.admin not in (Admin.IN_SERVICE, Admin.PROBATION):
                        self._whole.add(node)
                    uuids = [e.entity.uuid for e in self.console.live.entities_of(node)]
                if entry.admin not in (Admin.IN_SERVICE, Admin.PROBATION):
                    out.update(uuids)
                if entry.assignment is not None:
                    tenants.update(dict.fromkeys(uuids, entry.assignment.tenant))
        self.rows.set_books(frozenset(out), tenants)

    def stock_demo(self) -> None:
        """The demo has a business, too; a real fleet's ledger is begun by a person."""
        books, console = self.books, self.console
        is_bare = books.standing is None and books.is_read and books.is_own and not self._is_stocked
        if is_bare and console.config.demo is not None and self.timeline.is_live and console.live.entities:
            self._is_stocked = True
            books.stock(seen_cards(console.live))

    def seen(self) -> Seen:
        """What the window sees of the nodes' cards, for placement."""
        out = dict.fromkeys(self.rows.out | self._whole, tr("out of service"))
        live = self.console.live
        return Seen(bars_of(self.rows.checkup.examiner.findings, out, live), versions_of(live))

    @property
    def utc(self) -> bool:
        """Whether times are shown in UTC."""
        return self.preferences.utc

    @utc.setter
    def utc(self, on: bool) -> None:
        self.preferences.utc = on

    def local(self, at: float) -> datetime:
        """A unix second in the zone that times are shown in."""
        return datetime.fromtimestamp(at, tz=UTC).astimezone(UTC if self.utc else None)

    @property
    def selection(self) -> str:
        """UUID of the selected card, or "node:NAME", or ""."""
        return self._selection

    def select(self, what: str) -> None:
        """Select a card by UUID or a node by "node:NAME"; "" selects nothing."""
        if what != self._selection:
            self._selection = what
            self.selected.emit(what)

    def mark(self, uuids: set[str], on: bool) -> None:
        """Mark cards, or take their marks away; the filter `is:marked` finds them."""
        marked = self.rows.marked | uuids if on else self.rows.marked - uuids
        if marked != self.rows.marked:
            self.rows.marked = marked
            self.marked.emit()

    def set_query(self, text: str, query: Query) -> None:
        """Filter by an understood query."""
        self.query_text, self.query = text, query
        self.filtered.emit()
