"""What an untrained network promises, from one pass through it: proxies that rank networks before any is trained."""
