"""Supernets: one training, after which sub-networks that share the weights are extracted without training (once-for-all)."""
