"""Benchmarks: figures, each beside its baseline of the same run."""
