"""Capture of any `nn.Module` as a `Graph`."""
