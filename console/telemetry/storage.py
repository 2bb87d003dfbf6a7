"""The writer's side of shared memory: who gets which board rows and which ring block."""

from __future__ import annotations

from collections import OrderedDict

from console.telemetry.messages import BoardPlace, Message
from console.telemetry.rings import BlockPlace, Board, RingBlock
from console.telemetry.segments import Segment, SegmentFolder

SLAB = 16 << 20
"""Bytes of a slab: many nodes' blocks share one file, so that 400 nodes do not take 400 file descriptors."""

REUSE_AFTER_S = 10.0
"""A freed place rests this long, so that a reader which has not heard yet sees old numbers, never another card's."""


class Storage:
    """Board rows and ring blocks of all nodes. Not thread-safe; the collector guards it.

    Attributes:
        board: the current board; replaced by a bigger one when rows run out.
    """

    def __init__(self, folder: SegmentFolder, nodes: int, cards_guess: int = 8) -> None:
        self._folder = folder
        self._segments: list[Segment] = []
        self._free_rows: list[tuple[float, int, int]] = []
        self._free_blocks: list[tuple[float, BlockPlace, memoryview]] = []
        self._next_row = 0
        self._slab: Segment | None = None
        self._slab_used = 0
        self.board, self.board_place = self._new_board(max(64, nodes * cards_guess), max(16, nodes))

    def _new_board(self, entities: int, nodes: int) -> tuple[Board, BoardPlace]:
        segment = self._folder.create("board", Board.size_of(entities, nodes))
        self._segments.append(segment)
        board = Board(entities, nodes, memoryview(segment.buffer))
        board.clear_entities(0, entities)
        for slot in range(nodes):
            board.clear_node(slot)
        return board, BoardPlace(segment.path, segment.size, entities, nodes)

    def reserve_node(self, slot: int) -> bool:
        """Make sure that board row `slot` exists for a node; True when the board was replaced.

        Raises:
            SegmentError: no room.
        """
        if slot < self.board.nodes:
            return False
        self._grow(self.board.entities, max(slot + 1, 2 * self.board.nodes))
        return True

    def take_rows(self, count: int, now: float) -> tuple[int, bool]:
        """`count` consecutive entity rows, cleared: (first row, True when the board was replaced).

        Raises:
            SegmentError: no room.
        """
        for i, (since, start, length) in enumerate(self._free_rows):
            if length == count and now - since > REUSE_AFTER_S:
                del self._free_rows[i]
                self.board.clear_entities(start, count)
                return start, False
        start = self._next_row
        grown = start + count > self.board.entities
        if grown:
            self._grow(max(start + count, 2 * self.board.entities), self.board.nodes)
        self._next_row += count
        return start, grown

    def _grow(self, entities: int, nodes: int) -> None:
        old = self.board
        self.board, self.board_place = self._new_board(entities, nodes)
        self.board.copy_from(old)

    def free_rows(self, start: int, count: int, now: float) -> None:
        """Give rows back."""
        if count:
            self._free_rows.append((now, start, count))

    def take_block(self, entities: int, now: float) -> tuple[BlockPlace, RingBlock]:
        """A zeroed ring block for `entities`.

        Raises:
            SegmentError: no room.
        """
        length = RingBlock.size_of(entities)
        for i, (since, place, view) in enumerate(self._free_blocks):
            if place.length == length and now - since > REUSE_AFTER_S:
                del self._free_blocks[i]
                view[:] = bytes(length)
                return place, RingBlock(entities, view)
        if length > SLAB // 4:
            slab, offset = self._folder.create("block", length), 0
            self._segments.append(slab)
        else:
            slab, offset = self._from_slab(length)
        view = memoryview(slab.buffer)[offset : offset + length]
        return BlockPlace(slab.path, slab.size, offset, length, entities), RingBlock(entities, view)

    def _from_slab(self, length: int) -> tuple[Segment, int]:
        if self._slab is None or self._slab_used + length > self._slab.size:
            self._slab = self._folder.create("slab", SLAB)
            self._slab_used = 0
            self._segments.append(self._slab)
        offset = self._slab_used
        self._slab_used += length
        return self._slab, offset

    def free_block(self, place: BlockPlace, now: float) -> None:
        """Give a block back."""
        for segment in self._segments:
            if segment.path == place.path:
                view = memoryview(segment.buffer)[place.offset : place.offset + place.length]
                self._free_blocks.append((now, place, view))
                return


class Outbox:
    """Messages for the window, bounded: of a state only the newest is kept, of events the first `limit`.

    Not thread-safe; the collector guards it.
    """

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._states: OrderedDict[tuple[str, str], Message] = OrderedDict()
        self._events: list[Message] = []
        self.lost = 0

    def put_state(self, kind: str, name: str, message: Message) -> None:
        """Queue `message`, replacing an unsent one of the same kind and name in place."""
        self._states[kind, name] = message

    def put_event(self, message: Message) -> None:
        """Queue an event; counted as lost when the window has not read for so long that the box is full."""
        if len(self._events) >= self._limit:
            self.lost += 1
        else:
            self._events.append(message)

    def take(self) -> list[Message]:
        """Everything queued, states first, and an empty box."""
        out = [*self._states.values(), *self._events]
        self._states.clear()
        self._events.clear()
        return out

    def __len__(self) -> int:
        return len(self._states) + len(self._events)
