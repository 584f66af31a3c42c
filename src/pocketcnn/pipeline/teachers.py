"""Networks from files as teachers of a network that sees its images in another size or normalization."""

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
    """`module`, which was made for images of `own` and answers with `own_classes`, as a teacher for `contract` and `classes`.

    Where both are the same it is `module` itself.

    Raises:
        UsageError: the classes differ in more than their order, or the channels differ.
    """
    if set(own_classes) != set(classes):
        raise UsageError(f"The teacher {name} knows other classes than the images have.")
    if own.channels != contract.channels:
        raise UsageError(
            f"The teacher {name} takes images of {own.channels} channels, the network that learns from it of "
            f"{contract.channels}. Take a teacher for the same images."
        )
    if _as_tensors(own) == _as_tensors(contract) and tuple(own_classes) == tuple(classes):
        return module
    return ResizedTeacher(module, own, contract, [list(own_classes).index(label) for label in classes])


TeachersFor = Callable[[InputContract], Sequence[nn.Module]]
"""The teachers of a network for images of a contract."""


def no_teachers(_contract: InputContract) -> Sequence[nn.Module]:
    """No teachers."""
    return ()


def teachers_of(networks: Sequence[GraphNetwork], classes: Sequence[str]) -> TeachersFor:
    """Networks from model files as teachers for images of these classes, whatever their contract."""
    return lambda contract: [loaded_teacher(network, contract, classes) for network in networks]


def loaded_teacher(network: GraphNetwork, contract: InputContract, classes: Sequence[str]) -> nn.Module:
    """A network from a model file as a teacher for `contract` and `classes`.

    Raises:
        UsageError: see `teacher_for`; or the file says nothing about its images or classes.
    """
    info = network.info
    if info.input is None or not info.classes:
        raise UsageError(f"The teacher {info.name or 'network'} does not say which images and classes it is for.")
    return teacher_for(network, info.input, info.classes, contract, classes, info.name or "network")


class ResizedTeacher(nn.Module):
    """A teacher that is shown the student's images as it knows them: brought to its size, normalized its way.

    A student's image was already cropped and perhaps augmented; it is scaled as a whole, whatever the teacher's contract
    says about cropping. Its answers come in the order of the student's classes.
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
    """What of a contract decides the tensors that a network is given, besides how an image is cut."""
    return (contract.shape, contract.mean, contract.std)
