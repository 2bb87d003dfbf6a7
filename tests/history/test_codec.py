"""What goes in comes out, bit for bit; what is damaged is an error, never another number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.history.codec import (
    CodecError,
    decode,
    decode_states,
    decode_times,
    encode,
    encode_states,
    encode_times,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
readings = st.one_of(
    finite,
    st.integers(-(2**53), 2**53).map(float),
    st.integers(0, 100).map(float),
    st.integers(0, 700_000).map(lambda v: v / 1000),
    st.integers(0, 2**37).map(lambda v: float(v * 4096)),
    st.sampled_from([0.0, -0.0, 1e300, 5e-324, 0.1 + 0.2]),
)


@settings(max_examples=400)
@given(st.lists(readings, max_size=60))
def test_values_come_back_bit_for_bit(values):
    column = np.array(values, dtype=np.float64)
    assert decode(encode(column), len(column)).tobytes() == column.tobytes()


@given(st.lists(st.integers(0, 10**9), max_size=60), st.integers(0, 2**60))
def test_times_come_back(steps, start):
    times = np.cumsum(np.array([start, *steps], dtype=np.int64))
    assert decode_times(encode_times(times), len(times)).tolist() == times.tolist()


@given(st.lists(st.integers(0, 6), max_size=60))
def test_states_come_back(states):
    column = np.array(states, dtype=np.uint8)
    assert decode_states(encode_states(column), len(column)).tolist() == states


@settings(max_examples=300)
@given(st.lists(readings, min_size=2, max_size=40), st.data())
def test_damage_is_an_error_or_harmless_but_never_a_crash(values, data):
    column = np.array(values)
    good = bytearray(encode(column))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    for decoder, count in ((decode, len(column)), (decode_times, 5), (decode_states, 5)):
        try:
            found = len(decoder(bytes(good), count))
        except CodecError:
            found = count
        assert found == count


@pytest.mark.parametrize("decoder", [decode, decode_times, decode_states])
def test_another_length_is_an_error(decoder):
    with pytest.raises(CodecError):
        decoder(encode(np.arange(50.0) ** 2), 49)


def test_a_regular_hour_of_a_card_is_small():
    rng = np.random.default_rng(1)
    power = np.round(600 + rng.normal(0, 8, 3600).cumsum() * 0.1 + rng.normal(0, 3, 3600), 3)
    assert len(encode(power)) / 3600 < 2.3
    memory = np.repeat(rng.integers(10_000, 80_000, 6) * 4096.0 * 512, 600)
    assert len(encode(memory)) / 3600 < 0.05
    times = np.arange(3600) * 1_000_000 + 1_700_000_000_000_000
    assert len(encode_times(times)) < 40
