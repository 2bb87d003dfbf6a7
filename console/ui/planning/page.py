"""The planning page: request, quote, capacity and scenarios."""

from __future__ import annotations

import time

from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QStackedWidget, QToolButton, QVBoxLayout, QWidget

from console.standing import Standing
from console.ui.context import Context
from console.ui.planning import words
from console.ui.planning.capacity import CapacityView
from console.ui.planning.quote import QuoteView
from console.ui.planning.request import RequestView
from console.ui.planning.scenarios import ScenariosView
from console.ui.text import PlainLabel, tr

VIEWS = ("request", "quote", "capacity", "scenarios")
EVERY_S = 30.0
"""Capacity is read anew so often while it is looked at."""


class PlanningPage(QWidget):
    """Which cards, at what price, and for how long they will last."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._books = context.books
        self._is_begun = False
        self._read_at = -EVERY_S
        self._chips: dict[str, QToolButton] = {}
        self._stack = QStackedWidget()
        self._head = PlainLabel("", "quiet").wrapped()
        self.request, self.quote = RequestView(context), QuoteView(context)
        self.capacity, self.scenarios = CapacityView(context), ScenariosView(context)
        bar = QHBoxLayout()
        bar.setSpacing(6)
        group = QButtonGroup(self)
        for name, word in zip(VIEWS, words.titles("views"), strict=True):
            chip = QToolButton()
            chip.setProperty("chip", True)
            chip.setCheckable(True)
            chip.setText(word)
            chip.clicked.connect(lambda _=False, n=name: self.show_view(n))
            group.addButton(chip)
            self._chips[name] = chip
            bar.addWidget(chip)
        bar.addStretch(1)
        for view in (self.request, self.quote, self.capacity, self.scenarios):
            self._stack.addWidget(view)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 0)
        layout.setSpacing(10)
        layout.addLayout(bar)
        layout.addWidget(self._head)
        layout.addWidget(self._stack, 1)
        self._books.changed.connect(self.refresh)
        context.ticked.connect(self._tick)
        self.show_view("request")

    def show_view(self, name: str) -> None:
        """Show one of VIEWS."""
        self._chips[name].setChecked(True)
        self._stack.setCurrentIndex(VIEWS.index(name))
        self._read_at = -EVERY_S
        if self.isVisible():
            self._begin_view()

    def open(self, argument: str) -> None:
        """Show a view by its name; a link may name it."""
        if argument in VIEWS:
            self.show_view(argument)

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self._books.look()
        self.refresh()
        self._begin_view()

    def _begin_view(self) -> None:
        if self._books.standing is None:
            return
        match VIEWS[self._stack.currentIndex()]:
            case "request":
                self.request.text.setFocus()
                self.request.ask_again()
            case "quote":
                self.quote.begin()
            case "capacity":
                self._read_at = time.monotonic()
                self.capacity.ask()

    def _tick(self) -> None:
        is_capacity = self._stack.currentWidget() is self.capacity
        if self.isVisible() and is_capacity and time.monotonic() - self._read_at >= EVERY_S:
            self._begin_view()

    def refresh(self) -> None:
        """Take over the business as it was read last."""
        if not self.isVisible():
            return
        self._context.stock_demo()
        standing, is_first = self._books.standing, not self._is_begun
        self._head.set_foreign(self._heading(standing), 400)
        self._head.setVisible(bool(self._head.text()))
        if standing is None:
            return
        for view in (self.request, self.quote, self.scenarios):
            view.show_standing(standing)
        if is_first:
            self._is_begun = True
            self._begin_view()

    def _heading(self, standing: Standing | None) -> str:
        if self._books.problem:
            return self._books.problem
        if not self._books.can_write:
            return tr("A recording has no business.")
        if standing is None and self._books.is_read:
            return tr("No ledger was begun. cardkeeper tenant add and cardkeeper pool bind begin one.")
        return ""

    def dress(self) -> None:
        """Take over another theme."""
        self.capacity.dress()
        self.scenarios.dress()

    def state(self) -> str:
        """The view, kept between runs."""
        return VIEWS[self._stack.currentIndex()]

    def restore(self, state: str) -> None:
        """Show the view of the last run."""
        self.open(state)
