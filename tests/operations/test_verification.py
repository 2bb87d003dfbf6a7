"""Verification: what it takes to call a card well, and that nothing unread passes."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.operations.verification import (
    ALIKE,
    CLEAR,
    READ,
    SECONDS,
    STILL,
    CardFacts,
    NodeFacts,
    expected_of,
    failed,
    judge,
)

GOOD = dict.fromkeys(READ, 0.0) | {"pcie_width": 16.0, "nvlink_active": 18.0, "memory_used": 5.0}


def node(count=2, values=GOOD, **more):
    cards = tuple(CardFacts(f"GPU-{i}", str(i), "H100", True, dict(values)) for i in range(count))
    return NodeFacts("550.54", cards, **more)


def verdict(last, first=None, seconds=SECONDS, others=(), count=None):
    return failed(judge(first or last, last, seconds, expected_of(others, count)))


def with_value(metric, value, card=0):
    made = node()
    cards = list(made.cards)
    values = dict(cards[card].values)
    if value == "unread":
        values.pop(metric)
    else:
        values[metric] = value
    cards[card] = dataclasses.replace(cards[card], values=values)
    return dataclasses.replace(made, cards=tuple(cards))


def test_a_quiet_minute_passes():
    assert verdict(node(), others=[node(8), node(8)]) == ""


@pytest.mark.parametrize("metric", STILL)
def test_a_counter_that_rises_fails(metric):
    assert metric.replace("_", " ") in verdict(with_value(metric, 3.0), node()).replace("_", " ")
    assert verdict(with_value(metric, 3.0), with_value(metric, 3.0)) == ""


@pytest.mark.parametrize("metric", CLEAR)
def test_a_pending_or_failed_remap_fails(metric):
    assert CLEAR[metric] in verdict(with_value(metric, 1.0))


@pytest.mark.parametrize("metric", ALIKE)
def test_a_card_unlike_its_kind_fails(metric):
    assert verdict(with_value(metric, 8.0), others=[node(8)]) != ""
    assert verdict(with_value(metric, 8.0)) == "", "nothing elsewhere to compare with"


@pytest.mark.parametrize("metric", [*STILL, *CLEAR])
def test_what_could_not_be_read_is_not_a_pass(metric):
    assert verdict(with_value(metric, "unread")) != ""
    assert verdict(with_value(metric, None), with_value(metric, None)) == "", "a model that lacks it"


def test_missing_cards_xids_driver_and_time():
    assert "1 of 2" in verdict(dataclasses.replace(node(2), cards=(node(2).cards[0], dataclasses.replace(
        node(2).cards[1], is_readable=False))))  # fmt: skip
    assert "7 of 8" in verdict(node(7), count=8)
    assert "no card" in verdict(node(0))
    assert "GPU-1: 79" in verdict(node(xids=("GPU-1: 79",)))
    assert "elsewhere 550.54" in verdict(dataclasses.replace(node(), driver="535.1"), others=[node(8)])
    assert "driver" in verdict(dataclasses.replace(node(), driver=""))
    assert "10 of 60" in verdict(node(), seconds=10.0)
    assert failed(()) == "nothing was checked"


@given(st.sets(st.sampled_from([*STILL, *CLEAR]), min_size=1), st.integers(0, 1))
def test_whatever_is_unread_on_any_card_keeps_it_out(missing, card):
    made = node()
    cards = list(made.cards)
    cards[card] = dataclasses.replace(cards[card], values={k: v for k, v in GOOD.items() if k not in missing})
    assert verdict(dataclasses.replace(made, cards=tuple(cards)), made) != ""
