"""The benchmark: Pylos against real peers that do the same job, in one run, by CPU time per request."""
