"""The families of the zoo: one page each, and the blocks that are drawn on it."""

from dataclasses import dataclass

from pocketcnn.models.registry import CATALOG


@dataclass(frozen=True)
class Drawing:
    """A picture `file` of `network` (default form), or of the module at `block` in it, drawn from its graph."""

    file: str
    title: str
    network: str
    block: str | None = None
    detail: str = "layers"


@dataclass(frozen=True)
class Family:
    """A page of `docs/networks/` for one file of the zoo; `kin` are published networks made from those of that file."""

    page: str
    """Of the same name as the file."""
    title: str
    drawings: tuple[Drawing, ...]
    colour: str
    kin: tuple[str, ...] = ()
    named_at_its_smallest: bool = False
    """Whether the plots write its name beside its cheapest network, where there is more room."""

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that the page describes."""
        return CATALOG[self.page]


FAMILIES = (
    Family(
        "alexnet",
        "AlexNet",
        (Drawing("alexnet.svg", "AlexNet", "alexnet"),),
        "#8d6e63",
    ),
    Family(
        "vgg",
        "VGG",
        (Drawing("vgg.svg", "VGG-16", "vgg16"),),
        "#455a64",
    ),
    Family(
        "resnet",
        "ResNet",
        (
            Drawing("resnet-basic.svg", "ResNet-18: basic unit, stride 2", "resnet18", "features.stage3.0"),
            Drawing("resnet-bottleneck.svg", "ResNet-50: bottleneck unit", "resnet50", "features.stage3.1"),
        ),
        "#6d4c41",
    ),
    Family(
        "squeezenet",
        "SqueezeNet",
        (Drawing("squeezenet-fire.svg", "SqueezeNet 1.1: fire module", "squeezenet1_1", "features.fire4"),),
        "#c2185b",
    ),
    Family(
        "mobilenet_v1",
        "MobileNetV1",
        (Drawing("mobilenet_v1-block.svg", "MobileNetV1: depthwise separable", "mobilenet_v1", "features.block5"),),
        "#0277bd",
        ("amc_mobilenet_v1_half_madds", "amc_mobilenet_v1_half_latency"),
    ),
    Family(
        "mobilenet_v2",
        "MobileNetV2",
        (
            Drawing("mobilenet_v2-block.svg", "MobileNetV2: inverted residual", "mobilenet_v2", "features.block3"),
            Drawing("mobilenet_v2-stride.svg", "MobileNetV2: with stride 2", "mobilenet_v2", "features.block4"),
        ),
        "#00897b",
        ("amc_mobilenet_v2_70_percent",),
    ),
    Family(
        "mobilenet_v3",
        "MobileNetV3",
        (
            Drawing("mobilenet_v3-block.svg", "MobileNetV3-Large: block 12", "mobilenet_v3_large", "features.block12"),
            Drawing(
                "mobilenet_v3-minimalistic.svg",
                "Minimalistic: the same block",
                "mobilenet_v3_large_minimalistic",
                "features.block12",
            ),
        ),
        "#2e7d32",
    ),
    Family(
        "shufflenet_v1",
        "ShuffleNetV1",
        (
            Drawing("shufflenet_v1-unit.svg", "ShuffleNetV1: unit, g=3", "shufflenet_v1", "features.stage3.1"),
            Drawing("shufflenet_v1-stride.svg", "ShuffleNetV1: with stride 2", "shufflenet_v1", "features.stage3.0"),
        ),
        "#ef6c00",
        named_at_its_smallest=True,
    ),
    Family(
        "shufflenet_v2",
        "ShuffleNetV2",
        (
            Drawing("shufflenet_v2-unit.svg", "ShuffleNetV2: unit", "shufflenet_v2", "features.stage3.1"),
            Drawing("shufflenet_v2-stride.svg", "ShuffleNetV2: with stride 2", "shufflenet_v2", "features.stage3.0"),
        ),
        "#d84315",
        named_at_its_smallest=True,
    ),
    Family(
        "condensenet",
        "CondenseNet",
        (Drawing("condensenet-layer.svg", "CondenseNet-74: dense layer", "condensenet_74", "features.block3.1"),),
        "#6a1b9a",
        named_at_its_smallest=True,
    ),
    Family(
        "shiftnet",
        "ShiftNet",
        (
            Drawing("shiftnet-unit.svg", "ShiftNet-A: conv-shift-conv", "shiftnet_a", "features.stage2.1"),
            Drawing("shiftnet-stride.svg", "ShiftNet-A: with stride 2", "shiftnet_a", "features.stage2.0"),
        ),
        "#9e9d24",
    ),
    Family(
        "nasnet",
        "NASNet-A",
        (
            Drawing("nasnet-normal.svg", "NASNet-A mobile: normal cell", "nasnet_mobile", "features.cells.cell1"),
            Drawing("nasnet-reduction.svg", "Reduction cell", "nasnet_mobile", "features.cells.reduction0"),
        ),
        "#ad1457",
    ),
    Family(
        "mnasnet",
        "MnasNet",
        (Drawing("mnasnet-block.svg", "MnasNet-A1: block 5", "mnasnet_a1", "features.block5"),),
        "#5d4037",
    ),
    Family(
        "efficientnet_lite",
        "EfficientNet-Lite",
        (
            Drawing(
                "efficientnet_lite-block.svg", "EfficientNet-Lite0: block 5", "efficientnet_lite0", "features.block5"
            ),
        ),
        "#1565c0",
    ),
    Family(
        "mobilenet_v4",
        "MobileNetV4",
        (
            Drawing(
                "mobilenet_v4-extra-dw.svg", "Conv-S: extra depthwise", "mobilenet_v4_conv_small", "features.block5"
            ),
            Drawing(
                "mobilenet_v4-inverted.svg", "Conv-S: inverted bottleneck", "mobilenet_v4_conv_small", "features.block6"
            ),
            Drawing(
                "mobilenet_v4-convnext.svg", "Conv-S: ConvNext-like", "mobilenet_v4_conv_small", "features.block10"
            ),
        ),
        "#c62828",
    ),
)


def family_of(network: str) -> Family:
    """The family that a network of the zoo belongs to."""
    return next(family for family in FAMILIES if network in family.networks)
