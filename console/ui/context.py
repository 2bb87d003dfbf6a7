"""What every page shares: the live fleet, the selection, the filter, and where to go."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from console.app import Console
from console.fleet.query import All, Query
from console.telemetry.live import LiveFleet
from console.ui.rows import Rows


class Context(QObject):
    """Shared state of the window. GUI thread only.

    Signals:
        ticked: once a second, after the rows were refreshed.
        changed: nodes whose link, processes or details changed (a set of names).
        directory: nodes or cards came or went.
        events: new events (a list).
        selected: the selection is another ("" for none).
        filtered: the filter is another.
        go: open a page: (page id, argument).
        dressed: the theme is another.
    """

    ticked = Signal()
    changed = Signal(object)
    directory = Signal()
    events = Signal(object)
    selected = Signal(str)
    filtered = Signal()
    go = Signal(str, str)
    dressed = Signal()

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console
        self.live: LiveFleet = console.live
        self.rows = Rows(self.live)
        self.query: Query = All(())
        self.query_text = ""
        self.utc = False
        self._selection = ""

    @property
    def selection(self) -> str:
        """UUID of the selected card, or "node:NAME", or ""."""
        return self._selection

    def select(self, what: str) -> None:
        """Select a card by UUID or a node by "node:NAME"; "" selects nothing."""
        if what != self._selection:
            self._selection = what
            self.selected.emit(what)

    def set_query(self, text: str, query: Query) -> None:
        """Filter by an understood query."""
        self.query_text, self.query = text, query
        self.filtered.emit()
