"""Commands over what was done: operations, undoing and adopting them, the audit log, the rights that enforcement needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from console.acting import open_operations, told_operation
from console.app import Console, ConsoleError, person
from console.historic import moment
from console.operations.door import Declined, NotSent, Unsure
from console.operations.journal import OPEN, Journal, JournalError, Operation, OpState
from console.operations.recovery import reconcile
from console.operations.states import Refusal
from console.registry import Danger, registry

SUDOERS = """# /etc/sudoers.d/cardkeeper: the five verbs of /usr/local/sbin/cardkeeper-node, and nothing else.
# Install the helper first, owned by root, mode 0755; check this file with: visudo -cf /etc/sudoers.d/cardkeeper
{user} ALL=(root) NOPASSWD: /usr/local/sbin/cardkeeper-node
Defaults!/usr/local/sbin/cardkeeper-node !requiretty, env_reset
"""


def open_journal(console: Console) -> Journal:
    """The journal of this workstation.

    Raises:
        ConsoleError: it cannot be had.
    """
    try:
        return Journal(console.config.history_folder)
    except JournalError as exc:
        raise ConsoleError(str(exc)) from exc


def _nodes(console: Console, operation: str) -> list[str]:
    """The nodes of an operation."""
    journal = open_journal(console)
    try:
        return list(_found(journal, operation).targets)
    finally:
        journal.close()


def _found(journal: Journal, operation: str) -> Operation:
    try:
        return journal.operation(operation)
    except KeyError:
        raise ConsoleError(f"there is no operation {operation}; see: cardkeeper operations list") from None


@registry.command("operations.list", "List operations", reads=False)
def operations_list(console: Console, *, open: bool = False) -> list[dict[str, Any]]:
    """Operations of this workstation, newest first.

    Args:
        open: only those that are not finished
    """
    journal = open_journal(console)
    try:
        return [told_operation(o, journal) for o in journal.operations(OPEN if open else ())]
    finally:
        journal.close()


@registry.command("operations.show", "Show an operation", reads=False)
def operations_show(console: Console, operation: str) -> dict[str, Any]:
    """One operation with its steps and their evidence.

    Args:
        operation: its id, or how it begins
    """
    journal = open_journal(console)
    try:
        return told_operation(_found(journal, operation), journal)
    finally:
        journal.close()


@registry.command("operations.resume", "Go on with an operation", danger=Danger.NODE, connects=True)
def operations_resume(console: Console, operation: str, *, yes: bool = False) -> dict[str, Any]:
    """Look at what became of its steps; with --yes do what is left of it, and prove whether a drain's work is over.

    Args:
        operation: its id, or how it begins
        yes: go on with it without asking
    """
    operations = open_operations(console, _nodes(console, operation))
    try:
        found = _found(operations.journal, operation)
        if not yes:
            state = reconcile(operations.steps, found)
            told = told_operation(_found(operations.journal, found.id), operations.journal)
            is_over = state in (OpState.DONE, OpState.UNDONE)
            return {"operation": told, "done": False, "confirm": None if is_over else found.id[:4]}
        found = operations.resume(found)
        waiting = operations.prove(found) if found.state is OpState.WAITING else ""
        told = told_operation(_found(operations.journal, found.id), operations.journal)
        return {"operation": told, "waiting": waiting or None, "done": True}
    except (Refusal, JournalError, NotSent, Unsure, Declined) as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        operations.close()


@registry.command("operations.undo", "Undo an operation", danger=Danger.NODE, connects=True)
def operations_undo(console: Console, operation: str, *, yes: bool = False) -> dict[str, Any]:
    """Put back what a drain or an assignment changed, on every node it touched.

    Args:
        operation: its id, or how it begins
        yes: do it without asking
    """
    operations = open_operations(console, _nodes(console, operation))
    try:
        found = _found(operations.journal, operation)
        if not yes:
            return {"operation": told_operation(found, operations.journal), "done": False, "confirm": found.id[:4]}
        failures = operations.undo(found)
        if failures:
            why = "; ".join(f"{n}: {w}" for n, w in failures.items())
            raise ConsoleError(f"not everything was undone: {why}\nnext: cardkeeper operations undo {found.id}")
        return {"operation": told_operation(_found(operations.journal, found.id), operations.journal), "done": True}
    except (Refusal, JournalError) as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        operations.close()


@registry.command("operations.adopt", "Take over stranded holds", danger=Danger.NODE, connects=True)
def operations_adopt(console: Console, operation: str, *, yes: bool = False) -> dict[str, Any]:
    """Make the holds of an operation whose console is gone your own, so that you can lift them.

    Args:
        operation: its full id, as `holds` shows it
        yes: do it without asking
    """
    operations = open_operations(console, [])
    try:
        if not yes:
            return {"done": False, "confirm": operation[:4], "adopts": operation}
        return {"adopted": operations.adopt(operation), "done": True}
    except (Refusal, JournalError, NotSent, Unsure, Declined) as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        operations.close()


@registry.command("operations.reset-breaker", "Reset the breaker", danger=Danger.LOCAL, reads=False)
def reset_breaker(console: Console) -> dict[str, Any]:
    """Allow acts again after the breaker stopped them, once you have looked at what happens there."""
    journal = open_journal(console)
    try:
        groups = journal.reset_breaker(person())
    finally:
        journal.close()
    return {"reset": groups}


@registry.command("audit.show", "Show the audit log", reads=False, streams=True)
def audit_show(console: Console, *, since: str | None = None) -> Iterator[dict[str, Any]]:
    """Every intent and outcome, oldest first.

    Args:
        since: only from then on
    """
    at = 0.0
    if since is not None:
        at = moment(since, "since")
    journal = open_journal(console)
    try:
        for row in journal.audit_rows():
            if row.body["at"] >= at:
                yield {"seq": row.seq, "hash": row.hash, **row.body}
    finally:
        journal.close()


@registry.command("audit.verify", "Verify the audit log", reads=False)
def audit_verify(console: Console, *, against: str | None = None) -> dict[str, Any]:
    """Recompute the chain of hashes; a row that was changed, taken out or put in is found.

    Rows cut off the end are found by the newest hash known elsewhere: card books keep it ("head"), exports end with it.

    Args:
        against: a hash that must occur in the log
    """
    journal = open_journal(console)
    try:
        verdict = journal.verify({"the hash given": against} if against else None)
    finally:
        journal.close()
    if verdict.fault:
        raise ConsoleError(f"the audit log is broken: {verdict.fault}; {verdict.rows} rows before it are good")
    return {"rows": verdict.rows, "head": verdict.head, "good": True}


@registry.command("audit.export", "Export the audit log", danger=Danger.LOCAL, reads=False)
def audit_export(console: Console, file: str) -> dict[str, Any]:
    """Write the audit log as NDJSON with its hashes, so that others can verify it.

    Args:
        file: the file to write; it must not exist
    """
    path = Path(file)
    journal = open_journal(console)
    try:
        rows = journal.audit_rows()
    finally:
        journal.close()
    try:
        with path.open("x", encoding="utf-8") as out:
            for row in rows:
                out.write(json.dumps({"seq": row.seq, "prev": row.prev, "hash": row.hash, "body": row.body}) + "\n")
    except FileExistsError:
        raise ConsoleError(f"{path} exists; nothing was written") from None
    return {"written": str(path), "rows": len(rows)}


@registry.command("sudoers", "Print the rights that enforcement needs", reads=False)
def sudoers(console: Console, *, user: str = "ops") -> dict[str, Any]:
    """The exact sudoers line, and the helper it names, for nodes on which the login is not root.

    Args:
        user: the login on the nodes
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user):
        raise ConsoleError(f"--user: {user!r} is not a login name")
    helper = Path(__file__).resolve().parent.parent / "resources" / "cardkeeper-node"
    return {
        "sudoers": SUDOERS.format(user=user),
        "helper": helper.read_text("utf-8"),
        "path": "/usr/local/sbin/cardkeeper-node",
    }
