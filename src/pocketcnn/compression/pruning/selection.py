"""Which of several ways to narrow a network is best for it: a short training of each tells.

No way to spread the pruning over the layers is best for every network and every budget: one ranking of all channels, the
same share of each layer, and shares by sensitivity each win somewhere. What a network answers before any training misleads
(NetAdapt, section 4.3, fine-tunes before it compares, for the same reason).
"""

from collections.abc import Mapping
from copy import deepcopy

from pocketcnn.compression.pruning.short_fine_tuning import ShortFineTuner
from pocketcnn.graph import GraphNetwork
from pocketcnn.training.evaluate import Score


def best_after_fine_tuning(
    candidates: Mapping[str, GraphNetwork], tuner: ShortFineTuner
) -> tuple[str, dict[str, Score]]:
    """The name of the candidate that guesses with the lowest loss after a short training, and the scores of all.

    The loss, because it tells networks apart that are right on equally many of few held-out images. All train on the same
    images in the same order, copies of them: the candidates are as they were.

    Args:
        candidates: by name, at least one, each with its batch norms recalibrated.
    """
    scores = {name: tuner.tune(deepcopy(network), 0) for name, network in candidates.items()}
    return min(scores, key=lambda name: scores[name].loss), scores
