"""Drain, assign, return, maintenance: planned, guarded, journalled, executed, resumed and undone; the audit log."""
