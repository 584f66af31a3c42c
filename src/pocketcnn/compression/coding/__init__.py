"""Storage: weights made few and alike, so that the coded model file is small (Deep Compression)."""

from pocketcnn.compression.coding.code import code as code
from pocketcnn.compression.coding.deep import deep_compress as deep_compress
from pocketcnn.compression.coding.settings import CodeSettings as CodeSettings
