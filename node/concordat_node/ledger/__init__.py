"""The disclosure log: one entry per answer, committed before the answer leaves."""
