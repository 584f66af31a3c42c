"""The operations of the IR as operators of TensorFlow Lite, by name.

In int8 each is at most one step from the simulation. Share of the integers that are, of random formats and every
integer (for arithmetic every pair of them), with LiteRT 2.3:

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

What was tried and is not used: QUANTIZE for a change of scale, and RELU with one, are off at 7 %; the int8 kernels of
HARD_SWISH at 0.6 % (which XNNPACK lacks, so that it would cut a network into pieces), of LEAKY_RELU at 7 %, of LOGISTIC,
whose result has a scale that is prescribed, at 23 %, and SiLU made of it at 15 %. An average pool of unequal windows
(a padding that is not counted), an affine, a sum and a division have no integer kernel that could.
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
