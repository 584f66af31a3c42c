"""Parts of benchmarks/compression/pruning.py."""
