"""An act before it is done: what would happen to whom, by which commands, and the word that confirms it.

Enter never confirms: the button is no default, and becomes pressable only when the word is typed and acts are allowed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from console.fleet.show import plain
from console.history.when import parse_end, parse_span
from console.operations.journal import Operation
from console.operations.plan import Asked, Plan
from console.ui.acts import Act
from console.ui.context import Context
from console.ui.desk import with_reason
from console.ui.parts import admin_word
from console.ui.text import PlainLabel, announce, tr
from console.ui.theme import mono

DEADLINES = (("", "wait"), ("30m", "wait"), ("2h", "ask"), ("30m", "force"))
MOST_LINES = 60


class ActDialog(QDialog):
    """One act on some targets.

    Attributes:
        plan: what would happen, None until it is known.
        reason, word: the lines that a person types into.
        button: does it.
        body: what would happen, in words.
        then: hears of the operation when it ended, in whatever state.
    """

    def __init__(
        self, parent: QWidget, context: Context, act: Act, title: str, words: list[str], why: str, more: dict[str, Any]
    ) -> None:
        super().__init__(parent)
        self._context, self._act, self._words, self._more = context, act, words, more
        self.plan: Plan | None = None
        self.then: Callable[[Operation], None] | None = None
        self.setWindowTitle(title)
        self.setMinimumWidth(680)
        self.resize(740, 620)
        self._title = PlainLabel(title, "heading")
        self._head = PlainLabel("", "quiet").wrapped()
        self.reason = QLineEdit(why)
        self.reason.setPlaceholderText(tr("Why? The next person reads it"))
        self._fields: dict[str, QLineEdit | QComboBox] = {}
        self.body = QWidget()
        self._lines = QVBoxLayout(self.body)
        self._lines.setContentsMargins(0, 0, 0, 0)
        self._lines.setSpacing(4)
        self.error = PlainLabel("", "error").wrapped()
        self._ask = PlainLabel("", "quiet")
        self.word = QLineEdit()
        self.word.setAccessibleName(tr("The word that confirms"))
        self.button = QPushButton(tr(act.button))
        self.button.setAutoDefault(False)
        self.button.clicked.connect(self._confirm)
        self._cancel = QPushButton(tr("Cancel"))
        self._cancel.setAutoDefault(False)
        self._cancel.clicked.connect(self.reject)
        self._arm = QPushButton(tr("Allow acts for 15 minutes"))
        self._arm.setAutoDefault(False)
        self._arm.clicked.connect(context.desk.arm)
        self._again = QPushButton(tr("Plan again"))
        self._again.setAutoDefault(False)
        self._again.clicked.connect(self._look)
        self._build()
        self._old = QTimer(self)
        self._old.setInterval(500)
        self._old.timeout.connect(self._refresh)
        self._old.start()
        for line in (self.reason, self.word):
            line.textChanged.connect(lambda _: self._refresh())
        context.desk.armed.connect(self._refresh)
        self.finished.connect(lambda _: self._leave())
        self._look()
        (self._cancel if why else self.reason).setFocus()

    def _build(self) -> None:
        form = QFormLayout()
        form.setSpacing(8)
        form.addRow(tr("Reason"), self.reason)
        for name in self._act.fields:
            widget = self._field(name)
            self._fields[name] = widget
            form.addRow(_FIELD_NAMES()[name], widget)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self.body)
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addWidget(self._arm)
        buttons.addStretch(1)
        for button in (self._again, self._cancel, self.button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.setSpacing(12)
        layout.addWidget(self._title)
        layout.addWidget(self._head)
        layout.addLayout(form)
        layout.addWidget(scroll, 1)
        layout.addWidget(self.error)
        layout.addWidget(self._ask)
        layout.addWidget(self.word)
        layout.addLayout(buttons)
        order = [self.reason, *self._fields.values(), self.word, self.button, self._cancel, self._arm]
        for one, after in itertools.pairwise(order):
            QWidget.setTabOrder(one, after)

    def fill(self, name: str, text: str) -> None:
        """Fill in a field, as a person would type it."""
        line = self._fields[name]
        assert isinstance(line, QLineEdit)
        line.setText(text)

    def _field(self, name: str) -> QLineEdit | QComboBox:
        if name == "deadline":
            box = QComboBox()
            box.addItems([
                tr("Wait as long as it takes"), tr("Wait 30 minutes, then leave it drained and say so"),
                tr("Wait 2 hours, then ask"), tr("Wait 30 minutes, then end what still runs (SIGTERM)"),
            ])  # fmt: skip
            box.currentIndexChanged.connect(lambda _: self._refresh())
            return box
        line = QLineEdit()
        examples = {"tenant": "atlas", "users": "amal, bea", "until": "60d"}
        line.setPlaceholderText(examples[name])
        line.textChanged.connect(lambda _: self._refresh())
        return line

    # Looking

    def _look(self) -> None:
        self.plan = None
        self.error.setText("")
        self._head.setText(tr("Looking at the nodes…"))
        self._refresh()
        more = dict(self._more)
        if self._act.verb == "assign":
            # Whose it shall be is not known yet; what is seen does not depend on it.
            more["tenant"], more["users"] = "?", ("nobody",)
        self._context.desk.plan(
            self._act.verb, self._words, self.reason.text() or "?", self._planned, self._failed, **more
        )

    def _planned(self, plan: Plan) -> None:
        self.plan = plan
        self._show(plan)
        self._refresh()
        if self.word.isEnabled() and self.focusWidget() in (None, self.button, self._cancel):
            self.word.setFocus()

    def _failed(self, why: str) -> None:
        self._head.setText("")
        self.error.set_foreign(why, 600)
        announce(self.error, why)
        self._refresh()

    def _show(self, plan: Plan) -> None:
        while (item := self._lines.takeAt(0)) is not None:
            if item.widget() is not None:
                item.widget().hide()
                item.widget().deleteLater()
        blast = plan.blast
        parts = [tr("%n cards", blast["cards"]), tr("%n nodes", blast["nodes"]), tr("%n processes", blast["processes"])]
        if blast["jobs"]:
            parts.append(tr("%n jobs", blast["jobs"]))
        if blast["tenants"]:
            parts.append(tr("%n tenants", blast["tenants"]))
        self._head.setText(", ".join(parts) if plan.changes else tr("Nothing can be done here."))
        for text, role in told(plan)[:MOST_LINES]:
            label = PlainLabel("", role if role != "mono" else "quiet").wrapped().selectable()
            label.set_foreign(text, 400)
            if role == "mono":
                label.setFont(mono(11))
            self._lines.addWidget(label)
        self._lines.addStretch(1)

    # Confirming

    def asked(self) -> Asked | str:
        """What is asked for with what was typed; a text where something is missing."""
        if self.plan is None:
            return ""
        reason = self.reason.text().strip()
        if not reason:
            return tr("Say why: the next person reads it.")
        asked = replace(self.plan.asked, reason=reason)
        if self._act.verb == "assign":
            asked = replace(
                asked, tenant=self._text("tenant"), users=tuple(self._text("users").replace(",", " ").split())
            )
            if not asked.tenant:
                return tr("Say whose it shall be.")
            try:
                asked = replace(asked, until=_until(self._text("until")))
            except ValueError as exc:
                return str(exc)
        if self._act.verb == "drain":
            box = self._fields["deadline"]
            assert isinstance(box, QComboBox)
            span, then = DEADLINES[box.currentIndex()]
            asked = replace(asked, deadline_s=parse_span(span) if span else None, on_deadline=then)
        return asked

    def _text(self, name: str) -> str:
        line = self._fields[name]
        assert isinstance(line, QLineEdit)
        return line.text().strip()

    def _ready(self) -> Plan | str:
        asked = self.asked()
        if isinstance(asked, str):
            return asked
        assert self.plan is not None
        made = with_reason(self.plan, asked)
        if not made.changes:
            return "; ".join(f"{label}: {why}" for label, why in made.refused) or tr("Nothing can be done here.")
        return made

    def _refresh(self) -> None:
        made = self._ready()
        is_armed = self._context.desk.armed_s > 0.0
        self._arm.setVisible(not is_armed)
        word = made.word if isinstance(made, Plan) else ""
        self.word.setEnabled(bool(word))
        self.word.setVisible(bool(word))
        self._ask.setVisible(bool(word))
        self.word.setPlaceholderText(word)
        self._ask.setText(tr("Type {word} to confirm").format(word=word) if word else "")
        if self.plan is not None and isinstance(made, str):
            # What is left out stands in the lines above already.
            self.error.set_foreign(made if self.plan.changes else "", 600)
        elif isinstance(made, Plan):
            self.error.setText("" if is_armed else tr("Acts are locked: this window only watches."))
        self.button.setEnabled(bool(word) and is_armed and self.word.text().strip() == word)

    def _confirm(self) -> None:
        made = self._ready()
        if not isinstance(made, Plan) or not self.button.isEnabled():
            return
        context, title = self._context, self._title.text()
        then = self.then

        def ended(operation: Operation) -> None:
            context.said.emit(f"{title}: {operation.state}")
            if then is not None:
                then(operation)

        context.desk.carry_out(
            made,
            ended,
            lambda why: context.desk.failed.emit(f"{title}: {why}"),
        )
        context.said.emit(tr("{act} is under way; F6 shows its steps").format(act=title))
        self.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            focus = self.focusWidget()
            if focus is self.reason or focus in self._fields.values():
                self.focusNextChild()
            elif isinstance(focus, QPushButton) and focus is not self.button:
                focus.click()
            return
        super().keyPressEvent(event)

    def _leave(self) -> None:
        self._old.stop()
        self._context.desk.armed.disconnect(self._refresh)


def told(plan: Plan) -> list[tuple[str, str]]:
    """(line, role of its label) of a plan: warnings first, then target by target."""
    out: list[tuple[str, str]] = [(f"▲ {w}", "warning") for w in plan.warnings]
    if plan.left and plan.changes:
        out.append((plan.left, "quiet"))
    for change in plan.changes:
        after, before = admin_word(change.after.admin), admin_word(change.before.admin)
        state = f"{before} → {after}" if before != after else before
        out.append((f"{change.view.label}:  {state}", ""))
        out.append((change.effect, "quiet"))
        for work in change.view.work[:6]:
            job = f" · job {work.job}" if work.job else ""
            out.append((f"runs: {work.pid} {work.user or '?'} · {plain(work.command, 80)}{job}", "quiet"))
        if len(change.view.work) > 6:
            out.append((tr("… and %n more processes", len(change.view.work) - 6), "quiet"))
        out += [(f"$ {command}", "mono") for command in change.commands]
    out += [(f"✕ {label}: {why}", "notice") for label, why in plan.refused]
    return out


def _FIELD_NAMES() -> dict[str, str]:
    return {
        "tenant": tr("Tenant"),
        "users": tr("Logins that may run there"),
        "until": tr("Until"),
        "deadline": tr("Running work"),
    }


def _until(text: str) -> float | None:
    """The unix second of "60d", a date or a time; None for nothing."""
    if not text:
        return None
    at = parse_end(text, datetime.now().astimezone())
    if at <= time.time():
        raise ValueError(tr("That is past."))
    return at
