"""Lossless compression of a model file: header and tensors as one block of bytes, decoded to identical bits.

It exploits what compression leaves behind: clustered weights (few distinct values), pruned weights (zeros), integer weights.
"""

from pocketcnn.graph.coded.container import pack_network as pack_network
from pocketcnn.graph.coded.container import unpack_network as unpack_network
from pocketcnn.graph.coded.entropy import Coding as Coding
from pocketcnn.graph.coded.entropy import has_library as has_library
from pocketcnn.graph.coded.streams import CodedError as CodedError
