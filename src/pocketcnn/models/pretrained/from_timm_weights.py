"""timm's networks with published weights, with those of a file, and repositories of the Hugging Face Hub in timm's layout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pocketcnn.errors import UsageError
from pocketcnn.models.libraries import known_timm

from .files import read_state, sha256_of
from .hub import WEIGHTS, NoWeights, cached, from_address, from_hugging_face
from .source import WeightSource
from .weights import IMAGENET_CLASSES, Origin, Preprocessing, TrainedModule, imagenet_classes, interpolation_of


def timm_weights(source: WeightSource) -> TrainedModule:
    """The network and weights that ``timm:NAME[.TAG][=FILE]`` names.

    Raises:
        MissingExtra: timm is not installed.
        UsageError: timm has no such network or weights, or the file holds others.
        NoWeights: they are neither in a cache nor to be downloaded.
    """
    timm = known_timm(source.name)
    base, _, tag = source.name.partition(".")
    tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{base}.*")]
    if tag and tag not in tags:
        raise UsageError(f"timm has no weights {tag!r} of {base}. There are {', '.join(tags) or 'none'}.")
    config = timm.get_pretrained_cfg(source.name)
    if source.file is None and (config is None or not config.has_weights):
        raise UsageError(
            f"timm publishes no weights of {base}. Give a file: timm:{base}=FILE; or choose --from-scratch."
        )
    settings: dict[str, Any] = config.to_dict(remove_null=False) if config is not None else {}
    path = source.file or _downloaded(source, settings)
    return _module(timm, base, settings, {}, path, source)


def hugging_face_weights(source: WeightSource) -> TrainedModule:
    """The network that ``hf:OWNER/NAME`` holds: config.json names its architecture, model.safetensors has the weights.

    Raises:
        MissingExtra: timm is not installed.
        UsageError: config.json is not that of a network of timm, or the file holds other weights.
        NoWeights: the files are neither in the cache nor to be downloaded.
    """
    timm = known_timm(None)
    from_hugging_face(
        source.name, ("config.json",), str(source)
    )  # says what is missing; the next line finds it in the cache
    try:
        settings, architecture, arguments = timm.models.load_model_config_from_hf(source.name)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(f"config.json of {source} is not in the layout of timm: {error!r}.") from error
    known_timm(str(architecture))
    path = from_hugging_face(source.name, WEIGHTS, str(source))
    return _module(timm, str(architecture), dict(settings), dict(arguments or {}), path, source)


def _downloaded(source: WeightSource, settings: Mapping[str, Any]) -> Path:
    """The file of the published weights; one that an earlier timm left in the cache of torch.hub will do."""
    repository, url = settings.get("hf_hub_id"), settings.get("url")
    if not repository:
        return from_address(str(url), str(source), f"timm:{source.name}")
    try:
        names = (settings["hf_hub_filename"],) if settings.get("hf_hub_filename") else WEIGHTS
        return from_hugging_face(str(repository), names, str(source))
    except NoWeights:
        if url and cached(url).is_file():
            return from_address(url, str(source), f"timm:{source.name}")
        raise


def _module(
    timm: Any, name: str, settings: dict[str, Any], arguments: dict[str, Any], path: Path, source: WeightSource
) -> TrainedModule:
    state = read_state(path)
    published = int(settings.get("num_classes") or IMAGENET_CLASSES)
    classes = _outputs(state, settings.get("classifier")) or published
    overlay = {**settings, "state_dict": state, "source": None, "num_classes": classes}
    try:
        module = timm.create_model(
            name, pretrained=True, pretrained_cfg=overlay, **{**arguments, "num_classes": classes}
        )
    except (RuntimeError, KeyError) as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip()][:2]
        raise UsageError(f"{path} does not hold the weights of timm's {name}: {' '.join(reason)}") from error
    _, height, width = settings.get("input_size") or (3, 224, 224)
    names = tuple(map(str, settings.get("label_names") or ()))
    if not names and classes == IMAGENET_CLASSES and source.library == "timm":
        names = imagenet_classes()
    return TrainedModule(
        module.eval(),
        Preprocessing(
            tuple(settings.get("mean") or (0.485, 0.456, 0.406)),
            tuple(settings.get("std") or (0.229, 0.224, 0.225)),
            (int(height), int(width)),
            float(settings.get("crop_pct") or 1.0),
            interpolation_of(str(settings.get("interpolation") or "bilinear")),
        ),
        names if len(names) == classes else (),
        Origin(f"{source.library}:{source.name}", path.name, sha256_of(path), _licence(settings)),
    )


def _outputs(state: Mapping[str, torch.Tensor], classifier: object) -> int | None:
    """The number of classes of the weights; None where the last layer has another name, which timm's filters may change."""
    weight = state.get(f"{classifier}.weight") if isinstance(classifier, str) else None
    return None if weight is None else int(weight.shape[0])


def _licence(settings: Mapping[str, Any]) -> str | None:
    licence = settings.get("license")
    return str(licence) if licence else None
