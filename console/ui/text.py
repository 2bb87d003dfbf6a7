"""Text on the screen: translation, and the only widgets and calls that may show foreign text.

Qt renders labels, tool tips and message boxes as HTML when they look like it, and loads local files named in them. So
everything that shows text goes through here, as plain text with hostile characters spelled out.
"""

from __future__ import annotations

import html

from PySide6.QtCore import QCoreApplication, QEvent, QPoint, Qt
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QGuiApplication,
    QHelpEvent,
    QPainter,
    QPaintEvent,
    QPalette,
)
from PySide6.QtWidgets import QLabel, QMessageBox, QSizePolicy, QToolTip, QWidget

from console.fleet.show import plain

__all__ = ["PlainLabel", "announce", "ask", "left_to_right", "plain", "set_tip", "show_tip", "tell", "tip", "tr"]

_ISOLATE, _END = "\u2066", "\u2069"


def tr(text: str, n: int = -1) -> str:
    """`text` in the person's language; `%n` in it becomes `n` in the right number form."""
    return QCoreApplication.translate("Cardkeeper", text, None, n)


def left_to_right(text: str) -> str:
    """`text` kept in its order in a right-to-left window: numbers with units, names of hosts, times.

    To be used on what is only shown; what is copied or compared stays without the marks.
    """
    if text and QGuiApplication.layoutDirection() == Qt.LayoutDirection.RightToLeft:
        return f"{_ISOLATE}{text}{_END}"
    return text


def announce(widget: QWidget, text: str) -> None:
    """Let a screen reader say `text`, which `widget` just came to show."""
    widget.setAccessibleDescription(text)
    if QAccessible.isActive():
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, text))


class PlainLabel(QLabel):
    """A label that shows text and nothing else."""

    def __init__(self, text: str = "", role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_elided = False
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
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        return self

    def selectable(self) -> PlainLabel:
        """Let its text be marked and copied; returns itself."""
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        return self

    def left_to_right(self) -> PlainLabel:
        """Keep numbers, units and ids in their order in a right-to-left window too; returns itself."""
        if QGuiApplication.layoutDirection() == Qt.LayoutDirection.RightToLeft:
            self.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
            side = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignAbsolute
            self.setAlignment(side | Qt.AlignmentFlag.AlignVCenter)
        return self

    def elided(self) -> PlainLabel:
        """Give way to its neighbours, the end cut with …; the whole text is the tool tip; returns itself."""
        self._is_elided = True
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        return self

    def paintEvent(self, event: QPaintEvent) -> None:
        width = self.contentsRect().width()
        if not self._is_elided or self.fontMetrics().horizontalAdvance(self.text()) <= width:
            super().paintEvent(event)
            return
        painter = QPainter(self)
        painter.setPen(self.palette().color(QPalette.ColorRole.WindowText))
        short = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, width)
        painter.drawText(self.contentsRect(), self.alignment() | Qt.TextFlag.TextSingleLine, short)
        painter.end()

    def event(self, event: QEvent) -> bool:
        if self._is_elided and event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            show_tip(self, event.globalPos(), self.text())
            return True
        return super().event(event)


def set_tip(widget: QWidget, text: str) -> None:
    """A tool tip of plain text."""
    widget.setToolTip(tip(text))


def show_tip(widget: QWidget, at: QPoint, text: str) -> None:
    """Show plain text beside the pointer now, or take away what is shown where `text` is empty."""
    if text:
        QToolTip.showText(at, tip(text), widget)
    else:
        QToolTip.hideText()


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
    """Tell a person something that they must see. Returns at once: what is live goes on behind it."""
    box = _box(parent, QMessageBox.Icon.Information, title, text, more)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.open()


def ask(parent: QWidget, title: str, text: str, more: str, verb: str) -> bool:
    """Ask before something is done; Cancel is the default, so Enter never confirms."""
    box = _box(parent, QMessageBox.Icon.Question, title, text, more)
    yes = box.addButton(verb, QMessageBox.ButtonRole.AcceptRole)
    no = box.addButton(QMessageBox.StandardButton.Cancel)
    box.setDefaultButton(no)
    box.exec()
    return box.clickedButton() is yes
