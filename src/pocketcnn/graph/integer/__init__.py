"""A quantized graph in integers alone, in numpy: the reference that the simulation in torch equals bit for bit."""

from pocketcnn.graph.integer.interpreter import IntegerNetwork as IntegerNetwork
