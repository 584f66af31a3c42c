"""Neural architecture search: spaces, strategies, supernets, zero-cost proxies, the search log, and workers."""

POINT_SUFFIXES = (".toml", ".json")
"""Of files that hold a point of a search space. It is here, where nothing is imported, because the command line asks for it."""
