"""Ten minutes of the whole fleet, metric by metric: what a map at a moment and a fleet average are read from."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from console.history.codec import CodecError, decode_states, encode_states
from console.history.minutes import BLOCK_MINUTES

if TYPE_CHECKING:
    from console.history.store import Store

I4 = npt.NDArray[np.int32]
F4 = npt.NDArray[np.float32]
U1 = npt.NDArray[np.uint8]

_SIZES = struct.Struct("<4I")
_WORTH = 0.9


class WideBlock:
    """The block under way. Entities are appended as they appear, so a column's place never changes within a block."""

    def __init__(self, block: int) -> None:
        self.block = block
        self._columns: dict[int, tuple[dict[int, int], F4, U1]] = {}

    def resume(self, store: Store) -> None:
        """Go on with what a former run wrote of this block."""
        for metric, entities, means, states in store.wide_of(self.block):
            places = {int(e): i for i, e in enumerate(entities)}
            self._columns[metric] = (places, means.copy(), states.copy())

    def put(self, metric: int, minute: int, entities: I4, means: npt.NDArray[np.float64], states: U1) -> None:
        """One metric of some entities in one minute of the block."""
        empty: tuple[dict[int, int], F4, U1] = (
            {},
            np.full((BLOCK_MINUTES, 0), np.nan, dtype=np.float32),
            np.zeros((BLOCK_MINUTES, 0), dtype=np.uint8),
        )
        places, table, quality = self._columns.get(metric, empty)
        fresh = [e for e in entities.tolist() if e not in places]
        if fresh:
            places.update({e: len(places) + i for i, e in enumerate(fresh)})
            table = np.concatenate([table, np.full((BLOCK_MINUTES, len(fresh)), np.nan, dtype=np.float32)], axis=1)
            quality = np.concatenate([quality, np.zeros((BLOCK_MINUTES, len(fresh)), dtype=np.uint8)], axis=1)
        columns = [places[e] for e in entities.tolist()]
        table[minute % BLOCK_MINUTES, columns] = means
        quality[minute % BLOCK_MINUTES, columns] = states
        self._columns[metric] = (places, table, quality)

    def write(self, store: Store) -> None:
        """Write the block as it stands.

        Raises:
            HistoryError: the disk refused.
        """
        store.write_wide(
            self.block, {m: (np.array(list(p), dtype=np.int32), t, q) for m, (p, t, q) in self._columns.items()}
        )


def pack_wide(ids: I4, means: F4, states: U1) -> tuple[bytes, bytes, bytes]:
    """The bytes of a row of `wide`: entities, means, states.

    The means lie in byte planes, and one that deflating would hardly shrink (noise in the low bits) lies as it is.
    """
    planes = np.ascontiguousarray(means.astype(np.float32).reshape(-1, 1).view(np.uint8).T)
    packed = []
    for plane in planes:
        deflated = zlib.compress(plane.tobytes(), 1)
        packed.append(deflated if len(deflated) < _WORTH * len(plane) else plane.tobytes())
    head = _SIZES.pack(*(len(p) for p in packed))
    return ids.astype(np.int32).tobytes(), head + b"".join(packed), encode_states(states.reshape(-1))


def unpack_wide(entities: bytes, means: bytes, states: bytes) -> tuple[I4, F4, U1]:
    """(entity ids, means [10, entities], states) of a row of `wide`.

    Raises:
        CodecError: damaged bytes.
    """
    ids = np.frombuffer(entities, dtype=np.int32)
    count = BLOCK_MINUTES * len(ids)
    quality = decode_states(states, count).reshape(BLOCK_MINUTES, len(ids))
    try:
        sizes = _SIZES.unpack_from(means)
        planes = np.empty((4, count), dtype=np.uint8)
        at = _SIZES.size
        for place, size in enumerate(sizes):
            raw = means[at : at + size]
            planes[place] = np.frombuffer(raw if size == count else zlib.decompress(raw, bufsize=count), dtype=np.uint8)
            at += size
    except (struct.error, zlib.error, ValueError) as exc:
        raise CodecError(f"damaged minutes of {len(means)} bytes: {exc}") from exc
    return ids, np.ascontiguousarray(planes.T).view(np.float32).reshape(BLOCK_MINUTES, len(ids)), quality
