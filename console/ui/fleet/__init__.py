"""The fleet page: heat map, table, filter."""
