"""What was: `telemetry.sqlite` with every second as compressed column chunks, roll-ups as ordinary rows, and events."""
