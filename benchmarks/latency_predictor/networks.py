"""The networks that the predictor is judged on. None of them, nor a part of one, is among the blocks that a table measures."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

import pocketcnn as pc
from pocketcnn.graph import GraphNetwork, ModelInfo, for_inference
from pocketcnn.vision import require_torchvision

ZOO = (
    "mobilenet_v1 224",
    "mobilenet_v1 192 width=0.75",
    "mobilenet_v1 160 width=0.5",
    "mobilenet_v2 224",
    "mobilenet_v2 192 width=0.75",
    "mobilenet_v2 128 width=0.35",
    "mobilenet_v2 224 width=1.4",
    "mobilenet_v3_large 224",
    "mobilenet_v3_large 160 width=0.75",
    "mobilenet_v3_small 224",
    "mobilenet_v3_large_minimalistic 224",
    "mobilenet_v4_conv_small 224",
    "mobilenet_v4_conv_medium 256",
    "shufflenet_v1 224",
    "shufflenet_v2 224",
    "shufflenet_v2 160 width=0.5",
    "squeezenet1_0 224",
    "squeezenet1_1 224",
    "mnasnet_a1 224",
    "mnasnet_b1 192",
    "mnasnet_small 224",
    "efficientnet_lite0 224",
    "efficientnet_lite2 260",
    "nasnet_mobile 224",
    "condensenet_74 224",
    "shiftnet_c 224",
    "resnet18 224",
    "resnet34 160",
    "resnet50 192",
    "alexnet 224",
    "vgg11 128",
)
TORCHVISION = (
    "googlenet 224",
    "densenet121 192",
    "regnet_y_400mf 224",
    "regnet_x_800mf 224",
    "efficientnet_b0 224",
    "resnext50_32x4d 160",
)
TIMM = (
    "ghostnet_100 224",
    "lcnet_100 224",
    "mixnet_s 224",
    "fbnetc_100 224",
    "res2net50_26w_4s 160",
    "repvgg_a0 192",
    "rexnet_100 224",
    "hardcorenas_a 224",
    "cspresnet50 160",
    "dla34 192",
    "tf_mobilenetv3_small_075 224",
    "tf_efficientnet_lite1 240",
    "selecsls42b 160",
    "spnasnet_100 224",
)


def held_out(folder: Path, only: str = "") -> Iterator[tuple[str, GraphNetwork]]:
    """(name, network at inference) of all, or of those whose name contains `only`; captured once and kept in `folder`."""
    for source, names in (("zoo", ZOO), ("torchvision", TORCHVISION), ("timm", TIMM)):
        for name in names:
            if only in f"{source} {name}":
                yield (
                    f"{source}: {name}",
                    _kept(folder / f"{source} {name}.safetensors".replace(" ", "-"), source, name),
                )


def _kept(path: Path, source: str, name: str) -> GraphNetwork:
    if not path.is_file():
        torch.manual_seed(0)
        title, side, *options = name.split()
        module = _module(source, title, {key: float(value) for key, value in (text.split("=") for text in options)})
        graph = for_inference(pc.capture(module.eval(), (1, 3, int(side), int(side))))
        path.parent.mkdir(parents=True, exist_ok=True)
        pc.save(path, GraphNetwork(graph, ModelInfo(name=name)))
    return pc.load(path)


def _module(source: str, name: str, options: dict[str, float]) -> nn.Module:
    if source == "zoo":
        return pc.create(name, **options)  # type: ignore[arg-type]
    if source == "torchvision":
        extra = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
        module: nn.Module = require_torchvision("models").get_model(name, weights=None, **extra)
        return module
    require_torchvision()
    import timm

    found: nn.Module = timm.create_model(name, pretrained=False)
    return found
