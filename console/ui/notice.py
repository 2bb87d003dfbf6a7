"""Notices on the desktop, where it has a place for them; silent where it has none."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QSystemTrayIcon

from console.fleet.show import plain
from console.ui.icons import app_icon

SHOWN_MS = 20_000


class Notice(QObject):
    """One icon in the desktop's tray, made with the first notice and gone when that was seen.

    Signals:
        clicked: a person wants to see what it was about.
    """

    clicked = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._icon: QSystemTrayIcon | None = None

    def show(self, title: str, text: str) -> None:
        """Tell of something; foreign text is made plain, and desktops that render markup find none."""
        if not QSystemTrayIcon.isSystemTrayAvailable():
            return
        if self._icon is None:
            self._icon = QSystemTrayIcon(app_icon(), self)
            self._icon.messageClicked.connect(self._clicked)
            self._icon.activated.connect(lambda _: self._clicked())
        self._icon.show()
        self._icon.showMessage(_unmarked(title), _unmarked(text), QSystemTrayIcon.MessageIcon.Critical, SHOWN_MS)

    def _clicked(self) -> None:
        self.close()
        self.clicked.emit()

    def close(self) -> None:
        """Take the icon away."""
        if self._icon is not None:
            self._icon.hide()


def _unmarked(text: str) -> str:
    """Notification servers may render <b>, <a> and <img> in a body."""
    return plain(text, 200).replace("<", "‹").replace(">", "›").replace("&", "+")
