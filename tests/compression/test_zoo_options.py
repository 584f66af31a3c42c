"""Every option of every network of the zoo, grey and oblong images too: captured, run from ONNX, pruned."""

import inspect
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch

from pocketcnn.compression.coupling import couple
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.layers import reparameterize, set_progress
from pocketcnn.models import create, list_models, network_options, training_options
from pocketcnn.models.registry import CATALOG, registration
from pocketcnn.runtimes import get_runtime
from tests.support.removal import images_for, randomise, removal_error, some_classes

Shape = tuple[int, int, int]
GREY, OBLONG, SMALL = (1, 33, 47), (3, 97, 131), (3, 32, 32)
NARROW: dict[str, Any] = {"width": 0.25}

QUICK: list[tuple[str, dict[str, Any], Shape]] = [
    ("alexnet", {"groups": 2, "local_response_norm": True, "head_width": 32}, (1, 97, 131)),
    ("squeezenet1_0", {"classifier_padding": 1, "total_stride": 8}, GREY),
    ("mobilenet_v1", {**NARROW, "total_stride": 4}, GREY),
    ("shiftresnet", {"depth": 14, "expansion": 1, "trained_shift": True}, GREY),
]
LONG: list[tuple[str, dict[str, Any], Shape]] = [
    ("squeezenet1_1", {"total_stride": 4}, OBLONG),
    ("resnet18", {"total_stride": 8}, GREY),
    ("mobilenet_v2", {**NARROW, "head_width": 64, "total_stride": 16}, OBLONG),
    ("mobilenet_v3_small", {**NARROW, "head_width": 64, "total_stride": 8}, GREY),
    ("mobilenet_v4_conv_small", {**NARROW, "head_width": 64, "total_stride": 16}, GREY),
    ("mnasnet_a1", {**NARROW, "head_width": 64, "total_stride": 16}, GREY),
    ("efficientnet_lite0", {**NARROW, "padding": "same", "head_width": 64, "total_stride": 8}, OBLONG),
    ("shufflenet_v1", {**NARROW, "groups": 8, "classifier_bias": False, "total_stride": 8}, OBLONG),
    ("shufflenet_v2", {**NARROW, "head_width": 64, "total_stride": 8}, GREY),
    ("condensenet_86", {"depth": 14, "learn_groups": True}, GREY),
    ("shiftnet_c", {"total_stride": 8, "trained_shift": True}, GREY),
    *(("alexnet", {"groups": groups, "local_response_norm": True, "head_width": 64}, (3, 71, 97)) for groups in (1, 2)),
    *(("resnet50", {"version": version}, SMALL) for version in ("v1", "v1.5")),
    *(("shufflenet_v1", {"groups": groups, "classifier_bias": groups > 1}, OBLONG) for groups in (1, 2, 3, 4, 8)),
    ("condensenet_74", {"groups": 8}, OBLONG),
    ("condensenet_74", {"groups": 4, "learn_groups": True}, SMALL),
    ("condensenet_182", {"learn_groups": True}, GREY),
    ("nasnet_mobile", {"padding": "same", "auxiliary_head": True, "drop_path": 0.3}, (1, 65, 79)),
    ("vgg11", {"head_width": 32}, GREY),
    *((name, {}, (1, 97, 131)) for name in list_models()),
]
"""All with their default options on grey oblong images, and what is too long for every change."""


OTHER: dict[str, Any] = {"total_stride": 8, "head_width": 64}
"""Another value of the options that many networks share."""
COMMON = {"classes", "in_channels", "dropout", "width", "depth"}  # of these every test of the zoo has some value


def derived() -> Iterator[tuple[str, dict[str, Any], Shape]]:
    """For each file of the zoo the options that no case above tries, with other values than the default: a new network's."""
    for names in CATALOG.values():
        tried = {option for name, options, _ in (*QUICK, *LONG) if name in names for option in options}
        known = {option: name for name in names for option in (*network_options(name), *training_options(name))}
        missing = [option for option in known if option not in COMMON | tried]
        for name in dict.fromkeys(known[option] for option in missing):
            options = {option: other_value(name, option) for option in missing if known[option] == name}
            yield name, {**options, **({"width": 0.25} if "width" in network_options(name) else {})}, OBLONG


def other_value(name: str, option: str) -> Any:
    default = network_options(name)[option]
    if option in OTHER or isinstance(default, bool):
        return OTHER.get(option, not default)
    kind = inspect.signature(registration(name).builder).parameters[option].annotation
    choices = [choice for choice in get_args(kind) if choice != default]
    return choices[0] if choices else pytest.fail(f"write a case for {name}'s {option}: no other value is known")


DERIVED = list(derived())


@pytest.mark.parametrize(
    ("name", "options", "shape"), [*QUICK, *(pytest.param(*case, marks=pytest.mark.slow) for case in (*LONG, *DERIVED))]
)
@torch.no_grad()
def test_it_is_captured_written_and_pruned(name: str, options: dict[str, Any], shape: Shape) -> None:
    torch.manual_seed(0)
    module = randomise(create(name, classes=10, in_channels=shape[0], **options))
    set_progress(module, 0.5)
    module = reparameterize(module)
    graph = capture(module, (1, *shape))
    images = images_for(graph)
    expected = module(images)
    scale = float(expected.abs().max())
    captured = GraphNetwork(graph).eval()
    assert (captured(images) - expected).abs().max() < 1e-5 * scale
    session = get_runtime("onnxruntime").build(to_onnx(graph).SerializeToString(), threads=1)
    assert (torch.from_numpy(session.run(images.numpy())) - expected).abs().max() < 1e-4 * scale
    session.close()
    assert module.features(images).shape[0] == 2
    coupling = couple(graph)
    classes = some_classes(coupling, seed=1, share=0.5)
    assert classes
    assert removal_error(graph, classes, coupling) < 1e-5


def test_no_option_is_left_out() -> None:
    cases = [*QUICK, *LONG, *DERIVED]
    for names in CATALOG.values():
        tried = {option for name, options, _ in cases if name in names for option in options}
        options = {option for name in names for option in (*network_options(name), *training_options(name))}
        assert options - COMMON <= tried
