"""Benchmarks: what is committed to, measured beside its reference in one run."""
