"""The figures of `benchmarks/compression/arithmetic.py`: whole networks, single operators, the page."""
