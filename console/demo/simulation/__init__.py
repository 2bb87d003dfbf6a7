"""Nodes that behave: cards with jobs, heat, wear and failures on a script. A function of seed and time."""
