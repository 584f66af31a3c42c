"""Weight clustering and entropy coding (Deep Compression), for a small model file."""

from pocketcnn.compression.coding.clustering import cluster_weights as cluster_weights
from pocketcnn.compression.coding.deep_compression import deep_compress as deep_compress
from pocketcnn.compression.coding.settings import ClusterSettings as ClusterSettings
