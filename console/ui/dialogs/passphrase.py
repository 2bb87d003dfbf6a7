"""The passphrase of a key file: asked once, kept in memory only."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QLineEdit, QVBoxLayout, QWidget

from console.fleet.state import Problem
from console.telemetry.messages import Passphrase
from console.ui.context import Context
from console.ui.text import PlainLabel, tr


def ask_passphrase(parent: QWidget, context: Context, problem: Problem) -> None:
    """Ask for the passphrase and hand it to the collector."""
    dialog = QDialog(parent)
    dialog.setWindowTitle(tr("Passphrase"))
    dialog.setMinimumWidth(460)
    layout = QVBoxLayout(dialog)
    layout.setContentsMargins(20, 20, 20, 16)
    layout.setSpacing(12)
    what = PlainLabel("", "heading").wrapped()
    what.set_foreign(problem.what)
    layout.addWidget(what)
    layout.addWidget(PlainLabel(tr("It is kept in memory until the console closes, and written nowhere."), "quiet"))
    edit = QLineEdit()
    edit.setEchoMode(QLineEdit.EchoMode.Password)
    edit.setAccessibleName(tr("Passphrase"))
    layout.addWidget(edit)
    buttons = QDialogButtonBox()
    buttons.addButton(tr("Unlock"), QDialogButtonBox.ButtonRole.AcceptRole)
    buttons.addButton(QDialogButtonBox.StandardButton.Cancel)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    layout.addWidget(buttons)
    edit.setFocus()
    if dialog.exec() == QDialog.DialogCode.Accepted and edit.text():
        context.live.send(Passphrase(problem.facts.get("identity", ""), edit.text()))
    edit.clear()
