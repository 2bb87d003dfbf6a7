"""Text on the screen: translation, and the only widgets and calls that may show foreign text.

Qt renders labels, tool tips and message boxes as HTML when they look like it, and loads local files named in them. So
everything that shows text goes through here, as plain text with hostile characters spelled out.
"""

from __future__ import annotations

import html

from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QLabel, QMessageBox, QSizePolicy, QWidget

from console.fleet.show import plain

__all__ = ["PlainLabel", "ask", "plain", "set_tip", "tell", "tr"]


def tr(text: str, n: int = -1) -> str:
    """`text` in the person's language; `%n` in it becomes `n` in the right number form."""
    return QCoreApplication.translate("Cardkeeper", text, None, n)


class PlainLabel(QLabel):
    """A label that shows text and nothing else."""

    def __init__(self, text: str = "", role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        if role:
            self.setProperty("role", role)
        self.setText(text)

    def set_foreign(self, text: str, limit: int = 256) -> None:
        """Show text that came from elsewhere, made plain."""
        self.setText(plain(text, limit))

    def set_role(self, role: str) -> None:
        """Change the look by the style sheet's role."""
        if self.property("role") != role:
            self.setProperty("role", role)
            self.style().unpolish(self)
            self.style().polish(self)

    def wrapped(self) -> PlainLabel:
        """Let it break lines; returns itself."""
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        return self

    def selectable(self) -> PlainLabel:
        """Let its text be marked and copied; returns itself."""
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return self


def set_tip(widget: QWidget, text: str) -> None:
    """A tool tip of plain text."""
    widget.setToolTip(tip(text))


def tip(text: str) -> str:
    """Plain text in the form a tool tip shows literally."""
    return "<qt>" + "<br>".join(html.escape(plain(line)) for line in text.split("\n")[:20]) + "</qt>"


def _box(parent: QWidget, icon: QMessageBox.Icon, title: str, text: str, more: str) -> QMessageBox:
    box = QMessageBox(parent)
    box.setTextFormat(Qt.TextFormat.PlainText)
    box.setIcon(icon)
    box.setWindowTitle(title)
    box.setText(plain(text, 1000))
    # The informative text has no format of its own to set, so it is escaped.
    box.setInformativeText(html.escape(plain(more, 2000)).replace("\n", "<br>"))
    return box


def tell(parent: QWidget, title: str, text: str, more: str = "") -> None:
    """Tell a person something that they must see."""
    _box(parent, QMessageBox.Icon.Information, title, text, more).exec()


def ask(parent: QWidget, title: str, text: str, more: str, verb: str) -> bool:
    """Ask before something is done; Cancel is the default, so Enter never confirms."""
    box = _box(parent, QMessageBox.Icon.Question, title, text, more)
    yes = box.addButton(verb, QMessageBox.ButtonRole.AcceptRole)
    no = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(no)
    box.exec()
    return box.clickedButton() is yes
