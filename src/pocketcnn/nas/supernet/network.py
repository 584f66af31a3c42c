"""The supernet as a module: the largest network, of which every sub-network uses a part.

A sub-network is computed as what it is, an ordinary network of its plan, whose tensors are parts of the supernet's. So what is
extracted computes what the supernet computed, because it is the same network with the same tensors.
"""

from collections import OrderedDict
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

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
    """What is trained beside the largest network in each step: the smallest one and some random ones, see `Supernet`.

    Attributes:
        space: the supernet as far as it is open by now; sub-networks are drawn from it.
        drawn: how many random ones.
        weight: of their losses' mean, beside that of the largest network. With their sum in its place, as in the paper, small
            supernets learned far more slowly: what is distilled at the beginning is not worth learning yet.
    """

    space: SupernetPlan
    drawn: int = 2
    weight: float = 1.0


class Supernet(Regularized, Scheduled, nn.Module):
    """(N, C, H, W) -> (N, classes) by the largest network; `run` does the same for any sub-network.

    While it is trained with a `sandwich`, each step trains the smallest and some random sub-networks too, on the same images
    and the predictions that the largest network makes of them in the same step: the sandwich rule and in-place
    distillation of "BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models" (Yu et al., 2020),
    after "Universally Slimmable Networks and Improved Training Techniques" (Yu and Huang, 2019). To the trainer this is a
    penalty on the loss of the largest network. Running statistics of batch norms are those of the largest network;
    any other wants its own (`pocketcnn.training.recalibrate`) after it was extracted.
    """

    def __init__(self, plan: SupernetPlan, seed: int = 0) -> None:
        super().__init__()
        self.plan = plan
        self.sandwich: Sandwich | None = None
        self.largest = plan.build(plan.largest, seed)
        self.matrices = nn.ModuleList(
            nn.ParameterDict(identity_matrices(plan.kernels)) for _ in range(len(plan.stages) * plan.depths[-1])
        )
        """Of each block of the stages, see `slicing.kernel_of`."""
        with torch.device("meta"):
            self._outline = [plan.build(plan.largest)]  # in a list, where it is no sub-module
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
        """What the sub-networks have still to learn from the predictions of the last forward pass: a scalar.

        Sub-networks are drawn from torch's random stream, so a resumed training draws the same.
        """
        batch, self._batch = self._batch, None
        if batch is None or self.sandwich is None:
            return next(self.parameters()).new_zeros(())
        images, taught = batch
        space, rng = self.sandwich.space, Random(int(torch.randint(2**62, ())))
        choices = [space.smallest, *(random_subnetwork(space, rng) for _ in range(self.sandwich.drawn))]
        losses = [distillation_loss(self.run(images, choice), taught, temperature=1.0) for choice in choices]
        # A matrix that nobody used gets a gradient of zero: fused SGD does not take weights whose first gradient comes later.
        unused = sum((matrix.sum() for matrix in self.matrices.parameters()), start=taught.new_zeros(()))
        return self.sandwich.weight * torch.stack(losses).mean() + 0.0 * unused

    def set_progress(self, progress: float) -> None:
        self._progress = progress

    @property
    def is_final(self) -> bool:
        """Sub-networks are best at the end of their training, whatever the largest network's best epoch was."""
        return self.sandwich is None or self._progress >= 1

    def run(self, x: Tensor, choice: Subnetwork) -> Tensor:
        """The logits (N, classes) of a sub-network for images (N, C, H, W) of any size, brought to its own.

        Raises:
            UsageError: there is no such sub-network.
        """
        network = self._ordinary(choice).train(self.training)
        logits: Tensor = functional_call(network, self.tensors_of(choice), (at_size(x, choice.size),))
        return logits

    def tensors_of(self, choice: Subnetwork) -> dict[str, Tensor]:
        """The tensors of a sub-network under the names of the ordinary network, as parts of the supernet's.

        In train mode the statistics of batch norms are copies, lest the sub-network adds to those of the largest.
        """
        full: dict[str, Tensor] = dict(self.largest.named_parameters())
        for name, buffer in self.largest.named_buffers():
            full[name] = buffer.clone() if self.training else buffer
        blocks: dict[int, dict[str, Tensor]] = {}
        found: dict[str, Tensor] = {}
        for name, tensor in full.items():
            place, _, rest = name.removeprefix("features.block").partition(".")
            if name.startswith("features.block") and int(place) > FIXED_BLOCKS:
                blocks.setdefault(int(place), {})[rest] = tensor
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
        most = self.plan.depths[-1]
        sources = [
            FIXED_BLOCKS + number * most + place + 1
            for number, blocks in enumerate(choice.stages)
            for place in range(len(blocks))
        ]
        first = FIXED_BLOCKS + 1
        return [
            Part(number, source, plans[number - 1])
            for number, source in zip(range(first, first + len(sources)), sources, strict=True)
        ]

    def _ordinary(self, choice: Subnetwork) -> ImageClassifier:
        """The sub-network without tensors. Its blocks are made once: a supernet has few of them in many combinations."""
        outline, plan = self._outline[0], self.plan.bottlenecks(choice)
        layers: OrderedDict[str, nn.Module] = OrderedDict(stem=outline.features.stem)  # type: ignore[arg-type]
        width = plan.stem
        for number, block in enumerate(plan.blocks, start=1):
            key = (number, width, block)  # with its place: a module cannot be twice in a network
            if key not in self._blocks:
                with torch.device("meta"):
                    self._blocks[key] = block.build(width, NORM)
            layers[f"block{number}"] = self._blocks[key]
            width = block.out
        layers["last"] = outline.features.last  # type: ignore[assignment]
        return ImageClassifier(nn.Sequential(layers), outline.classifier)


def at_size(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (N, C, H, W) brought to (height, width); those of that size are returned as they are."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True)


def extract(supernet: Supernet, choice: Subnetwork) -> MobileNetV3:
    """A sub-network as an ordinary network with copies of its tensors, in eval mode; the supernet stays as it is.

    Its batch norms have the statistics of the largest network, which do not suit it: see `pocketcnn.training.recalibrate`.

    Raises:
        UsageError: there is no such sub-network.
    """
    network = supernet.plan.build(choice)
    with torch.no_grad():
        state = {name: tensor.detach().clone().cpu() for name, tensor in supernet.tensors_of(choice).items()}
    network.load_state_dict(state)
    return network.eval()
