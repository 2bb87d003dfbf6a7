"""The first frame, painted with Qt alone: numpy, plots and the console's core are imported after it is on the screen."""

from __future__ import annotations

import sys

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QMainWindow

from console.ui.text import PlainLabel
from console.ui.theme import Theme

SIZE = (1440, 900)
_early: QMainWindow | None = None


def application() -> QApplication:
    """The one QApplication, made with our style on first use."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    QGuiApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("Cardkeeper")
    app.setOrganizationName("cardkeeper")
    app.setStyle("Fusion")
    Theme.apply(app, Theme.preferred())
    return app


def show_early() -> None:
    """Show the empty frame and paint it before anything else is imported."""
    global _early
    app = application()
    window = _frame()
    # The language is not known yet, so the frame shows a name and no word.
    label = PlainLabel("Cardkeeper", "title")
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    window.setCentralWidget(label)
    window.show()
    app.processEvents()
    _early = window


def take_early() -> QMainWindow:
    """The frame shown early, or a new one."""
    global _early
    window, _early = _early, None
    return window or _frame()


def _frame() -> QMainWindow:
    window = QMainWindow()
    window.setWindowTitle("Cardkeeper")
    screen = QGuiApplication.primaryScreen()
    room = screen.availableSize() if screen is not None else None
    width, height = SIZE
    window.resize(min(width, room.width()) if room else width, min(height, room.height()) if room else height)
    return window
