"""Opens a network from a model file, an ONNX file, an architecture file, or the name of a network.

torch is imported only when a network is opened, not to distinguish files from names.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from pocketcnn.errors import UsageError
from pocketcnn.models.libraries import is_library_name, library_module
from pocketcnn.models.pretrained.source import demands_weights, has_weights
from pocketcnn.nas import POINT_SUFFIXES

if TYPE_CHECKING:
    from pocketcnn.graph import GraphNetwork

INPUT_SHAPE = (3, 224, 224)
"""Default input shape (channels, height, width) of a network by name."""

CLASSES = 1000
MODEL, ONNX = ".safetensors", ".onnx"
_CALLED = {
    MODEL: "a model file (.safetensors)",
    ONNX: "an ONNX file (.onnx)",
    ".tflite": "a TensorFlow Lite file (.tflite)",
    ".param": "an ncnn file (.param)",
    ".pte": "an ExecuTorch file (.pte)",
}


def is_file(name: str) -> bool:
    """Whether `name` is a path: such a file exists, or it contains a slash or a suffix."""
    if has_weights(name):
        return False
    return Path(name).exists() or bool(Path(name).suffix) or "/" in name or "\\" in name


def kind_of(path: Path, *kinds: str) -> str:
    """The suffix of an existing file, which must be one of `kinds`, such as `MODEL` and `ONNX`.

    Raises:
        UsageError: there is no such file, or it is of another kind.
    """
    needed = " or ".join(_CALLED.get(kind, kind) for kind in kinds)
    if path.is_dir():
        inside = ", ".join(sorted(child.name for child in path.iterdir() if child.suffix.lower() in kinds))
        raise UsageError(f"{path} is a folder; {needed} is needed." + (f" It contains {inside}." if inside else ""))
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
        PocketcnnError: the file is damaged, or contains an unsupported operator.
    """
    if kind_of(path, MODEL, ONNX) == MODEL:
        return load_network(path)
    from pocketcnn.formats.onnx.reader import read_onnx
    from pocketcnn.graph import GraphNetwork, ModelInfo

    return GraphNetwork(read_onnx(path), ModelInfo(name=path.stem))


def open_network(
    source: str | Path,
    shape: tuple[int, int, int] | None = None,
    *,
    width: float | None = None,
    classes: int | None = None,
) -> "GraphNetwork":
    """The network in a model file or ONNX file, or the network of that name.

    A name alone has random weights, which is enough for its cost; see `pocketcnn.pretrained` for trained ones. Names that say
    where their weights are from (``imagenet:NAME``, ``hf:OWNER/NAME``, ``timm:NAME.TAG``, ``timm:NAME=FILE``) have these.

    Args:
        source: a file; a name of `list_models()`; ``timm:NAME``, ``torchvision:NAME``; a name with weights; or an architecture
            file (`network.toml`).
        shape: (channels, height, width) of the images of a network by name; if not given `INPUT_SHAPE`, or that of its weights.
        width: width multiplier of a network of the zoo; 1 if not given.
        classes: number of outputs of a network by name; if not given 1000, or those of its weights.

    Raises:
        UsageError: there is no such file or network; a value is out of range; or an argument that a file determines is given.
        MissingExtra: the other library is not installed.
        PocketcnnError: the file is damaged, or contains an unsupported operator.
        CaptureError: a network of another library contains unsupported operations.
    """
    name = str(source)
    if is_architecture_file(name):
        if width is not None:
            raise UsageError(f"width applies to networks of the zoo only; the architecture file {name} sets the width.")
        return architecture_network(Path(source), shape or INPUT_SHAPE, classes=classes or CLASSES)
    if demands_weights(name):
        if width not in (None, 1.0):
            raise UsageError(f"--width applies to networks of the zoo only; the width of {name} is fixed.")
        from pocketcnn.pipeline.published_network import published_network

        return published_network(name, classes, shape=shape)
    if not is_file(name):
        return named_network(
            name, shape or INPUT_SHAPE, width=1.0 if width is None else width, classes=classes or CLASSES
        )
    given = [
        option for option, value in (("shape", shape), ("width", width), ("classes", classes)) if value is not None
    ]
    if given:
        raise UsageError(f"{', '.join(given)}: only for networks by name; the file {name} determines it. Leave it out.")
    return file_network(Path(source))


def is_architecture_file(name: str) -> bool:
    """Whether `name` has the suffix of an architecture file, such as the `network.toml` of a search."""
    return Path(name).suffix in POINT_SUFFIXES


def architecture_network(path: Path, shape: tuple[int, int, int], *, classes: int) -> "GraphNetwork":
    """The captured network of an architecture file (`network.toml` of a search), with random weights.

    Args:
        shape: (channels, height, width) of the images.
        classes: number of outputs.

    Raises:
        UsageError: the file cannot be read, or is not a valid point of its search space.
    """
    from pocketcnn.graph import GraphNetwork, ModelInfo, capture
    from pocketcnn.layers import reparameterize
    from pocketcnn.pipeline.architecture_network import ArchitectureNetwork

    plan = ArchitectureNetwork.read(str(path), shape[0], shape[1:], classes)
    return GraphNetwork(capture(reparameterize(plan.build()), (1, shape[0], *plan.size)), ModelInfo(name=plan.name))


def named_network(
    name: str, shape: tuple[int, int, int], *, width: float, classes: int, seed: int = 0
) -> "GraphNetwork":
    """A network of the zoo, timm or torchvision (``timm:NAME``), with random weights drawn from `seed`.

    It is captured for images of `shape` (channels, height, width).

    Raises:
        UsageError: there is no such network (the message suggests a similar name), or a value is out of range.
        MissingExtra: the other library is not installed.
        CaptureError: a network of another library contains unsupported operations.
    """
    from pocketcnn.graph import GraphNetwork, ModelInfo, capture
    from pocketcnn.models import create
    from pocketcnn.training import drawn_from

    if is_library_name(name) and width != 1.0:
        raise UsageError(f"--width applies to networks of the zoo only; the width of {name} is fixed.")
    with drawn_from(seed):
        if is_library_name(name):
            module = library_module(name, shape[0], classes)
        else:
            module = create(name, width=width, classes=classes, in_channels=shape[0])
    return GraphNetwork(capture(module, (1, *shape)), ModelInfo(name=name))
