"""ncnn models: a ``.param`` file with the layers and a ``.bin`` file with their weights."""

from pocketcnn.formats.ncnn.writer import BIN_SUFFIX as BIN_SUFFIX
from pocketcnn.formats.ncnn.writer import to_layers as to_layers
from pocketcnn.formats.ncnn.writer import write_ncnn as write_ncnn
