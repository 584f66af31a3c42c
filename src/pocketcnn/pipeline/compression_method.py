"""The options of `compress`, as plain data."""

from dataclasses import dataclass

from pocketcnn.compression.coding.sparsity import Sparsity, parse_sparsity
from pocketcnn.compression.deployed import WeightCompression
from pocketcnn.compression.pruning.allocation import ALLOCATIONS
from pocketcnn.compression.pruning.importance import criterion
from pocketcnn.compression.pruning.netadapt import RULES
from pocketcnn.errors import UsageError
from pocketcnn.pipeline.accuracy_check import MAX_LOSS

SENSITIVE, BEST = "sensitive", "best"
ALLOCATIONS_OF_METHOD = (*ALLOCATIONS, SENSITIVE, BEST)
"""Allocations of `compress`: ``sensitive`` prunes sensitive layers less, ``best`` selects one by short fine-tuning."""

CRITERION = "energy"
"""Default importance criterion. It uses images, but not their labels."""


@dataclass(frozen=True)
class CompressionMethod:
    """Options of `compress`, in addition to channel pruning and quantization, which follow from the budget.

    Attributes:
        criterion: importance criterion of channels, see `compression.pruning.importance`.
        allocation: distribution of the pruning over the layers. ``global`` or ``uniform``, see
            `compression.pruning.allocation`; ``sensitive``, by measured sensitivities; or ``best``, which prunes by each of
            these and keeps the best after short fine-tuning.
        stages: number of pruning stages, with fine-tuning after each. None: 2 if less than half of the multiply-adds is
            kept, else 1.
        reconstruct: fit the weights of layers that read removed channels (least squares) before fine-tuning.
        choose: which proposal a step of NetAdapt keeps. ``accuracy``: the most accurate (NetAdapt). ``ratio``: the best ratio
            of accuracy lost to resource saved, in constant steps of 1 % (MobileNetV3).
        resolution: (height, width) of the input of the smaller network; None keeps that of the given one.
        blocks: largest number of residual blocks to remove, the least important first, until the budget is kept.
        small_kernels: crop kernels of 5x5 and more to 3x3.
        sparsity: share of single weights set to zero (``0.8``), or a pattern (``2:4``), for a smaller coded file.
        cluster_bits: cluster the weights of each layer to 2^cluster_bits values, which are fine-tuned in float (Deep
            Compression).
        entropy_code: write the model file entropy-coded. A limit on ``coded`` implies it.
        max_loss: accepted drop of the validation accuracy in one step, from 0 to 1 (0.02: two points). After a step that
            significantly costs more, fine-tuning is longer. A loss that remains is a warning of the result.

    Raises:
        UsageError: a value is unknown or out of range.
    """

    criterion: str = CRITERION
    allocation: str = "global"
    stages: int | None = None
    reconstruct: bool = True
    choose: str = "accuracy"
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
        if self.choose not in RULES:
            raise UsageError(
                f"There is no rule {self.choose!r} for the proposals of NetAdapt; choose {' or '.join(RULES)}."
            )
        if self.stages is not None and self.stages < 1:
            raise UsageError(f"The number of pruning stages is 1 or more, not {self.stages}.")
        if self.blocks < 0:
            raise UsageError(f"The number of blocks to remove is 0 or more, not {self.blocks}.")
        if self.cluster_bits is not None and not 1 <= self.cluster_bits <= 8:
            raise UsageError(f"Weights are clustered with 1 to 8 bits, not {self.cluster_bits}.")
        if not 0 <= self.max_loss <= 1:
            raise UsageError(f"The accepted loss of accuracy is a share between 0 and 1, not {self.max_loss:g}.")
        _ = self.zeros

    @property
    def restructures(self) -> bool:
        """Whether the structure is changed (resolution, blocks, kernels) before channels are pruned."""
        return self.resolution is not None or self.blocks > 0 or self.small_kernels

    @property
    def zeros(self) -> Sparsity | None:
        """The parsed sparsity."""
        return None if self.sparsity is None else parse_sparsity(self.sparsity)

    @property
    def weights(self) -> WeightCompression:
        """Sparsity and clustering of the weights, after channels are pruned."""
        return WeightCompression(self.zeros, self.cluster_bits)
