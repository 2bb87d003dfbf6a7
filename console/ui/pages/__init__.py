"""The pages of the window. A page is one record here; the rail, the history and the commands are made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QWidget

if TYPE_CHECKING:
    from console.ui.context import Context


@dataclass(frozen=True, slots=True)
class Page:
    """One page.

    Attributes:
        id: its name in history, links and commands.
        title: source text of its title.
        icon: name of its icon in resources.
        make: builds its widget on first use, so that what it imports (plots) is not paid for before.
        rail: "top" or "bottom" of the rail; "" for a page that is reached by going in.
        under: the page shown as current in the rail while this one is open.
        inspects: whether the inspector may stand beside it.

    The widget may have: `open(argument)`, called when it is gone to with an argument; `open_selected()`, for Enter;
    `chosen()`,
    UUIDs or nodes that are selected; `chosen_pid()`, the process that is; `dress()`, when the theme changed; `state()` and
    `restore(state)`, strings kept between runs.
    """

    id: str
    title: str
    icon: str
    make: Callable[[Context], QWidget]
    rail: str = ""
    under: str = ""
    inspects: bool = False


def _fleet(context: Context) -> QWidget:
    from console.ui.fleet.page import FleetPage

    return FleetPage(context)


def _nodes(context: Context) -> QWidget:
    from console.ui.pages.nodes import NodesPage

    return NodesPage(context)


def _events(context: Context) -> QWidget:
    from console.ui.pages.events import EventsPage

    return EventsPage(context)


def _alarms(context: Context) -> QWidget:
    from console.ui.pages.alarms import AlarmsPage

    return AlarmsPage(context)


def _operations(context: Context) -> QWidget:
    from console.ui.pages.operations import OperationsPage

    return OperationsPage(context)


def _assignments(context: Context) -> QWidget:
    from console.ui.pages.assignments import AssignmentsPage

    return AssignmentsPage(context)


def _business(context: Context) -> QWidget:
    from console.ui.business.page import BusinessPage

    return BusinessPage(context)


def _planning(context: Context) -> QWidget:
    from console.ui.planning.page import PlanningPage

    return PlanningPage(context)


def _node(context: Context) -> QWidget:
    from console.ui.pages.node import NodePage

    return NodePage(context)


def _card(context: Context) -> QWidget:
    from console.ui.pages.card import CardPage

    return CardPage(context)


def _settings(context: Context) -> QWidget:
    from console.ui.pages.settings import SettingsPage

    return SettingsPage(context)


PAGES: dict[str, Page] = {
    page.id: page
    for page in (
        Page("fleet", "Fleet", "fleet", _fleet, rail="top", inspects=True),
        Page("nodes", "Nodes", "nodes", _nodes, rail="top", inspects=True),
        Page("events", "Events", "events", _events, rail="top"),
        Page("alarms", "Alarms", "alarms", _alarms, rail="top", inspects=True),
        Page("operations", "Operations", "operations", _operations, rail="top"),
        Page("assignments", "Assigned", "assignments", _assignments, rail="top", inspects=True),
        Page("business", "Business", "business", _business, rail="top"),
        Page("planning", "Planning", "planning", _planning, rail="top"),
        Page("node", "Node", "node", _node, under="nodes", inspects=True),
        Page("card", "Card", "card", _card, under="fleet"),
        Page("settings", "Settings", "settings", _settings, rail="bottom"),
    )
}
