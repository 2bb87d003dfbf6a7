"""Opening the window: the frame first, then the console behind it, started off the Qt thread."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from pathlib import Path

from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtWidgets import QMainWindow, QVBoxLayout, QWidget

from console.app import Config, Console
from console.ui.early import application, take_early
from console.ui.text import PlainLabel, plain, tr
from console.ui.theme import DARK, LIGHT, Theme

_log = logging.getLogger(__name__)


class Start(QWidget):
    """What is shown until the console runs: what it is doing, or why it cannot."""

    def __init__(self) -> None:
        super().__init__()
        self._title = PlainLabel(tr("Starting…"), "heading")
        self._text = PlainLabel("", "quiet").selectable()
        self._text.setWordWrap(True)
        self._text.setMaximumWidth(760)
        layout = QVBoxLayout(self)
        layout.addStretch(1)
        for label in (self._title, self._text):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            layout.addWidget(label, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(1)

    def tell(self, text: str) -> None:
        """Say what is being done."""
        self._text.setText(plain(text))

    def fail(self, error: str) -> None:
        """Say why it cannot start."""
        self._title.setText(tr("The console cannot start"))
        self._title.set_role("critical")
        self._text.setText("\n".join(plain(line, 600) for line in error.splitlines()[:20]))


class Opening:
    """Starts a Console in a thread and puts the window's content in when it runs."""

    def __init__(self, config: Config, frame: QMainWindow) -> None:
        self.frame = frame
        self.console = Console(config.or_demo())
        self.content: QWidget | None = None
        self._news: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._start = Start()
        frame.setCentralWidget(self._start)
        self._settings = QSettings(str(Path(config.data) / "window.ini"), QSettings.Format.IniFormat)
        self._timer = QTimer(frame)
        self._timer.timeout.connect(self._look)
        self._timer.start(30)
        threading.Thread(target=self._work, name="start", daemon=True).start()

    def _work(self) -> None:
        try:
            self.console.start(lambda text: self._news.put(("told", text)))
        except Exception as exc:  # noqa: BLE001 - whatever it is, the person must see it
            _log.info("start failed", exc_info=True)
            self._news.put(("failed", str(exc) or type(exc).__name__))
        else:
            self._news.put(("done", ""))

    def _look(self) -> None:
        while not self._news.empty():
            kind, text = self._news.get()
            if kind == "told":
                self._start.tell(text)
            elif kind == "failed":
                self._timer.stop()
                self._start.fail(text)
            else:
                self._timer.stop()
                self._fill()

    def _fill(self) -> None:
        from console.ui.window import MainWindow

        content = MainWindow(self.console, self.frame, self._settings)
        self.content = content
        self.frame.setCentralWidget(content)
        name = self.console.fleet.name
        self.frame.setWindowTitle(f"{plain(name, 80)} – Cardkeeper")
        content.fleet_page.map.setFocus()

    def close(self) -> None:
        """Stop everything; blocks up to some seconds, after the window is gone."""
        self._timer.stop()
        if self.content is not None:
            self.content.stop()  # type: ignore[attr-defined]
        self.console.close()


def run(config: Config) -> int:
    """Open the window and return when it is closed."""
    app = application()
    frame = take_early()
    frame.setWindowTitle("Cardkeeper")
    frame.setMinimumSize(900, 560)
    opening = Opening(config, frame)
    settings = opening._settings
    geometry, theme = settings.value("geometry"), settings.value("theme")
    if geometry is not None:
        frame.restoreGeometry(geometry)
    if theme in ("dark", "light"):
        Theme.apply(app, DARK if theme == "dark" else LIGHT)
    signal.signal(signal.SIGTERM, lambda *_: app.quit())
    signal.signal(signal.SIGINT, lambda *_: app.quit())
    frame.show()
    code = app.exec()
    opening.close()
    return int(code)
