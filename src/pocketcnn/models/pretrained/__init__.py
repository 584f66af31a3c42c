"""Networks with trained weights, from packages, hubs, caches and files: see `source` for how they are named."""
