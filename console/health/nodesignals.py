"""The tests of rules about nodes: links, agents, clocks, and the host around the cards. Pure but for a rule's memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from console.fleet.metrics import HOST_METRIC
from console.fleet.state import LinkState, ReadingState
from console.health.facts import F8, Facts
from console.health.hits import LEAST_PEERS, Hit, State, commonest, hits, value_text
from console.health.triage import Rule, Triage

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
    models = _node_models(facts)
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


def _node_models(facts: Facts) -> dict[int, str]:
    """Of each node that has cards, the model of its first."""
    models: dict[int, str] = {}
    for row, node in enumerate(facts.row_nodes.tolist()):
        models.setdefault(node, facts.models[row])
    return models


def skew(rule: Rule, facts: Facts, _state: State, __: Triage) -> Iterator[Hit]:
    """The node's clock is off."""
    for at, node in enumerate(facts.nodes):
        if abs(node.clock_offset_s or 0.0) > float(rule.params["value"]):
            yield Hit(at, f"off by {node.clock_offset_s:+.1f} s", facts.now)


def _host(facts: Facts, metric: str) -> F8:
    values, states = facts.host_column(metric)
    return np.where(states == ReadingState.FRESH, values, np.nan)


def host_above(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A metric of the host is above a value."""
    metric = str(rule.params["metric"])
    values = _host(facts, metric)
    return hits(
        facts,
        state,
        state.beyond.above(values),
        lambda r: f"{HOST_METRIC[metric].title}: {value_text(metric, values[r])}",
    )


def host_share(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """One metric of the host is above so many percent of another."""
    metric, of = str(rule.params["metric"]), str(rule.params["of"])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 100.0 * _host(facts, metric) / _host(facts, of)
    share[~np.isfinite(share)] = np.nan
    return hits(facts, state, state.beyond.above(share), lambda r: f"{HOST_METRIC[metric].title}: {share[r]:.0f} %")


def host_less(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """Less than most nodes with the same cards have: the fleet is the inventory."""
    metric = str(rule.params["metric"])
    values = _host(facts, metric)
    models = _node_models(facts)
    kinds = [models.get(n, "") for n in range(len(facts.nodes))]
    most = commonest(values, kinds)
    with np.errstate(invalid="ignore"):
        is_so = values < most
    title = HOST_METRIC[metric].title
    return hits(
        facts,
        state,
        is_so,
        lambda r: f"{title}: {values[r]:g}; {most[r]:g} on most nodes with {kinds[r] or 'no cards'}",
    )


def host_rose(rule: Rule, facts: Facts, state: State, _: Triage) -> Iterator[Hit]:
    """A counter of the host rose by a value within a window."""
    metric, least = str(rule.params["metric"]), float(rule.params["value"])
    rise = state.rise.look(facts.now, _host(facts, metric))
    with np.errstate(invalid="ignore"):
        is_so = rise >= least
    hours = float(rule.params["window_s"]) / 3600.0
    return hits(facts, state, is_so, lambda r: f"{HOST_METRIC[metric].title} rose by {rise[r]:g} within {hours:.0f} h")
