"""Trained networks as teachers of a student with another input size or normalization."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract


def teacher_for(
    module: nn.Module,
    own: InputContract,
    own_classes: Sequence[str],
    contract: InputContract,
    classes: Sequence[str],
    name: str,
) -> nn.Module:
    """`module`, with the input contract `own` and outputs `own_classes`, as a teacher of a student with `contract` and `classes`.

    If both have the same contract and classes, `module` itself is returned.

    Raises:
        UsageError: the classes differ in more than their order, or the number of channels differs.
    """
    if set(own_classes) != set(classes):
        raise UsageError(f"The classes of the teacher {name} differ from those of the images.")
    if own.channels != contract.channels:
        raise UsageError(
            f"The teacher {name} takes images with {own.channels} channels, its student images with "
            f"{contract.channels}. Choose a teacher with the same number of channels."
        )
    if _as_tensors(own) == _as_tensors(contract) and tuple(own_classes) == tuple(classes):
        return module
    return ResizedTeacher(module, own, contract, [list(own_classes).index(label) for label in classes])


TeachersFor = Callable[[InputContract], Sequence[nn.Module]]
"""Returns the teachers of a student with an input contract."""


def no_teachers(_contract: InputContract) -> Sequence[nn.Module]:
    """No teachers."""
    return ()


def teachers_of(networks: Sequence[GraphNetwork], classes: Sequence[str]) -> TeachersFor:
    """The teachers for students with the outputs `classes`, for any input contract."""
    return lambda contract: [loaded_teacher(network, contract, classes) for network in networks]


def loaded_teacher(network: GraphNetwork, contract: InputContract, classes: Sequence[str]) -> nn.Module:
    """A network from a model file as a teacher for `contract` and `classes`.

    Raises:
        UsageError: see `teacher_for`; or the network has no input contract or no class names.
    """
    info = network.info
    if info.input is None or not info.classes:
        raise UsageError(f"The teacher {info.name or 'network'} has no input contract or no class names.")
    return teacher_for(network, info.input, info.classes, contract, classes, info.name or "network")


class ResizedTeacher(nn.Module):
    """A teacher that resizes and normalizes the student's images for its own input contract.

    The student's image is already cropped and augmented, so it is scaled without further cropping. The logits are in the
    order of the student's classes.
    """

    def __init__(self, module: nn.Module, own: InputContract, contract: InputContract, order: Sequence[int]) -> None:
        super().__init__()
        self.module, self.size = module, (own.height, own.width)
        self.register_buffer("scale", _column(contract.std) / _column(own.std))
        self.register_buffer("offset", (_column(contract.mean) - _column(own.mean)) / _column(own.std))
        self.register_buffer("order", torch.tensor(order))

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) of the student -> logits (N, classes)."""
        x = x * self.get_buffer("scale") + self.get_buffer("offset")
        if tuple(x.shape[2:]) != self.size:
            x = F.interpolate(x, size=self.size, mode="bilinear", antialias=True)
        logits: Tensor = self.module(x)
        return logits[:, self.get_buffer("order")]


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).reshape(-1, 1, 1)


def _as_tensors(contract: InputContract) -> tuple[object, ...]:
    """The fields of a contract that determine the input tensor, apart from the cropping."""
    return (contract.shape, contract.mean, contract.std)
