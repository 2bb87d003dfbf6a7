"""Which commands the API has, for whom, and how they are asked for. Nothing else of the command line is reachable over it."""

from __future__ import annotations

from console.callers import Caller
from console.registry import Command, Danger, Parameter

VIEWER = (
    "business", "nodes", "cards", "findings", "why", "lemons", "alarms.list", "holds", "operations.list", "operations.show",
    "tenant.list", "plan.list", "supplier.list", "region.list", "sku.list", "pool.list", "pool.available", "lease.list",
    "lease.show", "meter.list", "invoice.list", "invoice.show", "invoice.statement", "ledger.verify", "ledger.what-if",
    "ledger.audit", "place", "quote", "quote.list", "quote.show", "rent-or-own", "capacity", "compare", "defragment",
    "delivery.list",
)  # fmt: skip
OPERATOR = (
    "drain", "undrain", "assign", "release", "return", "maintenance.begin", "maintenance.end", "mark-healthy", "alarms.ack",
    "alarms.shelve", "alarms.unshelve", "tenant.add", "tenant.quota", "plan.add", "supplier.add", "region.add", "region.link",
    "region.place", "sku.add", "pool.bind", "pool.volume", "pool.retire", "lease.request", "lease.reserve", "lease.begin",
    "lease.return", "lease.end", "lease.change", "lease.plan", "meter.run", "meter.evidence", "meter.append", "meter.void",
    "invoice.draft", "invoice.under", "invoice.issue", "place.reserve", "lease.move", "quote.keep", "delivery.add",
    "delivery.change",
)  # fmt: skip
TENANT = (
    "plan.list", "sku.list", "pool.available", "lease.list", "lease.show", "lease.request", "invoice.list", "invoice.show",
    "invoice.draft", "invoice.statement", "ledger.what-if", "quote", "quote.list", "rent-or-own",
)  # fmt: skip
"""What a tenant may ask, of itself."""

HIDDEN = ("output",)
"""Files of the server are nobody's business."""

DOCUMENT = "file"
"""A parameter that is a file on the command line is a document in a request's body."""


def may(caller: Caller, command: Command) -> bool:
    """Whether a caller may call a command at all."""
    match caller.scope:
        case "operator":
            return True
        case "viewer":
            return command.id in VIEWER
        case _:
            return command.id in TENANT


def is_read(command: Command) -> bool:
    """Whether it is a GET: it changes nothing, and needs no body."""
    return command.danger is Danger.NONE and not any(p.name == DOCUMENT or p.is_many for p in command.parameters)


def parameters(command: Command) -> list[Parameter]:
    """The arguments that the API has of a command."""
    return [p for p in command.parameters if p.name not in HIDDEN]


def path(command: Command) -> str:
    """Where a command is on the server."""
    return "/v1/" + command.id.replace(".", "/")
