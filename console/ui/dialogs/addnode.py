"""Add a node: its settings, what works on the way to it, and saving it to the fleet file. Checks run off the Qt thread."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QDialog, QFormLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from console.fleet.fleetfile import FleetError, append_node, node_block, parse_fleet
from console.fleet.model import Node
from console.remote.check import Check
from console.telemetry.messages import AddNode
from console.ui.context import Context
from console.ui.parts import TextTable
from console.ui.text import PlainLabel, tr

_SHAPES = {"ok": "●", "warn": "▲", "fail": "◆", "unknown": "○"}


@dataclass(frozen=True, slots=True)
class Written:
    """The end of writing `node` to the fleet file; `failure` says why it was not."""

    node: Node
    failure: str = ""


class AddNodeDialog(QDialog):
    """Fields of a node, with a live check."""

    def __init__(self, parent: QWidget, context: Context) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("Add a node"))
        self.setMinimumSize(720, 520)
        self._context = context
        self._found: queue.SimpleQueue[Check | Written | None] = queue.SimpleQueue()
        self._rows: list[list[str]] = []
        self._fields = {k: QLineEdit() for k in ("name", "host", "user", "port", "identity", "rack", "region")}
        hints = {
            "name": "gpu07", "host": tr("address, or an alias of your SSH config"), "user": tr("as in your SSH config"),
            "port": "22", "identity": "~/.ssh/id_ed25519", "rack": "r07", "region": "riyadh-1",
        }  # fmt: skip
        titles = {
            "name": tr("Name"), "host": tr("Host"), "user": tr("User"), "port": tr("Port"),
            "identity": tr("Key file"), "rack": tr("Rack"), "region": tr("Region"),
        }  # fmt: skip
        form = QFormLayout()
        form.setSpacing(8)
        for key, edit in self._fields.items():
            edit.setPlaceholderText(hints[key])
            edit.setAccessibleName(titles[key])
            form.addRow(PlainLabel(titles[key], "quiet"), edit)
        self._error = PlainLabel("", "critical").wrapped()
        self.table = TextTable((tr("Step"), tr("Result"), tr("What was found")), tr("Checks"), 2)
        self.check_button = QPushButton(tr("Check"))
        self.save_button = QPushButton(tr("Save and watch"))
        cancel = QPushButton(tr("Cancel"))
        cancel.clicked.connect(self.reject)
        self.check_button.clicked.connect(self.check)
        self.save_button.clicked.connect(self.save)
        self.check_button.setDefault(True)
        for button in (cancel, self.save_button):
            button.setAutoDefault(False)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for button in (cancel, self.check_button, self.save_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 20, 20, 16)
        layout.setSpacing(12)
        layout.addLayout(form)
        layout.addWidget(self._error)
        layout.addWidget(self.table, 1)
        layout.addLayout(buttons)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._drain)

    def node(self) -> Node | None:
        """The node as typed, or None with the error shown."""
        text = {k: e.text().strip() for k, e in self._fields.items()}
        port = text["port"]
        made = Node(
            name=text["name"],
            host=text["host"] or text["name"],
            user=text["user"] or None,
            port=int(port) if port.isdigit() else None,
            identity=text["identity"] or None,
            rack=text["rack"],
            region=text["region"],
        )
        try:
            if port and not port.isdigit():
                raise ValueError(tr("the port is a number"))
            parse_fleet(node_block(made), tr("this node"))
        except FleetError as exc:
            self._error.set_foreign("; ".join(f"{f.key}: {f.text}" for f in exc.faults), 400)
            return None
        except ValueError as exc:
            self._error.set_foreign(str(exc))
            return None
        self._error.setText("")
        return made

    def check(self) -> None:
        """Check the way to the node; results appear as they come."""
        node = self.node()
        if node is None:
            return
        self._rows = []
        self.table.show_rows([])
        self.check_button.setEnabled(False)
        fleet = replace(self._context.console.fleet, nodes=(node,))

        def work() -> None:
            try:
                for found in self._context.console.check(node.name, fleet):
                    self._found.put(found)
            finally:
                self._found.put(None)

        threading.Thread(target=work, name="check", daemon=True).start()
        self._timer.start(100)

    def _drain(self) -> None:
        while not self._found.empty():
            found = self._found.get()
            if isinstance(found, Written):
                self._saved(found)
                return
            if found is None:
                self._timer.stop()
                self.check_button.setEnabled(True)
                return
            text = found.text + (f"  → {found.next_step}" if found.next_step else "")
            self._rows.append([found.name, f"{_SHAPES.get(found.status, '○')} {found.status}", text])
            self.table.show_rows(self._rows)

    def save(self) -> None:
        """Append the node to the fleet file and watch it."""
        node = self.node()
        if node is None:
            return
        path = Path(self._context.console.fleet.path)
        self.save_button.setEnabled(False)

        def work() -> None:
            try:
                append_node(path, node)
            except (FleetError, OSError) as exc:
                self._found.put(Written(node, str(exc)))
            else:
                self._found.put(Written(node))

        threading.Thread(target=work, name="save", daemon=True).start()
        self._timer.start(30)

    def _saved(self, written: Written) -> None:
        if self.check_button.isEnabled():
            self._timer.stop()
        self.save_button.setEnabled(True)
        if written.failure:
            self._error.set_foreign(written.failure, 400)
            return
        self._context.live.send(AddNode(written.node))
        self.accept()
