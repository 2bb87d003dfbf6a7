"""Numbers and foreign text for people."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleet.show import clock_reasons, duration, figures, middle, number, plain, reading


@given(st.text(max_size=600))
def test_plain_text_hides_nothing_and_is_bounded(text):
    shown = plain(text)
    assert len(shown) <= 257
    for char in shown:
        assert unicodedata.category(char) not in ("Cc", "Cs"), repr(char)
        assert not 0x202A <= ord(char) <= 0x202E
        assert ord(char) not in (0x200B, 0x2066, 0xFEFF)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpu-01", "gpu-01"),
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("a\u202eb", "a\\u{202e}b"),
        ("<img src=/etc/passwd>", "<img src=/etc/passwd>"),
        ("line\nbreak", "line\\u{a}break"),
        ("محمد 北京", "محمد 北京"),
    ],
)
def test_plain_examples(text, shown):
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "%", "–"),
        (0.0, "%", "0\u2009%"),
        (84.0, "degC", "84\u2009°C"),
        (612.345, "W", "612\u2009W"),
        (1980.0, "MHz", "1980\u2009MHz"),
        (80 * 2**30, "B", "80\u2009GiB"),
        (1.234e9, "B/s", "1.23\u2009GB/s"),
        (7500.0, "s", "2\u2009h 05\u2009min"),
    ],
)
def test_numbers(value, unit, text):
    assert number(value, unit) == text


@given(st.floats(1e-6, 1e12))
def test_three_figures_are_close(value):
    assert float(figures(value)) == pytest.approx(value, rel=0.006)


def test_words():
    assert duration(3) == "3\u2009s"
    assert duration(240) == "4\u2009min"
    assert middle("GPU-957d01f1-8893", 9) == "GPU-…8893"
    assert clock_reasons(0x48) == ["HW slowdown", "HW thermal slowdown"]
    assert reading("recovery_action", 4, "") == "Drain and reset"
    assert reading("recovery_action", 99, "") == "code 99"
    assert reading("pstate", 0, "") == "P0"
