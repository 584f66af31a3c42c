"""From a network to the file that is deployed: written, run beside PyTorch, measured, recorded."""
