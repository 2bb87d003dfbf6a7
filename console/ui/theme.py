"""Colours, type and spacing as tokens, and the style sheet made of them. Dark and light."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from console.ui.style import Tokens, style_sheet

DARK = Tokens(
    "dark",
    "#15181c",
    "#1c2026",
    "#2c323a",
    "#dfe3e8",
    "#98a2ad",
    "#838d99",
    "#5aa9e6",
    "#24384a",
    "#e8cc66",
    "#f08c3a",
    "#f2545b",
    ("#23303c", "#8fd0ff"),
    ("#6fb7f0", "#b7c0ca", "#4b8fc4", "#8a939e", "#a9d6f7", "#5d6772", "#3d6f99", "#d5dbe1"),
)
LIGHT = Tokens(
    "light",
    "#f7f8f9",
    "#ffffff",
    "#d9dde2",
    "#1d2329",
    "#57616c",
    "#66707b",
    "#1769aa",
    "#dbe9f5",
    "#665200",
    "#b85600",
    "#c0212b",
    ("#dde7f0", "#0f5a94"),
    ("#1769aa", "#6b7680", "#4c8fc2", "#9aa3ac", "#0d3f68", "#b3bac1", "#7fb0d6", "#3a444e"),
)


class Theme:
    """The theme in force; `Theme.now` is read by every painter."""

    now: Tokens = DARK

    @staticmethod
    def preferred() -> Tokens:
        """What the desktop asks for; dark where it says nothing."""
        scheme = QGuiApplication.styleHints().colorScheme()
        return LIGHT if scheme == Qt.ColorScheme.Light else DARK

    @classmethod
    def chosen(cls, name: str) -> Tokens:
        """The theme of that name; "" is what the desktop asks for."""
        return {"dark": DARK, "light": LIGHT}.get(name) or cls.preferred()

    @classmethod
    def apply(cls, app: QApplication, tokens: Tokens) -> None:
        """Dress the whole application."""
        cls.now = tokens
        palette = QPalette()
        roles = {
            QPalette.ColorRole.Window: tokens.ground,
            QPalette.ColorRole.Base: tokens.raised,
            QPalette.ColorRole.AlternateBase: tokens.ground,
            QPalette.ColorRole.Button: tokens.raised,
            QPalette.ColorRole.Text: tokens.text,
            QPalette.ColorRole.WindowText: tokens.text,
            QPalette.ColorRole.ButtonText: tokens.text,
            QPalette.ColorRole.BrightText: tokens.text,
            QPalette.ColorRole.ToolTipBase: tokens.raised,
            QPalette.ColorRole.ToolTipText: tokens.text,
            QPalette.ColorRole.PlaceholderText: tokens.faint,
            QPalette.ColorRole.Highlight: tokens.accent,
            QPalette.ColorRole.HighlightedText: tokens.ground,
            QPalette.ColorRole.Mid: tokens.line,
            QPalette.ColorRole.Midlight: tokens.line,
            QPalette.ColorRole.Dark: tokens.line,
            QPalette.ColorRole.Light: tokens.raised,
            QPalette.ColorRole.Link: tokens.accent,
        }
        for role, colour in roles.items():
            palette.setColor(role, QColor(colour))
        for role in (QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText, QPalette.ColorRole.WindowText):
            palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(tokens.faint))
        app.setPalette(palette)
        font = app.font()
        font.setPixelSize(13)
        # Columns of changing numbers must not shiver.
        font.setFeature(QFont.Tag("tnum"), 1)
        app.setFont(font)
        app.setStyleSheet(style_sheet(tokens))


RAMP_STEPS = 256


@lru_cache(maxsize=4)
def ramp(tokens: Tokens) -> tuple[int, ...]:
    """RAMP_STEPS opaque ARGB colours from little to much, even in perceived lightness (OKLab)."""
    low, high = (_to_oklab(QColor(end)) for end in tokens.ramp)
    steps = []
    for i in range(RAMP_STEPS):
        share = i / (RAMP_STEPS - 1)
        steps.append(_from_oklab(*(a + (b - a) * share for a, b in zip(low, high, strict=True))))
    return tuple(steps)


def _to_oklab(colour: QColor) -> tuple[float, float, float]:
    r, g, b = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (colour.redF(), colour.greenF(), colour.blueF())
    )
    long = (0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b) ** (1 / 3)
    middle = (0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b) ** (1 / 3)
    short = (0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * middle - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * middle + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * middle - 0.8086757660 * short,
    )


def _from_oklab(lightness: float, a: float, b: float) -> int:
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
    )
    encoded = (12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in (max(0.0, c) for c in linear))
    red, green, blue = (round(255 * min(1.0, c)) for c in encoded)
    return 0xFF000000 | red << 16 | green << 8 | blue


def mono(size: int = 12) -> QFont:
    """The font of ids, commands and logs."""
    font = QFont(["DejaVu Sans Mono", "Menlo", "Consolas", "monospace"])
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPixelSize(size)
    return font
