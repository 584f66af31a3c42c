"""Runs a deployed file on its runtime, and classifies images with it, without pocketcnn.

The text of this file is the end of `predict.py`, after that of `data/pixels.py`. So it imports only the standard library, NumPy
and, within functions, one runtime.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pocketcnn.data.pixels import network_input

Run = Callable[[np.ndarray], np.ndarray]


def on_onnxruntime(file: Path) -> Run:
    """A function that runs an .onnx file: images (1, C, H, W) -> logits (1, classes)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: np.asarray(session.run(None, {name: batch})[0])


def on_openvino(file: Path) -> Run:
    """The same on OpenVINO. Without VNNI its int8 kernels overflow on x86, so that it then computes in float."""
    import openvino

    flags = Path("/proc/cpuinfo")
    exact = flags.is_file() and "vnni" in flags.read_text()
    settings = {"INFERENCE_PRECISION_HINT": "f32", **({} if exact else {"LP_TRANSFORMS_MODE": "NO"})}
    model = openvino.Core().compile_model(str(file), "CPU", settings)
    return lambda batch: np.asarray(model(batch)[0])


def on_litert(file: Path) -> Run:
    """The same for a .tflite file, whose images are (1, H, W, C)."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(file))
    interpreter.allocate_tensors()
    image, scores = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(batch: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(image, np.ascontiguousarray(batch.transpose(0, 2, 3, 1)))
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(scores))

    return run


def on_ncnn(file: Path) -> Run:
    """The same for a .param file, with its .bin file beside it. ncnn takes one image (C, H, W)."""
    import ncnn

    net = ncnn.Net()
    for option in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    net.load_param(str(file))
    net.load_model(str(file.with_suffix(".bin")))

    def run(batch: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("input", ncnn.Mat(batch[0]).clone())
        return np.array(extractor.extract("output")[1])[None]

    return run


RUNNERS: Mapping[str, Callable[[Path], Run]] = {
    "onnxruntime": on_onnxruntime,
    "openvino": on_openvino,
    "litert": on_litert,
    "ncnn": on_ncnn,
}
"""The runtimes that run without PyTorch, by the name in `model.json`."""


def classify(model: Path, images: list[str]) -> list[tuple[str, float]]:
    """The class of each image file and its probability (softmax of the logits)."""
    sidecar: dict[str, Any] = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    run = RUNNERS[sidecar["runtime"]](model)
    found = []
    for image in images:
        logits = run(network_input(image, sidecar["input"]))[0].reshape(-1).astype(np.float64)
        shares = np.exp(logits - logits.max())
        best = int(logits.argmax())
        found.append((sidecar["classes"][best], float(shares[best] / shares.sum())))
    return found


def main(default: str) -> None:
    """Print the name, class and probability of each image of the command line, separated by tabs."""
    parser = argparse.ArgumentParser(description="Classify images with a deployed network.")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / default, help=f"default: {default}")
    options = parser.parse_args()
    for image, (name, share) in zip(options.images, classify(options.model, options.images), strict=True):
        sys.stdout.write(f"{image}\t{name}\t{share:.4f}\n")
