"""From a network to the deployed file: export, comparison with PyTorch, measurement, records."""
