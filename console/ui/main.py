"""Opening the window: the frame first, then the console behind it, started off the Qt thread."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QMainWindow

from console.app import Config, Console, Demo
from console.ui import i18n
from console.ui.early import application, take_early
from console.ui.preferences import Preferences
from console.ui.start import StartPage
from console.ui.text import plain
from console.ui.theme import Theme

if TYPE_CHECKING:
    from console.ui.window import MainWindow

_log = logging.getLogger(__name__)
LOOK_MS = 30
JOIN_S = 10.0


class Opening:
    """Starts a Console in a thread and puts the window's content in when it runs.

    Attributes:
        content: the running window's content, None until then.
    """

    def __init__(self, config: Config, frame: QMainWindow, preferences: Preferences) -> None:
        self.frame = frame
        self.content: MainWindow | None = None
        self._config = config
        self._preferences = preferences
        self._news: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self.page = StartPage(self.start, self._start_demo)
        frame.setCentralWidget(self.page)
        self._timer = QTimer(frame)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self.start()

    def start(self) -> None:
        """Begin, or try again after a failure."""
        self.page.wait()
        self.console = Console(self._config.or_demo())
        self._thread = threading.Thread(target=self._work, args=(self.console,), name="start", daemon=True)
        self._thread.start()
        self._timer.start()

    def _start_demo(self) -> None:
        self._config = replace(self._config, fleet=None, demo=Demo())
        self.start()

    def _work(self, console: Console) -> None:
        try:
            console.start(self._news.put)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the person must see it
            _log.info("start failed", exc_info=True)
            self._news.put(exc)
        else:
            self._news.put(None)

    def _look(self) -> None:
        while not self._news.empty():
            news = self._news.get()
            if isinstance(news, str):
                self.page.tell(news)
                continue
            self._timer.stop()
            if news is None:
                self._fill()
            else:
                self.page.fail(news)

    def _fill(self) -> None:
        from console.ui.window import MainWindow

        content = MainWindow(self.console, self.frame, self._preferences)
        self.content = content
        self.frame.setCentralWidget(content)
        self.frame.setWindowTitle(f"{plain(self.console.fleet.name, 80)} – Cardkeeper")
        content.begin()

    def close(self) -> None:
        """Stop everything; blocks up to some seconds, after the window is gone."""
        self._timer.stop()
        if self.content is not None:
            self.content.stop()
            self._preferences.save()
        self._thread.join(JOIN_S)
        self.console.close()


def run(config: Config) -> int:
    """Open the window and return when it is closed."""
    app = application()
    preferences = Preferences(config.data)
    i18n.use(app, preferences.language)
    Theme.apply(app, Theme.chosen(preferences.theme))
    frame = take_early()
    frame.setWindowTitle("Cardkeeper")
    frame.setMinimumSize(960, 560)
    if preferences.geometry is not None:
        frame.restoreGeometry(preferences.geometry)
    opening = Opening(config, frame, preferences)
    signal.signal(signal.SIGTERM, lambda *_: app.quit())
    signal.signal(signal.SIGINT, lambda *_: app.quit())
    frame.show()
    code = app.exec()
    opening.close()
    return int(code)
