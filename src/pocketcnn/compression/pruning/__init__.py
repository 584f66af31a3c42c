"""Structured pruning: which channels belong together, what they are worth, how many go from each layer, and their removal."""
