"""Measuring a target: its latency table and its roofline rates."""
