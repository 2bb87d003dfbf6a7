"""Where the person has been: back, forward, and the view before. Pure."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A page and its argument."""

    page: str
    argument: str = ""


class History:
    """The places visited, as a browser keeps them."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._at = -1
        self._last: Place | None = None

    @property
    def now(self) -> Place:
        """Where the person is; an empty place before the first visit."""
        return self._places[self._at] if self._places else Place("")

    def visit(self, place: Place) -> bool:
        """Go to a new place; what lay ahead is forgotten. False when the person is there already."""
        if self._places and place == self.now:
            return False
        self._last = self.now if self._places else None
        self._places = [*self._places[: self._at + 1][-LONGEST:], place]
        self._at = len(self._places) - 1
        return True

    def back(self) -> Place | None:
        """The place before, or None at the first."""
        return self._step(-1)

    def forward(self) -> Place | None:
        """The place after, or None at the newest."""
        return self._step(1)

    def last(self) -> Place | None:
        """The view seen before this one, whichever way it was left; asking again returns."""
        return self._last

    def _step(self, by: int) -> Place | None:
        if not 0 <= self._at + by < len(self._places):
            return None
        self._last = self.now
        self._at += by
        return self.now
