"""What stands in the window until the console runs: what it is doing, or what is wrong and what to do about it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from console.app import ConsoleError
from console.fleet.fleetfile import FleetError
from console.ui.parts import Panel
from console.ui.text import PlainLabel, plain, tr
from console.ui.theme import mono

WIDTH = 720
MOST_FAULTS = 12


class StartPage(QWidget):
    """Shown while the console starts and when it cannot.

    Attributes:
        again, demo: the buttons of a failure.
    """

    def __init__(self, retry: Callable[[], None], demo: Callable[[], None]) -> None:
        super().__init__()
        self._title = PlainLabel(tr("Starting…"), "heading")
        self._text = PlainLabel("", "quiet").wrapped()
        self._faults = PlainLabel().wrapped().selectable().left_to_right()
        self._faults.setFont(mono(12))
        self._next = PlainLabel("", "").wrapped().selectable()
        self.again = QPushButton(tr("Try again"))
        self.again.clicked.connect(lambda: retry())
        self.demo = QPushButton(tr("Watch the demo fleet instead"))
        self.demo.clicked.connect(lambda: demo())
        self._panel = Panel("")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self.again)
        buttons.addWidget(self.demo)
        buttons.addStretch(1)
        body = self._panel.body
        body.setContentsMargins(24, 20, 24, 20)
        body.setSpacing(12)
        for label in (self._title, self._text, self._faults, self._next):
            body.addWidget(label)
        body.addLayout(buttons)
        self._panel.setFixedWidth(WIDTH)
        middle = QHBoxLayout()
        middle.addStretch(1)
        middle.addWidget(self._panel)
        middle.addStretch(1)
        layout = QVBoxLayout(self)
        layout.addStretch(2)
        layout.addLayout(middle)
        layout.addStretch(3)
        self.wait()

    def wait(self) -> None:
        """Say that it is starting."""
        self._title.setText(tr("Starting…"))
        self._title.set_role("heading")
        self._text.setText("")
        for widget in (self._faults, self._next, self.again, self.demo):
            widget.hide()

    def tell(self, text: str) -> None:
        """Say what is being done."""
        words = {"starting the demo fleet": tr("Starting the demo fleet: simulated nodes on this machine…")}
        self._text.setText(words.get(text) or plain(text[:1].upper() + text[1:] + "…"))

    def fail(self, error: Exception) -> None:
        """What failed, where, why, and the next step, in that order."""
        self._title.set_role("fault")
        if isinstance(error, FleetError):
            self._title.setText(tr("The fleet file cannot be used"))
            self._text.setText(tr("Nothing was connected. What is wrong with it:"))
            lines = [str(f) for f in error.faults[:MOST_FAULTS]]
            if len(error.faults) > MOST_FAULTS:
                lines.append(tr("and %n more", len(error.faults) - MOST_FAULTS))
            step = tr(
                "Correct the file in an editor, then try again. `cardkeeper fleet check` tells the same in a terminal."
            )
        else:
            self._title.setText(tr("The console cannot start"))
            self._text.setText(tr("Nothing was connected. The reason:"))
            lines = (str(error) or type(error).__name__).splitlines()[:MOST_FAULTS]
            is_known = isinstance(error, (ConsoleError, OSError))
            step = (
                tr("Mend this, then try again.")
                if is_known
                else tr("This is a fault of the console: please report it.")
            )
        self._faults.setText("\n".join(plain(line, 400) for line in lines))
        self._next.setText(tr("Next") + ": " + step)
        for widget in (self._faults, self._next, self.again, self.demo):
            widget.show()
        self.again.setFocus()
