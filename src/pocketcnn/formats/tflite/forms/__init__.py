"""The operations of the IR as operators of TensorFlow Lite, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from pocketcnn.formats.tflite.emitter import Form
from pocketcnn.formats.tflite.forms.activation import ACTIVATIONS
from pocketcnn.formats.tflite.forms.arithmetic import ARITHMETIC
from pocketcnn.formats.tflite.forms.convolution import CONVOLUTIONS
from pocketcnn.formats.tflite.forms.moves import MOVES
from pocketcnn.formats.tflite.forms.normalization import NORMALIZATIONS
from pocketcnn.formats.tflite.forms.pooling import POOLINGS

FORMS: Mapping[str, Form] = MappingProxyType(
    {**CONVOLUTIONS, **ACTIVATIONS, **ARITHMETIC, **MOVES, **NORMALIZATIONS, **POOLINGS}
)
