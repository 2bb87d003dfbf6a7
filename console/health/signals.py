"""The tests that rules name: each looks at the facts and says for which rows or nodes it holds, with evidence. Pure but for
the memory that it is handed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.fleet.metrics import CARD_METRIC, HOST_METRIC
from console.fleet.model import NodeEvent
from console.fleet.show import RECOVERY_ACTIONS, reading
from console.fleet.state import LinkState, ReadingState
from console.health.facts import F8, Facts
from console.health.memory import Held, Rise
from console.health.triage import Rule, Triage

RECOVERY_SEVERITY = {1: 1, 2: 1, 3: 2, 4: 1, 5: 2, 6: 1, 7: 1}
"""Of NVML's recovery actions; a value that is not here goes to a person."""

LOST = (LinkState.LOST, LinkState.FAILED, LinkState.STALE)
ASKED = (
    "key_unknown",
    "passphrase",
    "auth",
    "config",
    "name",
    "key_changed",
    "key_revoked",
    "nvml",
    "driver",
    "agent",
    "python",
)
"""Problems that say by themselves why a node is not live: it was not lost."""

LEAST_PEERS = 3
AT_ONCE_S = 10.0
LOOK_S = 0.8
"""Looks come about once a second; a little less, so that none is skipped."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule holds for a row of cards or nodes (`at`), since a unix second."""

    at: int
    evidence: str
    since: float
    severity: int = 0
    action: str = ""
    do: str = ""
    code: int | None = None
    signal: str = ""
    differs: str = ""


Test = Callable[[Rule, Facts, "State", Triage], Iterator[Hit]]


class State:
    """What one rule remembers."""

    def __init__(self, rule: Rule, at_once: bool = False) -> None:
        """`at_once`: there is one look only; rules that need seconds take it for all, rules that need minutes do not."""
        n, m = rule.params.get("on", (1, 1))
        every = float(rule.params.get("every_s", LOOK_S))
        if at_once and n * every <= AT_ONCE_S:
            n, m = 1, 1
        self.held = Held(int(n), int(m), every, float(rule.params.get("off_s", 0.0)))
        self.rise = Rise(float(rule.params.get("window_s", 3600.0)))

    def resize(self, place: npt.NDArray[np.intp]) -> None:
        """Rows are others now; see Held.resize."""
        self.held.resize(place)
        self.rise.resize(place)


def _fresh(facts: Facts, metric: str) -> F8:
    values, states = facts.column(metric)
    return np.where((states == ReadingState.FRESH) & ~facts.is_slice, values, np.nan)


def _text(metric: str, value: float) -> str:
    found = CARD_METRIC.get(metric) or HOST_METRIC[metric]
    return reading(metric, value, found.unit)


def _hits(facts: Facts, state: State, is_so: npt.NDArray[np.bool_], text: Callable[[int], str]) -> Iterator[Hit]:
    holds, since = state.held.look(facts.now, is_so)
    for row in np.flatnonzero(holds).tolist():
        yield Hit(row, text(row), float(since[row]))


def peers(facts: Facts, row: int, values: F8) -> F8:
    """The known values of other cards of the same model."""
    same = np.array([m == facts.models[row] for m in facts.models], dtype=bool)
    same[row] = False
    return values[same & ~np.isnan(values)]


def percentile_text(facts: Facts, row: int, values: F8) -> str:
    """Where a card stands among its peers, "" where there are too few."""
    others = peers(facts, row, values)
    if len(others) < LEAST_PEERS:
        return ""
    below = float((others < values[row]).mean()) * 100.0
    return f"; above {below:.0f}% of {len(others)} peers"


def above(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A metric is above a value."""
    metric, limit = str(rule.params["metric"]), float(rule.params["value"])
    values = _fresh(facts, metric)
    with np.errstate(invalid="ignore"):
        is_so = values > limit

    def text(row: int) -> str:
        title = CARD_METRIC[metric].title
        if np.isnan(values[row]):
            return title
        said = f"{title}: {_text(metric, values[row])}"
        return said if CARD_METRIC[metric].high <= 1 else said + percentile_text(facts, row, values)

    return _hits(facts, state, is_so, text)


def bits(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """Bits of a mask are set."""
    metric, wanted = str(rule.params["metric"]), int(rule.params["bits"])
    values = np.nan_to_num(_fresh(facts, metric)).astype(np.int64)
    n, m = rule.params["on"]
    every = float(rule.params.get("every_s", LOOK_S))
    is_so = (values & wanted) != 0

    def text(_row: int) -> str:
        share = float(is_so[~facts.is_slice].mean()) if facts.rows else 0.0
        return f"in at least {n} of {m} looks {max(1.0, every):.0f} s apart; now on {share:.1%} of all cards"

    return _hits(facts, state, is_so, text)


def lost(rule: Rule, facts: Facts, state: State, _triage: Triage) -> Iterator[Hit]:
    """The driver says that the card is lost."""
    _, states = facts.column(str(rule.params["metric"]))
    is_so = (states == ReadingState.LOST) & ~facts.is_slice
    return _hits(facts, state, is_so, lambda _row: "NVML answers GPU_IS_LOST for every reading")


def recovery(rule: Rule, facts: Facts, state: State, _triage: Triage) -> Iterator[Hit]:
    """The driver's own recovery action, which wins over everything else."""
    values = np.nan_to_num(_fresh(facts, str(rule.params["metric"])))
    holds, since = state.held.look(facts.now, values >= 1)
    for row in np.flatnonzero(holds).tolist():
        value = int(values[row])
        known = value < len(RECOVERY_ACTIONS)
        do = RECOVERY_ACTIONS[value] if known else "Ask a person: this console does not know that recovery action"
        severity = RECOVERY_SEVERITY.get(value, 2)
        evidence = f"NVML field 230 is {value}" + (f" ({do.lower()})" if known else "")
        yield Hit(row, evidence, float(since[row]), severity, f"RECOVERY_{value}", do)


def rose(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A counter rose by a value within a window."""
    metric, least = str(rule.params["metric"]), float(rule.params["value"])
    rise = state.rise.look(facts.now, _fresh(facts, metric))
    with np.errstate(invalid="ignore"):
        is_so = rise >= least
    window = float(rule.params["window_s"]) / 60.0
    title = CARD_METRIC[metric].title
    return _hits(facts, state, is_so, lambda r: f"{title} rose by {rise[r]:g} within {window:.0f} min")


def rose_peers(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A counter rose far more than that of peers."""
    metric, least, factor = str(rule.params["metric"]), float(rule.params["value"]), float(rule.params["factor"])
    rise = state.rise.look(facts.now, _fresh(facts, metric))
    middle = _middle(facts, rise)
    with np.errstate(invalid="ignore"):
        is_so = (rise >= least) & (rise > factor * middle)
    title = CARD_METRIC[metric].title
    return _hits(
        facts, state, is_so, lambda r: f"{title} rose by {rise[r]:g}; {middle[r]:g} on the middle one of its peers"
    )


def _middle(facts: Facts, values: F8) -> F8:
    """The median of each row's model; NaN with fewer than LEAST_PEERS."""
    out = np.full(facts.rows, np.nan)
    models = np.array(facts.models)
    for model in set(facts.models):
        same = models == model
        known = values[same & ~np.isnan(values)]
        if len(known) >= LEAST_PEERS:
            out[same] = np.median(known)
    return out


def less(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """Less than most cards of the same model have: the fleet is the inventory."""
    metric = str(rule.params["metric"])
    values = _fresh(facts, metric)
    models = np.array(facts.models)
    most = np.full(facts.rows, np.nan)
    for model in set(facts.models):
        same = models == model
        known = values[same & ~np.isnan(values)]
        if len(known) >= LEAST_PEERS:
            most[same] = Counter(known.tolist()).most_common(1)[0][0]
    with np.errstate(invalid="ignore"):
        is_so = values < most
    title = CARD_METRIC[metric].title
    return _hits(facts, state, is_so, lambda r: f"{title}: {values[r]:g}; {most[r]:g} on most {facts.models[r]}")


def straggler(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A card whose clock is below a share of the median of the cards of its job, all of them busy."""
    metric, share = str(rule.params["metric"]), float(rule.params["share"])
    values, busy = _fresh(facts, metric), _fresh(facts, "utilization_gpu")
    is_so = np.zeros(facts.rows, dtype=bool)
    middle = np.full(facts.rows, np.nan)
    for rows in _jobs(facts).values():
        at = np.array(rows)
        with np.errstate(invalid="ignore"):
            good = at[(busy[at] >= 50.0) & ~np.isnan(values[at])]
        if len(good) > LEAST_PEERS:
            middle[good] = np.median(values[good])
            is_so[good] = values[good] < share * middle[good]
    title = CARD_METRIC[metric].title
    return _hits(
        facts, state, is_so, lambda r: f"{title} {values[r]:.0f} MHz; {middle[r]:.0f} MHz on the middle one of its job"
    )


def _jobs(facts: Facts) -> dict[str, list[int]]:
    jobs: dict[str, list[int]] = {}
    for row, job in facts.jobs.items():
        if job and not facts.is_slice[row]:
            jobs.setdefault(job, []).append(row)
    return jobs


def idle_held(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A process holds the card, and nothing runs."""
    values = _fresh(facts, str(rule.params["metric"]))
    held = np.zeros(facts.rows, dtype=bool)
    held[[r for r, job in facts.jobs.items() if job]] = True
    with np.errstate(invalid="ignore"):
        is_so = held & (values < float(rule.params["value"])) & ~facts.is_slice
    n, _m = rule.params["on"]
    minutes = n * float(rule.params.get("every_s", LOOK_S)) / 60.0

    def text(row: int) -> str:
        held_by = facts.jobs.get(row, "a process that ended")
        return f"utilisation below {rule.params['value']}% for {minutes:.0f} min; held by {held_by}"

    return _hits(facts, state, is_so, text)


def xid(rule: Rule, facts: Facts, _state: State, triage: Triage) -> Iterator[Hit]:
    """XIDs of the last while, one hit a card and code."""
    row_of = {u: i for i, u in enumerate(facts.uuids)}
    seen: dict[tuple[int, int], list[NodeEvent]] = {}
    for one in facts.events:
        row = row_of.get(one.uuid)
        is_new = facts.now - one.wall_s <= float(rule.params["for_s"])
        if one.kind == "xid" and is_new and row is not None and one.code is not None:
            seen.setdefault((row, one.code), []).append(one)
    for (row, code), events in seen.items():
        # Of one code some lines are fatal and others nothing: the worst of them speaks.
        found = min((triage.told(code, e.text) for e in events), key=lambda x: x.severity)
        text = (f"{len(events)} times; " if len(events) > 1 else "") + (events[-1].text[:200] or "told by the driver")
        yield Hit(
            row, text, events[0].wall_s, found.severity, found.action or "HUMAN",
            found.do, code, f"XID {code}: {found.title}", found.differs,
        )  # fmt: skip


def event(rule: Rule, facts: Facts, _state: State, __: Triage) -> Iterator[Hit]:
    """An event of a kind within a while, unless the card came back since."""
    row_of = {u: i for i, u in enumerate(facts.uuids)}
    found: dict[int, tuple[float, str]] = {}
    for one in facts.events:
        row = row_of.get(one.uuid)
        if row is None or facts.now - one.wall_s > float(rule.params["for_s"]):
            continue
        if one.kind == "card_back":
            found.pop(row, None)
        elif one.kind == rule.params["event"]:
            found.setdefault(row, (one.wall_s, one.text))
    for row, (since, text) in found.items():
        yield Hit(row, text[:200], since)


# Of nodes


def _lost_nodes(facts: Facts, for_s: float) -> list[int]:
    return [i for i, n in enumerate(facts.nodes) if n.link in LOST and n.problem not in ASKED and n.since_s >= for_s]


def link(rule: Rule, facts: Facts, _state: State, __: Triage) -> Iterator[Hit]:
    """A node that was reached is not reached."""
    for at in _lost_nodes(facts, float(rule.params["for_s"])):
        node = facts.nodes[at]
        worst = 1 if node.has_work else 0
        held = "; work ran on it" if node.has_work else ""
        yield Hit(at, f"{node.text or 'no answer'}{held}", facts.now - node.since_s, worst)


def many_lost(rule: Rule, facts: Facts, _state: State, __: Triage) -> Iterator[Hit]:
    """A share of all nodes is not reached."""
    gone = _lost_nodes(facts, float(rule.params["for_s"]))
    if len(gone) >= int(rule.params["least"]) and len(gone) > float(rule.params["share"]) * len(facts.nodes):
        first = max(gone, key=lambda i: facts.nodes[i].since_s)
        text = f"{len(gone)} of {len(facts.nodes)} nodes; first {facts.nodes[first].name}"
        yield Hit(-1, text, facts.now - facts.nodes[first].since_s)


def agent(rule: Rule, facts: Facts, _state: State, __: Triage) -> Iterator[Hit]:
    """The agent does not run where the node is reached."""
    for at, node in enumerate(facts.nodes):
        if node.problem in ("agent", "python"):
            again = node.reconnects >= int(rule.params["restarts"])
            yield Hit(
                at, f"{node.text}; started {node.reconnects + 1} times", facts.now - node.since_s, 2 if again else 3
            )


def problem(rule: Rule, facts: Facts, _state: State, __: Triage) -> Iterator[Hit]:
    """A problem of a kind."""
    for at, node in enumerate(facts.nodes):
        if node.problem in rule.params["codes"]:
            yield Hit(at, node.text, facts.now - node.since_s)


def driver_differs(_rule: Rule, facts: Facts, _state: State, __: Triage) -> Iterator[Hit]:
    """Another driver than most nodes with the same cards."""
    models: dict[int, str] = {}
    for row, node in enumerate(facts.row_nodes.tolist()):
        models.setdefault(node, facts.models[row])
    groups: dict[str, list[int]] = {}
    for node, model in models.items():
        if facts.nodes[node].driver:
            groups.setdefault(model, []).append(node)
    for model, members in groups.items():
        most, count = Counter(facts.nodes[n].driver for n in members).most_common(1)[0]
        if count < LEAST_PEERS:
            continue
        for n in members:
            if facts.nodes[n].driver != most:
                yield Hit(n, f"driver {facts.nodes[n].driver}; {most} on {count} nodes with {model}", facts.now)


def skew(rule: Rule, facts: Facts, _state: State, triage: Triage) -> Iterator[Hit]:
    """The node's clock is off; the strictest rule that holds speaks."""
    limit = float(rule.params["value"])
    higher = [float(r.params["value"]) for r in triage.rules if r.kind == "skew" and float(r.params["value"]) > limit]
    for at, node in enumerate(facts.nodes):
        off = abs(node.clock_offset_s or 0.0)
        if off > limit and not any(off > h for h in higher):
            yield Hit(at, f"off by {node.clock_offset_s:+.1f} s", facts.now)


def _host(facts: Facts, metric: str) -> F8:
    values, states = facts.host_column(metric)
    return np.where(states == ReadingState.FRESH, values, np.nan)


def host_above(rule: Rule, facts: Facts, state: State, triage: Triage) -> Iterator[Hit]:
    """A metric of the host is above a value; the strictest rule that holds speaks."""
    metric, limit = str(rule.params["metric"]), float(rule.params["value"])
    values = _host(facts, metric)
    higher = [
        float(r.params["value"]) for r in triage.rules
        if r.kind == "host_above" and r.params["metric"] == metric and float(r.params["value"]) > limit
    ]  # fmt: skip
    with np.errstate(invalid="ignore"):
        is_so = (values > limit) & ~np.any([values > h for h in higher], axis=0) if higher else values > limit
    return _hits(facts, state, is_so, lambda r: f"{HOST_METRIC[metric].title}: {_text(metric, values[r])}")


def host_rose(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A counter of the host rose by a value within a window."""
    metric, least = str(rule.params["metric"]), float(rule.params["value"])
    rise = state.rise.look(facts.now, _host(facts, metric))
    with np.errstate(invalid="ignore"):
        is_so = rise >= least
    hours = float(rule.params["window_s"]) / 3600.0
    return _hits(facts, state, is_so, lambda r: f"{HOST_METRIC[metric].title} rose by {rise[r]:g} within {hours:.0f} h")


TESTS: dict[str, Test] = {
    "recovery": recovery, "lost": lost, "event": event, "above": above, "bits": bits, "rose": rose, "less": less,
    "rose_peers": rose_peers, "xid": xid, "straggler": straggler, "idle_held": idle_held, "link": link,
    "many_lost": many_lost, "agent": agent, "problem": problem, "driver_differs": driver_differs, "skew": skew,
    "host_above": host_above, "host_rose": host_rose,
}  # fmt: skip
