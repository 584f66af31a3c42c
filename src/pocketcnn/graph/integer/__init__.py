"""Reference implementation of quantized inference in numpy, with integer arithmetic; the torch simulation is bit-identical."""

from pocketcnn.graph.integer.interpreter import IntegerNetwork as IntegerNetwork
