"""The nodes page: every node's connection, mode and problem."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QVBoxLayout, QWidget

from console.fleet.model import EntityKind
from console.fleet.show import DASH, duration
from console.ui.context import NODE, Context
from console.ui.marks import link_text
from console.ui.parts import TextTable
from console.ui.text import tr


class NodesPage(QWidget):
    """A table of nodes; Enter or a double click opens one."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        titles = (
            tr("Node"), tr("Link"), tr("Mode"), tr("Cards"), tr("Rack"), tr("Region"), tr("Driver"),
            tr("Clock"), tr("Last line"), tr("Note"),
        )  # fmt: skip
        self.table = TextTable(titles, tr("Nodes"), 9, is_mono=False)
        self.table.cellDoubleClicked.connect(lambda row, _: self._open(row))
        self.table.currentCellChanged.connect(lambda row, *_: self._select(row))
        self.setFocusProxy(self.table)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 0)
        layout.addWidget(self.table)
        context.ticked.connect(self.refresh)
        context.changed.connect(lambda _: self.refresh())

    def open_selected(self) -> None:
        """Go into the node of the current row."""
        self._open(self.table.currentRow())

    def _select(self, row: int) -> None:
        nodes = self._context.live.nodes
        if self.isVisible() and 0 <= row < len(nodes):
            self._context.select(NODE + nodes[row].node.name)

    def _open(self, row: int) -> None:
        nodes = self._context.live.nodes
        if 0 <= row < len(nodes):
            self._context.go.emit("node", nodes[row].node.name)

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self.refresh()
        self.table.setFocus(Qt.FocusReason.OtherFocusReason)

    def refresh(self) -> None:
        """Show the present state of all nodes."""
        if not self.isVisible():
            return
        rows = []
        counts: dict[int, int] = {}
        for e in self._context.live.entities:
            if e.entity.kind is EntityKind.CARD:
                counts[e.node_index] = counts.get(e.node_index, 0) + 1
        for n in self._context.live.nodes:
            hello, c = n.hello, n.counters
            note = n.problem.what if n.problem else (hello.reason if hello else "")
            offset = DASH if c.clock_offset_s is None else f"{c.clock_offset_s:+.2f} s"
            last = DASH if c.last_line_s is None else duration(c.last_line_s)
            rows.append(
                [
                    n.node.name,
                    link_text(n.link),
                    hello.mode if hello else DASH,
                    counts.get(n.index, 0),
                    n.node.rack or DASH,
                    n.node.region or DASH,
                    (hello.versions.get("driver") if hello else "") or DASH,
                    offset,
                    last,
                    note,
                ]
            )
        self.table.show_rows(rows)
