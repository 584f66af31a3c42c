"""Images and a budget in, a deployable convolutional network out.

    import pocketcnn as pc

    network = pc.create("mobilenet_v2", width=0.5, classes=10)
    pc.count(network, (1, 3, 224, 224)).madds

Importing this package costs next to nothing: a name is looked up where it is defined when it is first used, and only
then is torch imported.
"""

import importlib
import importlib.util
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocketcnn.compression.coding.clustering import cluster_weights as cluster_weights
    from pocketcnn.compression.coding.deep_compression import deep_compress as deep_compress
    from pocketcnn.compression.coding.settings import ClusterSettings as ClusterSettings
    from pocketcnn.compression.pruning.prune import prune as prune
    from pocketcnn.compression.quantization.quantize import quantize as quantize
    from pocketcnn.compression.substitution.substitute import substitute as substitute
    from pocketcnn.cost.cost import Cost as Cost
    from pocketcnn.cost.counting import count as count
    from pocketcnn.errors import BudgetNotMet as BudgetNotMet
    from pocketcnn.errors import PocketcnnError as PocketcnnError
    from pocketcnn.errors import UsageError as UsageError
    from pocketcnn.formats.onnx.reader import read_onnx as read_onnx
    from pocketcnn.graph.capture.capture import capture as capture
    from pocketcnn.graph.contract import InputContract as InputContract
    from pocketcnn.graph.graph import Graph as Graph
    from pocketcnn.graph.info import ModelInfo as ModelInfo
    from pocketcnn.graph.model_file import load as load
    from pocketcnn.graph.model_file import save as save
    from pocketcnn.graph.network import GraphNetwork as GraphNetwork
    from pocketcnn.layers.training_hooks import reparameterize as reparameterize
    from pocketcnn.models.convert.with_timm import from_timm as from_timm
    from pocketcnn.models.convert.with_timm import to_timm as to_timm
    from pocketcnn.models.convert.with_torchvision import from_torchvision as from_torchvision
    from pocketcnn.models.convert.with_torchvision import to_torchvision as to_torchvision
    from pocketcnn.models.description import describe_model as describe_model
    from pocketcnn.models.registry import create as create
    from pocketcnn.models.registry import list_models as list_models
    from pocketcnn.nas.architecture import build_architecture as build_architecture
    from pocketcnn.pipeline.compress.adapt import adapt_to_target as adapt_to_target
    from pocketcnn.pipeline.compress.compress import compress as compress
    from pocketcnn.pipeline.compression_method import CompressionMethod as CompressionMethod
    from pocketcnn.pipeline.deploy.checking import check_target as check_target
    from pocketcnn.pipeline.deploy.export import export as export
    from pocketcnn.pipeline.environment import environment as environment
    from pocketcnn.pipeline.fit.fit import fit as fit
    from pocketcnn.pipeline.inspect import inspect as inspect
    from pocketcnn.pipeline.networks import open_network as open_network
    from pocketcnn.pipeline.pretrained import pretrained as pretrained
    from pocketcnn.pipeline.search.once_for_all import once_for_all as once_for_all
    from pocketcnn.pipeline.search.search import search as search
    from pocketcnn.pipeline.train.evaluate_folder import evaluate_folder as evaluate_folder
    from pocketcnn.pipeline.train.predict import predict as predict
    from pocketcnn.pipeline.train.train_folder import train_folder as train_folder
    from pocketcnn.pipeline.train.trained_network import trained_network as trained_network
    from pocketcnn.targets.budget import Budget as Budget
    from pocketcnn.targets.measuring import measure as measure
    from pocketcnn.targets.target import Target as Target
    from pocketcnn.training.evaluate import evaluate as evaluate
    from pocketcnn.training.recipe import Recipe as Recipe
    from pocketcnn.training.trainer import distil as distil
    from pocketcnn.training.trainer import train as train

    __version__: str

_DEFINED_IN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {  # module -> the public names that it defines; the imports above say the same to type checkers
        "pocketcnn.compression.coding.clustering": ("cluster_weights",),
        "pocketcnn.compression.coding.deep_compression": ("deep_compress",),
        "pocketcnn.compression.coding.settings": ("ClusterSettings",),
        "pocketcnn.compression.pruning.prune": ("prune",),
        "pocketcnn.compression.quantization.quantize": ("quantize",),
        "pocketcnn.compression.substitution.substitute": ("substitute",),
        "pocketcnn.cost.cost": ("Cost",),
        "pocketcnn.cost.counting": ("count",),
        "pocketcnn.errors": ("BudgetNotMet", "PocketcnnError", "UsageError"),
        "pocketcnn.graph.capture.capture": ("capture",),
        "pocketcnn.graph.contract": ("InputContract",),
        "pocketcnn.graph.graph": ("Graph",),
        "pocketcnn.graph.info": ("ModelInfo",),
        "pocketcnn.graph.model_file": ("load", "save"),
        "pocketcnn.graph.network": ("GraphNetwork",),
        "pocketcnn.formats.onnx.reader": ("read_onnx",),
        "pocketcnn.layers.training_hooks": ("reparameterize",),
        "pocketcnn.models.convert.with_timm": ("from_timm", "to_timm"),
        "pocketcnn.models.convert.with_torchvision": ("from_torchvision", "to_torchvision"),
        "pocketcnn.models.description": ("describe_model",),
        "pocketcnn.models.registry": ("create", "list_models"),
        "pocketcnn.pipeline.deploy.checking": ("check_target",),
        "pocketcnn.pipeline.compress.compress": ("compress",),
        "pocketcnn.pipeline.environment": ("environment",),
        "pocketcnn.pipeline.train.evaluate_folder": ("evaluate_folder",),
        "pocketcnn.pipeline.deploy.export": ("export",),
        "pocketcnn.pipeline.fit.fit": ("fit",),
        "pocketcnn.pipeline.inspect": ("inspect",),
        "pocketcnn.pipeline.compress.adapt": ("adapt_to_target",),
        "pocketcnn.pipeline.compression_method": ("CompressionMethod",),
        "pocketcnn.pipeline.networks": ("open_network",),
        "pocketcnn.pipeline.pretrained": ("pretrained",),
        "pocketcnn.pipeline.search.once_for_all": ("once_for_all",),
        "pocketcnn.pipeline.train.predict": ("predict",),
        "pocketcnn.pipeline.search.search": ("search",),
        "pocketcnn.pipeline.train.train_folder": ("train_folder",),
        "pocketcnn.pipeline.train.trained_network": ("trained_network",),
        "pocketcnn.nas.architecture": ("build_architecture",),
        "pocketcnn.targets.budget": ("Budget",),
        "pocketcnn.targets.measuring": ("measure",),
        "pocketcnn.targets.target": ("Target",),
        "pocketcnn.training.evaluate": ("evaluate",),
        "pocketcnn.training.recipe": ("Recipe",),
        "pocketcnn.training.trainer": ("distil", "train"),
    }
)
_DEPRECATED: Mapping[str, str] = MappingProxyType(
    {  # the names until version 0.1, kept for one version
        "code": "cluster_weights",
        "CodeSettings": "ClusterSettings",
        "inference_form": "reparameterize",
        "make_over": "adapt_to_target",
    }
)
_HOMES = {name: module for module, names in _DEFINED_IN.items() for name in names}

__all__ = ["__version__", *sorted(_HOMES)]  # noqa: PLE0604 - a list of strings

if not TYPE_CHECKING:  # to a type checker, __getattr__ would say that every name exists

    def __getattr__(name: str) -> object:
        if name == "__version__":
            value = _version()
        elif name in _HOMES:
            # the module is asked by its full name: `pocketcnn.graph.capture.capture` is both a module and its function
            value = getattr(importlib.import_module(_HOMES[name]), name)
        elif name in _DEPRECATED:
            value = _renamed(name)
        elif not name.startswith("_") and importlib.util.find_spec(f"{__name__}.{name}") is not None:
            value = importlib.import_module(f"{__name__}.{name}")  # ``pc.targets.predict_latency``, as pages write it
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # found once, an ordinary attribute from then on
        return value


def _renamed(name: str) -> object:
    import warnings

    now = _DEPRECATED[name]
    warnings.warn(
        f"pocketcnn.{name} is now pocketcnn.{now}; the old name will be removed in the next version.",
        DeprecationWarning,
        3,
    )
    return getattr(importlib.import_module(_HOMES[now]), now)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("pocketcnn")
    except metadata.PackageNotFoundError:  # run from a source tree that was not installed
        return "unknown"
