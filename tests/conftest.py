"""Fixtures for every room."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from console.fleet.model import Node
from tests.node_stream import FleetInOneProcess


@pytest.fixture
def make_fleet(tmp_path: Path) -> Callable[..., FleetInOneProcess]:
    """Builds a fleet fed by the test: `make_fleet(["gpu01", "gpu02"], steady=False)`."""

    made = 0

    def build(nodes: Iterable[Node | str] = ("gpu01", "gpu02"), steady: bool = True) -> FleetInOneProcess:
        nonlocal made
        made += 1
        return FleetInOneProcess(tmp_path / f"live-{made}", nodes, steady)

    return build


@pytest.fixture
def live_fleet(make_fleet: Callable[..., FleetInOneProcess]) -> FleetInOneProcess:
    """Two nodes of eight cards, connected, one sample of each tier in."""
    fleet = make_fleet()
    fleet.connect_all()
    return fleet
