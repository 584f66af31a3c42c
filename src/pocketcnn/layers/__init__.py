"""The building blocks of the light networks, one idea a file.

Cost formulas use the letters of the field: an output map of H × W, M input and N output channels, a K × K kernel,
G groups. Multiply-adds (MAdds) are counted for convolutions and fully connected layers only; bias, normalisation,
activation, pooling and addition count zero, as in the papers' tables.
"""

from .conv_norm_act import ACTIVATIONS as ACTIVATIONS
from .conv_norm_act import ConvNormAct as ConvNormAct
from .conv_norm_act import Norm as Norm
from .conv_norm_act import activation as activation
from .conv_norm_act import batch_norm as batch_norm
from .conv_shift import ConvShiftConv as ConvShiftConv
from .conv_shift import Join as Join
from .conv_shift import ShiftResidualUnit as ShiftResidualUnit
from .dense_layer import DenseLayer as DenseLayer
from .drop_path import DropPath as DropPath
from .fire import Fire as Fire
from .initialisation import fan_out_normal_weights as fan_out_normal_weights
from .initialisation import fan_out_truncated_weights as fan_out_truncated_weights
from .initialisation import glorot_uniform_weights as glorot_uniform_weights
from .initialisation import he_normal_weights as he_normal_weights
from .initialisation import normal_weights as normal_weights
from .initialisation import shufflenet_weights as shufflenet_weights
from .initialisation import truncated_normal_weights as truncated_normal_weights
from .initialisation import uniform_fan_in_weights as uniform_fan_in_weights
from .inverted_residual import InvertedResidual as InvertedResidual
from .learned_group import CondensedGroupLayer as CondensedGroupLayer
from .learned_group import LearnedGroupConv as LearnedGroupConv
from .learned_group import LearnedGroupLayer as LearnedGroupLayer
from .learned_group import LearnedGroupLinear as LearnedGroupLinear
from .learned_group import SelectChannels as SelectChannels
from .learned_group import condensed_layer as condensed_layer
from .learned_group import condensed_linear as condensed_linear
from .learned_group import every_nth as every_nth
from .learned_group import group_lasso as group_lasso
from .nas_operations import ActConvNorm as ActConvNorm
from .nas_operations import FactorizedReduction as FactorizedReduction
from .nas_operations import TwiceSeparable as TwiceSeparable
from .padding import AvgPoolSame as AvgPoolSame
from .padding import Conv2dSame as Conv2dSame
from .padding import MaxPoolSame as MaxPoolSame
from .padding import Padding as Padding
from .padding import conv2d as conv2d
from .padding import pad_same as pad_same
from .residual_units import BasicUnit as BasicUnit
from .residual_units import BottleneckUnit as BottleneckUnit
from .scaling import keep_total_stride as keep_total_stride
from .scaling import make_divisible as make_divisible
from .separable import DepthwiseSeparable as DepthwiseSeparable
from .separable import SpatiallySeparable as SpatiallySeparable
from .shift import Shift as Shift
from .shuffle_units import ShuffleV1Unit as ShuffleV1Unit
from .shuffle_units import ShuffleV2Unit as ShuffleV2Unit
from .squeeze_excite import SqueezeExcite as SqueezeExcite
from .trained_shift import TrainedShift as TrainedShift
from .training_hooks import AuxiliaryClassifier as AuxiliaryClassifier
from .training_hooks import Regularized as Regularized
from .training_hooks import Reparameterizable as Reparameterizable
from .training_hooks import Scheduled as Scheduled
from .training_hooks import reparameterize as reparameterize
from .training_hooks import set_progress as set_progress
from .universal_inverted_bottleneck import FusedInvertedBottleneck as FusedInvertedBottleneck
from .universal_inverted_bottleneck import UniversalInvertedBottleneck as UniversalInvertedBottleneck
