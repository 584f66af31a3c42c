"""What `benchmarks.networks` measures and writes into `docs/networks/`."""
