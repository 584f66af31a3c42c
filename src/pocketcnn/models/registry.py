"""Networks by name. The names are known without importing torch; a network's file is imported when it is first built.

A new network is one file, and that file's line in `CATALOG`. The file has the paper's stage table as data, one builder, and
registers each variant with what else is known of it:

    for name, variant in VARIANTS.items():
        register(name, small_image_head=1280)(partial(_build, variant))

A builder takes keywords only. `classes` and `in_channels` are required of it; `width` where the paper has a width
multiplier; every further keyword is an option of that network, whose type says which values it takes (see `options`).
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pocketcnn.errors import UsageError

from .options import check_options, nearest

if TYPE_CHECKING:
    from torch import nn

CATALOG: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {  # file in this package -> the names that it registers
        "mobilenet_v1": ("mobilenet_v1",),
        "mobilenet_v2": ("mobilenet_v2",),
        "mobilenet_v3": (
            "mobilenet_v3_large",
            "mobilenet_v3_small",
            "mobilenet_v3_large_minimalistic",
            "mobilenet_v3_small_minimalistic",
        ),
        "mobilenet_v4": ("mobilenet_v4_conv_small", "mobilenet_v4_conv_medium"),
        "mnasnet": ("mnasnet_a1", "mnasnet_b1", "mnasnet_small"),
        "efficientnet_lite": tuple(f"efficientnet_lite{size}" for size in range(5)),
        "alexnet": ("alexnet",),
        "vgg": ("vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
        "resnet": ("resnet18", "resnet34", "resnet50", "resnet101"),
        "condensenet": ("condensenet_74", "condensenet_86", "condensenet_182"),
        "shiftnet": ("shiftnet_a", "shiftnet_b", "shiftnet_c", "shiftresnet"),
        "nasnet": ("nasnet_mobile", "nasnet_large"),
        "squeezenet": ("squeezenet1_0", "squeezenet1_1"),
        "shufflenet_v1": ("shufflenet_v1",),
        "shufflenet_v2": ("shufflenet_v2",),
    }
)

Builder = TypeVar("Builder", bound="Callable[..., nn.Module]")


@dataclass(frozen=True, slots=True)
class Registration:
    """A network of the zoo: what builds it, and what else is known of it.

    Attributes:
        builder: takes the network's options as keywords.
        training: the options with which the paper trains the network, where they differ from those of the deployed one.
        small_image_head: `head_width` for small images at width 1, which is to be multiplied by the width; None where the
            network has no such layer, or takes no small images. The paper's head is for 1000 classes, and is no narrower in
            a narrow network: in the form for small images it would be most of the parameters.
        smallest_side: pixels that the shorter side of an image must have for the published form.
        smallest_small_side: the same for the form for small images, which has a lower total stride.
    """

    builder: Callable[..., "nn.Module"]
    training: Mapping[str, object]
    small_image_head: int | None
    smallest_side: int
    smallest_small_side: int


_registered: dict[str, Registration] = {}  # filled by `register`, read by `registration`


def register(
    name: str,
    *,
    training: Mapping[str, object] = MappingProxyType({}),
    small_image_head: int | None = None,
    smallest_side: int = 1,
    smallest_small_side: int = 1,
) -> Callable[[Builder], Builder]:
    """Make the decorated builder the network `name` of `create`; the keywords are those of `Registration`.

    Raises:
        ValueError: the name is taken, or the builder lacks one of the keywords `classes` and `in_channels`, or the keyword
            `head_width` for a `small_image_head`.
    """

    def decorate(builder: Builder) -> Builder:
        if name in _registered:
            raise ValueError(f"A network named '{name}' is registered already.")
        required = {"classes", "in_channels"} | ({"head_width"} if small_image_head is not None else set())
        missing = required - inspect.signature(builder).parameters.keys()
        if missing:
            raise ValueError(f"The builder of '{name}' lacks the keyword {' and '.join(sorted(missing))}.")
        _registered[name] = Registration(builder, training, small_image_head, smallest_side, smallest_small_side)
        return builder

    return decorate


def registration(name: str) -> Registration:
    """What is known of the network `name`; its file is imported for it.

    Raises:
        UsageError: an unknown name (with the nearest ones).
    """
    for file, names in CATALOG.items():
        if name in names:
            importlib.import_module(f"{__package__}.{file}")
    if name not in _registered:
        raise UsageError(f"Unknown network '{name}'.{nearest(name, list_models())} See `pocketcnn models`.")
    return _registered[name]


def list_models() -> list[str]:
    """The names that `create` knows, sorted."""
    return sorted({name for names in CATALOG.values() for name in names} | _registered.keys())


def create(
    name: str, *, width: float = 1.0, classes: int = 1000, in_channels: int = 3, **options: object
) -> "nn.Module":
    """Build a network of the zoo with fresh weights.

    Args:
        name: one of `list_models()`.
        width: multiplier of the channel counts, as in the network's paper.
        classes: outputs of the classifier.
        in_channels: channels of the input images, (N, in_channels, H, W).
        options: what else this network takes, see `network_options`.

    Raises:
        UsageError: an unknown name or option (with the nearest ones), or a value out of range.
    """
    builder = registration(name).builder
    given: dict[str, object] = {"width": width, "classes": classes, "in_channels": in_channels, **options}
    if width == 1.0 and "width" not in network_options(name):
        del given["width"]
    check_options(name, builder, given)
    return builder(**given)


def network_options(name: str) -> dict[str, Any]:
    """The keywords that `create(name, ...)` takes, with their defaults.

    Raises:
        UsageError: an unknown name.
    """
    parameters = inspect.signature(registration(name).builder).parameters
    return {key: parameter.default for key, parameter in parameters.items()}


def training_options(name: str) -> dict[str, object]:
    """The options of `create(name, ...)` that give the form in which the paper trains it; {} if there is only one form.

    After the training `pocketcnn.layers.reparameterize` makes the network of it that is deployed.

    Raises:
        UsageError: an unknown name.
    """
    return dict(registration(name).training)
