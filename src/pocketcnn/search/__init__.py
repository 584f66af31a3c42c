"""Networks found by the machine: search spaces, strategies, the record of a search, and the workers that evaluate points."""
