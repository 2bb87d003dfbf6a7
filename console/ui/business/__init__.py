"""The business in the window: what is leased to whom, until when, and for how much."""
