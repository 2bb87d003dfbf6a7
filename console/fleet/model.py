"""Nodes, jumps, cards and slices as the console knows them. Frozen values."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Jump:
    """A host connections pass through. Same SSH keys as a node."""

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    identity: str | None = None
    known_hosts: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One configured node. None means "not said in the fleet file": the user's SSH config, then the default, decides.

    Attributes:
        name: unique in the fleet; ^[A-Za-z0-9][A-Za-z0-9._-]{0,252}$.
        host: name, alias of the SSH config, or address.
        interval_s: fast tier period in seconds, 0.5 or more.
        jump: names of jumps, outermost first.
        python: interpreter on the node, ^[A-Za-z0-9._/+-]+$.
        scheduler: plugin that is the authority over the node ("slurm"), "" for none.
        scheduler_via: name of the node on which its commands are run; "" for the node itself.
        scheduler_name: what the scheduler calls the node; "" for `name`.
    """

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    identity: str | None = None
    known_hosts: str | None = None
    interval_s: float = 1.0
    jump: tuple[str, ...] = ()
    python: str = "python3"
    region: str = ""
    rack: str = ""
    supplier: str = ""
    scheduler: str = ""
    scheduler_via: str = ""
    scheduler_name: str = ""
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet file, read and checked.

    Attributes:
        name: shown in the header (the file's stem unless the file says `name`).
        path: where it was read from; "" for a fleet made in memory.
        demo: True for the embedded demo fleet.
    """

    name: str
    path: str
    nodes: tuple[Node, ...]
    jumps: tuple[Jump, ...] = ()
    demo: bool = False


class EntityKind(enum.StrEnum):
    """A whole card, or a slice (MIG instance) of one."""

    CARD = "card"
    SLICE = "slice"


@dataclass(frozen=True, slots=True)
class Entity:
    """A card or slice as its node's agent described it.

    Attributes:
        uuid: NVML UUID; the only identity. "index" is where it sat when the agent started.
        node: name of the node.
        parent: UUID of the card a slice belongs to, else "".
        facts: strings for people: serial, pci_bus_id, vbios, architecture, ...; hostile until escaped.
    """

    uuid: str
    node: str
    kind: EntityKind
    index: int
    name: str
    parent: str = ""
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process on a card. Memory in bytes, None where the driver does not say."""

    uuid: str
    pid: int
    kind: str
    memory: int | None
    user: str = ""
    command: str = ""
    started_s: float | None = None
    container: str = ""
    slurm_job: str = ""
    pod: str = ""
    utilization: float | None = None


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """Something that happened on a node: an XID, a reboot, a lost card, an agent error.

    Attributes:
        wall_s: node wall clock, seconds since 1970 UTC, as the node said it.
        received_s: our wall clock at receipt.
        kind: "xid", "card_lost", "card_hung", "card_back", "agent", "link", "clock_step", "driver", "reboot".
        code: XID number, else None.
        source: "nvml", "kernel", "agent" or "console".
        text: raw line; hostile until escaped.
    """

    node: str
    uuid: str
    wall_s: float
    received_s: float
    kind: str
    code: int | None
    source: str
    text: str
