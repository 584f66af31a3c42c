"""`search` and `once_for_all`: neural architecture search by a strategy or with a supernet, up to the deployable file."""
