"""Search strategies on photographs: a table of trained networks, a predictor fitted to it, and searches on the predictor."""
