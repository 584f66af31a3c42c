"""The records of results: what `result.json` and `search.json` hold."""
