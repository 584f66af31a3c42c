"""Structured pruning: channel coupling, importance criteria, allocation over layers, and channel removal."""
