"""Records of results: the contents of `result.json` and `search.json`."""
