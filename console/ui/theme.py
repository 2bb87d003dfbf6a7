"""Colours, type and spacing as tokens, and the style sheet made of them. Dark and light."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication


@dataclass(frozen=True, slots=True)
class Tokens:
    """One theme's colours. The ramp runs from little to much and is even in lightness."""

    name: str
    ground: str
    raised: str
    line: str
    text: str
    quiet: str
    faint: str
    accent: str
    notice: str
    warning: str
    critical: str
    ramp: tuple[str, str]
    curves: tuple[str, ...]


DARK = Tokens(
    "dark",
    "#15181c",
    "#1c2026",
    "#2c323a",
    "#dfe3e8",
    "#98a2ad",
    "#7d8793",
    "#5aa9e6",
    "#d9b44a",
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
    "#8a6a00",
    "#b55400",
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
        app.setFont(font)
        app.setStyleSheet(style_sheet(tokens))


def mono(size: int = 12) -> QFont:
    """The font of ids, commands and logs."""
    font = QFont(["DejaVu Sans Mono", "Menlo", "Consolas", "monospace"])
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setPixelSize(size)
    return font


def style_sheet(t: Tokens) -> str:
    """The application's style sheet."""
    selected = "#24384a" if t.name == "dark" else "#dbe9f5"
    return f"""
    QMainWindow, QDialog {{ background: {t.ground}; }}
    QLabel[role="quiet"] {{ color: {t.quiet}; }}
    QLabel[role="faint"] {{ color: {t.faint}; font-size: 11px; }}
    QLabel[role="label"] {{ color: {t.quiet}; font-size: 11px; }}
    QLabel[role="title"] {{ font-size: 20px; font-weight: 600; }}
    QLabel[role="heading"] {{ font-size: 16px; font-weight: 600; }}
    QLabel[role="section"] {{ color: {t.quiet}; font-size: 11px; font-weight: 600; }}
    QLabel[role="critical"] {{ color: {t.critical}; font-weight: 600; }}
    QLabel[role="warning"] {{ color: {t.warning}; font-weight: 600; }}
    QLabel[role="notice"] {{ color: {t.notice}; }}
    #header {{ background: {t.raised}; border-bottom: 1px solid {t.line}; }}
    #header[mode="demo"] {{ border-bottom: 2px dashed {t.accent}; }}
    #rail {{ background: {t.raised}; border-right: 1px solid {t.line}; }}
    #rail QToolButton {{ border: none; border-radius: 6px; padding: 8px 4px; color: {t.quiet}; font-size: 11px; }}
    #rail QToolButton:hover {{ background: {t.line}; }}
    #rail QToolButton:checked {{ background: {selected}; color: {t.text}; }}
    #inspector {{ background: {t.raised}; border-left: 1px solid {t.line}; }}
    #panel {{ background: {t.raised}; border: 1px solid {t.line}; border-radius: 6px; }}
    #bar {{ background: {t.ground}; border-bottom: 1px solid {t.line}; }}
    QLineEdit, QComboBox, QSpinBox {{ background: {t.raised}; border: 1px solid {t.line}; border-radius: 6px;
        padding: 4px 8px; selection-background-color: {t.accent}; }}
    QComboBox::drop-down {{ border: none; width: 22px; }}
    QLineEdit:focus, QComboBox:focus {{ border: 1px solid {t.accent}; }}
    QLineEdit[bad="true"] {{ border: 1px solid {t.critical}; }}
    QPushButton, QToolButton[chip="true"] {{ background: {t.raised}; border: 1px solid {t.line}; border-radius: 6px;
        padding: 5px 12px; }}
    QPushButton:hover, QToolButton[chip="true"]:hover {{ border-color: {t.quiet}; }}
    QPushButton:focus {{ border: 1px solid {t.accent}; }}
    QToolButton[chip="true"]:checked {{ background: {selected}; border-color: {t.accent}; }}
    QToolButton[chip="true"] {{ padding: 3px 10px; }}
    QTableView, QListView {{ background: {t.ground}; border: none; gridline-color: {t.line};
        selection-background-color: {selected}; selection-color: {t.text}; outline: none; }}
    QTableView::item:selected {{ background: {selected}; color: {t.text}; }}
    QHeaderView::section {{ background: {t.ground}; color: {t.quiet}; border: none; font-size: 11px;
        border-bottom: 1px solid {t.line}; padding: 4px 8px; }}
    QScrollArea {{ border: none; background: transparent; }}
    QScrollArea > QWidget > QWidget {{ background: transparent; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; }}
    QScrollBar::handle {{ background: {t.line}; border-radius: 4px; min-height: 24px; min-width: 24px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
    QToolTip {{ background: {t.raised}; color: {t.text}; border: 1px solid {t.line}; padding: 4px; }}
    """
