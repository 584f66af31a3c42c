"""A network that can be given images: from a model file, or from an ONNX file beside its sidecar."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pocketcnn.data import ImageFolder
from pocketcnn.errors import UsageError
from pocketcnn.graph import InputContract
from pocketcnn.pipeline.networks import MODEL, ONNX, kind_of, load_network
from pocketcnn.pipeline.sidecar import SPLIT_SEED, read_sidecar
from pocketcnn.pipeline.teachers import teacher_for
from pocketcnn.runtimes.onnx_module import OnnxModule

NAMES_SHOWN = 10


@dataclass(frozen=True)
class Classifier:
    """A network that can be given images: the module, what it expects of them, and what its answers are called."""

    path: Path
    module: nn.Module
    contract: InputContract
    classes: tuple[str, ...]
    seed: int
    """That of the split of the images that it was trained on; 0 where the file does not say."""

    data: str | None
    """The fingerprint of those images, where the file says."""


def load_classifier(path: Path) -> Classifier:
    """The network in a model file, or in an ONNX file beside its sidecar.

    Raises:
        UsageError: there is no such file, it is of another kind, or it does not say which images and classes it is for.
        PocketcnnError: the file or its sidecar is damaged, or the sidecar is absent.
    """
    if kind_of(path, MODEL, ONNX) == ONNX:
        sidecar = read_sidecar(path)
        seed = int(sidecar.figures.get(SPLIT_SEED, 0))
        return Classifier(path, OnnxModule(path), sidecar.input, sidecar.classes, seed, None)
    network = load_network(path)
    info = network.info
    if info.input is None or not info.classes:
        absent = "input contract" if info.input is None else "class names"
        raise UsageError(
            f"{path} has no {absent}, so images cannot be prepared for it or its answers named. "
            "Save it with them: pocketcnn.save(path, network, input=..., classes=...)."
        )
    data = next((stage.data for stage in info.lineage if stage.data is not None), None)
    return Classifier(path, network, info.input, info.classes, info.split_seed, data)


def as_teacher(classifier: Classifier, contract: InputContract, classes: Sequence[str]) -> nn.Module:
    """`classifier` as a teacher of networks for images of `contract` that answer with `classes`, in that order.

    Raises:
        UsageError: it is for images of other channels.
    """
    return teacher_for(
        classifier.module, classifier.contract, classifier.classes, contract, classes, str(classifier.path)
    )


def check_classes(classifier: Classifier, folder: ImageFolder) -> None:
    """The classes of a folder must be those that the network knows.

    Raises:
        UsageError: they differ; the message names the differences.
    """
    known, given = set(classifier.classes), set(folder.classes)
    if known != given:
        raise UsageError(
            f"The classes of {folder.root} are not those of {classifier.path}. "
            f"Only in the folder: {_listed(given - known)}. Only in the network: {_listed(known - given)}."
        )


def _listed(names: set[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - NAMES_SHOWN
    return ", ".join(ordered[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "") if ordered else "none"
