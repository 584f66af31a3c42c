"""Drawings of a network, or of one of its blocks, from its graph."""

from pocketcnn.report.diagram.draw import draw as draw
