"""The distillation table: what a teacher adds to one and the same training of a small network."""
