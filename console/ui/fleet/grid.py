"""Where the cells of the heat map stand: blocks of a node's cards, in rows, in groups. Pure arithmetic, no Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]

MARGIN = 16
GROUP_W = 112
PER_LINE = 8
LABEL_H = 16
LABELLED = 14
"""Cells at least this large have their node's name above them."""
SIZES = (48, 44, 40, 36, 33, 30, 27, 24, 21, 18, 16, 14, 12, 11, 10, 9, 8, 7, 6, 5)


@dataclass(frozen=True, slots=True)
class Cell:
    """A card and to what it belongs. `row` is its row in the fleet."""

    row: int
    group: str
    node: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text beside or above cells. `count` is how many cells it names."""

    x: int
    y: int
    width: int
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Grid:
    """A finished layout.

    Attributes:
        size: side of a cell in pixels.
        left, top: of each cell.
        groups, nodes: labels; `nodes` is empty where cells are too small to name.
        bottom: height used, margin included.
    """

    size: int
    left: Ints
    top: Ints
    groups: tuple[Label, ...]
    nodes: tuple[Label, ...]
    bottom: int


@dataclass(frozen=True, slots=True)
class _Block:
    group: str
    node: str
    count: int


def lay_out(cells: Sequence[Cell], width: int, height: int, group_w: int = GROUP_W) -> Grid:
    """The layout with the largest cells that fit; with the smallest, it may be higher than `height`.

    `cells` are in order of group and node. `width` and `height` in pixels; `group_w` of them for names of groups.
    """
    blocks = [_Block(g, n, sum(1 for _ in run)) for (g, n), run in groupby(cells, lambda c: (c.group, c.node))]
    low, high = 0, len(SIZES) - 1
    while low < high:
        middle = (low + high) // 2
        if _place(blocks, SIZES[middle], width, group_w).bottom <= height:
            high = middle
        else:
            low = middle + 1
    return _place(blocks, SIZES[low], width, group_w)


def _place(blocks: Sequence[_Block], size: int, width: int, group_w: int) -> Grid:
    step = size + (3 if size > 16 else 2 if size > 9 else 1)
    is_labelled = size >= LABELLED
    label_h = LABEL_H if is_labelled else 0
    node_gap = 12 if is_labelled else max(3, size // 2)
    line_gap, group_gap = (8, 12) if is_labelled else (max(2, size // 3), 8)
    start = MARGIN + group_w
    per_line = max(1, min(PER_LINE, (width - MARGIN - start) // step))
    x, y, line_h, first = start, MARGIN, 0, 0
    group: str | None = None
    places: list[tuple[int, int, int]] = []
    groups: list[Label] = []
    nodes: list[Label] = []
    sizes: dict[str, int] = {}
    for block in blocks:
        sizes[block.group] = sizes.get(block.group, 0) + block.count
    for block in blocks:
        lines = -(-block.count // per_line)
        block_w = min(block.count, per_line) * step
        if is_labelled:
            block_w = max(block_w, min(4, per_line) * step)
        if block.group != group:
            if group is not None:
                y += line_h + group_gap
            group, x, line_h = block.group, start, 0
            groups.append(Label(MARGIN, y + label_h, group_w - 12, group, sizes[group]))
        elif x + block_w > width - MARGIN and x > start:
            x, y, line_h = start, y + line_h + line_gap, 0
        if is_labelled:
            nodes.append(Label(x, y, block_w, block.node, block.count))
        places.append((x, y + label_h, block.count))
        line_h = max(line_h, label_h + lines * step)
        x += block_w + node_gap
        first += block.count
    left = np.zeros(first, dtype=np.int32)
    top = np.zeros(first, dtype=np.int32)
    at = 0
    for block_x, block_y, count in places:
        order = np.arange(count, dtype=np.int32)
        left[at : at + count] = block_x + order % per_line * step
        top[at : at + count] = block_y + order // per_line * step
        at += count
    return Grid(size, left, top, tuple(groups), tuple(nodes), y + line_h + MARGIN)


def beside(grid: Grid, at: int, direction: int) -> int:
    """The cell nearest to cell `at` in the line below (1) or above (-1); `at` where there is none."""
    x, y = int(grid.left[at]), int(grid.top[at])
    ahead = grid.top > y if direction > 0 else grid.top < y
    if not ahead.any():
        return at
    lines = grid.top[ahead]
    wanted = lines.min() if direction > 0 else lines.max()
    on_it = np.flatnonzero(grid.top == wanted)
    return int(on_it[np.argmin(np.abs(grid.left[on_it] - x))])
