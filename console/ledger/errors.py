"""What the ledger refuses."""

from __future__ import annotations


class LedgerError(ValueError):
    """Something that cannot be recorded or computed; the text says what, of whom, and what to do next."""
