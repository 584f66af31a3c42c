"""A classifier from a file: a network with its input contract and class names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pocketcnn.data import ImageFolder
from pocketcnn.errors import UsageError
from pocketcnn.graph import InputContract
from pocketcnn.models.pretrained.source import has_weights
from pocketcnn.pipeline.networks import MODEL, ONNX, kind_of, load_network
from pocketcnn.pipeline.published_network import published_network
from pocketcnn.pipeline.sidecar import SPLIT_SEED, read_sidecar
from pocketcnn.pipeline.teachers import teacher_for
from pocketcnn.runtimes.onnx_module import OnnxModule

NAMES_SHOWN = 10


@dataclass(frozen=True)
class Classifier:
    """A network with its input contract and the names of its classes."""

    path: Path
    module: nn.Module
    contract: InputContract
    classes: tuple[str, ...]
    seed: int
    """Seed of the split of the training images; 0 if the file does not record it."""

    data: str | None
    """Fingerprint of the training images; None if the file does not record it."""


def load_classifier(path: Path) -> Classifier:
    """Load a classifier from a model file, from an ONNX file with its sidecar, or by the name of its weights.

    Raises:
        UsageError: there is no such file, it is of another kind, or it has no input contract or no class names.
        PocketcnnError: the file or its sidecar is damaged, the sidecar is absent, or the weights are not to be had.
    """
    if not has_weights(str(path)) and kind_of(path, MODEL, ONNX) == ONNX:
        sidecar = read_sidecar(path)
        seed = int(sidecar.figures.get(SPLIT_SEED, 0))
        return Classifier(path, OnnxModule(path), sidecar.input, sidecar.classes, seed, None)
    name = str(path)
    network = published_network(name) if has_weights(name) else load_network(path)
    info = network.info
    if info.input is None or not info.classes:
        absent = "input contract" if info.input is None else "class names"
        raise UsageError(
            f"{path} has no {absent}, so it cannot be run on images. "
            "Save it with them: pocketcnn.save(path, network, input=..., classes=...)."
        )
    data = next((stage.data for stage in info.lineage if stage.data is not None), None)
    return Classifier(path, network, info.input, info.classes, info.split_seed, data)


def as_teacher(classifier: Classifier, contract: InputContract, classes: Sequence[str]) -> nn.Module:
    """`classifier` as a teacher of networks with the input contract `contract` and the outputs `classes`, in that order.

    Raises:
        UsageError: the classes or the number of channels differ.
    """
    return teacher_for(
        classifier.module, classifier.contract, classifier.classes, contract, classes, str(classifier.path)
    )


def check_classes(classifier: Classifier, folder: ImageFolder, *, some: bool = False) -> None:
    """Check that the folder has the same classes as the network, or `some` of them.

    Raises:
        UsageError: they differ; the message names the differences.
    """
    of_network, of_folder = set(classifier.classes), set(folder.classes)
    if not (of_folder <= of_network if some else of_folder == of_network):
        raise UsageError(
            f"The classes of {folder.root} and of {classifier.path} differ. "
            f"Only in the folder: {_listed(of_folder - of_network)}. Only in the network: {_listed(of_network - of_folder)}."
        )


def _listed(names: set[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - NAMES_SHOWN
    return ", ".join(ordered[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "") if ordered else "none"
