"""Commands over weeks and shifts: what fails again and again, and what the next person must know. Reads files only."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from console.acted import open_journal
from console.app import Console, ConsoleError
from console.health.alarms import Alarms, told
from console.health.lemons import SPAN_S, Fault, Mend, lemons, mtbf
from console.health.store import AlarmStoreError
from console.historic import moment
from console.history.errors import HistoryError
from console.operations.journal import OPEN, Journal, JournalError, Operation
from console.registry import registry
from console.triaging import open_alarms

RAISED = ("raised", "raised again")
MENDS = ("reset", "reboot")


def _known(console: Console) -> tuple[dict[str, str], dict[str, str], dict[str, int]]:
    """({card: slot}, {card: model}, how many nodes, cards and slots) that were ever recorded here."""
    from console.history.reader import Reader

    slots: dict[str, str] = {}
    models: dict[str, str] = {}
    try:
        with Reader(console.config.history_folder) as reader:
            for seen in reader.entities().values():
                if seen.kind == "card":
                    slots[seen.uuid] = f"{seen.node} / {seen.place}"
                    models[seen.uuid] = seen.name
    except HistoryError:
        pass
    nodes = max(len(console.fleet.nodes), len({s.split(" / ")[0] for s in slots.values()}))
    return slots, models, {"node": nodes, "card": len(slots), "slot": len(set(slots.values()))}


def _told(o: Operation) -> dict[str, Any]:
    """An operation in one line; its steps stand in `operations show`."""
    return {"id": o.id, "verb": o.verb, "state": str(o.state), "by": o.by, "reason": o.reason, "made": o.made_at,
            "nodes": list(o.targets)}  # fmt: skip


def _faults(happened: list[dict[str, Any]], slots: dict[str, str]) -> list[Fault]:
    return [
        Fault(h["at"], h["node"], h["card"] or h["node"], slots.get(h["card"], ""), h["signal"])
        for h in happened
        if h["what"] in RAISED and h["severity"] <= 2
    ]


def _mtbf(console: Console, happened: list[dict[str, Any]], now: float) -> dict[str, float | None]:
    """Mean seconds between faults of a card by model, since alarms are written down; None without a fault."""
    slots, models, _ = _known(console)
    begun = happened[0]["at"] if happened else now
    found = mtbf(_faults(happened, slots), models, Counter(models.values()), begun, now)
    return {model: None if seconds == float("inf") else seconds for model, seconds in found.items()}


def _mends(journal: Journal) -> list[Mend]:
    return [
        Mend(o.made_at, node if target == "node" else target, node, o.verb)
        for o in journal.operations()
        if o.verb in MENDS
        for node, targets in o.targets.items()
        for target in targets
    ]


@registry.command("lemons", "Find what fails again and again")
def lemons_list(console: Console) -> list[dict[str, Any]]:
    """Cards, slots and nodes with far more faults in 90 days than others of their kind. It suggests; nothing is done."""
    slots, models, counts = _known(console)
    store, journal = open_alarms(console), open_journal(console)
    now = time.time()
    try:
        found = lemons(_faults(store.happened(now - SPAN_S), slots), _mends(journal), counts, now)
    except AlarmStoreError as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        store.close()
        journal.close()
    return [
        {"kind": x.kind, "name": x.name, "model": models.get(x.name), "faults": x.faults, "commonest": x.often[1],
         "times": x.often[0], "mean_of_others": round(x.peers, 3), "mtbf_s": x.mtbf_s, "escalate": x.escalate or None}
        for x in found
    ]  # fmt: skip


@registry.command("handover", "Report a shift")
def handover(console: Console, *, since: str = "-12h") -> dict[str, Any]:
    """What the next person must know: alarms that stand, who noted or put aside what, and operations that are not finished.

    Args:
        since: when the shift began, like -8h or 06:00
    """
    begin = moment(since, "since")
    store, journal = open_alarms(console), open_journal(console)
    try:
        alarms = Alarms(store.standing())
        whole = store.happened(0.0)
        happened = [h for h in whole if h["at"] >= begin]
        done = journal.operations()
    except (AlarmStoreError, JournalError) as exc:
        raise ConsoleError(str(exc)) from exc
    finally:
        store.close()
        journal.close()
    counts: dict[str, int] = {}
    for one in happened:
        counts[one["what"]] = counts.get(one["what"], 0) + 1
    return {
        "since": begin, "until": time.time(), "alarms": [told(a) for a in alarms.shown()],
        "put_aside": [told(a) for a in alarms.set_aside()], "happened": counts,
        "mtbf_s": _mtbf(console, whole, time.time()),
        "by_people": [h for h in happened if h["by"]],
        "open_operations": [_told(o) for o in done if o.state in OPEN],
        "operations": [_told(o) for o in done if o.made_at >= begin],
    }  # fmt: skip


def handover_text(found: dict[str, Any]) -> str:
    """The report as Markdown."""

    def at(second: float) -> str:
        return datetime.fromtimestamp(second, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")

    def alarm(a: dict[str, Any]) -> str:
        where = a["node"] or "the fleet"
        noted = f"; noted by {a['acknowledged']['by']} {a['acknowledged']['why']}".rstrip() if a["acknowledged"] else ""
        aside = f"; until {at(a['shelved']['until'])}: {a['shelved']['why']}" if a["shelved"] else ""
        return f"- **{a['id']}** {where} {a['card'] or ''}: {a['signal']}. {a['do']} ({a['state']}{noted}{aside})"

    def operation(o: dict[str, Any]) -> str:
        return f"- {o['verb']} of {', '.join(o['nodes'])}: {o['state']} ({o['by']}, {at(o['made'])}: {o['reason']})"

    lines = [f"# Handover, {at(found['since'])} to {at(found['until'])}", "", "## Alarms that stand"]
    lines += [alarm(a) for a in found["alarms"]] or ["None."]
    lines += ["", "## Put aside"] + ([alarm(a) for a in found["put_aside"]] or ["None."])
    lines += ["", "## Not finished"] + ([operation(o) for o in found["open_operations"]] or ["Nothing."])
    lines += ["", "## Done in this shift"] + ([operation(o) for o in found["operations"]] or ["Nothing."])
    counts = ", ".join(f"{n} {what}" for what, n in sorted(found["happened"].items())) or "nothing"
    lines += ["", f"Alarms in this shift: {counts}."]
    known = {model: seconds for model, seconds in found["mtbf_s"].items() if seconds is not None}
    lines += [
        f"Mean time between faults of one {model}: {seconds / 86_400.0:.1f} days." for model, seconds in known.items()
    ]
    return "\n".join([*lines, ""])
