"""A network by the name of its trained weights, converted to the classes and images of the user."""

from collections.abc import Sequence
from statistics import fmean

from pocketcnn.callbacks import no_op
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, Stage, capture
from pocketcnn.models.pretrained.input_channels import adapt_input
from pocketcnn.models.pretrained.load import trained_module
from pocketcnn.models.pretrained.weights import Preprocessing
from pocketcnn.pipeline.workspace import Say
from pocketcnn.training.transfer import with_classes

STAGE = "published weights"
"""Name of the stage of the lineage that says where the weights are from."""


def published_network(
    source: str,
    classes: int | Sequence[str] | None = None,
    *,
    shape: tuple[int, int, int] | None = None,
    seed: int = 0,
    say: Say = no_op,
) -> GraphNetwork:
    """The captured network with the weights that `source` names, see `pocketcnn.models.pretrained.source`.

    Its input contract is that of the weights; its lineage names the source, the file, its SHA-256 and the licence.

    Args:
        classes: names or number of the classes: the last layer is then a new one, which needs training. None keeps it.
        shape: (channels, height, width) of the images; those of the weights if not given. For other channels than 3 the weights
            of the first layer are summed (grey) or repeated.
        seed: draws the new last layer.
        say: called with what was taken and what was converted.

    Raises:
        UsageError: `source` names no weights, or a value is out of range.
        MissingExtra: a package or library is not installed.
        PocketcnnError: the weights are neither on this machine nor to be downloaded, or the network cannot be captured.
    """
    found = trained_module(source)
    published = found.preprocessing
    channels, height, width = shape or (3, *published.size)
    if adapt_input(found.module, channels):
        done = "summed" if channels == 1 else "repeated"
        say(f"{source} was trained on RGB images: the weights of its first layer are {done} for {channels} channel(s).")
    if (height, width) != published.size:
        say(
            f"{source} was trained at {_size(published.size)} (height x width) and is used at {_size((height, width))}."
        )
    stage = Stage(name=STAGE, settings=found.origin.as_settings(published))
    info = ModelInfo(
        name=source.partition("=")[0],
        input=contract_of(published, (channels, height, width)),
        classes=found.classes,
        lineage=(stage,),
    )
    network = GraphNetwork(capture(found.module, (1, channels, height, width)), info)
    say(
        f"Weights: {found.origin.file}, SHA-256 {found.origin.sha256[:16]}…, licence {found.origin.licence or 'not stated'}"
    )
    return network if classes is None else with_new_classes(network, classes, seed)


def contract_of(published: Preprocessing, shape: tuple[int, int, int]) -> InputContract | None:
    """The input contract of images of `shape`; None for numbers of channels that image files do not have.

    Grey images have the mean of the statistics of the three colours.
    """
    channels, height, width = shape
    if channels not in (1, 3):
        return None
    of_grey = channels == 1
    return InputContract(
        channels=1 if of_grey else 3,
        height=height,
        width=width,
        resize="crop",
        interpolation=published.interpolation,
        mean=(fmean(published.mean),) if of_grey else published.mean,
        std=(fmean(published.std),) if of_grey else published.std,
    )


def with_new_classes(network: GraphNetwork, classes: int | Sequence[str], seed: int = 0) -> GraphNetwork:
    """The network with a new last layer for classes of these names, or for that number of classes without names.

    Raises:
        UsageError: fewer than one class, or the last layer cannot be replaced.
    """
    if not isinstance(classes, int):
        return with_classes(network, classes, seed)
    if classes < 1:
        raise UsageError(f"The number of classes must be at least 1, not {classes}.")
    changed = with_classes(network, tuple(map(str, range(classes))), seed)
    changed.info = changed.info.model_copy(update={"classes": ()})
    return changed


def weights_of(info: ModelInfo) -> dict[str, str]:
    """Source, file, SHA-256 and licence of the weights that a network began with; {} if it began with random ones."""
    stage = next((stage for stage in info.lineage if stage.name == STAGE), None)
    return {} if stage is None else {key: str(stage.settings[key]) for key in ("source", "file", "sha256", "licence")}


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
