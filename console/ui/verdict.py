"""The verdict on a card or node, on its page: what, how wide, who is hurt, what changed, what to do."""

from __future__ import annotations

from PySide6.QtWidgets import QVBoxLayout, QWidget

from console.health.verdict import Verdict, concerns
from console.past import PastFleet
from console.ui.context import Context
from console.ui.parts import Lines, Panel
from console.ui.text import PlainLabel, tr

MOST_LINES = 4


class VerdictPanel(QWidget):
    """One verdict. Hidden while nothing is found."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._context = context
        self._shown: tuple[object, ...] = ()
        self.summary = PlainLabel("", "heading").wrapped().selectable()
        self.do = PlainLabel("", "warning").wrapped().selectable()
        self.rest = Lines()
        panel = Panel(tr("Verdict"))
        panel.body.addWidget(self.summary)
        panel.body.addWidget(self.do)
        panel.body.addWidget(self.rest)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(panel)
        self.hide()

    def show_for(self, node: str, card: str = "") -> None:
        """Show what is found of a card, or of a whole node."""
        checkup = self._context.rows.shown_checkup
        if checkup.facts is None:
            return
        mine = tuple(c for c in checkup.examiner.causes if concerns(c, node, card))
        key = (node, card, mine, isinstance(self._context.live, PastFleet))
        if key == self._shown:
            return
        self._shown = key
        self.setVisible(bool(mine))
        if mine:
            self._show(checkup.verdict(self._context.live, card or node))

    def _show(self, found: Verdict) -> None:
        self.summary.set_foreign(found.summary, 300)
        confidence = {"high": tr("confidence high"), "medium": tr("confidence medium"), "low": tr("confidence low")}
        self.do.set_foreign(f"{found.do}  ({found.action}, {confidence[found.confidence]})", 400)
        self.rest.show_lines(f"{title}  {text}" for title, texts in self._parts(found) for text in texts)

    def _parts(self, found: Verdict) -> list[tuple[str, list[str]]]:
        changed = [f"{self._context.local(at):%H:%M:%S} {text}" for at, text in found.changed[:MOST_LINES]]
        return [
            (tr("Evidence:"), list(found.evidence[:MOST_LINES])),
            (tr("How wide:"), ["; ".join(found.wide)] if found.wide else []),
            (tr("Who is hurt:"), ["; ".join(found.hurt[:MOST_LINES])] if found.hurt else []),
            (tr("What changed:"), changed),
            (tr("Or else:"), [found.runner_up] if found.runner_up else []),
            (tr("Mind:"), [found.will_not_fix] if found.will_not_fix else []),
            (tr("Source:"), [found.source]),
        ]
