"""Which networks of timm are captured: the smallest variant of each family, or every variant with --all.

    .venv/bin/python -m benchmarks.supported

It writes `docs/supported.md`: the share, the families, and for those that are refused the operators that are missing. The
weights are zeros: only operations and shapes are looked at.
"""

import argparse
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from pocketcnn.graph import capture
from pocketcnn.graph.ops import GraphError
from pocketcnn.vision import require_torchvision

PAGE = Path(__file__).parents[1] / "docs" / "supported.md"
ATTENTION = re.compile(
    "vit|former|deit|beit|cait|xcit|swin|eva|mixer|mlp|levit|coat|maxxvit|coatnet|volo|twins|hiera|tnt|^nest|gc|halo|"
    "lambda|botnet|bat_|sehalo|crossvit|pit_|visformer|naflex|siglip|clip|sam|dino|pvt|mvit|davit|nextvit|ese_vovnet_att|"
    "mambaout_att|csatv2|edgenext|mobilevit|efficientformer|fastvit_sa|aimv2|flexi|convit|jx_nest|rdnet_att|tiny_vit|"
    "shvit|swiftformer|efficientvit|resmlp|gmlp|test_vit"
)
"""Families with attention, or without convolutions, by their names."""
PLAIN = re.compile("^(poolformer|repvit|fastvit_t8|metaformer)")
"""Those whose names only resemble them."""


@dataclass(frozen=True)
class Found:
    """One network: its name, and why it is refused (empty if it is captured)."""

    name: str
    problem: str = ""


def main() -> None:
    """Capture the networks and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every variant, not only the smallest of each family")
    options = parser.parse_args()
    found = []
    for name in _names(every=options.all):
        found.append(_tried(name))
        print(found[-1].name, found[-1].problem or "captured", flush=True)
    PAGE.write_text(page(found), encoding="utf-8")


def _names(*, every: bool) -> list[str]:
    """The names of convolutional networks of timm: all, or of each module the one with the fewest parameters."""
    require_torchvision()
    import timm

    found = []
    for module in timm.list_modules():
        names = [each for each in timm.list_models(module=module) if not ATTENTION.search(each) or PLAIN.search(each)]
        found += names if every or not names else [min(names, key=_parameters)]
    return found


def _built(name: str) -> nn.Module:
    import timm

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network: nn.Module = timm.create_model(name, pretrained=False).eval()
        return network


def _without_values(network: nn.Module) -> nn.Module:
    """The network with zeros as weights, which are made much faster than drawn ones."""
    network = network.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.zero_()
    return network


def _parameters(name: str) -> int:
    try:
        return sum(parameter.numel() for parameter in _built(name).parameters())
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return 2**62


def _tried(name: str) -> Found:
    try:
        network = _without_values(_built(name))
        size = network.default_cfg.get("input_size", (3, 224, 224))  # type: ignore[union-attr, operator]
        capture(network, (1, *size))
    except GraphError as error:
        operator = re.search(r"Cannot capture aten\.(\w+)", str(error))
        return Found(name, operator[1] if operator else str(error).split(": ", 1)[-1][:90])
    except (RuntimeError, NotImplementedError, ValueError, TypeError) as error:
        return Found(name, f"cannot be built ({type(error).__name__})")
    return Found(name)


def page(found: Iterable[Found]) -> str:
    """The text of the page."""
    rows = sorted(found, key=lambda each: (bool(each.problem), each.name))
    captured = [each for each in rows if not each.problem]
    missing = Counter(each.problem for each in rows if each.problem)
    lines = [
        "# Supported networks",
        "",
        "Written by `python -m benchmarks.supported`: networks of timm without attention, the one with the fewest parameters",
        "of each family, at its own image size. A captured network can be counted, pruned, quantized, trained and exported.",
        "",
        f"**{len(captured)} of {len(rows)} families are captured ({len(captured) / max(1, len(rows)):.0%}).**",
        "",
        "## Captured",
        "",
        *(f"- {each.name}" for each in captured),
        "",
        "## Refused",
        "",
        "The first operator that is missing, and how many families it stops:",
        "",
        "| operator or reason | families | smallest networks |",
        "| --- | ---: | --- |",
        *(
            f"| {problem} | {count} | {', '.join(each.name for each in rows if each.problem == problem)} |"
            for problem, count in missing.most_common()
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
