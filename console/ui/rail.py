"""The left rail: the pages, icons with words, or icons alone where the window is narrow."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QToolButton, QVBoxLayout

from console.ui.icons import icon
from console.ui.pages import PAGES, Page
from console.ui.text import set_tip, tr

WIDE, SLIM = 84, 52


class Rail(QFrame):
    """One button a page of PAGES that asks for one."""

    def __init__(self, go: Callable[[str], None]) -> None:
        super().__init__()
        self.setObjectName("rail")
        self._buttons: dict[str, QToolButton] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(6, 8, 6, 8)
        self._layout.setSpacing(4)
        for page in PAGES.values():
            if page.rail == "top":
                self._add(page, go)
        self._layout.addStretch(1)
        for page in PAGES.values():
            if page.rail == "bottom":
                self._add(page, go)
        self.set_slim(False)

    def _add(self, page: Page, go: Callable[[str], None]) -> None:
        button = QToolButton()
        button.setCheckable(True)
        button.setIconSize(QSize(20, 20))
        button.setIcon(icon(page.icon))
        button.setText(tr(page.title))
        button.setAccessibleName(tr(page.title))
        set_tip(button, tr(page.title))
        button.clicked.connect(lambda: go(page.id))
        self._buttons[page.id] = button
        self._layout.addWidget(button)

    def set_slim(self, slim: bool) -> None:
        """Icons alone, or with their words."""
        style = Qt.ToolButtonStyle.ToolButtonIconOnly if slim else Qt.ToolButtonStyle.ToolButtonTextUnderIcon
        width = SLIM if slim else WIDE
        for button in self._buttons.values():
            button.setToolButtonStyle(style)
            button.setFixedSize(width - 13, 40 if slim else 54)
        self.setFixedWidth(width)

    def show_page(self, page: Page) -> None:
        """Mark where the person is."""
        for name, button in self._buttons.items():
            button.setChecked(name in (page.id, page.under))

    def dress(self) -> None:
        """Take over another theme."""
        for name, button in self._buttons.items():
            button.setIcon(icon(PAGES[name].icon))
