"""Icons: simple strokes in SVG, tinted with the theme's colours; and conditions as icons."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from console.fleet.condition import Condition
from console.ui.marks import draw_condition
from console.ui.style import ICONS
from console.ui.theme import Theme

_SIDES = (20, 40, 60)
"""Drawn at 100, 200 and 300 %."""


def icon(name: str) -> QIcon:
    """The icon of resources/icons/NAME.svg: quiet as it is, in the text's colour when it is switched on.

    Raises:
        OSError: there is no such file; the release lacks a part.
    """
    made = QIcon()
    for state, colour in ((QIcon.State.Off, Theme.now.quiet), (QIcon.State.On, Theme.now.text)):
        for side in _SIDES:
            made.addPixmap(_drawn(name, colour, side), QIcon.Mode.Normal, state)
    return made


def app_icon() -> QIcon:
    """The program's own icon."""
    made = QIcon()
    for side in (16, 24, 32, 48, 64, 128, 256):
        made.addPixmap(_drawn("cardkeeper", "", side))
    return made


@lru_cache(maxsize=256)
def _drawn(name: str, colour: str, side: int) -> QPixmap:
    source = (ICONS / f"{name}.svg").read_text("utf-8").replace("currentColor", colour)
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, side, side))
    painter.end()
    return pixmap


def condition_icon(condition: Condition) -> QIcon:
    """The shape of a condition."""
    made = QIcon()
    for side in _SIDES:
        pixmap = QPixmap(side, side)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        inset = side * 0.12
        draw_condition(painter, condition, QRectF(inset, inset, side - 2 * inset, side - 2 * inset))
        painter.end()
        made.addPixmap(pixmap)
    return made
