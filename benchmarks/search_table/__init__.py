"""The parts of `benchmarks.search`."""
