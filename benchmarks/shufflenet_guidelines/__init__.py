"""The experiments of section 2 of the ShuffleNetV2 paper: what the paper measured, the networks, and the tables."""
