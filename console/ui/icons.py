"""Icons: simple strokes in SVG, tinted with the theme's text colour."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from console.ui.rows import RESOURCES
from console.ui.theme import Theme


def icon(name: str) -> QIcon:
    """The icon of resources/icons/NAME.svg in the theme's quiet colour; an empty one when it is not there."""
    path = RESOURCES / "icons" / f"{name}.svg"
    if not path.exists():
        return QIcon()
    source = path.read_text("utf-8").replace("currentColor", Theme.now.quiet)
    pixmap = QPixmap(40, 40)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, 40, 40))
    painter.end()
    return QIcon(pixmap)
