"""A network, or one block of it, as a drawing made from its graph."""

from pocketcnn.report.diagram.draw import draw as draw
