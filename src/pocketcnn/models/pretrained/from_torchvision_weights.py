"""torchvision's networks with published weights, or with those of a file."""

import inspect
from typing import Any

from pocketcnn.errors import UsageError
from pocketcnn.models.libraries import known_torchvision
from pocketcnn.vision import require_torchvision

from .files import load_into, read_state, sha256_of
from .hub import from_address
from .source import WeightSource
from .weights import IMAGENET_CLASSES, Origin, Preprocessing, TrainedModule, imagenet_classes, interpolation_of

TRAINED_ONLY = ("aux1.", "aux2.", "AuxLogits.")
"""Weights of the second classifiers of GoogLeNet and Inception, which only the training has."""


def torchvision_weights(source: WeightSource) -> TrainedModule:
    """The network and weights that ``torchvision:NAME[.WEIGHTS][=FILE]`` names.

    Raises:
        UsageError: torchvision has no such network or weights, or the file holds others.
        NoWeights: they are neither in the cache of torch.hub nor to be downloaded.
    """
    name, _, tag = source.name.partition(".")
    known_torchvision(name)
    weights = _of_tag(name, tag)
    path = source.file or from_address(weights.url, str(source), f"torchvision:{name}")
    state = {key: value for key, value in read_state(path).items() if not key.startswith(TRAINED_ONLY)}
    outputs = int(next(reversed(state.values())).shape[0]) if state else 0
    module = _built(name, outputs)
    load_into(module, state, f"{path} does not hold the weights of torchvision's {name}")
    own = source.file is None or outputs == IMAGENET_CLASSES
    transforms = weights.transforms()
    size, resized = transforms.crop_size[0], transforms.resize_size[0]
    return TrainedModule(
        module.eval(),
        Preprocessing(
            tuple(transforms.mean),
            tuple(transforms.std),
            (size, size),
            size / resized,
            interpolation_of(transforms.interpolation.value),
        ),
        imagenet_classes() if own else (),
        Origin(f"torchvision:{source.name}", path.name, sha256_of(path), None),
    )


def _of_tag(name: str, tag: str) -> Any:
    every = require_torchvision("models").get_model_weights(name)
    if not tag:
        return every.DEFAULT
    if tag not in every.__members__:
        raise UsageError(f"torchvision has no weights {tag!r} of {name}. There are {', '.join(every.__members__)}.")
    return every[tag]


def _built(name: str, classes: int) -> Any:
    """The network in its deployed form, not initialised. Where it has one, the conversion of pixels is part of it."""
    models = require_torchvision("models")
    builder = models.get_model_builder(name)
    returned = inspect.signature(builder).return_annotation
    takes = inspect.signature(returned if callable(returned) else builder).parameters
    wanted = {"init_weights": False, "aux_logits": False, "transform_input": True}
    return builder(weights=None, num_classes=classes, **{key: value for key, value in wanted.items() if key in takes})
