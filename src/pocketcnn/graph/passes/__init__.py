"""Graph in, equal graph out: what is recognised, folded or left out on the way to a device."""
