"""Which cards a lease should get, and what that does to the pool: numpy and plain values, no I/O but reading a trace."""
