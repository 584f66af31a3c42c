"""How a network is made smaller, where there is a choice: as plain data, so that a command can be repeated."""

from dataclasses import dataclass

from pocketcnn.compression.coding.sparsity import Sparsity, parse_sparsity
from pocketcnn.compression.deployed import WeightCompression
from pocketcnn.compression.pruning.allocation import ALLOCATIONS
from pocketcnn.compression.pruning.importance import criterion
from pocketcnn.errors import UsageError
from pocketcnn.pipeline.accuracy_check import MAX_LOSS

SENSITIVE, BEST = "sensitive", "best"
ALLOCATIONS_OF_METHOD = (*ALLOCATIONS, SENSITIVE, BEST)
"""Layers that are sensitive lose less; or whichever of the others a short training finds to be best."""

CRITERION = "energy"
"""What a channel is worth; it looks at images, but not at their labels."""


@dataclass(frozen=True)
class CompressionMethod:
    """What `compress` may do beside pruning channels and quantizing as far as the budget asks.

    Attributes:
        criterion: what a channel is worth, see `compression.importance`.
        spread: ``global`` or ``uniform``, see `compression.spread`; ``sensitive``, see `compression.sensitivity`; or ``best``,
            which cuts by each of them and keeps the one that is best after a short training.
        stages: of pruning, with recovery after each; None takes two where less than half of the multiply-adds is left.
        reconstruct: fit the layers that read removed channels before they are fine-tuned.
        resolution: (height, width) of the images that the smaller network takes, if not those of the given one.
        blocks: residual blocks that may go, the ones that are missed least first, while the budget is not kept.
        small_kernels: cut kernels of 5x5 and more to 3x3.
        sparsity: ``0.8`` or ``2:4``: single weights set to zero, for storage.
        share: the weights of a layer share 2^share values, which are trained (Deep Compression); they stay in float.
        max_loss: share of the validation images that a step may answer worse (0.02: two points). A step that clearly costs
            more is trained longer, and what it costs then is said in the result's warnings.
        code: write the model file coded. A limit on ``stored`` asks for it too.
    """

    criterion: str = CRITERION
    allocation: str = "global"
    stages: int | None = None
    reconstruct: bool = True
    resolution: tuple[int, int] | None = None
    blocks: int = 0
    small_kernels: bool = False
    sparsity: str | None = None
    cluster_bits: int | None = None
    entropy_code: bool = False
    max_loss: float = MAX_LOSS

    def __post_init__(self) -> None:
        criterion(self.criterion)
        if self.allocation not in ALLOCATIONS_OF_METHOD:
            raise UsageError(f"There is no allocation {self.allocation!r}. Known: {', '.join(ALLOCATIONS_OF_METHOD)}.")
        if self.stages is not None and self.stages < 1:
            raise UsageError(f"Pruning takes one stage or more, not {self.stages}.")
        if self.blocks < 0:
            raise UsageError(f"The number of blocks that may go is 0 or more, not {self.blocks}.")
        if self.cluster_bits is not None and not 1 <= self.cluster_bits <= 8:
            raise UsageError(f"Weights share values of 1 to 8 bits, not {self.cluster_bits}.")
        if not 0 <= self.max_loss <= 1:
            raise UsageError(f"The accuracy that a step may cost is a share between 0 and 1, not {self.max_loss:g}.")
        _ = self.zeros

    @property
    def restructures(self) -> bool:
        """Whether anything is asked for before channels are pruned."""
        return self.resolution is not None or self.blocks > 0 or self.small_kernels

    @property
    def zeros(self) -> Sparsity | None:
        """The sparsity, read."""
        return None if self.sparsity is None else parse_sparsity(self.sparsity)

    @property
    def weights(self) -> WeightCompression:
        """What is done to single weights after channels are pruned."""
        return WeightCompression(self.zeros, self.cluster_bits)
