"""Cardkeeper: the desktop console of people who run GPU fleets."""

__version__ = "0.1.0"
