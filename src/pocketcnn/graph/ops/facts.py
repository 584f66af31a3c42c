"""The words in which an `Op` says what it is, for everything that treats operations by what they do and not by their names."""

from enum import Enum, auto


class Family(Enum):
    """What kind of operation it is."""

    INPUT = auto()
    CONSTANT = auto()
    CONVOLUTION = auto()
    LINEAR = auto()
    NORMALIZATION = auto()
    ACTIVATION = auto()
    """A non-linear function: of each element, or along one axis (softmax)."""
    REGULARIZATION = auto()
    """Works in training alone."""
    ARITHMETIC = auto()
    POOLING = auto()
    """Pooling, sums and means, and resampling."""
    MOVEMENT = auto()
    """The same values in another order."""
    RESHAPING = auto()
    """The same values in the same order, in another shape, or with a border."""


class ChannelRule(Enum):
    """How the channels of the output follow from those of the inputs: what must be pruned together.

    `compression/coupling/rules.py` has one function for each member.
    """

    INPUT = auto()
    """The image's, which stay."""
    CONSTANT = auto()
    """Those of a stored value."""
    ELEMENTWISE = auto()
    """Every element is a function of the one at its place."""
    WITHIN_CHANNEL = auto()
    """Each channel is a function of the same channel: pooling, padding, upsampling."""
    PER_CHANNEL = auto()
    """The same, with stored tensors that have one entry a channel, or one for all."""
    BROADCAST = auto()
    """Two values of which one may be repeated: elements at the same place go together."""
    CONVOLUTION = auto()
    """New channels, each from all of its group."""
    LINEAR = auto()
    """New channels, each from all."""
    REDUCES = auto()
    """One result from all along the attribute ``axes``."""
    MIXES_AXIS = auto()
    """Every result needs all along the attribute ``axis``."""
    READS_NEIGHBOURS = auto()
    """Each channel depends on those beside it, which therefore stay."""
    CONCATENATES = auto()
    SLICES = auto()
    SHUFFLES = auto()
    GATHERS = auto()
    ROLLS = auto()
    RESHAPES = auto()
    PERMUTES = auto()
    UNKNOWN = auto()
    """Nothing is known: whatever such an operation reads or makes is not pruned, and pruning names it as the reason."""
