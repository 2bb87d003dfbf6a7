"""Commands that act on what is out of service: return, verify, maintenance, reset, reboot; and the holds that stand."""

from __future__ import annotations

from typing import Any

from console.acting import act, open_operations
from console.app import Console, ConsoleError
from console.operations.journal import JournalError
from console.operations.states import Refusal
from console.operations.verification import failed
from console.registry import Danger, registry


@registry.command("return", "Return to service", danger=Danger.NODE, connects=True)
def return_(
    console: Console, targets: list[str], *, reason: str, operation: str | None = None, digest: str | None = None,
    plan: bool = False, yes: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Verify for a minute, and lift your own holds where every check ran and passed.

    From maintenance it leads to probation: in service and watched; a day later `return` again ends that.

    Args:
        targets: nodes, card UUIDs, or filters
        reason: why
        operation: lift only the holds of this operation
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "return", targets, reason, plan, yes, digest, lifts=operation or "")


@registry.command("verify", "Verify cards", connects=True)
def verify(console: Console, targets: list[str]) -> list[dict[str, Any]]:
    """Look for a minute (level V0): cards, driver, PCIe width, NVLinks, remaps, counters, XIDs. Changes nothing.

    Args:
        targets: nodes, card UUIDs, or filters
    """
    operations = open_operations(console, targets)
    try:
        found = operations.verify(operations.sight.resolve(targets))
        out = []
        for one, checks in found.items():
            why = failed(checks)
            operations.journal.note({
                "by": operations.by, "what": "verified", "node": one.node, "target": one.target, "level": "V0",
                "passed": not why, "checks": [[c.name, c.passed, c.text] for c in checks],
            })  # fmt: skip
            out.append({
                "target": operations.sight.label(one), "node": one.node, "level": "V0", "passed": not why,
                "failed": why or None,
                "checks": [{"name": c.name, "passed": c.passed, "text": c.text} for c in checks],
            })  # fmt: skip
        return out
    except (Refusal, JournalError) as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        operations.close()


@registry.command("maintenance.begin", "Begin maintenance", danger=Danger.NODE, connects=True)
def maintenance_begin(
    console: Console,
    targets: list[str],
    *,
    reason: str,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Prove once more that nothing runs, and hand drained targets to hands and tools.

    Args:
        targets: nodes, card UUIDs, or filters
        reason: why
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "maintenance-begin", targets, reason, plan, yes, digest)


@registry.command("maintenance.end", "End maintenance", danger=Danger.NODE, connects=True)
def maintenance_end(
    console: Console,
    targets: list[str],
    *,
    reason: str,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """The work is done; the targets wait for verification, see `return`.

    Args:
        targets: nodes, card UUIDs, or filters
        reason: why
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "maintenance-end", targets, reason, plan, yes, digest)


@registry.command("mark-healthy", "Mark as healthy", danger=Danger.NODE, connects=True)
def mark_healthy(
    console: Console,
    targets: list[str],
    *,
    reason: str,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Set aside what was found, for a day and by your name: the target may be assigned again.

    Args:
        targets: nodes, card UUIDs, or filters
        reason: why what was found does not count
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "mark-healthy", targets, reason, plan, yes, digest)


@registry.command("compute-mode", "Set the compute mode", danger=Danger.NODE, connects=True)
def compute_mode(
    console: Console,
    targets: list[str],
    *,
    mode: str,
    reason: str,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Set the compute mode of cards that no drain blocks.

    Args:
        targets: nodes, card UUIDs, or filters
        mode: default, exclusive_process or prohibited
        reason: why
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "compute-mode", targets, reason, plan, yes, digest, mode=mode)


@registry.command("reset", "Reset cards", danger=Danger.NODE, connects=True)
def reset(
    console: Console,
    targets: list[str],
    *,
    reason: str,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Reset drained cards once more proven idle. It cannot be undone, and is never sent twice.

    Args:
        targets: nodes, card UUIDs, or filters
        reason: why
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "reset", targets, reason, plan, yes, digest)


@registry.command("reboot", "Reboot nodes", danger=Danger.NODE, connects=True)
def reboot(
    console: Console,
    targets: list[str],
    *,
    reason: str,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """Reboot drained nodes once more proven idle, and wait until they are back. It is never sent twice.

    Args:
        targets: nodes
        reason: why
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "reboot", targets, reason, plan, yes, digest)


@registry.command("kill", "End a process", danger=Danger.NODE, connects=True)
def kill(
    console: Console,
    targets: list[str],
    *,
    pid: int,
    reason: str,
    digest: str | None = None,
    plan: bool = False,
    yes: bool = False,
) -> dict[str, Any]:
    """End one process that has a card open (SIGTERM), known by its number and by when it began.

    Args:
        targets: the node or card on which it runs
        pid: its number
        reason: why
        digest: do it only if the plan still has this digest
        plan: say what would happen and change nothing
        yes: do it without asking
    """
    return act(console, "kill", targets, reason, plan, yes, digest, pid=pid)


@registry.command("holds", "List holds and assignments", connects=True)
def holds(console: Console, *, node: str | None = None) -> list[dict[str, Any]]:
    """What the card books of the nodes say now: who holds or has what, since when, why.

    Args:
        node: only this node
    """
    operations = open_operations(console, [node] if node else [])
    try:
        names = [n.node.name for n in operations.live.nodes if node in (None, n.node.name)]
        if not names:
            raise ConsoleError(f"there is no node {node}; see: cardkeeper nodes")
        known = {o.id for o in operations.journal.operations()}
        out: list[dict[str, Any]] = []
        for name, book in operations.read_books(names).items():
            if isinstance(book, str):
                out.append({"node": name, "target": None, "kind": "unknown", "reason": book})
                continue
            for entry in book.entries.values():
                where = {"node": name, "target": entry.target, "state": str(entry.admin), "shared": book.is_shared}
                where["unblocked"] = bool(entry.modes) and entry.boot_id != book.boot_id
                for hold in entry.holds:
                    out.append({
                        **where, "kind": "hold", "operation": hold.op, "owner": hold.owner, "reason": hold.reason,
                        "session": hold.session, "since": hold.since, "expires": hold.expires,
                        "stranded": hold.op not in known,
                    })  # fmt: skip
                if entry.assignment is not None:
                    a = entry.assignment
                    out.append({
                        **where, "kind": "assignment", "operation": a.op, "tenant": a.tenant, "since": a.since,
                        "until": a.until, "users": list(a.users),
                    })  # fmt: skip
        return out
    finally:
        operations.close()
