"""Blobs of raw seconds: a node's rows of one tier as one blob, and one metric of one entity as a column with its quality.

A block holds `values` float64[rows, entities, metrics] and `states` uint8 of the same shape: the states deflated, the
values as byte planes in the order metric, entity, row, so that like stands beside like.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from console.fleet.state import ReadingState
from console.history.codec import CodecError, decode, decode_states, decode_times, encode, encode_states, encode_times

F8 = npt.NDArray[np.float64]
I8 = npt.NDArray[np.int64]
U1 = npt.NDArray[np.uint8]

_HEAD = struct.Struct("<III")
_FAST_LEVEL = 1
_FRESH = int(ReadingState.FRESH)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one tier of one node (or of its host).

    Attributes:
        times_ms: [rows], rising.
        values: [rows, entities, metrics], NaN where not fresh.
        states: the same shape, ReadingState.
    """

    times_ms: I8
    values: F8
    states: U1


def pack_block(block: Block) -> bytes:
    """The bytes of a block."""
    times = encode_times(block.times_ms)
    states = encode_states(np.ascontiguousarray(block.states.transpose(2, 1, 0)).reshape(-1))
    values = np.where(block.states == _FRESH, block.values, 0.0)
    flat = np.ascontiguousarray(values.transpose(2, 1, 0)).reshape(-1, 1).view(np.uint8)
    planes = zlib.compress(np.ascontiguousarray(flat.T).tobytes(), _FAST_LEVEL)
    return _HEAD.pack(len(times), len(states), len(planes)) + times + states + planes


def unpack_block(data: bytes, rows: int, entities: int, metrics: int) -> Block:
    """The block of `data`.

    Raises:
        CodecError: damaged bytes or another shape.
    """
    try:
        sizes = _HEAD.unpack_from(data)
        first, second = _HEAD.size + sizes[0], _HEAD.size + sizes[0] + sizes[1]
        count = rows * entities * metrics
        times = decode_times(data[_HEAD.size : first], rows)
        states = decode_states(data[first:second], count).reshape(metrics, entities, rows).transpose(2, 1, 0)
        planes = np.frombuffer(zlib.decompress(data[second : second + sizes[2]]), dtype=np.uint8)
        if len(planes) != 8 * count:
            raise ValueError(f"{len(planes)} bytes where {8 * count} were expected")
        flat = np.ascontiguousarray(planes.reshape(8, count).T).view(np.float64)
    except (struct.error, zlib.error, ValueError) as exc:
        raise CodecError(f"a damaged block of {len(data)} bytes: {exc}") from exc
    values = flat.reshape(metrics, entities, rows).transpose(2, 1, 0)
    return Block(times, np.where(states == _FRESH, values, np.nan), states)


def pack_column(values: F8, states: U1) -> bytes:
    """One metric of one entity: its states, then the values that are fresh."""
    quality = encode_states(states)
    return struct.pack("<I", len(quality)) + quality + encode(np.ascontiguousarray(values[states == _FRESH]))


def unpack_column(data: bytes, rows: int) -> tuple[F8, U1]:
    """(values with NaN where not fresh, states) of a column.

    Raises:
        CodecError: damaged bytes or another length.
    """
    try:
        (length,) = struct.unpack_from("<I", data)
    except struct.error as exc:
        raise CodecError(f"a damaged column of {len(data)} bytes: {exc}") from exc
    states = decode_states(data[4 : 4 + length], rows)
    fresh = states == _FRESH
    count = int(fresh.sum())
    found = decode(data[4 + length :], count)
    if count == rows:
        return found, states
    values = np.full(rows, np.nan)
    values[fresh] = found
    return values, states
