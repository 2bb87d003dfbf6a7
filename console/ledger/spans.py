"""Half-open spans of time [from, to) in integer microseconds, as sorted lists that do not touch. Pure."""

from __future__ import annotations

from collections.abc import Iterable

Span = tuple[int, int]


def coalesced(spans: Iterable[Span]) -> list[Span]:
    """The same time without overlap: spans that overlap or touch become one."""
    out: list[Span] = []
    for begin, end in sorted(spans):
        if begin >= end:
            continue
        if out and begin <= out[-1][1]:
            if end > out[-1][1]:
                out[-1] = (out[-1][0], end)
        else:
            out.append((begin, end))
    return out


def total(spans: Iterable[Span]) -> int:
    """Microseconds of coalesced spans."""
    return sum(end - begin for begin, end in spans)


def clipped(spans: Iterable[Span], within: Span) -> list[Span]:
    """What of coalesced spans lies within a span."""
    begin, end = within
    return [(max(a, begin), min(b, end)) for a, b in spans if a < end and b > begin]


def common(left: list[Span], right: list[Span]) -> list[Span]:
    """What two coalesced lists have in common."""
    out: list[Span] = []
    i = j = 0
    while i < len(left) and j < len(right):
        begin, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if begin < end:
            out.append((begin, end))
        if left[i][1] <= right[j][1]:
            i += 1
        else:
            j += 1
    return out


def without(left: list[Span], right: list[Span]) -> list[Span]:
    """What of one coalesced list is not in another."""
    out: list[Span] = []
    j = 0
    for begin, end in left:
        at = begin
        while j < len(right) and right[j][1] <= at:
            j += 1
        k = j
        while k < len(right) and right[k][0] < end:
            if right[k][0] > at:
                out.append((at, right[k][0]))
            at = max(at, right[k][1])
            k += 1
        if at < end:
            out.append((at, end))
    return out


def cut(spans: Iterable[Span], at: Iterable[int]) -> list[Span]:
    """Spans cut at instants: the parts touch, and mean the same time."""
    marks = sorted(set(at))
    out: list[Span] = []
    for begin, end in spans:
        inner = [m for m in marks if begin < m < end]
        out += list(zip([begin, *inner], [*inner, end], strict=True))
    return out
