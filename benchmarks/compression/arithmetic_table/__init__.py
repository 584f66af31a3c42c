"""The figures of `benchmarks.compression.arithmetic`: whole networks, single operators, the page."""
