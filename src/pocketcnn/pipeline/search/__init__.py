"""`search` and `once_for_all`: networks found by a search strategy or taken from a supernet, trained and deployed."""
