"""AMC: a reinforcement-learning agent chooses how much of each channel group to keep, group by group.

He et al., "AMC: AutoML for Model Compression and Acceleration on Mobile Devices" (ECCV 2018).
"""

from .environment import Policy as Policy
from .search import AmcResult as AmcResult
from .search import AmcSettings as AmcSettings
from .search import amc as amc
from .search import follow as follow
from .untrained_accuracy import UntrainedAccuracy as UntrainedAccuracy
