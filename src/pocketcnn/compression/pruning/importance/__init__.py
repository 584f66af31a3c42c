"""What a channel is worth: one criterion a file, from a graph and its coupling to a score for each channel class.

A higher score means more important; only the order of the scores matters. A class with an infinite score is never removed.
"""

from .criterion import Criterion as Criterion
from .criterion import CriterionData as CriterionData
from .table import CRITERIA as CRITERIA
from .table import criterion as criterion
