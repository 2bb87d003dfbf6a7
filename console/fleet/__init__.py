"""What there is: nodes, cards, slices, metrics, and the words for their state. Pure data."""
