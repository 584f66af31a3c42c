"""Post-training quantization in the library's own integer arithmetic (`graph/numerics.py`)."""

from pocketcnn.compression.quantization.placeholder import with_placeholder_formats as with_placeholder_formats
from pocketcnn.compression.quantization.quantize import quantize as quantize
