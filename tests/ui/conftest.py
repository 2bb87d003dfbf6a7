"""The window over a fleet fed by the test; what a test starts must be gone when it ends."""

from __future__ import annotations

import threading

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QMainWindow

from console.app import Config, Console
from console.ui import i18n
from console.ui.theme import DARK, Theme


class TestConsole(Console):
    """A console whose live fleet the test feeds; no processes."""

    __test__ = False

    def __init__(self, fleet):
        super().__init__(Config())
        self.fleet = fleet.fleet
        self._live = fleet.live

    @property
    def live(self):
        return self._live

    @property
    def can_act(self):
        return False


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    left = [t.name for t in threading.enumerate() if t not in before and t.is_alive() and not t.daemon]
    assert left == []


@pytest.fixture(autouse=True)
def no_timer_is_left(qapp):
    yield
    left = [t for w in qapp.topLevelWidgets() if not w.isHidden() for t in w.findChildren(QTimer) if t.isActive()]
    assert left == []


@pytest.fixture(scope="session")
def qapp(qapp):
    i18n.use(qapp, "en")
    return qapp


@pytest.fixture
def window(qtbot, qapp, live_fleet):
    """The window's content over two nodes of eight cards; `window.fleet` feeds it."""
    from console.ui.window import MainWindow

    Theme.apply(qapp, DARK)
    frame = QMainWindow()
    frame.resize(1400, 860)
    content = MainWindow(TestConsole(live_fleet), frame)
    content.fleet = live_fleet
    frame.setCentralWidget(content)
    qtbot.addWidget(frame)
    frame.show()
    qtbot.waitExposed(frame)
    content.pump()
    yield content
    content.stop()
