"""Export rules from operations of the graph to operators of TensorFlow Lite, by name.

In int8 each result is at most one quantization step from the simulation. The table has the share of results that are one step
off with LiteRT 2.3, for random formats and all integers (for arithmetic all pairs), by kernel implementation:

| operation                                     | operators in int8                   | XNNPACK | optimized | reference |
| --------------------------------------------- | ----------------------------------- | ------- | --------- | --------- |
| conv2d (any groups), linear                   | CONV_2D, DEPTHWISE_…, FULLY_…       | 0.002 % | 0.1 %     | 0.1 %     |
| shift                                         | DEPTHWISE_CONV_2D by one 1          | 0       | 0         | 0         |
| avg_pool of equal windows                     | DEPTHWISE_CONV_2D by 1 / K²         | 0       | 0.04 %    | 0.04 %    |
| mean                                          | MEAN                                | 0       | 9 %       | 1.3 %     |
| add, sub                                      | ADD, SUB                            | 0.001 % | < 0.001 % | < 0.001 % |
| mul                                           | MUL                                 | 0.001 % | 0.7 %     | 0.7 %     |
| relu, relu6, clip, concat: a change of scale  | ADD of zero (and RELU, RELU6)       | 0       | 0         | 0         |
| slice, shuffle, gather, roll, pad, max_pool … | the same on integers                | 0       | 0         | 0         |
| hardswish, hardsigmoid, sigmoid, silu, tanh … | DEQUANTIZE, in float, QUANTIZE      | 0       | 0         | 0         |

Rejected alternatives, with their share of results that are one step off: QUANTIZE for requantization, and RELU with
requantization, 7 %; the int8 kernels of HARD_SWISH 0.6 % (XNNPACK has none, so it would partition the network), LEAKY_RELU
7 %, LOGISTIC, whose output scale is prescribed, 23 %, and SiLU built from it 15 %. Average pooling with unequal windows
(padding not counted), affine, sum and division have no suitable integer kernel.
"""

from collections.abc import Mapping
from types import MappingProxyType

from pocketcnn.formats.tflite.emitter import OperatorEmitter
from pocketcnn.formats.tflite.emitters.activation import ACTIVATIONS
from pocketcnn.formats.tflite.emitters.arithmetic import ARITHMETIC
from pocketcnn.formats.tflite.emitters.convolution import CONVOLUTIONS
from pocketcnn.formats.tflite.emitters.data_movement import DATA_MOVEMENT
from pocketcnn.formats.tflite.emitters.normalization import NORMALIZATIONS
from pocketcnn.formats.tflite.emitters.pooling import POOLINGS

EMITTERS: Mapping[str, OperatorEmitter] = MappingProxyType(
    {**CONVOLUTIONS, **ACTIVATIONS, **ARITHMETIC, **DATA_MOVEMENT, **NORMALIZATIONS, **POOLINGS}
)
