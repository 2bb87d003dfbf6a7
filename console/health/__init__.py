"""Which card is sick, why, and what to do: rules as data, findings, causes, alarms, verdicts. Pure but for its store."""
