"""`fit`: which networks are worth training for a budget, their training, and the whole run."""
