"""The life of alarms: raised, acknowledged and cleared in either order, shelved, suppressed by design; floods and chatter.

After ISA-18.2 and EEMUA 191: an alarm asks a person to act; severity 1 latches until it was acknowledged; shelving has a
reason and an end; what was taken out of service on purpose is suppressed, which is another thing. Pure.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from console.health.findings import Cause, Finding

MOST_SHELVED_S = 12 * 3600.0
FLOOD, FLOOD_S = 10, 600.0
CHATTER, CHATTER_S = 3, 60.0
STALE_S = 86_400.0
MOST_ROWS = 18


class AlarmError(ValueError):
    """An alarm that is not there, or words that are missing; the text says so for a person."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm.

    Attributes:
        key: of its cause; `id`: short, for people.
        lead: the finding that says most, as of when it was last active.
        severity: the worst it has been since it was raised.
        count: nodes or cards it stands for; others: consequences and companions.
        raised, cleared: unix seconds; cleared None while active.
        acked_at, acked_by, acked_why: None and "" until somebody took note.
        shelved_until, shelved_by, shelved_why: 0 and "" while not shelved.
        is_suppressed: out of service on purpose.
        times: how often it was raised since it was first.
    """

    key: str
    lead: Finding
    severity: int
    raised: float
    count: int = 1
    others: int = 0
    cleared: float | None = None
    acked_at: float | None = None
    acked_by: str = ""
    acked_why: str = ""
    shelved_until: float = 0.0
    shelved_by: str = ""
    shelved_why: str = ""
    is_suppressed: bool = False
    times: int = 1

    @property
    def id(self) -> str:
        """Six hexadecimal digits of the key."""
        return alarm_id(self.key)

    @property
    def is_active(self) -> bool:
        """Whether its cause holds now."""
        return self.cleared is None

    @property
    def is_shown(self) -> bool:
        """Whether it asks for attention: neither shelved nor suppressed."""
        return not self.shelved_until and not self.is_suppressed

    @property
    def state(self) -> str:
        """ISA-18.2's word for where it stands."""
        if self.shelved_until:
            return "shelved"
        if self.is_suppressed:
            return "suppressed"
        if self.is_active:
            return "acknowledged" if self.acked_at is not None else "unacknowledged"
        return "cleared, unacknowledged"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened to an alarm: raised, raised again, worse, cleared, acknowledged, shelved, unshelved,
    suppressed, unsuppressed, gone."""

    at: float
    what: str
    alarm: Alarm
    by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Quality:
    """How good the alarms are, after EEMUA 191, over what is remembered.

    Attributes:
        per_10_min: mean of alarms raised in ten minutes; the aim is one or fewer.
        flood_share: share of the time with more than FLOOD in ten minutes; below 0.01 is good.
        top_share: share of the ten commonest rules among all.
        stale: active for more than a day.
        mix: share of severities 1, 2, 3; the aim is about 0.05, 0.15, 0.80.
    """

    per_10_min: float
    flood_share: float
    top_share: float
    stale: int
    mix: tuple[float, float, float]


def alarm_id(key: str) -> str:
    """The short name of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:6]


@dataclass(slots=True)
class Alarms:
    """All alarms of a fleet. `standing` {key: Alarm} are those that somebody must know of."""

    standing: dict[str, Alarm] = field(default_factory=dict)
    _raised: deque[tuple[float, str, int]] = field(default_factory=lambda: deque(maxlen=20_000))
    _began: float = 0.0

    def update(self, causes: Iterable[Cause], out: Collection[str], now: float) -> list[Change]:
        """Take over what holds now. `out`: cards and nodes out of service on purpose."""
        self._began = self._began or now
        changes: list[Change] = []
        seen = {c.key: c for c in causes}
        for key, cause in seen.items():
            # What is a rack's is out of service only where all of it is.
            is_out = all(f.card in out or f.node in out for f in (cause.lead, *cause.others))
            changes += self._holds(key, cause, is_out, now)
        for key, alarm in list(self.standing.items()):
            if alarm.shelved_until and now >= alarm.shelved_until:
                alarm = replace(alarm, shelved_until=0.0, shelved_by="", shelved_why="")
                self.standing[key] = alarm
                changes.append(Change(now, "unshelved", alarm, "", "its time is over"))
            if key not in seen and alarm.is_active:
                alarm = self.standing[key] = replace(alarm, cleared=now)
                changes.append(Change(now, "cleared", alarm))
            if not self.standing[key].is_active:
                changes += self._maybe_gone(key, now)
        return changes

    def _holds(self, key: str, cause: Cause, is_out: bool, now: float) -> list[Change]:
        was = self.standing.get(key)
        if was is None:
            made = Alarm(
                key, cause.lead, cause.severity, cause.lead.since or now, cause.count, len(cause.others),
                is_suppressed=is_out,
            )  # fmt: skip
            self.standing[key] = made
            self._raised.append((now, cause.lead.rule, cause.severity))
            return [Change(now, "raised", made)]
        made = replace(
            was, lead=cause.lead, severity=min(was.severity, cause.severity), count=cause.count,
            others=len(cause.others), cleared=None, is_suppressed=is_out,
        )  # fmt: skip
        changes = []
        if not was.is_active:
            # Somebody who took note of it last time has not yet taken note of this time.
            made = replace(made, acked_at=None, acked_by="", acked_why="", times=was.times + 1)
            self._raised.append((now, cause.lead.rule, cause.severity))
            changes.append(Change(now, "raised again", made))
        elif made.severity < was.severity:
            made = replace(made, acked_at=None, acked_by="", acked_why="")
            changes.append(Change(now, "worse", made))
        if was.is_suppressed != is_out:
            changes.append(Change(now, "suppressed" if is_out else "unsuppressed", made))
        self.standing[key] = made
        return changes

    def _maybe_gone(self, key: str, now: float) -> list[Change]:
        alarm = self.standing[key]
        is_latched = alarm.severity == 1 and alarm.acked_at is None and alarm.is_shown
        if is_latched or alarm.shelved_until:
            return []
        del self.standing[key]
        return [Change(now, "gone", alarm)]

    # What people do

    def find(self, name: str) -> Alarm:
        """The alarm of an id or key; the beginning of an id is enough where it is the only one.

        Raises:
            AlarmError: there is none.
        """
        found = [a for a in self.standing.values() if a.key == name or (len(name) >= 3 and a.id.startswith(name))]
        if len(found) != 1:
            raise AlarmError(f"there is no alarm {name}; see: cardkeeper alarms list")
        return found[0]

    def acknowledge(self, name: str, by: str, why: str, now: float) -> list[Change]:
        """Take note of an alarm. Raises AlarmError."""
        alarm = self.find(name)
        made = self.standing[alarm.key] = replace(alarm, acked_at=now, acked_by=by, acked_why=why)
        changes = [Change(now, "acknowledged", made, by, why)]
        return changes + (self._maybe_gone(alarm.key, now) if not made.is_active else [])

    def shelve(self, name: str, by: str, why: str, until: float, now: float) -> list[Change]:
        """Put an alarm aside until a second, at most MOST_SHELVED_S from now. Raises AlarmError."""
        alarm = self.find(name)
        if not why.strip():
            raise AlarmError("say why it is shelved: whoever comes next must know")
        if not now < until <= now + MOST_SHELVED_S + 1.0:
            raise AlarmError(f"an alarm is shelved for {MOST_SHELVED_S / 3600:.0f} hours at most")
        made = replace(alarm, shelved_until=until, shelved_by=by, shelved_why=why.strip())
        self.standing[alarm.key] = made
        return [Change(now, "shelved", made, by, why.strip())]

    def unshelve(self, name: str, by: str, now: float) -> list[Change]:
        """Take an alarm back from the shelf. Raises AlarmError."""
        alarm = self.find(name)
        made = self.standing[alarm.key] = replace(alarm, shelved_until=0.0, shelved_by="", shelved_why="")
        return [Change(now, "unshelved", made, by), *([] if made.is_active else self._maybe_gone(alarm.key, now))]

    # Looking at them

    def shown(self) -> list[Alarm]:
        """Those that ask for attention: unacknowledged first, worst first, oldest first."""
        asked = [a for a in self.standing.values() if a.is_shown]
        return sorted(asked, key=lambda a: (a.acked_at is not None, a.severity, a.raised, a.key))

    def set_aside(self) -> list[Alarm]:
        """Those that are shelved or suppressed."""
        return sorted(
            (a for a in self.standing.values() if not a.is_shown), key=lambda a: (a.severity, a.raised, a.key)
        )

    def is_flood(self, now: float) -> bool:
        """More than FLOOD were raised within FLOOD_S."""
        return sum(now - at <= FLOOD_S for at, _, _ in self._raised) > FLOOD

    def is_chattering(self, alarm: Alarm, now: float) -> bool:
        """Whether its rule was raised CHATTER times within CHATTER_S by this one alone: the rule wants tuning."""
        return alarm.times >= CHATTER and now - alarm.raised <= alarm.times * CHATTER_S / CHATTER

    def quality(self, now: float) -> Quality:
        """How good the alarms are since this began."""
        total = len(self._raised)
        spans = max(1.0, (now - self._began) / FLOOD_S)
        times = sorted(at for at, _, _ in self._raised)
        flooded, first = 0.0, 0
        for last, at in enumerate(times):
            while at - times[first] > FLOOD_S:
                first += 1
            if last - first + 1 > FLOOD:
                flooded += min(FLOOD_S, at - times[last - 1])
        common = Counter(rule for _, rule, _ in self._raised).most_common(10)
        mix = Counter(severity for _, _, severity in self._raised)
        return Quality(
            total / spans, min(1.0, flooded / max(1.0, now - self._began)),
            sum(n for _, n in common) / total if total else 0.0,
            sum(a.is_active and now - a.raised > STALE_S for a in self.standing.values()),
            (mix[1] / total, mix[2] / total, mix[3] / total) if total else (0.0, 0.0, 0.0),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """Alarms shown as one row. `first` is the first-out: the oldest of the worst."""

    title: str
    alarms: tuple[Alarm, ...]

    @property
    def first(self) -> Alarm:
        """What came first is nearest to the cause."""
        return min(self.alarms, key=lambda a: (a.severity, a.raised))


def grouped(alarms: Iterable[Alarm], places: Mapping[str, Mapping[str, str]]) -> list[Group]:
    """Alarms in at most MOST_ROWS rows: by rule and the dimension of `places` {dimension: {node: value}} that gathers most,
    with the first-out alarm on top by itself."""
    whole = list(alarms)
    if len(whole) <= MOST_ROWS:
        return [Group("", (a,)) for a in whole]
    best: list[Group] = []
    for dimension, of in places.items():
        rows: dict[tuple[str, str], list[Alarm]] = {}
        for alarm in whole:
            rows.setdefault((alarm.lead.signal, of.get(alarm.lead.node, "")), []).append(alarm)
        if not any(value for _, value in rows):
            # Nobody said which switch, driver or tenant: that gathers everything, and says nothing.
            continue
        made = [Group(f"{signal}, {dimension} {value or '?'}", tuple(a)) for (signal, value), a in rows.items()]
        if not best or len(made) < len(best):
            best = made
    if not best or len(best) > MOST_ROWS - 1:
        by_rule: dict[str, list[Alarm]] = {}
        for alarm in whole:
            by_rule.setdefault(alarm.lead.family, []).append(alarm)
        best = [Group(family, tuple(a)) for family, a in by_rule.items()]
    first = min(whole, key=lambda a: (a.severity, a.raised))
    best.sort(key=lambda g: (g.first.severity, g.first.raised))
    return [Group("", (first,)), *best]


def told(alarm: Alarm) -> dict[str, Any]:
    """An alarm as JSON."""
    lead = alarm.lead
    return {
        "id": alarm.id, "key": alarm.key, "state": alarm.state, "severity": alarm.severity, "node": lead.node or None,
        "card": lead.card or None, "signal": lead.signal, "action": lead.action, "do": lead.do,
        "evidence": lead.evidence, "source": lead.source, "raised": alarm.raised, "cleared": alarm.cleared,
        "count": alarm.count, "others": alarm.others, "times": alarm.times,
        "acknowledged": None if alarm.acked_at is None
        else {"at": alarm.acked_at, "by": alarm.acked_by, "why": alarm.acked_why},
        "shelved": None if not alarm.shelved_until
        else {"until": alarm.shelved_until, "by": alarm.shelved_by, "why": alarm.shelved_why},
    }  # fmt: skip
