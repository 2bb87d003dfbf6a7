"""Host keys: an unknown one is shown and asked about; a changed one is a red stop without an accept button."""

from __future__ import annotations

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPushButton, QVBoxLayout, QWidget

from console.fleet.state import Problem, ProblemCode
from console.telemetry.messages import Trust
from console.ui.context import Context
from console.ui.parts import Facts
from console.ui.text import PlainLabel, tr
from console.ui.theme import mono


class HostKeyDialog(QDialog):
    """Shows a key problem. `accepted` only ever comes from the Trust button of an unknown key."""

    def __init__(self, parent: QWidget, name: str, problem: Problem) -> None:
        super().__init__(parent)
        is_unknown = problem.code is ProblemCode.KEY_UNKNOWN
        self.setWindowTitle(tr("Unknown host key") if is_unknown else tr("Host key refused"))
        self.setMinimumWidth(620)
        facts = problem.facts
        rows = [
            (tr("Node"), name, ""),
            (tr("Host"), f"{facts.get('host', '')}:{facts.get('port', '')}", ""),
            (tr("Key type"), facts.get("key_type", ""), ""),
            (tr("Fingerprint shown now"), facts.get("fingerprint", ""), ""),
        ]
        if not is_unknown:
            rows.append((tr("Fingerprint known"), facts.get("old_fingerprint", ""), ""))
            rows.append((tr("Known from"), f"{facts.get('old_file', '')} line {facts.get('old_line', '')}", ""))
        shown = Facts()
        shown.show_rows(rows)
        shown.setFont(mono())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(12)
        title = (
            tr("Nobody has vouched for this key yet") if is_unknown else tr("Stop. This is not the key that is known")
        )
        layout.addWidget(PlainLabel(title, "heading" if is_unknown else "critical"))
        layout.addWidget(shown)
        how = (
            tr("On the node's own console run: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub  Trust the key only if the "
               "fingerprints are the same.")
            if is_unknown
            else problem.why + ". " + problem.next_step
        )  # fmt: skip
        text = PlainLabel().wrapped().selectable()
        text.set_foreign(how, 600)
        layout.addWidget(text)
        buttons = QDialogButtonBox()
        cancel = buttons.addButton(tr("Cancel") if is_unknown else tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        self.trust: QPushButton | None = None
        if is_unknown:
            self.trust = buttons.addButton(tr("Trust this key"), QDialogButtonBox.ButtonRole.AcceptRole)
            self.trust.setAutoDefault(False)
        cancel.setDefault(True)
        cancel.setFocus()
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        layout.addWidget(buttons)


def show_key_problem(parent: QWidget, context: Context, name: str, problem: Problem) -> None:
    """Show the key; record it when the person says so."""
    if HostKeyDialog(parent, name, problem).exec() == QDialog.DialogCode.Accepted:
        context.live.send(Trust(name, problem.facts.get("fingerprint", "")))
