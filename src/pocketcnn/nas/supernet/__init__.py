"""One training, many networks: a supernet whose sub-networks share its weights and are taken from it without training."""
