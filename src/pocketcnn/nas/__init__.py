"""Neural architecture search: spaces, strategies, supernets, zero-cost proxies, the record of a search, and its workers."""
