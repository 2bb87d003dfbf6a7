"""The lines of an invoice as a table that holds no cell: ten thousand open as soon as ten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from console.fleet.show import plain

WIDTHS = (0, 110, 130, 90, 110, 120)
_Index = QModelIndex | QPersistentModelIndex


class _Lines(QAbstractTableModel):
    def __init__(self, titles: Sequence[str]) -> None:
        super().__init__()
        self._titles = list(titles)
        self.rows: Sequence[Sequence[str]] = ()

    def rowCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        """How many lines."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: _Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        """How many columns."""
        return 0 if parent.isValid() else len(self._titles)

    def data(self, index: _Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell's text; money and amounts to the right."""
        if role == Qt.ItemDataRole.DisplayRole:
            return plain(self.rows[index.row()][index.column()], 300)
        if role == Qt.ItemDataRole.TextAlignmentRole and index.column() in (2, 4, 5):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A column's title."""
        if orientation is Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return self._titles[section]
        return None


class LinesTable(QTableView):
    """Lines of one invoice."""

    def __init__(self, titles: Sequence[str], name: str) -> None:
        super().__init__()
        self._lines = _Lines(titles)
        self.setModel(self._lines)
        self.setAccessibleName(name)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(24)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for i, width in enumerate(WIDTHS[1:], 1):
            header.resizeSection(i, width)

    def show_rows(self, rows: Sequence[Sequence[str]]) -> None:
        """Show these lines."""
        if rows is not self._lines.rows:
            self._lines.beginResetModel()
            self._lines.rows = rows
            self._lines.endResetModel()

    def texts(self) -> list[list[str]]:
        """What is shown, for tests and for copying."""
        return [list(r) for r in self._lines.rows]
