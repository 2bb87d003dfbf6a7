"""The one table of commands. What the CLI, the palette and the keys can do stands here, once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from console import (
    acted,
    acting,
    billing,
    callers,
    historic,
    leasing,
    placing,
    planning,
    quoting,
    returning,
    selling,
    shift,
    tracing,
    triaging,
)
from console.app import Console, ConsoleError
from console.fleet.fleetfile import node_block, write_atomically
from console.fleet.inventory import InventoryError, read_inventory
from console.fleet.metrics import CARD_METRICS, Metric, Tier
from console.fleet.model import EntityKind
from console.fleet.state import LinkState
from console.registry import Danger, registry
from console.telemetry.live import LiveFleet, Reading

PUMP_S = 0.1

__all__ = [
    "acted", "acting", "billing", "callers", "historic", "leasing", "placing", "planning", "quoting", "registry",
    "returning", "selling", "shift", "tracing", "triaging",
]  # fmt: skip


def _pump_until(console: Console, seconds: float, is_done: Any) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        console.live.pump()
        if is_done(console.live):
            return
        time.sleep(PUMP_S)


def _is_settled(live: LiveFleet) -> bool:
    """Every node is live or has said why it cannot be."""
    return bool(live.nodes) and all(n.link is LinkState.LIVE or n.problem is not None for n in live.nodes)


def _is_read(live: LiveFleet) -> bool:
    """Every live card has a sample of every tier its node gives."""
    if not _is_settled(live):
        return False
    reduced = {n.index for n in live.nodes if n.hello is not None and n.hello.mode == "smi"}
    for tier in Tier:
        times = live.sample_times(tier)
        for entity in live.entities:
            if times[entity.row] <= 0.0 and not (tier is not Tier.FAST and entity.node_index in reduced):
                return False
    return True


def _reading(reading: Reading) -> dict[str, Any]:
    age = None if reading.age_s is None else round(reading.age_s, 3)
    return {"value": reading.value, "unit": reading.unit, "state": reading.state.word, "age_s": age}


def _readings(live: LiveFleet, uuid: str, metrics: tuple[Metric, ...] = CARD_METRICS) -> dict[str, Any]:
    return {m.id: _reading(live.reading(uuid, m.id)) for m in metrics}


@registry.command("nodes", "List nodes", connects=True)
def nodes(console: Console, *, timeout: float = 10.0) -> list[dict[str, Any]]:
    """Every node with its connection, versions and clock.

    Args:
        timeout: seconds to wait for the nodes to answer
    """
    _pump_until(console, timeout, _is_settled)
    live = console.live
    out = []
    for row in live.nodes:
        hello, counters, problem = row.hello, row.counters, row.problem
        out.append(
            {
                "node": row.node.name,
                "host": row.node.host,
                "region": row.node.region,
                "rack": row.node.rack,
                "link": row.link.name.lower(),
                "mode": hello.mode if hello else None,
                "reason": (hello.reason if hello else "") or None,
                "cards": sum(e.entity.kind is EntityKind.CARD for e in live.entities_of(row.node.name)),
                "driver": hello.versions.get("driver") if hello else None,
                "clock_offset_s": counters.clock_offset_s,
                "last_frame_s": counters.last_line_s,
                "dropped": counters.dropped,
                "problem": None if problem is None else _problem(problem),
            }
        )
    return out


def _problem(problem: Any) -> dict[str, Any]:
    return {
        "code": str(problem.code),
        "what": problem.what,
        "why": problem.why,
        "next_step": problem.next_step,
        "facts": problem.facts,
    }


@registry.command("cards", "Read every card once", connects=True)
def cards(console: Console, *, node: str | None = None, timeout: float = 15.0) -> list[dict[str, Any]]:
    """One full reading of every card: all metrics with value, unit, state and age; processes; slices.

    Args:
        node: only the cards of this node
        timeout: seconds to wait for all tiers of all cards
    """
    _pump_until(console, timeout, _is_read)
    live = console.live
    _known_node(live, node)
    out = []
    for row in live.entities:
        entity = row.entity
        if entity.kind is not EntityKind.CARD or (node is not None and entity.node != node):
            continue
        slices = [e.entity for e in live.entities if e.entity.parent == entity.uuid]
        out.append(
            {
                "uuid": entity.uuid,
                "node": entity.node,
                "index": entity.index,
                "name": entity.name,
                "readings": _readings(live, entity.uuid),
                "processes": _processes(live, entity.node, {entity.uuid, *(s.uuid for s in slices)}),
                "slices": [
                    {"uuid": s.uuid, "index": s.index, "name": s.name, "readings": _readings(live, s.uuid)}
                    for s in slices
                ],
                "facts": entity.facts,
            }
        )
    return out


def _known_node(live: LiveFleet, node: str | None) -> None:
    if node is not None and live.node(node) is None:
        raise ConsoleError(f"there is no node {node} in {live.fleet.path}; see: cardkeeper nodes")


def _processes(live: LiveFleet, node: str, uuids: set[str]) -> list[dict[str, Any]]:
    return [
        {
            "uuid": p.uuid,
            "pid": p.pid,
            "kind": p.kind,
            "memory": p.memory,
            "user": p.user,
            "command": p.command,
            "slurm_job": p.slurm_job,
            "pod": p.pod,
            "container": p.container,
            "utilization": p.utilization,
        }
        for p in live.processes(node)
        if p.uuid in uuids
    ]


@registry.command("watch", "Follow readings as they arrive", connects=True, streams=True)
def watch(console: Console, *, node: str | None = None, seconds: float | None = None) -> Iterator[dict[str, Any]]:
    """Readings of each card whenever a new sample of a tier arrives, until interrupted.

    Args:
        node: only this node
        seconds: stop after so long
    """
    begun = time.monotonic()
    seen: dict[tuple[str, Tier], float] = {}
    if node is not None and all(n.name != node for n in console.fleet.nodes):
        raise ConsoleError(f"there is no node {node} in {console.fleet.path}; see: cardkeeper nodes")
    while seconds is None or time.monotonic() - begun < seconds:
        console.live.pump()
        yield from _new_readings(console.live, node, seen)
        time.sleep(PUMP_S)


def _new_readings(live: LiveFleet, node: str | None, seen: dict[tuple[str, Tier], float]) -> Iterator[dict[str, Any]]:
    offset = time.time() - time.monotonic()
    for tier in Tier:
        times = live.sample_times(tier)
        metrics = tuple(m for m in CARD_METRICS if m.tier is tier)
        for row in live.entities:
            entity, at = row.entity, float(times[row.row])
            if (node is not None and entity.node != node) or at <= seen.get((entity.uuid, tier), 0.0):
                continue
            seen[entity.uuid, tier] = at
            yield {
                "time": round(at + offset, 3),
                "node": entity.node,
                "uuid": entity.uuid,
                "tier": str(tier),
                "readings": _readings(live, entity.uuid, metrics),
            }


@registry.command("fleet.check", "Check the way to nodes", streams=True)
def fleet_check(console: Console, node: str | None = None) -> Iterator[dict[str, Any]]:
    """What works on the way to each node: name, port, host key, login, python3, NVML, driver, clock, persistence.

    Args:
        node: only this node
    """
    chosen = [n.name for n in console.fleet.nodes if node in (None, n.name)]
    if not chosen:
        raise ConsoleError(f"there is no node {node} in {console.fleet.path}; see: cardkeeper nodes")
    for name in chosen:
        for check in console.check(name):
            yield {
                "node": name,
                "check": check.name,
                "status": check.status,
                "text": check.text,
                "next_step": check.next_step,
            }


@registry.command("fleet.trust", "Trust a node's host key", danger=Danger.LOCAL)
def fleet_trust(console: Console, node: str, *, fingerprint: str | None = None) -> dict[str, Any]:
    """Show the unknown host key on the way to a node and, with its fingerprint given, record it in known_hosts.

    Compare the fingerprint with the node's own: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub on its console.

    Args:
        node: the node
        fingerprint: record the key only if it has this SHA256 fingerprint
    """
    recorded = console.trust(node, fingerprint or "")
    return {"node": node, "recorded": recorded or None, "known": not recorded}


@registry.command("fleet.import", "Import an inventory", danger=Danger.LOCAL, reads=False)
def fleet_import(console: Console, file: str, *, output: str | None = None, force: bool = False) -> dict[str, Any]:
    """Make a fleet file of an Ansible inventory (INI, YAML) or a plain list of hosts.

    Args:
        file: the inventory
        output: write this fleet file instead of printing it
        force: replace a file that exists
    """
    try:
        found = read_inventory(Path(file))
    except (OSError, InventoryError) as exc:
        raise ConsoleError(f"{file} cannot be imported: {exc}") from exc
    if not found.nodes:
        raise ConsoleError(f"{file} names no host that can be a node; {'; '.join(found.warnings[:5])}")
    text = "\n".join(node_block(n) for n in found.nodes)
    if output is not None:
        path = Path(output)
        if path.exists() and not force:
            raise ConsoleError(f"{path} exists; nothing was written. Use --force to replace it")
        write_atomically(path, text)
    return {
        "nodes": len(found.nodes),
        "warnings": found.warnings,
        "output": output,
        "fleet": None if output is not None else text,
    }


registry.window(
    [
        ("go.fleet", "Show the fleet", "F2", "", "The heat map and table of all cards."),
        ("go.nodes", "Show the nodes", "F3", "", "The list of nodes and their connections."),
        ("go.events", "Show events", "F4", "", "XIDs, lost links and reboots, newest first."),
        ("go.alarms", "Show alarms", "F5", "", "What asks for a person, worst first, and what to do."),
        (
            "alarm.note",
            "Take note of the alarm",
            "Q",
            "",
            "Of what is selected or open: somebody takes care of it.",
        ),
        ("alarm.shelve", "Put the alarm aside", "Shift+Q", "", "For some hours, with a reason; or take it back."),
        (
            "alarm.mute",
            "Mute or sound alarms",
            "",
            "",
            "No sound for an hour when a new alarm of the top severity comes.",
        ),
        (
            "evidence.save",
            "Keep the evidence",
            "E",
            "",
            "Ask the node, and write a zip for the vendor.",
        ),
        (
            "incident.copy",
            "Copy the incident",
            "Shift+C",
            "",
            "The verdict as Markdown with a link, for a ticket or a chat.",
        ),
        ("go.operations", "Show operations", "F6", "", "What was done to nodes, step by step; go on, undo, take over."),
        (
            "go.assignments",
            "Show assignments",
            "F7",
            "",
            "Who has which card until when; free, squatted, out of service.",
        ),
        ("go.business", "Show the business", "F8", "", "Leases in a calendar, tenants, the pool, usage and invoices."),
        ("go.planning", "Show planning", "F9", "", "Which cards a request gets, what they cost, how long they last."),
        ("go.in", "Open what is selected", "Return", "", "One level deeper: fleet, node, card."),
        ("go.out", "Go up one level", "Escape", "", "Close what is open, or go up."),
        ("go.settings", "Show settings", "Ctrl+,", "", "Theme, language and time zone."),
        ("go.back", "Back in history", "Alt+Left", "", "The view before."),
        ("go.forward", "Forward in history", "Alt+Right", "", "The view that was left by going back."),
        ("go.last", "Last view", "-", "", "Switch between the two newest views."),
        ("go.next", "Next card", "N", "card", "The next card of the node."),
        ("go.previous", "Previous card", "P", "card", "The card before of the node."),
        ("select.mark", "Mark the card", "Space", "fleet", "Mark or unmark it; the filter is:marked finds the marked."),
        ("select.range", "Mark a range", "Ctrl+Space", "fleet", "Mark from the card marked last to this one."),
        ("filter.edit", "Filter", "/", "", "Find cards: node:gpu-0* temp>80 ecc>0 is:faulty."),
        ("filter.clear", "Clear the filter", "Ctrl+Backspace", "", "Show everything again."),
        ("filter.invert", "Invert the filter", "I", "", "Show what the filter hides."),
        ("filter.faults", "Show only faults", "Ctrl+Z", "", "Cards that are critical, warning, notice or unknown."),
        ("palette.open", "Command palette", "Ctrl+K", "", "Find any command by its words."),
        ("keys.show", "Show keys", "?", "", "The keys of the present view."),
        ("fleet.toggle", "Table or map", "T", "fleet", "Switch between the heat map and the table."),
        ("fleet.group", "Change grouping", "G", "fleet", "Group by rack, region, card model or node."),
        ("fleet.metric", "Next metric", "M", "fleet", "Colour the map by the next metric."),
        ("copy.name", "Copy the name", "C", "", "The UUID or name of what is selected."),
        ("copy.link", "Copy a link", "Ctrl+L", "", "A console:// link to this view."),
        ("theme.toggle", "Dark or light", "Ctrl+T", "", "Switch the theme."),
        ("time.utc", "Local time or UTC", "U", "", "Switch the time zone of all times."),
        (
            "time.back",
            "A minute back",
            "[",
            "",
            "Look at the fleet a minute earlier; from live: the newest recorded one.",
        ),
        ("time.on", "A minute on", "]", "", "A minute later; past the newest recorded minute: live."),
        ("time.hour_back", "An hour back", "{", "", "Look at the fleet an hour earlier."),
        ("time.hour_on", "An hour on", "}", "", "An hour later."),
        ("time.event_before", "Event before", ",", "", "Go to the moment of the event before."),
        ("time.event_after", "Event after", ".", "", "Go to the moment of the event after; past the last: live."),
        ("time.go", "Go to a time", "J", "", "Type 03:12, yesterday 03:00, -2h, or paste a console:// link."),
        ("time.live", "Back to live", "L", "", "Show the present again."),
        (
            "span.wider",
            "Wider plots",
            "W",
            "",
            "Let the plots show a longer span: 5 min, 1 h, 6 h, a day, a week, a month.",
        ),
        ("span.narrower", "Narrower plots", "Shift+W", "", "Let the plots show a shorter span."),
        ("compare.day", "Compare with a day before", "Y", "card", "Draw each curve as it was a day earlier beside it."),
        (
            "compare.card",
            "Compare with the marked card",
            "K",
            "card",
            "Draw the marked card's curves beside this one's.",
        ),
        ("plot.save", "Save a plot", "S", "card", "Write the plot pointed at last as PNG, SVG or CSV."),
        ("node.add", "Add a node", "Ctrl+N", "", "Add a node to the fleet file."),
        ("node.reconnect", "Reconnect the node", "R", "node", "Try the connection again now."),
        ("node.trust", "Look at the host key", "", "node", "Show an unknown host key and decide."),
        ("acts.arm", "Arm or lock acts", "A", "", "Allow acts on nodes for 15 minutes; or lock them again."),
        ("acts.menu", "What can be done", "O", "", "The acts on the selected or marked cards, or the node."),
        (
            "acts.drain",
            "Drain the card",
            "D",
            "",
            "Let the running work end and take no new, on the selected or marked cards.",
        ),
        ("acts.drain_node", "Drain the node", "Ctrl+D", "", "Drain the whole node."),
        ("acts.undrain", "Undrain", "Shift+D", "", "Lift your own holds."),
        (
            "acts.return",
            "Verify and return",
            "",
            "",
            "Verify for a minute, then lift your holds if every check passed.",
        ),
        ("acts.assign", "Assign to a tenant", "Shift+A", "", "Give free cards in service to a tenant."),
        ("acts.release", "Release from its tenant", "", "", "Take cards back from their tenant."),
        ("acts.maintenance_begin", "Begin maintenance", "", "", "Hand drained targets to hands and tools."),
        ("acts.maintenance_end", "End maintenance", "", "", "The work is done; verification comes next."),
        ("acts.mark_healthy", "Mark as healthy", "", "", "Set aside for a day what was found, by your name."),
        ("acts.mode_default", "Set compute mode to default", "", "", "Let every program use the card."),
        ("acts.mode_exclusive", "Set compute mode to exclusive", "", "", "One process a card (EXCLUSIVE_PROCESS)."),
        ("acts.reset", "Reset the card", "", "", "Reset a drained card; it cannot be undone."),
        ("acts.reboot", "Reboot the node", "", "", "Reboot a drained node; it cannot be undone."),
        (
            "acts.kill",
            "End a process",
            "",
            "",
            "End a process of the card: the one selected in its table, or the only one.",
        ),
        ("app.quit", "Quit", "Ctrl+Q", "", "Close the console."),
    ]
)
