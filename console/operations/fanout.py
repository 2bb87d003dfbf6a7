"""How many nodes are touched at once, and when to stop. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def breaker_text(group: str, touched: int, adding: int, cards: int, largest: int) -> str:
    """Why `adding` cards more of a group may not be taken away now, or "".

    Args:
        touched: cards of the group that were taken out of service within BREAKER_S.
        cards: cards of the group; a share of BREAKER_SHARE of them may go, and always `largest`, one node's worth.
    """
    allowed = max(largest, int(cards * BREAKER_SHARE))
    if touched + adding <= allowed:
        return ""
    return (
        f"the breaker of {group or 'the fleet'} has tripped: {touched + adding} of its {cards} cards would leave service "
        f"within {BREAKER_S / 60:.0f} minutes, {allowed} are allowed"
    )
