"""The events page: XIDs, lost links and reboots, newest first."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from console.ui.context import Context
from console.ui.parts import TextTable
from console.ui.text import tr

SHOWN = 500


class EventsPage(QWidget):
    """The newest events. Times are the node's clock, as it said them."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self.table = TextTable(
            (tr("Time"), tr("Node"), tr("Card"), tr("Kind"), tr("Source"), tr("Text")), tr("Events"), 5
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 0)
        layout.addWidget(self.table)
        context.events.connect(lambda _: self.refresh())

    def showEvent(self, event: object) -> None:
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Show the newest events."""
        if self.isVisible():
            self.table.show_rows(event_rows(self._context, lambda _event: True))


def event_rows(context: Context, wanted: object) -> list[list[str]]:
    """Events that `wanted(event)` holds for, newest first, as texts."""
    live = context.live
    out: list[list[str]] = []
    for event in reversed(live.events):
        if len(out) >= SHOWN:
            break
        if not wanted(event):  # type: ignore[operator]
            continue
        row = live.entity(event.uuid)
        when = context.local(event.wall_s)
        kind = f"XID {event.code}" if event.kind == "xid" else event.kind.replace("_", " ")
        card = "" if row is None else str(row.entity.index)
        out.append([when.strftime("%Y-%m-%d %H:%M:%S %Z"), event.node, card, kind, event.source, event.text])
    return out
