"""Measurements of a target: its latency table, and its peak rate and bandwidth for the roofline."""
