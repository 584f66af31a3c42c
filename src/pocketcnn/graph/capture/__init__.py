"""From any `nn.Module` to a `Graph`."""
