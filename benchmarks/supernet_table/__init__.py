"""What a supernet says of its sub-networks, and what proxies say of untrained networks, beside the truth."""
