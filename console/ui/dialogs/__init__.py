"""Dialogs: only for what must be decided."""
