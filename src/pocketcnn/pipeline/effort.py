"""The amount of training that a command may spend, as data.

Training is counted in optimizer steps of 64 images, not in epochs, because an epoch of a small folder has few steps. Small sets
have smaller batches and more steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pocketcnn.errors import UsageError


@dataclass(frozen=True, slots=True)
class SupernetEffort:
    """The amount of training and search for a once-for-all supernet.

    Attributes:
        steps: optimizer steps of the supernet, over all phases. Most steps train four sub-networks.
        subnetworks: sub-networks whose accuracy is measured, without training, to fit the accuracy predictor.
        population, generations: of the evolutionary search.
        finalists: sub-networks with the best predicted accuracy that are then measured.
    """

    steps: int = 1000
    subnetworks: int = 48
    population: int = 24
    generations: int = 6
    finalists: int = 6


@dataclass(frozen=True, slots=True)
class Effort:
    """The amount of training for a command.

    Attributes:
        candidates: networks in the first round of successive halving.
        rounds: optimizer steps of each candidate in each round. After a round the better half is kept.
        final_steps: steps of the final training of the chosen network.
        recovery_steps: steps of fine-tuning after pruning, with the unpruned parent as teacher.
        quantized_steps: steps of quantization-aware fine-tuning, with the float network as teacher.
        short_steps: steps of each short fine-tuning of NetAdapt.
        episodes: episodes of AMC, each without training.
        min_epochs: smallest number of epochs of any training.
        more_steps: whether smaller batches take more steps, see `small_sets`.
        source: where the candidates come from: networks of the ``zoo``, or sub-networks of a ``supernet``.
        supernet: the amount of training and search for a supernet, if one is used.
    """

    candidates: int
    rounds: tuple[int, ...]
    final_steps: int
    recovery_steps: int
    quantized_steps: int
    short_steps: int = 10
    episodes: int = 60
    min_epochs: int = 2
    more_steps: bool = True
    source: Literal["zoo", "supernet"] = "zoo"
    supernet: SupernetEffort = SupernetEffort()

    def epochs(self, steps: int, images: int, batch_size: int) -> int:
        """Number of epochs for at least `steps` optimizer steps on `images` training images, and at least `min_epochs`."""
        per_epoch = max(1, images // batch_size)
        return max(self.min_epochs, -(-steps // per_epoch))


EFFORTS: Mapping[str, Effort] = MappingProxyType(
    {
        "quick": Effort(
            candidates=2,
            rounds=(40,),
            final_steps=80,
            recovery_steps=60,
            quantized_steps=20,
            short_steps=4,
            episodes=20,
            min_epochs=1,
            more_steps=False,
            supernet=SupernetEffort(steps=160, subnetworks=12, population=10, generations=2, finalists=3),
        ),  # to try a command out
        "low": Effort(candidates=4, rounds=(80, 100), final_steps=320, recovery_steps=160, quantized_steps=80),
        "medium": Effort(
            candidates=8,
            rounds=(300, 500, 800),
            final_steps=4000,
            recovery_steps=2000,
            quantized_steps=600,
            short_steps=40,
            episodes=200,
            min_epochs=4,
            supernet=SupernetEffort(steps=8000, subnetworks=200, population=50, generations=20, finalists=10),
        ),
        "high": Effort(
            candidates=16,
            rounds=(600, 1000, 1600, 2400),
            final_steps=16000,
            recovery_steps=8000,
            quantized_steps=2000,
            short_steps=150,
            episodes=400,
            min_epochs=8,
            source="supernet",
            supernet=SupernetEffort(steps=32000, subnetworks=500, population=100, generations=40, finalists=16),
        ),
    }
)


def load_effort(effort: str | Effort) -> Effort:
    """The effort named `effort`, or `effort` itself if it is an `Effort`.

    Raises:
        UsageError: there is no effort of that name.
    """
    if isinstance(effort, Effort):
        return effort
    if effort not in EFFORTS:
        raise UsageError(f"There is no effort {effort!r}; choose one of {', '.join(EFFORTS)}.")
    return EFFORTS[effort]
