"""What one can choose by name, each with a few words for a reader, where that says more than the name.

A help text lists these without importing what they name, which would take torch's two seconds. `REGISTRIES` says where each
list is defined; a test holds the names equal, so that a new entry of a registry without its line here fails.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

Choices = Mapping[str, str]
"""Names, in the order in which they are shown, and what is said of each; empty where nothing needs saying."""


def _choices(*names: str, **explained: str) -> Choices:
    return MappingProxyType({**dict.fromkeys(names, ""), **explained})


EFFORTS = MappingProxyType({"quick": "to try it out", "low": "", "medium": "", "high": ""})
SEARCH_STRATEGIES = MappingProxyType(
    {
        **_choices("random", "evolution", "nsga2", "halving", "nasnet", "mnasnet", "mobilenetv3"),
        "once-for-all": "one training, from which networks are taken",
    }
)
SEARCH_SPACES = _choices(
    "mobilenet", "mobilenet_v3", "mobilenet_v3_large", "mnasnet", "mnasnet_factorized", "nasnet", "shufflenet"
)
REWARDS = _choices("accuracy", "soft", "soft-small", "hard")
ZERO_COST_PROXIES = _choices("synflow", "naswot", "grad_norm", "params")
COMPRESS_STRATEGIES = MappingProxyType(
    {
        "rank": "all channels at once",
        "netadapt": "layer after layer, each choice tried by a short training",
        "amc": "learned by reinforcement, for study",
    }
)
CRITERIA = _choices("energy", "magnitude", "bn_scale", "taylor", "fpgm", "random")
ALLOCATIONS = MappingProxyType(
    {
        "global": "ranks all channels together",
        "uniform": "takes the same share from every layer",
        "sensitive": "less from layers that cost more accuracy",
        "best": "tries all three by a short training",
    }
)
KERNELS = MappingProxyType({"pair": "two of 3x3", "single": "one"})
EXPORT_FORMATS = _choices("onnx", "openvino", "litert", "ncnn", "executorch")
RUNTIMES = _choices("executorch", "litert", "ncnn", "onnxruntime", "openvino", "torch")
NUMERICS = _choices("float32", "int8")
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
        "CRITERIA": "pocketcnn.compression.pruning.importance:CRITERIA",
        "ALLOCATIONS": "pocketcnn.pipeline.compression_method:ALLOCATIONS_OF_METHOD",
        "KERNELS": "pocketcnn.compression.substitution:KernelReplacement",
        "EXPORT_FORMATS": "pocketcnn.pipeline.deploy.export:FORMATS",
        "RUNTIMES": "pocketcnn.runtimes:runtime_names",
        "NUMERICS": "pocketcnn.compression.deployed:PRECISIONS",
    }
)
"""Where each list is defined: ``module:name`` of a mapping, a sequence or a `Literal`, or of a function that gives one."""


def listed(choices: Choices, last: str = "or") -> str:
    """``rank (all channels at once), netadapt or amc``."""
    return joined([f"{name} ({words})" if words else name for name, words in choices.items()], last)


def joined(words: Iterable[str], last: str = "or") -> str:
    """``a, b or c``."""
    *most, end = words
    return f"{', '.join(most)} {last} {end}" if most else end
