"""The ledger as a desk uses it: one's own file, or a server's through SSH. The same acts, whoever keeps the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from console import placing, planning
from console.answers import told, told_map
from console.app import Config, Console, person
from console.attached import Attached
from console.commands import registry
from console.ledger import invoices, leases, meter
from console.ledger.errors import LedgerError
from console.ledger.leases import State
from console.ledger.store import Ledger
from console.ledger.times import instant_text
from console.standing import Standing, look, understood


class Books(Protocol):
    """What a desk does with a ledger. Each may wait, and raises LedgerError, ConsoleError or LinkProblem."""

    def look(self) -> Standing | None:
        """How the business stands."""
        ...

    def invoice(self, name: str) -> dict[str, Any]:
        """An issued invoice with its lines."""
        ...

    def reserve(self, tenant: str, plan: str, sku: str, cards: Sequence[str], begin: int, end: int) -> str:
        """Reserve cards; the lease's name."""
        ...

    def cancel(self, lease: str, why: str) -> None:
        """Cancel a lease that never began."""
        ...

    def begin(self, lease: str) -> None:
        """Note that the nodes confirmed."""
        ...

    def give_back(self, lease: str) -> None:
        """Note that the nodes confirmed its end."""
        ...

    def ask(self, command: str, **values: Any) -> Any:
        """What a command of the ledger answers that needs no nodes: quotes, capacity, scenarios."""
        ...

    def place(self, text: str, seen: Seen) -> dict[str, Any]:
        """The decision on a request, with "map": every card and what refuses it."""
        ...

    def take(self, text: str, cards: Sequence[str], why: str, seen: Seen) -> str:
        """Reserve these cards for a request, with a reason where they are not the best; the lease's name."""
        ...

    def moves(self, seen: Seen) -> dict[str, Any]:
        """The fragmentation gauge, and moves that would mend it."""
        ...

    def close(self) -> None:
        """End what is open."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What a desk sees of nodes: why cards must not be given, {UUID: words}, and versions by node."""

    bars: Mapping[str, str]
    versions: Mapping[str, Mapping[str, str]]


class OwnBooks:
    """The ledger of this workstation's data folder; opened for each act, so that other programs may write between."""

    def __init__(self, folder: Path, printer: Callable[[str], bytes] | None = None) -> None:
        self.folder = folder
        self._console = Console(Config(data=folder))
        self._console.printer = printer

    def ask(self, command: str, **values: Any) -> Any:
        """See Books."""
        run = registry[command].run
        assert run is not None
        return run(self._console, **values)

    def place(self, text: str, seen: Seen) -> dict[str, Any]:
        """See Books."""
        with Ledger(self.folder) as ledger:
            pool = placing.inventory(ledger, seen.bars, seen.versions)
            found = placing.answer(ledger, text, pool)
            mix = placing.mix_of_requests(ledger, pool)
            return told(ledger, pool, mix, found) | {"map": told_map(pool, found)}

    def take(self, text: str, cards: Sequence[str], why: str, seen: Seen) -> str:
        """See Books."""
        with Ledger(self.folder) as ledger:
            pool = placing.inventory(ledger, seen.bars, seen.versions)
            return placing.take(ledger, pool, placing.answer(ledger, text, pool), 1, cards, why).id

    def moves(self, seen: Seen) -> dict[str, Any]:
        """See Books."""
        with Ledger(self.folder) as ledger:
            return planning.told_moves(self.folder, ledger, seen.bars, seen.versions)

    def look(self) -> Standing | None:
        """See Books."""
        return look(self.folder)

    def invoice(self, name: str) -> dict[str, Any]:
        """See Books."""
        with Ledger(self.folder) as ledger:
            return invoices.get(ledger, name)

    def reserve(self, tenant: str, plan: str, sku: str, cards: Sequence[str], begin: int, end: int) -> str:
        """See Books."""
        with Ledger(self.folder) as ledger, ledger.writing():
            made = leases.request(ledger, person(), tenant, plan, sku, len(cards), begin, end)
            return leases.reserve(ledger, person(), made.id, cards).id

    def cancel(self, lease: str, why: str) -> None:
        """See Books."""
        with Ledger(self.folder) as ledger:
            leases.end_early(ledger, person(), lease, State.CANCELLED, why)

    def begin(self, lease: str) -> None:
        """See Books."""
        with Ledger(self.folder) as ledger:
            leases.activate(ledger, person(), lease)

    def give_back(self, lease: str) -> None:
        """See Books."""
        with Ledger(self.folder) as ledger:
            meter.tick(ledger, tenant=leases.give_back(ledger, person(), lease).tenant)

    def close(self) -> None:
        """See Books."""


class ServersBooks:
    """A server's ledger. What acts on nodes the server does itself."""

    def __init__(self, place: str, fleet_path: Path) -> None:
        """Connect. Raises ConsoleError, LinkProblem."""
        self._server = Attached(place, fleet_path)

    def _call(self, name: str, **values: Any) -> Any:
        return self._server.call(registry[name], values)

    def ask(self, command: str, **values: Any) -> Any:
        """See Books."""
        return self._call(command, **values)

    def place(self, text: str, seen: Seen) -> dict[str, Any]:
        """See Books. The server looks at its nodes itself."""
        return dict(self._call("place", request=text, whole=True))

    def take(self, text: str, cards: Sequence[str], why: str, seen: Seen) -> str:
        """See Books."""
        return str(self._call("place.reserve", request=text, cards=list(cards), why=why)["lease"])

    def moves(self, seen: Seen) -> dict[str, Any]:
        """See Books."""
        return dict(self._call("defragment"))

    def look(self) -> Standing | None:
        """See Books."""
        return understood(self._call("business"))

    def invoice(self, name: str) -> dict[str, Any]:
        """See Books."""
        return dict(self._call("invoice.show", invoice=name))

    def reserve(self, tenant: str, plan: str, sku: str, cards: Sequence[str], begin: int, end: int) -> str:
        """See Books. Where the cards are gone meanwhile, what was asked for is taken back."""
        made = self._call(
            "lease.request", tenant=tenant, plan=plan, sku=sku, cards=len(cards), begin=instant_text(begin),
            end=instant_text(end),
        )  # fmt: skip
        name = str(made["lease"])
        try:
            self._call("lease.reserve", lease=name, cards=list(cards))
        except BaseException:
            self._call("lease.end", lease=name, state="cancelled", why="its cards could not be reserved")
            raise
        return name

    def cancel(self, lease: str, why: str) -> None:
        """See Books."""
        self._call("lease.end", lease=lease, state="cancelled", why=why)

    def begin(self, lease: str) -> None:
        """Only the server may note that its nodes confirmed."""
        raise LedgerError(f"the server begins its leases: cardkeeper lease begin {lease} --on HOST")

    def give_back(self, lease: str) -> None:
        """Only the server may note that its nodes confirmed."""
        raise LedgerError(f"the server takes its leases back: cardkeeper lease return {lease} --on HOST")

    def close(self) -> None:
        """See Books."""
        self._server.close()
