"""Graph passes that preserve the function: pattern recognition, folding, removal of training-only operations."""
