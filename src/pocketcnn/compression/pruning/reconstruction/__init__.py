"""Reconstruction: layers that read pruned channels are fitted so that their outputs stay close to the original ones."""

from .reconstruct import reconstruct as reconstruct
