"""The HTTP API: the same commands as the command line, with tokens, limits and an audit. Loopback unless told otherwise."""
