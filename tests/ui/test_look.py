"""Colours that can be told apart, text that can be read, a calm screen, and layouts at every size."""

import itertools

import numpy as np
import pytest
from PySide6.QtGui import QColor, QImage
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QComboBox, QLineEdit, QWidget

from console.fleet.condition import Condition
from console.ui.icons import condition_icon, icon
from console.ui.style import ICONS
from console.ui.theme import DARK, LIGHT, Theme

THEMES = pytest.mark.parametrize("tokens", [DARK, LIGHT], ids=lambda t: t.name)

# Machado, Oliveira and Fernandes 2009, severity 1.0, linear RGB.
BLINDNESS = {
    "none": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def linear(colours):
    c = np.asarray(colours, dtype=float) / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.clip(rgb, 0, 1) @ np.array([[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]])
    f = np.cbrt(xyz / np.array([0.95047, 1.0, 1.08883]))
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def rgb(name):
    c = QColor(name)
    return [c.red(), c.green(), c.blue()]


def contrast(a, b):
    first, second = (float(linear(rgb(c)) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))
    return (max(first, second) + 0.05) / (min(first, second) + 0.05)


@THEMES
def test_text_is_readable_on_every_surface(tokens):
    for ground in (tokens.ground, tokens.raised):
        for role in ("text", "quiet", "faint", "accent", "notice", "warning", "critical"):
            assert contrast(getattr(tokens, role), ground) >= 4.5, (role, ground)
    for role in ("text", "quiet"):
        assert contrast(getattr(tokens, role), tokens.selected) >= 4.5, role


@THEMES
@pytest.mark.parametrize("kind", BLINDNESS)
def test_conditions_differ_for_every_eye(tokens, kind):
    """By colour for those who see it; the shapes, tested below, carry the rest."""
    colours = {c: rgb(getattr(tokens, c)) for c in ("notice", "warning", "critical", "quiet")}
    seen = {name: lab(linear(c) @ BLINDNESS[kind].T) for name, c in colours.items()}
    floor = 20.0 if kind == "none" else 9.0
    for a, b in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[a] - seen[b]) >= floor, (a, b)


def outline(condition):
    picture = condition_icon(condition).pixmap(60, 60).toImage().convertToFormat(QImage.Format.Format_Alpha8)
    return np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), picture.bytesPerLine())[:, :60] > 64


@THEMES
def test_conditions_differ_by_shape_alone(tokens, qapp):
    Theme.apply(qapp, tokens)
    shapes = {c: outline(c) for c in Condition}
    assert not shapes[Condition.WELL].any()
    marked = [c for c in Condition if c is not Condition.WELL]
    for a, b in itertools.combinations(marked, 2):
        union = (shapes[a] | shapes[b]).sum()
        assert (shapes[a] ^ shapes[b]).sum() / union > 0.15, (a, b)


def saturated(widget):
    """The share of pixels with a chroma (CIELAB) above 45: the ramp and the accent stay below it, severities above."""
    picture = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels = np.frombuffer(picture.constBits(), np.uint8).reshape(picture.height(), -1, 4)[::2, ::2, 2::-1]
    found = lab(linear(pixels))
    return float((np.hypot(found[..., 1], found[..., 2]) > 45).mean())


@THEMES
def test_a_well_fleet_has_no_loud_colour_and_a_sick_one_has(tokens, window):
    window.wear(tokens)
    for page, argument in (("fleet", ""), ("nodes", ""), ("events", ""), ("settings", "")):
        window.go(page, argument)
        window.pump()
        assert saturated(window) < 0.005, page
    window.go("fleet")
    quiet = saturated(window)
    stream = window.fleet.streams["gpu02"]
    window.fleet.feed("gpu02", stream.sample("slow", {u: {"recovery_action": 1} for u in stream.uuids}))
    window._last_tick = 0.0
    window.pump()
    assert saturated(window) > quiet + 0.001


@pytest.mark.parametrize("size", [(1366, 768), (1440, 900), (1920, 1080), (3840, 2160)])
def test_layouts_hold_at_every_size(window, size):
    window.frame.resize(*size)
    window.context.select("GPU-gpu01-0")
    for page, argument in (("fleet", ""), ("nodes", ""), ("node", "gpu01"), ("card", "GPU-gpu01-0"), ("settings", "")):
        window.go(page, argument)
        window.pump()
        assert (window.frame.width(), window.frame.height()) == size
        assert window.minimumSizeHint().width() <= size[0], page
        assert window.stack.width() > size[0] * 0.5


def test_the_rail_collapses_where_it_is_narrow(window):
    window.frame.resize(1100, 700)
    slim = window.rail.width()
    assert window.rail._buttons["fleet"].accessibleName() == "Fleet"
    window.frame.resize(1400, 860)
    assert slim < window.rail.width()


@THEMES
def test_every_icon_can_be_drawn(tokens, qapp):
    Theme.apply(qapp, tokens)
    files = sorted(ICONS.glob("*.svg"))
    assert len(files) >= 20
    for file in files:
        assert not icon(file.stem).pixmap(20, 20).toImage().allGray() or tokens, file
        alpha = icon(file.stem).pixmap(20, 20).toImage().convertToFormat(QImage.Format.Format_Alpha8)
        assert np.frombuffer(alpha.constBits(), np.uint8).any(), file


def test_everything_a_person_can_use_has_a_name(window):
    """Walks every page: buttons, boxes, lists and lines say what they are."""
    for page, argument in (
        ("fleet", ""),
        ("nodes", ""),
        ("events", ""),
        ("settings", ""),
        ("node", "gpu01"),
        ("card", "GPU-gpu01-0"),
    ):
        window.go(page, argument)
        window.context.select("GPU-gpu01-0")
        window.pump()
        kinds = (QAbstractButton, QLineEdit, QComboBox, QAbstractItemView)
        for widget in (w for w in window.findChildren(QWidget) if isinstance(w, kinds)):
            is_ours = not widget.objectName().startswith("qt_") and "Private" not in widget.metaObject().className()
            inside = (
                isinstance(widget.parent(), (QLineEdit, QComboBox, QAbstractItemView))
                or "Header" in type(widget).__name__
            )
            inside = inside or "Container" in widget.parent().metaObject().className()
            if is_ours and not inside and widget.isVisible():
                assert widget.accessibleName() or getattr(widget, "text", str)(), (page, widget)
