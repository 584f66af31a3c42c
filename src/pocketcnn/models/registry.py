"""Networks by name. The names are known without importing torch; a network's file is imported when it is first built.

A new network is one file with one decorated builder per name, and that file's line in `CATALOG`:

    @register("mobilenet_v2")
    def mobilenet_v2(*, width=1.0, classes=1000, in_channels=3, dropout=0.2, ...) -> MobileNetV2: ...

A builder takes keywords only. `classes` and `in_channels` are required of it; `width` where the paper has a width
multiplier; every further keyword is an option of that network.
"""

import difflib
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from pocketcnn.errors import UsageError

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
_builders: dict[str, Callable[..., "nn.Module"]] = {}  # filled by `register`, read by `create`


_training: dict[str, Mapping[str, object]] = {}  # filled by `register`, read by `training_options`


def register(name: str, *, training: Mapping[str, object] = MappingProxyType({})) -> Callable[[Builder], Builder]:
    """Make the decorated builder the network `name` of `create`.

    `training` are the options with which the paper trains the network, where they differ from those of the deployed one.

    Raises:
        ValueError: the name is taken, or the builder lacks one of the keywords `classes` and `in_channels`.
    """

    def decorate(builder: Builder) -> Builder:
        if name in _builders:
            raise ValueError(f"A network named '{name}' is registered already.")
        missing = {"classes", "in_channels"} - inspect.signature(builder).parameters.keys()
        if missing:
            raise ValueError(f"The builder of '{name}' lacks the keyword {' and '.join(sorted(missing))}.")
        _builders[name] = builder
        _training[name] = training
        return builder

    return decorate


def list_models() -> list[str]:
    """The names that `create` knows, sorted."""
    return sorted({name for names in CATALOG.values() for name in names} | _builders.keys())


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
    builder = _builder(name)
    parameters = inspect.signature(builder).parameters
    given: dict[str, object] = {"width": width, "classes": classes, "in_channels": in_channels, **options}
    if "width" not in parameters and width == 1.0:
        del given["width"]
    for option, value in given.items():
        if option not in parameters:
            raise UsageError(_unknown_option(name, option, list(parameters)))
        _check(option, value)
    return builder(**given)


def network_options(name: str) -> dict[str, Any]:
    """The keywords that `create(name, ...)` takes, with their defaults.

    Raises:
        UsageError: an unknown name.
    """
    return {key: parameter.default for key, parameter in inspect.signature(_builder(name)).parameters.items()}


def training_options(name: str) -> dict[str, object]:
    """The options of `create(name, ...)` that give the form in which the paper trains it; {} if there is only one form.

    After the training `pocketcnn.layers.inference_form` makes the network of it that is deployed.

    Raises:
        UsageError: an unknown name.
    """
    _builder(name)
    return dict(_training[name])


def _builder(name: str) -> Callable[..., "nn.Module"]:
    for file, names in CATALOG.items():
        if name in names:
            importlib.import_module(f"{__package__}.{file}")
    if name not in _builders:
        raise UsageError(f"Unknown network '{name}'.{_nearest(name, list_models())} See `pocketcnn models`.")
    return _builders[name]


def _unknown_option(name: str, option: str, known: list[str]) -> str:
    if option == "width":
        return f"{name} has no width multiplier: its paper describes one width. Leave width at 1."
    return f"{name} has no option '{option}'.{_nearest(option, known)} It takes {', '.join(known)}."


def _nearest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


_SWITCHES = ("auxiliary_head", "classifier_bias", "learn_groups", "local_response_norm", "trained_shift")
_RULES: Mapping[str, tuple[Callable[[Any], bool], str]] = MappingProxyType(
    {
        "width": (lambda value: _is_number(value) and value > 0, "a number above 0"),
        "classes": (_is_count, "a whole number, 1 or more"),
        "in_channels": (_is_count, "a whole number, 1 or more"),
        "dropout": (lambda value: _is_number(value) and 0 <= value < 1, "a probability from 0 to below 1"),
        "depth": (_is_count, "a whole number, 1 or more"),
        "expansion": (_is_count, "a whole number, 1 or more"),
        "drop_path": (lambda value: _is_number(value) and 0 <= value < 1, "a probability from 0 to below 1"),
        "total_stride": (_is_count, "a whole number, 1 or more"),
        **{switch: (lambda value: isinstance(value, bool), "True or False") for switch in _SWITCHES},
        "classifier_padding": (lambda value: value == 0 or _is_count(value), "a whole number, 0 or more"),
        "padding": (lambda value: value in ("symmetric", "same"), "'symmetric' or 'same'"),
        "head_width": (lambda value: value is None or _is_count(value), "a whole number, 1 or more, or None"),
    }
)


def _check(option: str, value: object) -> None:
    rule = _RULES.get(option)
    if rule is not None and not rule[0](value):
        raise UsageError(f"{option} must be {rule[1]}, not {value!r}.")
