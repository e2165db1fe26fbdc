"""The command line, the demo and the benchmarks: whatever starts a run."""
