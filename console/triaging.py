"""Commands of health: findings now and then, alarms and what people do with them, why something is sick."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console import evidence as kept
from console.acting import open_operations, seconds_of
from console.app import Console, ConsoleError, person
from console.checkup import Checkup
from console.fleet.metrics import Tier
from console.fleet.state import LinkState
from console.health.alarms import AlarmError, Alarms, told
from console.health.findings import Finding
from console.health.store import AlarmStore, AlarmStoreError
from console.health.triage import TriageError
from console.health.verdict import Verdict
from console.historic import moment
from console.operations.states import Book
from console.past import PastFleet, SnapshotSource
from console.registry import Danger, registry
from console.sight import out_of_service

if TYPE_CHECKING:
    from console.history.reader import Reader

READY_S, LOOKS_S = 12.0, 5.0
NEITHER = "{!r} is neither a node nor a card of this fleet; see: cardkeeper nodes, cardkeeper cards"


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
        "since": found.since, "confidence": found.confidence, "source": found.source, "peers": found.compared or None,
        "differs": found.differs or None,
    }  # fmt: skip


class Recording:
    """The rules over recorded minutes, one after the other."""

    def __init__(self, console: Console, reader: Reader) -> None:
        self._checkup = checkup(console)
        self._reader = reader
        self._source = SnapshotSource()
        self._past = PastFleet(console.fleet, lambda _request: None)

    def findings(self, at: float) -> tuple[Finding, ...]:
        """What the minute that contains a unix second shows."""
        self._past.show(self._source.load(self._reader, at))
        self._checkup.look(self._past)
        return self._checkup.examiner.findings


@registry.command("findings", "List what is found")
def findings(console: Console, *, at: str | None = None) -> list[dict[str, Any]]:
    """Examine every card and node by the triage table, with a fresh reading, worst first.

    Rows of a file triage.toml beside the fleet file go over the table's: see docs/health.md.

    Args:
        at: instead, the recorded moment to examine, like -2h or "yesterday 03:00"
    """
    from console.history.reader import Reader

    if at is None:
        return [told_finding(f) for f in examine(console.start()).examiner.findings]
    with Reader(console.config.history_folder) as reader:
        return [told_finding(f) for f in Recording(console, reader).findings(moment(at, "at"))]


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

    with Reader(place) as reader:
        span = reader.span()
        if span is None:
            raise ConsoleError(f"{folder}: nothing is recorded there")
        recording = Recording(console, reader)
        was: dict[tuple[str, str, int | None], Finding] = {}
        at = span[0] + 60.0
        while at <= span[1] + 60.0:
            here = recording.findings(at)
            now = {(f.target, f.rule, f.code): f for f in here}
            for key in [k for k in now if k not in was]:
                yield {"at": at, "what": "begins", **told_finding(now[key])}
            for key in [k for k in was if k not in now]:
                yield {"at": at, "what": "ends", **told_finding(was[key])}
            was = now
            at += 60.0


# Alarms


def open_alarms(console: Console) -> AlarmStore:
    """The alarms of this workstation.

    Raises:
        ConsoleError: they cannot be had.
    """
    try:
        return AlarmStore(console.config.history_folder)
    except AlarmStoreError as exc:
        raise ConsoleError(str(exc)) from exc


@registry.command("alarms.list", "List alarms", connects=True)
def alarms_list(console: Console, *, all: bool = False) -> list[dict[str, Any]]:
    """What asks for a person now, as this workstation's window would show it: taken from a fresh reading.

    Args:
        all: shelved and suppressed ones, too
    """
    made = examine(console)
    store = open_alarms(console)
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
    store = open_alarms(console)
    try:
        alarms = Alarms(store.standing())
        alarm = alarms.find(name)
        changes = getattr(alarms, call)(name, person(), *more, time.time())
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
    try:
        return told_verdict(made.verdict(console.live, target))
    except KeyError:
        raise ConsoleError(NEITHER.format(target)) from None


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
    begin = moment(since, "since")
    made = examine(console)
    operations = open_operations(console, [target])
    try:
        path, manifest, trouble = kept.keep(operations, target, begin, path, made, console.printer)
        return {"file": str(path), "unreachable": trouble or None, **manifest}
    except KeyError:
        raise ConsoleError(NEITHER.format(target)) from None
    except OSError as exc:
        raise ConsoleError(f"{output} cannot be written: {exc}") from exc
    finally:
        operations.close()
