"""Commands of health: findings now and then, alarms and what people do with them, why something is sick."""

from __future__ import annotations

import getpass
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console import evidence as kept
from console.acting import open_operations, seconds_of
from console.app import Console, ConsoleError
from console.checkup import Checkup
from console.fleet.metrics import Tier
from console.fleet.state import LinkState
from console.health.alarms import AlarmError, Alarms, told
from console.health.findings import Finding
from console.health.store import AlarmStore, AlarmStoreError
from console.health.triage import TriageError
from console.health.verdict import Verdict, verdict
from console.history.when import parse_moment
from console.operations.states import Book
from console.past import PastFleet, SnapshotSource
from console.registry import Danger, registry
from console.sight import out_of_service

if TYPE_CHECKING:
    from console.history.reader import Reader

READY_S, LOOKS_S = 12.0, 5.0


def site_rules(console: Console) -> Path:
    """The site's own rows of the triage table."""
    return console.config.fleet_path.parent / "triage.toml"


def checkup(console: Console) -> Checkup:
    """A checkup with the site's own rules.

    Raises:
        ConsoleError: the rules cannot be used.
    """
    try:
        return Checkup(site=site_rules(console))
    except TriageError as exc:
        raise ConsoleError(str(exc)) from exc


def examine(console: Console) -> Checkup:
    """Look at the live fleet for some seconds; some rules want to see a thing more than once."""
    live, made = console.live, checkup(console)
    begun = time.monotonic()
    ready_at: float | None = None
    while time.monotonic() - begun < READY_S + LOOKS_S:
        live.pump()
        waiting = [n for n in live.nodes if n.link is not LinkState.LIVE and n.problem is None]
        slow = live.sample_times(Tier.SLOW) if live.entities else None
        is_read = bool(live.nodes) and not waiting and (slow is None or bool((slow > 0.0).mean() > 0.95))
        if ready_at is None and (is_read or time.monotonic() - begun > READY_S):
            ready_at = time.monotonic()
        made.look(live)
        if ready_at is not None and time.monotonic() - ready_at > LOOKS_S:
            break
        time.sleep(0.5)
    return made


def told_finding(found: Finding) -> dict[str, Any]:
    """A finding as JSON."""
    return {
        "card": found.card or None, "node": found.node or None, "rule": found.rule, "signal": found.signal,
        "severity": found.severity, "action": found.action, "do": found.do, "evidence": found.evidence,
        "since": found.since, "confidence": found.confidence, "source": found.source,
        "differs": found.differs or None,
    }  # fmt: skip


def past_checkup(console: Console, reader: Reader, source: SnapshotSource, at: float) -> Checkup:
    """The rules over a recorded minute."""
    made = checkup(console)
    past = PastFleet(console.fleet, lambda _request: None)
    past.show(source.load(reader, at))
    made.look(past)
    return made


def _moment(text: str) -> float:
    try:
        return parse_moment(text, datetime.now().astimezone()).timestamp()
    except ValueError as exc:
        raise ConsoleError(f"--at: {exc}") from exc


@registry.command("findings", "List what is found", connects=True)
def findings(console: Console, *, at: str | None = None) -> list[dict[str, Any]]:
    """Examine every card and node by the triage table, with a fresh reading, worst first.

    Args:
        at: instead, the recorded moment to examine, like -2h or "yesterday 03:00"
    """
    from console.history.reader import Reader

    if at is None:
        return [told_finding(f) for f in examine(console).examiner.findings]
    with Reader(console.config.history_folder) as reader:
        return [told_finding(f) for f in past_checkup(console, reader, SnapshotSource(), _moment(at)).examiner.findings]


@registry.command("findings.replay", "Examine a recording", reads=False, streams=True)
def findings_replay(console: Console, folder: str) -> Iterator[dict[str, Any]]:
    """Run the rules over a recorded folder, minute by minute: a row whenever a finding begins or ends.

    Args:
        folder: what `history import` made, or any --data folder
    """
    place = Path(folder)
    if not place.is_dir():
        raise ConsoleError(
            f"{folder} is not a recorded folder; unpack a bundle with: cardkeeper history import {folder}"
        )
    from console.history.reader import Reader

    source = SnapshotSource()
    with Reader(place) as reader:
        span = reader.span()
        if span is None:
            raise ConsoleError(f"{folder}: nothing is recorded there")
        was: dict[tuple[str, str, int | None], Finding] = {}
        at = span[0] + 60.0
        while at <= span[1] + 60.0:
            here = past_checkup(console, reader, source, at).examiner.findings
            now = {(f.target, f.rule, f.code): f for f in here}
            for key in [k for k in now if k not in was]:
                yield {"at": at, "what": "begins", **told_finding(now[key])}
            for key in [k for k in was if k not in now]:
                yield {"at": at, "what": "ends", **told_finding(was[key])}
            was = now
            at += 60.0


# Alarms


def _store(console: Console) -> AlarmStore:
    try:
        return AlarmStore(console.config.history_folder)
    except AlarmStoreError as exc:
        raise ConsoleError(str(exc)) from exc


def _by() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


@registry.command("alarms.list", "List alarms", connects=True)
def alarms_list(console: Console, *, all: bool = False) -> list[dict[str, Any]]:
    """What asks for a person now, as this workstation's window would show it: taken from a fresh reading.

    Args:
        all: shelved and suppressed ones, too
    """
    made = examine(console)
    store = _store(console)
    try:
        alarms = Alarms(store.standing())
        store.write(alarms.update(made.examiner.causes, _out(console), time.time()))
    except AlarmStoreError as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        store.close()
    return [told(a) for a in [*alarms.shown(), *(alarms.set_aside() if all else [])]]


def _out(console: Console) -> set[str]:
    """Cards and nodes out of service on purpose, as the card books say; of those that can be read."""
    operations = open_operations(console, [])
    try:
        names = [n.node.name for n in console.live.nodes if n.hello is not None]
        books = operations.read_books(names)
        return set().union(*(out_of_service(b) for b in books.values() if isinstance(b, Book)), set())
    finally:
        operations.close()


def _change(console: Console, call: str, name: str, *more: Any) -> dict[str, Any]:
    store = _store(console)
    try:
        alarms = Alarms(store.standing())
        alarm = alarms.find(name)
        changes = getattr(alarms, call)(name, _by(), *more, time.time())
        store.write(changes)
        return told(alarms.standing.get(alarm.key, changes[-1].alarm))
    except (AlarmError, AlarmStoreError) as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        store.close()


@registry.command("alarms.ack", "Acknowledge an alarm", danger=Danger.LOCAL, reads=False)
def alarms_ack(console: Console, alarm: str, *, why: str = "") -> dict[str, Any]:
    """Say that somebody takes care of it.

    Args:
        alarm: its id, as `alarms list` and the window show it
        why: a word for whoever comes next
    """
    return _change(console, "acknowledge", alarm, why)


@registry.command("alarms.shelve", "Shelve an alarm", danger=Danger.LOCAL, reads=False)
def alarms_shelve(console: Console, alarm: str, *, why: str, span: str = "2h") -> dict[str, Any]:
    """Put an alarm aside for some hours, at most 12; it comes back by itself.

    Args:
        alarm: its id
        why: why nobody needs to see it until then
        span: for how long, like 30m or 8h
    """
    return _change(console, "shelve", alarm, why, time.time() + seconds_of(span, "span"))


@registry.command("alarms.unshelve", "Take an alarm back", danger=Danger.LOCAL, reads=False)
def alarms_unshelve(console: Console, alarm: str) -> dict[str, Any]:
    """Show a shelved alarm again.

    Args:
        alarm: its id
    """
    return _change(console, "unshelve", alarm)


# Why


@registry.command("why", "Say why something is sick", connects=True)
def why(console: Console, target: str) -> dict[str, Any]:
    """The verdict on a card or node: what was found, what to do, what else it may be, and what that will not mend.

    Args:
        target: a card's UUID or a node's name
    """
    made = examine(console)
    live = console.live
    row = live.entity(target)
    if row is None and live.node(target) is None:
        raise ConsoleError(
            f"{target!r} is neither a node nor a card of this fleet; see: cardkeeper nodes, cardkeeper cards"
        )
    node = target if row is None else row.entity.node
    assert made.facts is not None
    found = verdict(made.examiner, made.facts, node, "" if row is None else target, list(live.events))
    return told_verdict(found)


def told_verdict(found: Verdict) -> dict[str, Any]:
    """A verdict as JSON."""
    return {
        "node": found.node, "card": found.card or None, "summary": found.summary, "action": found.action, "do": found.do,
        "confidence": found.confidence, "source": found.source, "evidence": list(found.evidence),
        "changed": [{"at": at, "text": text} for at, text in found.changed], "wide": list(found.wide),
        "hurt": list(found.hurt), "runner_up": found.runner_up or None, "will_not_fix": found.will_not_fix or None,
        "acts": list(found.acts),
    }  # fmt: skip


@registry.command("evidence", "Keep the evidence", danger=Danger.LOCAL, connects=True)
def evidence(console: Console, target: str, *, output: str, since: str = "-2h") -> dict[str, Any]:
    """Everything a vendor or a colleague asks for, as one zip with hashes and a one-page report. Changes nothing on the node.

    Args:
        target: a card's UUID or a node's name
        output: the zip to write; it must not exist
        since: telemetry from then on
    """
    path = Path(output)
    if path.exists():
        raise ConsoleError(f"{output} exists; nothing was written")
    begin = _moment(since)
    made = examine(console)
    operations = open_operations(console, [target])
    try:
        path, manifest, trouble = kept.keep(operations, target, begin, path, made, console.printer)
        return {"file": str(path), "unreachable": trouble or None, **manifest}
    except KeyError:
        raise ConsoleError(f"{target!r} is neither a node nor a card of this fleet; see: cardkeeper nodes") from None
    except OSError as exc:
        raise ConsoleError(f"{output} cannot be written: {exc}") from exc
    finally:
        operations.close()
