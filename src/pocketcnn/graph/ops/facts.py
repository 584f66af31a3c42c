"""Properties by which an `Op` is classified, so that other code does not depend on operation names."""

from enum import Enum, auto


class Family(Enum):
    """The kind of an operation."""

    INPUT = auto()
    CONSTANT = auto()
    CONVOLUTION = auto()
    LINEAR = auto()
    NORMALIZATION = auto()
    ACTIVATION = auto()
    """A non-linear function, element-wise or along one axis (softmax)."""
    REGULARIZATION = auto()
    """Active in training only."""
    ARITHMETIC = auto()
    POOLING = auto()
    """Pooling, sum, mean and resampling."""
    MOVEMENT = auto()
    """Permutation or selection of values."""
    RESHAPING = auto()
    """Another shape or a border, with the values in the same order."""


class ChannelRule(Enum):
    """How output channels depend on input channels, which decides what must be pruned together.

    `compression/coupling/rules.py` has one function per member.
    """

    INPUT = auto()
    """The channels of the image, which are not pruned."""
    CONSTANT = auto()
    """The channels of a constant."""
    ELEMENTWISE = auto()
    """Each element depends on the element at the same position."""
    WITHIN_CHANNEL = auto()
    """Each channel depends on the same input channel: pooling, padding, upsampling."""
    PER_CHANNEL = auto()
    """The same, with parameters that have one entry per channel, or one for all."""
    BROADCAST = auto()
    """An element-wise operation on two values with broadcasting: channels at the same position are coupled."""
    CONVOLUTION = auto()
    """New channels, each computed from all channels of its group."""
    LINEAR = auto()
    """New channels, each computed from all input channels."""
    REDUCES = auto()
    """A reduction over the attribute ``axes``."""
    MIXES_AXIS = auto()
    """Each result depends on all elements along the attribute ``axis``."""
    READS_NEIGHBOURS = auto()
    """Each channel depends on neighbouring channels, which are therefore not pruned."""
    CONCATENATES = auto()
    SLICES = auto()
    SHUFFLES = auto()
    GATHERS = auto()
    ROLLS = auto()
    RESHAPES = auto()
    PERMUTES = auto()
    UNKNOWN = auto()
    """Unknown: the inputs and outputs of the operation are not pruned, and pruning names it as the reason."""
