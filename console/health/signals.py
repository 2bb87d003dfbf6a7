"""The tests that rules name: each looks at the facts and says for which rows or nodes it holds, with evidence. Pure but for
the memory that it is handed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from console.fleet.metrics import CARD_METRIC
from console.fleet.model import NodeEvent
from console.fleet.show import RECOVERY_ACTIONS
from console.fleet.state import ReadingState
from console.health import nodesignals
from console.health.facts import F8, Facts
from console.health.hits import LEAST_PEERS, LOOK_S, Hit, State, Test, commonest, hits, value_text
from console.health.triage import Rule, Triage

RECOVERY_SEVERITY = {1: 1, 2: 1, 3: 2, 4: 1, 5: 2, 6: 1, 7: 1}
"""Of NVML's recovery actions; a value that is not here goes to a person."""


def _fresh(facts: Facts, metric: str) -> F8:
    values, states = facts.column(metric)
    return np.where((states == ReadingState.FRESH) & ~facts.is_slice, values, np.nan)


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
    metric = str(rule.params["metric"])
    values = _fresh(facts, metric)
    return hits(facts, state, state.beyond.above(values), lambda r: _reading_text(facts, metric, values, r))


def below(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A metric is below a value."""
    metric = str(rule.params["metric"])
    values = _fresh(facts, metric)
    return hits(facts, state, state.beyond.below(values), lambda r: _reading_text(facts, metric, values, r))


def _reading_text(facts: Facts, metric: str, values: F8, row: int) -> str:
    title = CARD_METRIC[metric].title
    if np.isnan(values[row]):
        return title
    said = f"{title}: {value_text(metric, values[row])}"
    return said if CARD_METRIC[metric].high <= 1 else said + percentile_text(facts, row, values)


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

    return hits(facts, state, is_so, text)


def lost(rule: Rule, facts: Facts, state: State, _triage: Triage) -> Iterator[Hit]:
    """The driver says that the card is lost."""
    _, states = facts.column(str(rule.params["metric"]))
    is_so = (states == ReadingState.LOST) & ~facts.is_slice
    return hits(facts, state, is_so, lambda _row: "NVML answers GPU_IS_LOST for every reading")


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

    def text(row: int) -> str:
        return f"{title} rose by {rise[row]:g} within {window:.0f} min{percentile_text(facts, row, rise)}"

    return hits(facts, state, is_so, text)


def rose_peers(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A counter rose far more than that of peers."""
    metric, least, factor = str(rule.params["metric"]), float(rule.params["value"]), float(rule.params["factor"])
    rise = state.rise.look(facts.now, _fresh(facts, metric))
    middle = _middle(facts, rise)
    with np.errstate(invalid="ignore"):
        is_so = (rise >= least) & (rise > factor * middle)
    title = CARD_METRIC[metric].title
    return hits(
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
    """Less than most cards of the same model have: the fleet is the inventory. `busy`: of cards at work alone."""
    metric = str(rule.params["metric"])
    values = _fresh(facts, metric)
    if "busy" in rule.params:
        # An idle card lowers its link's generation by itself.
        with np.errstate(invalid="ignore"):
            values = np.where(_fresh(facts, "utilization_gpu") >= float(rule.params["busy"]), values, np.nan)
    most = commonest(values, facts.models)
    with np.errstate(invalid="ignore"):
        is_so = values < most
    title = CARD_METRIC[metric].title
    return hits(facts, state, is_so, lambda r: f"{title}: {values[r]:g}; {most[r]:g} on most {facts.models[r]}")


def unowned(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """Memory is in use, and no process holds the card."""
    used = _fresh(facts, "memory_used") - np.nan_to_num(_fresh(facts, "memory_reserved"))
    with np.errstate(invalid="ignore"):
        is_so = (used > float(rule.params["value"])) & (_fresh(facts, "process_count") == 0)
    return hits(
        facts, state, is_so, lambda r: f"{value_text('memory_used', used[r])} in use, and NVML lists no process"
    )


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
    return hits(
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

    return hits(facts, state, is_so, text)


def xid(rule: Rule, facts: Facts, _state: State, triage: Triage) -> Iterator[Hit]:
    """XIDs of the last while, one hit a card and code."""
    seen: dict[tuple[int, int], list[NodeEvent]] = {}
    for one in facts.events:
        row = facts.row_of.get(one.uuid)
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
    found: dict[int, tuple[float, str]] = {}
    for one in facts.events:
        row = facts.row_of.get(one.uuid)
        if row is None or facts.now - one.wall_s > float(rule.params["for_s"]):
            continue
        if one.kind == "card_back":
            found.pop(row, None)
        elif one.kind == rule.params["event"]:
            found.setdefault(row, (one.wall_s, one.text))
    for row, (since, text) in found.items():
        yield Hit(row, text[:200], since)


TESTS: dict[str, Test] = {
    "recovery": recovery, "lost": lost, "event": event, "above": above, "below": below, "bits": bits, "rose": rose,
    "less": less, "rose_peers": rose_peers, "xid": xid, "straggler": straggler, "idle_held": idle_held,
    "unowned": unowned, "link": nodesignals.link, "many_lost": nodesignals.many_lost, "agent": nodesignals.agent,
    "problem": nodesignals.problem, "driver_differs": nodesignals.driver_differs, "skew": nodesignals.skew,
    "host_above": nodesignals.host_above, "host_rose": nodesignals.host_rose, "host_less": nodesignals.host_less,
    "host_share": nodesignals.host_share,
}  # fmt: skip
