"""What a verb was given: a model file, an ONNX file with its sidecar, or the name of a network, ours or of another library."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pocketcnn.cli.libraries import is_library_name, library_module
from pocketcnn.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

    from pocketcnn.data import ImageFolder
    from pocketcnn.graph import GraphNetwork, InputContract

NAMES_SHOWN = 10
MODEL, ONNX = ".safetensors", ".onnx"
_CALLED = {
    MODEL: "a model file (.safetensors)",
    ONNX: "an ONNX file (.onnx)",
    ".tflite": "a TensorFlow Lite file (.tflite)",
    ".param": "an ncnn file (.param)",
    ".pte": "an ExecuTorch file (.pte)",
}


def is_file(name: str) -> bool:
    """Whether `name` means a file: it is one, or it is written like one."""
    if is_library_name(name):
        return False
    return Path(name).exists() or bool(Path(name).suffix) or "/" in name or "\\" in name


def kind_of(path: Path, *kinds: str) -> str:
    """Which of `kinds`, such as `MODEL` and `ONNX`, an existing file is, by its name.

    Raises:
        UsageError: there is no such file, or it is of another kind.
    """
    needed = " or ".join(_CALLED.get(kind, kind) for kind in kinds)
    if path.is_dir():
        inside = ", ".join(sorted(child.name for child in path.iterdir() if child.suffix.lower() in kinds))
        raise UsageError(f"{path} is a folder; {needed} is needed." + (f" In it there is {inside}." if inside else ""))
    if not path.exists():
        raise UsageError(f"There is no file {path}. Check the path; {needed} is needed.")
    suffix = path.suffix.lower()
    if suffix not in kinds:
        raise UsageError(f"{path} is {_CALLED.get(suffix, f'a file ending in {suffix!r}')}; {needed} is needed.")
    return suffix


def load_network(path: Path) -> "GraphNetwork":
    """The network in a model file.

    Raises:
        UsageError: there is no such file, or it is of another kind.
        PocketcnnError: the file is damaged.
    """
    kind_of(path, MODEL)
    from pocketcnn.graph.model_file import load

    return load(path)


def file_network(path: Path) -> "GraphNetwork":
    """The network in a model file or in an ONNX file.

    Raises:
        UsageError: there is no such file, or it is of another kind.
        PocketcnnError: the file is damaged, or has an operator that the graph does not have.
    """
    if kind_of(path, MODEL, ONNX) == MODEL:
        return load_network(path)
    from pocketcnn.graph import GraphNetwork, ModelInfo
    from pocketcnn.graph.onnx_reader import read_onnx

    return GraphNetwork(read_onnx(path), ModelInfo(name=path.stem))


def network_of(name_or_file: str, shape: tuple[int, int, int], *, width: float, classes: int) -> "GraphNetwork":
    """The network in a file, or the one of that name for images of `shape`. Raises what the two functions do."""
    from pocketcnn.search.architecture import is_architecture_file

    if is_architecture_file(name_or_file):
        return architecture_network(Path(name_or_file), shape, classes=classes)
    if is_file(name_or_file):
        return file_network(Path(name_or_file))
    return named_network(name_or_file, shape, width=width, classes=classes)


def architecture_network(path: Path, shape: tuple[int, int, int], *, classes: int) -> "GraphNetwork":
    """The network of an architecture file (`network.toml` of a search) with fresh weights, captured.

    Args:
        shape: (channels, height, width) of the images of the task.

    Raises:
        UsageError: the file cannot be read, or is no point of its space.
    """
    from pocketcnn.graph import GraphNetwork, ModelInfo, capture
    from pocketcnn.layers import inference_form
    from pocketcnn.pipeline.architecture_plan import ArchitecturePlan

    plan = ArchitecturePlan.read(str(path), shape[0], shape[1:], classes)
    return GraphNetwork(capture(inference_form(plan.build()), (1, shape[0], *plan.size)), ModelInfo(name=plan.name))


def named_network(
    name: str, shape: tuple[int, int, int], *, width: float, classes: int, seed: int = 0
) -> "GraphNetwork":
    """A network of the zoo, or of timm or torchvision (``timm:NAME``), with fresh weights.

    It is captured for images of `shape` (channels, height, width).

    Raises:
        UsageError: there is no such network (the nearest name is suggested), or a value is out of range.
        MissingExtra: timm is not installed.
        CaptureError: a network of another library has operations that the graph does not have.
    """
    from pocketcnn.graph import GraphNetwork, ModelInfo, capture
    from pocketcnn.models import create
    from pocketcnn.training import drawn_from

    if is_library_name(name) and width != 1.0:
        raise UsageError(f"--width is for networks of the zoo; {name} is what its name says.")
    with drawn_from(seed):
        if is_library_name(name):
            module = library_module(name, shape[0], classes)
        else:
            module = create(name, width=width, classes=classes, in_channels=shape[0])
    return GraphNetwork(capture(module, (1, *shape)), ModelInfo(name=name))


@dataclass(frozen=True)
class Classifier:
    """A network that can be given images: the module, what it expects of them, and what its answers are called."""

    path: Path
    module: "nn.Module"
    contract: "InputContract"
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
        from pocketcnn.cli.onnx_module import OnnxModule
        from pocketcnn.pipeline.sidecar import SPLIT_SEED, read_sidecar

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


def as_teacher(classifier: Classifier, contract: "InputContract", classes: Sequence[str]) -> "nn.Module":
    """`classifier` as a teacher of networks for images of `contract` that answer with `classes`, in that order.

    Raises:
        UsageError: it is for images of other channels.
    """
    from pocketcnn.pipeline.teachers import teacher_for

    return teacher_for(
        classifier.module, classifier.contract, classifier.classes, contract, classes, str(classifier.path)
    )


def check_classes(classifier: Classifier, folder: "ImageFolder") -> None:
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
