"""`compress`: a trained network is pruned, clustered and quantized until it keeps a budget."""
