"""The style sheet, made of one theme's tokens. Spacing in steps of 4 px, one radius, hairlines, no gradients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESOURCES = Path(__file__).resolve().parent.parent.parent / "resources"
ICONS = RESOURCES / "icons"


@dataclass(frozen=True, slots=True)
class Tokens:
    """One theme's colours. The ramp runs from little to much; `theme.ramp` makes it even in lightness."""

    name: str
    ground: str
    raised: str
    line: str
    text: str
    quiet: str
    faint: str
    accent: str
    selected: str
    notice: str
    warning: str
    critical: str
    ramp: tuple[str, str]
    curves: tuple[str, ...]


def style_sheet(t: Tokens) -> str:
    """The application's style sheet."""
    return _text(t) + _frame(t) + _controls(t) + _lists(t)


def _text(t: Tokens) -> str:
    return f"""
    QLabel[role="quiet"] {{ color: {t.quiet}; }}
    QLabel[role="faint"] {{ color: {t.faint}; font-size: 11px; }}
    QLabel[role="label"] {{ color: {t.quiet}; font-size: 11px; }}
    QLabel[role="title"] {{ font-size: 20px; font-weight: 600; }}
    QLabel[role="heading"] {{ font-size: 16px; font-weight: 600; }}
    QLabel[role="section"] {{ color: {t.quiet}; font-size: 11px; font-weight: 600; }}
    QLabel[role="critical"] {{ color: {t.critical}; font-weight: 600; }}
    QLabel[role="warning"] {{ color: {t.warning}; font-weight: 600; }}
    QLabel[role="notice"] {{ color: {t.notice}; font-weight: 600; }}
    QLabel[role="fault"] {{ color: {t.critical}; font-size: 16px; font-weight: 600; }}
    QLabel[role="error"] {{ color: {t.critical}; font-size: 11px; }}
    QLabel[role="badge"] {{ color: {t.accent}; border: 1px solid {t.accent}; border-radius: 4px; font-size: 11px;
        font-weight: 600; padding: 0 6px; }}
    """


def _frame(t: Tokens) -> str:
    return f"""
    QMainWindow, QDialog {{ background: {t.ground}; }}
    #header {{ background: {t.raised}; border-bottom: 1px solid {t.line}; }}
    #header[mode="demo"] {{ border-bottom: 2px dashed {t.accent}; }}
    #header[mode="past"] {{ border-bottom: 2px solid {t.notice}; }}
    #header[mode="past"] QLabel[role="badge"] {{ color: {t.notice}; border-color: {t.notice}; }}
    #header[mode="armed"] {{ border-bottom: 2px solid {t.warning}; }}
    #timebar {{ background: {t.raised}; border: none; border-top: 1px solid {t.line}; }}
    #divider {{ color: {t.line}; }}
    #rail {{ background: {t.raised}; border: none; border-right: 1px solid {t.line}; }}
    #rail QToolButton {{ border: 1px solid transparent; border-radius: 6px; padding: 6px 2px; color: {t.quiet};
        font-size: 11px; }}
    #rail QToolButton:hover {{ background: {t.line}; }}
    #rail QToolButton:checked {{ background: {t.selected}; color: {t.text}; }}
    #rail QToolButton:focus {{ border-color: {t.accent}; }}
    #inspector {{ background: {t.raised}; border: none; border-left: 1px solid {t.line}; }}
    #panel {{ background: {t.raised}; border: 1px solid {t.line}; border-radius: 6px; }}
    #bar {{ background: {t.ground}; border: none; border-bottom: 1px solid {t.line}; }}
    #status {{ background: {t.ground}; border: none; border-top: 1px solid {t.line}; }}
    QToolTip {{ background: {t.raised}; color: {t.text}; border: 1px solid {t.line}; padding: 4px; }}
    """


def _controls(t: Tokens) -> str:
    chevron = (ICONS / f"chevron-{t.name}.svg").as_posix()
    return f"""
    QLineEdit, QComboBox, QSpinBox {{ background: {t.raised}; border: 1px solid {t.line}; border-radius: 6px;
        padding: 4px 8px; selection-background-color: {t.accent}; }}
    QLineEdit:focus, QComboBox:focus, QSpinBox:focus {{ border: 1px solid {t.accent}; }}
    QLineEdit[bad="true"] {{ border: 1px solid {t.critical}; }}
    QSpinBox QLineEdit {{ border: none; background: transparent; padding: 0 2px; }}
    QSpinBox::up-button, QSpinBox::down-button {{ width: 0; height: 0; border: none; }}
    QComboBox::drop-down {{ border: none; width: 24px; }}
    QComboBox::down-arrow {{ image: url("{chevron}"); width: 16px; height: 16px; }}
    QComboBox QAbstractItemView {{ background: {t.raised}; border: 1px solid {t.line}; padding: 4px;
        selection-background-color: {t.selected}; selection-color: {t.text}; }}
    QPushButton, QToolButton[chip="true"] {{ background: {t.raised}; border: 1px solid {t.line}; border-radius: 6px;
        padding: 5px 12px; }}
    QPushButton:hover, QToolButton[chip="true"]:hover {{ border-color: {t.quiet}; }}
    QPushButton:focus, QToolButton[chip="true"]:focus {{ border: 1px solid {t.accent}; }}
    QPushButton:disabled {{ color: {t.faint}; }}
    QToolButton[chip="true"] {{ padding: 4px 10px; }}
    QToolButton[chip="true"]:checked {{ background: {t.selected}; border-color: {t.accent}; }}
    QToolButton[chip="flat"] {{ background: transparent; border: 1px solid transparent; border-radius: 6px;
        padding: 3px 8px; }}
    QToolButton[chip="flat"]:hover {{ background: {t.line}; }}
    QToolButton[chip="flat"]:focus {{ border-color: {t.accent}; }}
    QToolButton[tone="critical"] {{ color: {t.critical}; font-weight: 600; }}
    QToolButton[tone="warning"] {{ color: {t.warning}; font-weight: 600; }}
    QMenu {{ background: {t.raised}; border: 1px solid {t.line}; padding: 4px; }}
    QMenu::item {{ padding: 5px 24px 5px 12px; border-radius: 4px; }}
    QMenu::item:selected {{ background: {t.selected}; color: {t.text}; }}
    QMenu::item:disabled {{ color: {t.quiet}; }}
    QMenu::separator {{ height: 1px; background: {t.line}; margin: 4px 8px; }}
    QToolButton[field="true"] {{ background: {t.ground}; border: 1px solid {t.line}; border-radius: 6px;
        padding: 4px 10px; color: {t.quiet}; }}
    QToolButton[field="true"]:hover {{ border-color: {t.quiet}; }}
    QToolButton[field="true"]:focus {{ border-color: {t.accent}; }}
    """


def _lists(t: Tokens) -> str:
    return f"""
    QTableView, QListView {{ background: {t.ground}; border: none; gridline-color: {t.line};
        selection-background-color: {t.selected}; selection-color: {t.text}; outline: none; }}
    QTableView::item {{ padding: 0 8px; }}
    QTableView::item:selected {{ background: {t.selected}; color: {t.text}; }}
    #panel QTableView, #inspector QTableView {{ background: {t.raised}; }}
    #panel QHeaderView::section, #inspector QHeaderView::section {{ background: {t.raised}; }}
    QHeaderView {{ background: transparent; border: none; }}
    QHeaderView::section {{ background: {t.ground}; color: {t.quiet}; border: none; font-size: 11px;
        border-bottom: 1px solid {t.line}; padding: 4px 11px; }}
    QHeaderView::down-arrow, QHeaderView::up-arrow {{ width: 8px; height: 8px; }}
    QScrollArea {{ border: none; background: transparent; }}
    QScrollArea > QWidget > QWidget {{ background: transparent; }}
    QScrollBar:vertical {{ background: transparent; width: 10px; }}
    QScrollBar:horizontal {{ background: transparent; height: 10px; }}
    QScrollBar::handle {{ background: {t.line}; border-radius: 4px; min-height: 24px; min-width: 24px; }}
    QScrollBar::handle:hover {{ background: {t.faint}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ height: 0; width: 0; }}
    """
