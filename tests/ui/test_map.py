"""The heat map: where cells stand, how they are walked, drawn and marked, and what it costs."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QColor

from console.ui.fleet.grid import MARGIN, SIZES, Cell, beside, lay_out
from console.ui.fleet.heatmap import HeatMap
from console.ui.fleet.page import short
from console.ui.theme import DARK, LIGHT, RAMP_STEPS, Theme, ramp


def cells_of(racks, nodes, cards):
    numbers = itertools.count()
    return [
        Cell(next(numbers), f"r{r:02}", f"gpu-{r:02}-{n:02}")
        for r in range(racks)
        for n in range(nodes)
        for _ in range(cards)
    ]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(1, 8), st.integers(1, 20), st.integers(320, 3000), st.integers(120, 2000))
def test_cells_never_overlap_and_stay_inside(racks, nodes, cards, width, height):
    cells = cells_of(racks, nodes, cards)
    grid = lay_out(cells, width, height)
    assert len(grid.left) == len(cells)
    taken = set(zip(grid.left.tolist(), grid.top.tolist(), strict=True))
    assert len(taken) == len(cells)
    for line in set(grid.top.tolist()):
        x = np.sort(grid.left[grid.top == line])
        assert (np.diff(x) > grid.size).all()
    lines = np.unique(grid.top)
    assert (np.diff(lines) > grid.size).all()
    assert grid.left.min() >= MARGIN
    assert grid.top.max() + grid.size <= grid.bottom
    if width > 500:
        assert grid.left.max() + grid.size <= width
    assert grid.bottom <= height or grid.size == SIZES[-1]


def test_cells_are_as_large_as_fits():
    cells = cells_of(3, 4, 8)
    small, large = lay_out(cells, 1200, 300), lay_out(cells, 1200, 900)
    assert small.size < large.size == SIZES[0]
    assert large.nodes
    assert [g.text for g in large.groups] == ["r00", "r01", "r02"]
    assert [g.count for g in large.groups] == [32, 32, 32]
    crowd = lay_out(cells_of(20, 63, 8), 1240, 780)
    assert crowd.bottom <= 780
    assert not crowd.nodes


def test_going_down_and_up_again_ends_where_it_began():
    grid = lay_out(cells_of(3, 4, 8), 1200, 900)
    for at in range(16, 48):
        below = beside(grid, at, 1)
        assert grid.top[below] > grid.top[at]
        assert beside(grid, below, -1) == at
    assert beside(grid, 0, -1) == 0


@pytest.fixture
def big(qtbot, qapp):
    """Ten thousand cards in a map of 1600 x 900."""
    Theme.apply(qapp, DARK)
    grid = HeatMap()
    qtbot.addWidget(grid)
    grid.resize(1600, 900)
    cells = cells_of(25, 50, 8)
    grid.set_cells(cells)
    random = np.random.default_rng(1)
    conditions = np.zeros(len(cells), dtype=np.uint8)
    conditions[::500] = 4
    unknown = random.random(len(cells)) < 0.01
    grid.set_values(random.random(len(cells)), unknown, conditions, np.zeros(len(cells), dtype=bool), (), str)
    grid.show()
    qtbot.waitExposed(grid)
    return grid


def test_ten_thousand_cards_fit_and_repaint_quickly(big):
    assert big.grid.bottom <= 900
    big.grab()
    costs = []
    for _ in range(10):
        begun = time.perf_counter()
        big._paint_pixels()
        big.repaint()
        costs.append(time.perf_counter() - begun)
    assert sorted(costs)[5] < 0.05


def test_hovering_ten_thousand_cards_is_quick(big, qtbot):
    seen = []
    big.hovered.connect(seen.append)
    begun = time.perf_counter()
    for number in range(0, 200):
        x, y = int(big.grid.left[number]), int(big.grid.top[number])
        big._hover(big._cell_at(QPoint(x + 2, y + 2)))
    assert (time.perf_counter() - begun) / 200 < 0.005
    assert seen == list(range(200))
    big._hover(-1)
    assert seen[-1] == -1


@pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda t: t.name)
def test_the_ramp_is_even_in_lightness_and_monotonous(tokens):
    def lightness(argb):
        c = QColor.fromRgba(argb)
        parts = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in c.getRgbF()[:3]]
        y = 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]
        return 116 * y ** (1 / 3) - 16

    values = np.array([lightness(c) for c in ramp(tokens)])
    assert len(values) == RAMP_STEPS
    steps = np.diff(values[:: RAMP_STEPS // 8])
    assert (steps > 0).all() or (steps < 0).all()
    assert abs(values[-1] - values[0]) > 45
    assert np.abs(steps - steps.mean()).max() < 0.25 * abs(steps.mean())


def test_unknown_is_hatched_and_never_filled(qtbot, qapp):
    Theme.apply(qapp, DARK)
    grid = HeatMap()
    qtbot.addWidget(grid)
    grid.resize(800, 400)
    grid.set_cells(cells_of(1, 1, 3))
    none = np.zeros(3, dtype=bool)
    grid.set_values(np.array([0.5, np.nan, 1.0]), np.array([False, True, False]), np.zeros(3, np.uint8), none, (), str)
    picture = grid.grab().toImage()
    size = grid.grid.size

    def colours(number):
        x, y = int(grid.grid.left[number]), int(grid.grid.top[number])
        return {picture.pixelColor(x + i, y + j).name() for i in range(4, size - 4) for j in range(4, size - 4)}

    assert colours(1) == {DARK.ground, DARK.faint}
    assert colours(0) == {QColor.fromRgba(ramp(DARK)[round(0.5 * 255)]).name()}
    assert colours(2) == {DARK.ramp[1]}


def test_arrows_walk_in_reading_order_in_both_directions(window, qtbot, qapp):
    grid = window.fleet_page.map
    grid.setFocus()
    qtbot.keyClick(grid, Qt.Key.Key_Home)
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    assert window.context.selection == "GPU-gpu01-1"
    qtbot.keyClick(grid, Qt.Key.Key_Down)
    assert window.context.selection == "GPU-gpu02-1"
    qtbot.keyClick(grid, Qt.Key.Key_Up)
    qtbot.keyClick(grid, Qt.Key.Key_End)
    assert window.context.selection == "GPU-gpu02-7"
    grid.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    assert window.context.selection == "GPU-gpu02-6"
    mirrored = grid._cell_box(14)
    assert grid._cell_at(mirrored.center()) == 14
    assert mirrored.center().x() > grid.width() - 600


def test_the_cursor_stays_when_the_selection_is_closed(window, qtbot):
    grid = window.fleet_page.map
    grid.setFocus()
    for _ in range(4):
        qtbot.keyClick(grid, Qt.Key.Key_Right)
    qtbot.keyClick(window.frame, Qt.Key.Key_Escape)
    assert window.context.selection == ""
    assert not window.inspector.isVisible()
    qtbot.keyClick(grid, Qt.Key.Key_Right)
    assert window.context.selection == "GPU-gpu01-4"


def test_the_focused_cell_is_announced(window, qtbot):
    grid = window.fleet_page.map
    grid.setFocus()
    qtbot.keyClick(grid, Qt.Key.Key_Home)
    said = grid.accessibleDescription()
    assert "gpu01 / 0" in said
    assert "91" in said
    assert "Well" in said
    assert "gpu01 / 0" in window.status.text.text()


def test_space_marks_and_a_range_is_filtered(window, qtbot):
    page = window.fleet_page
    page.map.setFocus()
    qtbot.keyClick(page.map, Qt.Key.Key_Home)
    qtbot.keyClick(page.map, Qt.Key.Key_Space)
    assert window.context.rows.marked == {"GPU-gpu01-0"}
    for _ in range(3):
        qtbot.keyClick(page.map, Qt.Key.Key_Right)
    qtbot.keyClick(page.map, Qt.Key.Key_Space, Qt.KeyboardModifier.ControlModifier)
    assert window.context.rows.marked == {f"GPU-gpu01-{i}" for i in range(4)}
    page.filter.set_text("is:marked")
    assert page.map.rows() == [0, 1, 2, 3]
    window.run("filter.invert")
    assert len(page.map.rows()) == 12
    window.run("filter.invert")
    assert page.filter.edit.text() == "is:marked"
    page.set_view("table")
    assert page.model.index(0, 2).data() == "✓ 0"


def test_digits_colour_and_the_legend_has_the_unit(window, qtbot):
    page = window.fleet_page
    page.map.setFocus()
    qtbot.keyClick(page.map, Qt.Key.Key_4)
    assert page._metric_box.currentIndex() == 3
    assert page._legend.accessibleName() == "Scale from 0\u2009°C to 100\u2009°C"
    window.run("fleet.metric")
    assert page._metric_box.currentIndex() == 4


def test_cards_are_grouped(window):
    page = window.fleet_page
    seen = []
    for _ in range(4):
        seen.append([g.text for g in page.map.grid.groups])
        window.run("fleet.group")
    assert seen == [["r1", "r2"], ["(none)"], ["H100 80GB HBM3"], ["gpu01", "gpu02"]]


def test_numbers_in_cells_are_short():
    assert [short(v, u) for v, u in ((91.4, "%"), (1740.0, "MHz"), (259e9, "B/s"), (3.0, ""))] == [
        "91",
        "1740",
        "259G",
        "3",
    ]
    assert short(float("nan"), "%") == "–"
