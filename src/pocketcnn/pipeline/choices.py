"""The names of choices (strategies, criteria, formats, ...) for help texts, each with a short explanation if it needs one.

Help texts are built from these lists, because importing the registries takes about 2 s (torch). `REGISTRIES` says where
each choice is implemented. A test checks that the names are equal: a new entry of a registry needs its line here.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

Choices = Mapping[str, str]
"""Names in the order of the help text, each with its explanation, which may be empty."""


def _choices(*names: str, **explained: str) -> Choices:
    return MappingProxyType({**dict.fromkeys(names, ""), **explained})


EFFORTS = MappingProxyType({"quick": "to try it out", "low": "", "medium": "", "high": ""})
SEARCH_STRATEGIES = MappingProxyType(
    {
        **_choices("random", "evolution", "nsga2", "halving", "nasnet", "mnasnet", "mobilenetv3"),
        "once-for-all": "trains one supernet and takes sub-networks of it",
    }
)
SEARCH_SPACES = _choices(
    "mobilenet", "mobilenet_v3", "mobilenet_v3_large", "mnasnet", "mnasnet_factorized", "nasnet", "shufflenet"
)
REWARDS = _choices("accuracy", "soft", "soft-small", "hard")
ZERO_COST_PROXIES = _choices("synflow", "naswot", "grad_norm", "params")
COMPRESS_STRATEGIES = MappingProxyType(
    {
        "rank": "one ranking of all channels",
        "netadapt": "one layer at a time, each proposal fine-tuned briefly",
        "amc": "reinforcement learning, for study",
    }
)
PROPOSAL_RULES = MappingProxyType(
    {
        "accuracy": "the most accurate",
        "ratio": "the best accuracy lost to resource saved, in constant steps of 1 %, as for MobileNetV3",
    }
)
CRITERIA = _choices("energy", "magnitude", "bn_scale", "taylor", "fpgm", "random")
ALLOCATIONS = MappingProxyType(
    {
        "global": "ranks all channels together",
        "uniform": "prunes the same share of every layer",
        "sensitive": "prunes less in layers that are sensitive",
        "best": "fine-tunes all three briefly and takes the best",
    }
)
KERNELS = MappingProxyType({"pair": "two 3x3 kernels", "single": "one 3x3 kernel"})
EXPORT_FORMATS = _choices("onnx", "openvino", "litert", "ncnn", "executorch")
RUNTIMES = _choices("executorch", "litert", "ncnn", "onnxruntime", "openvino", "torch")
NUMERICS = _choices("float32", "int8")
RESIZE_POLICIES = MappingProxyType(
    {
        "stretch": "ignores their shape",
        "crop": "cuts the ends of the long side",
        "letterbox": "fills the short side with black",
    }
)
ALL_SPLITS = "all"
SPLITS = _choices("test", "val", "train", ALL_SPLITS)

REGISTRIES: Mapping[str, str] = MappingProxyType(
    {
        "EFFORTS": "pocketcnn.pipeline.effort:EFFORTS",
        "SEARCH_STRATEGIES": "pocketcnn.nas.strategies:OPTIONS_READ",
        "SEARCH_SPACES": "pocketcnn.nas.spaces:SPACES",
        "REWARDS": "pocketcnn.nas.objective:OBJECTIVES",
        "ZERO_COST_PROXIES": "pocketcnn.nas.zero_cost:PROXIES",
        "COMPRESS_STRATEGIES": "pocketcnn.pipeline.compress.strategies:STRATEGIES",
        "PROPOSAL_RULES": "pocketcnn.compression.pruning.netadapt:RULES",
        "CRITERIA": "pocketcnn.compression.pruning.importance:CRITERIA",
        "ALLOCATIONS": "pocketcnn.pipeline.compression_method:ALLOCATIONS_OF_METHOD",
        "KERNELS": "pocketcnn.compression.substitution:KernelReplacement",
        "EXPORT_FORMATS": "pocketcnn.pipeline.deploy.export:FORMATS",
        "RUNTIMES": "pocketcnn.runtimes:runtime_names",
        "RESIZE_POLICIES": "pocketcnn.graph.contract:ResizePolicy",
        "NUMERICS": "pocketcnn.compression.deployed:PRECISIONS",
    }
)
"""Where each choice is implemented: ``module:name`` of a mapping, a sequence, a `Literal`, or a function that returns one."""


def listed(choices: Choices, last: str = "or") -> str:
    """``rank (all channels at once), netadapt or amc``."""
    return joined([f"{name} ({words})" if words else name for name, words in choices.items()], last)


def joined(words: Iterable[str], last: str = "or") -> str:
    """``a, b or c``."""
    *others, end = words
    return f"{', '.join(others)} {last} {end}" if others else end
