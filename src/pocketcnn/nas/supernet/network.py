"""The supernet as a module: the largest network, of whose tensors every sub-network uses a part.

A sub-network is computed as an ordinary network of its plan whose tensors are slices of the supernet's. An extracted network
therefore computes exactly what the supernet computed.
"""

from collections import OrderedDict
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from pocketcnn.errors import UsageError
from pocketcnn.layers import Regularized, Scheduled
from pocketcnn.models.bottleneck_plan import Bottleneck
from pocketcnn.models.image_classifier import ImageClassifier
from pocketcnn.models.mobilenet_v3 import NORM, MobileNetV3
from pocketcnn.nas.supernet.plan import SupernetPlan
from pocketcnn.nas.supernet.sampling import random_subnetwork
from pocketcnn.nas.supernet.slicing import Part, block_tensors, identity_matrices
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from pocketcnn.training.distil import distillation_loss

FIXED_BLOCKS = 1
"""Blocks before the first stage, which every sub-network has."""


@dataclass(frozen=True)
class Sandwich:
    """The sandwich rule: in each step the smallest and some random sub-networks are trained besides the largest, see
    `Supernet`.

    Attributes:
        space: the part of the supernet that is elastic so far; sub-networks are drawn from it.
        drawn: how many random ones.
        weight: of the mean of their losses, relative to the loss of the largest network. The paper uses the sum. With it,
            small supernets learned far more slowly, because the largest network is a poor teacher at first.
        smallest: whether the smallest sub-network is trained in each step, as the rule says. Without it all are random.
    """

    space: SupernetPlan
    drawn: int = 2
    weight: float = 1.0
    smallest: bool = True

    def __post_init__(self) -> None:
        if self.drawn < 0 or not (self.drawn or self.smallest):
            raise UsageError("Each step of a supernet trains the smallest sub-network, random ones, or both.")

    def choices(self, rng: Random) -> list[Subnetwork]:
        """The sub-networks of one step."""
        drawn = [random_subnetwork(self.space, rng) for _ in range(self.drawn)]
        return [self.space.smallest, *drawn] if self.smallest else drawn


class Supernet(Regularized, Scheduled, nn.Module):
    """(N, C, H, W) -> (N, classes) by the largest network; `run` does the same for any sub-network.

    While it is trained with a `sandwich`, each step also trains the smallest and some random sub-networks, on the same images
    and on the predictions of the largest network in the same step. This is the sandwich rule with in-place distillation of
    "BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models" (Yu et al., 2020), after "Universally
    Slimmable Networks and Improved Training Techniques" (Yu and Huang, 2019). To the trainer it is a regularizer on the loss
    of the largest network. Batch-norm statistics are those of the largest network. Any other sub-network needs recalibration
    after extraction (`pocketcnn.training.recalibrate`).
    """

    def __init__(self, plan: SupernetPlan, seed: int = 0) -> None:
        super().__init__()
        self.plan = plan
        self.sandwich: Sandwich | None = None
        self.largest = plan.build(plan.largest, seed)
        self.matrices = nn.ModuleList(
            nn.ParameterDict(identity_matrices(plan.kernels)) for _ in range(len(plan.stages) * plan.depths[-1])
        )
        """Kernel transformation matrices of each block, see `slicing.kernel_of`."""
        with torch.device("meta"):
            self._template = [plan.build(plan.largest)]  # in a list, so that it is not registered as a submodule
        self._blocks: dict[tuple[int, int, Bottleneck], nn.Module] = {}
        self._batch: tuple[Tensor, Tensor] | None = None
        self._progress = 0.0

    def forward(self, x: Tensor) -> Tensor:
        """Images of the largest size -> logits of the largest network."""
        logits: Tensor = self.largest(x)
        if self.training and self.sandwich is not None:
            self._batch = (x, logits.detach())
        return logits

    def penalty(self) -> Tensor:
        """The distillation loss of the sub-networks on the last forward pass: a scalar.

        Sub-networks are drawn from torch's random stream, so a resumed training draws the same.
        """
        batch, self._batch = self._batch, None
        if batch is None or self.sandwich is None:
            return next(self.parameters()).new_zeros(())
        images, teacher_logits = batch
        choices = self.sandwich.choices(Random(int(torch.randint(2**62, ()))))
        losses = [distillation_loss(self.run(images, choice), teacher_logits, temperature=1.0) for choice in choices]
        # An unused matrix gets a zero gradient: fused SGD does not accept weights whose first gradient comes later.
        unused = sum((matrix.sum() for matrix in self.matrices.parameters()), start=teacher_logits.new_zeros(()))
        return self.sandwich.weight * torch.stack(losses).mean() + 0.0 * unused

    def set_progress(self, progress: float) -> None:
        self._progress = progress

    @property
    def is_final(self) -> bool:
        """Sub-networks are best at the end of the training, whatever the best epoch of the largest network is."""
        return self.sandwich is None or self._progress >= 1

    def run(self, x: Tensor, choice: Subnetwork) -> Tensor:
        """The logits (N, classes) of a sub-network for images (N, C, H, W) of any size, which are resized.

        Raises:
            UsageError: there is no such sub-network.
        """
        network = self._standalone(choice).train(self.training)
        logits: Tensor = functional_call(network, self.tensors_of(choice), (at_size(x, choice.size),))
        return logits

    def tensors_of(self, choice: Subnetwork) -> dict[str, Tensor]:
        """The tensors of a sub-network under the names of the ordinary network, as slices of the supernet's.

        In train mode, batch-norm statistics are copied, so that the sub-network does not change those of the largest network.
        """
        full: dict[str, Tensor] = dict(self.largest.named_parameters())
        for name, buffer in self.largest.named_buffers():
            full[name] = buffer.clone() if self.training else buffer
        blocks: dict[int, dict[str, Tensor]] = {}
        found: dict[str, Tensor] = {}
        for name, tensor in full.items():
            index, _, rest = name.removeprefix("features.block").partition(".")
            if name.startswith("features.block") and int(index) > FIXED_BLOCKS:
                blocks.setdefault(int(index), {})[rest] = tensor
            else:
                found[name] = tensor
        for part in self.parts(choice):
            matrices = dict(self.matrices[part.source - FIXED_BLOCKS - 1].items())  # type: ignore[operator]
            mine = block_tensors(blocks[part.source], part.block, matrices)
            found.update({f"features.block{part.number}.{name}": tensor for name, tensor in mine.items()})
        return found

    def parts(self, choice: Subnetwork) -> list[Part]:
        """Which blocks of the largest network a sub-network uses."""
        plans = self.plan.bottlenecks(choice).blocks
        max_depth = self.plan.depths[-1]
        sources = [
            FIXED_BLOCKS + number * max_depth + index + 1
            for number, blocks in enumerate(choice.stages)
            for index in range(len(blocks))
        ]
        first = FIXED_BLOCKS + 1
        return [
            Part(number, source, plans[number - 1])
            for number, source in zip(range(first, first + len(sources)), sources, strict=True)
        ]

    def _standalone(self, choice: Subnetwork) -> ImageClassifier:
        """The sub-network without tensors. Its blocks are cached, because many sub-networks share them."""
        template, plan = self._template[0], self.plan.bottlenecks(choice)
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=template.features.stem)  # type: ignore[arg-type]
        width = plan.stem
        for number, block in enumerate(plan.blocks, start=1):
            key = (number, width, block)  # with its number: a module can occur only once in a network
            if key not in self._blocks:
                with torch.device("meta"):
                    self._blocks[key] = block.build(width, NORM)
            layers[f"block{number}"] = self._blocks[key]
            width = block.out
        layers["last"] = template.features.last  # type: ignore[assignment]
        return ImageClassifier(nn.Sequential(layers), template.classifier)


def at_size(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W) resized to (height, width); returned unchanged if they have that size."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


def extract(supernet: Supernet, choice: Subnetwork) -> MobileNetV3:
    """A sub-network as an ordinary network with copies of its tensors, in eval mode; the supernet is not changed.

    Its batch-norm statistics are those of the largest network and need `pocketcnn.training.recalibrate`.

    Raises:
        UsageError: there is no such sub-network.
    """
    network = supernet.plan.build(choice)
    with torch.no_grad():
        state = {name: tensor.detach().clone().cpu() for name, tensor in supernet.tensors_of(choice).items()}
    network.load_state_dict(state)
    return network.eval()
