"""Importance criteria: from a graph and its coupling to a score for each channel class.

A higher score means more important. Only the order of the scores matters. A class with an infinite score is never pruned.
"""

from .criterion import Criterion as Criterion
from .criterion import CriterionData as CriterionData
from .table import CRITERIA as CRITERIA
from .table import criterion as criterion
