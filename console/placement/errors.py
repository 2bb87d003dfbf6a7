"""What placement refuses."""

from __future__ import annotations


class PlacementError(ValueError):
    """A request, a trace or a figure that cannot be used; the text says which, and what to write instead."""
