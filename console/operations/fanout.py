"""How many nodes are touched at once, and when to stop. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

MOST_A_BATCH = 25
SHARE_A_BATCH = 0.10
BREAKER_SHARE = 0.20
BREAKER_S = 600.0


def batches(nodes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """A canary of one, then at most a tenth of the nodes (one at least, MOST_A_BATCH at most) a time."""
    if not nodes:
        return
    yield (nodes[0],)
    size = min(MOST_A_BATCH, max(1, int(len(nodes) * SHARE_A_BATCH)))
    for first in range(1, len(nodes), size):
        yield tuple(nodes[first : first + size])


@dataclass(slots=True)
class Breaker:
    """Trips when more than BREAKER_SHARE of a group was touched within BREAKER_S; stays so until a person resets it.

    A group of fewer than five nodes may always lose one.
    """

    mono: Callable[[], float]
    _touched: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    _tripped: dict[str, str] = field(default_factory=dict)

    def reason(self, group: str, size: int, node: str) -> str:
        """Why `node` of a group of `size` may not be touched now, or "" (and it counts as touched)."""
        if group in self._tripped:
            return self._tripped[group]
        now = self.mono()
        recent = [(at, n) for at, n in self._touched.get(group, []) if now - at < BREAKER_S]
        names = {n for _, n in recent} | {node}
        allowed = max(1, int(size * BREAKER_SHARE))
        if len(names) > allowed:
            text = (
                f"the breaker of {group} has tripped: {len(names)} of {size} nodes within {BREAKER_S / 60:.0f} minutes, "
                f"{allowed} are allowed; reset it by hand after you have looked"
            )
            self._tripped[group] = text
            return text
        self._touched[group] = [*recent, (now, node)]
        return ""

    def reset(self, group: str) -> None:
        """A person has looked."""
        self._tripped.pop(group, None)
        self._touched.pop(group, None)
