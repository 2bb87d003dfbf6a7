"""A row of widgets in which the less important give way when there is no room, instead of widening the window."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSize
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget


class Bar(QFrame):
    """Put widgets into `row`; name in `give_way` those that may go, the first to go first.

    A widget that its owner hides with `set_wanted(widget, False)` stays hidden; the others come back with the room.
    """

    def __init__(self) -> None:
        super().__init__()
        self.row = QHBoxLayout(self)
        self._going: tuple[QWidget, ...] = ()
        self._unwanted: set[QWidget] = set()
        self._is_fitting = False

    def give_way(self, widgets: Sequence[QWidget]) -> None:
        """These may be hidden where there is no room, the first of them first."""
        self._going = tuple(widgets)
        self._fit()

    def set_wanted(self, widget: QWidget, wanted: bool) -> None:
        """Whether `widget` is to be shown where there is room."""
        if (widget not in self._unwanted) != wanted:
            (self._unwanted.discard if wanted else self._unwanted.add)(widget)
            widget.setVisible(wanted)
            self._fit()

    def minimumSizeHint(self) -> QSize:
        needed = super().minimumSizeHint()
        gone = sum(w.minimumSizeHint().width() + self.row.spacing() for w in self._going if not w.isHidden())
        return QSize(max(0, needed.width() - gone), needed.height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def event(self, event: QEvent) -> bool:
        done = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            self._fit()
        return done

    def _fit(self) -> None:
        """Only what changes is touched: showing and hiding asks for a layout, which asks for this again."""
        if self._is_fitting:
            return
        self._is_fitting = True
        try:
            room = self.width() - self.row.contentsMargins().left() - self.row.contentsMargins().right()
            gone = set(self._unwanted)
            for widget in self._going:
                if self._needed(gone) <= room:
                    break
                gone.add(widget)
            for widget in (*self._unwanted, *self._going):
                if widget.isHidden() != (widget in gone):
                    widget.setVisible(widget not in gone)
        finally:
            self._is_fitting = False

    def _needed(self, gone: set[QWidget]) -> int:
        total = 0
        for i in range(self.row.count()):
            item = self.row.itemAt(i)
            widget = item.widget()
            if widget is None:
                total += item.minimumSize().width()
            elif widget not in gone and (not widget.isHidden() or widget in self._going):
                total += max(widget.minimumWidth(), widget.minimumSizeHint().width()) + self.row.spacing()
        return total
