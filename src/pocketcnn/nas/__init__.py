"""Neural architecture search: spaces, strategies, supernets, zero-cost proxies, the search log, and workers."""
