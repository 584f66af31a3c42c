"""The lossless coding of a model file: a network's header and tensors as one small block of bytes, and back to the bit.

It lies beside the model file, below everything that makes networks small, so that `load` reads what any of it leaves.
"""

from pocketcnn.graph.coded.container import pack_network as pack_network
from pocketcnn.graph.coded.container import unpack_network as unpack_network
from pocketcnn.graph.coded.entropy import Coding as Coding
from pocketcnn.graph.coded.entropy import has_library as has_library
from pocketcnn.graph.coded.streams import CodedError as CodedError
