"""What `benchmarks/networks.py` measures and writes into `docs/networks/`."""
