"""Every network of the zoo, trained, in 8-bit integers: it answers as in float, simulated and in ONNX Runtime."""

from collections.abc import Callable

import pytest
import torch

from pocketcnn.compression.quantization import quantize
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph.network import predictions
from pocketcnn.models import list_models
from pocketcnn.runtimes import get_runtime
from tests.support.trained_zoo import trained

QUICK = ("condensenet_86", "mobilenet_v3_small", "shufflenet_v1")
"""Learned groups and channel choice; squeeze-and-excite and h-swish; grouped convolution, shuffle and concatenation.

Their images have 16 pixels a side, not 32: a quarter of the time."""


@pytest.mark.timeout(5400)  # nasnet_large trains for half an hour of one core
@pytest.mark.parametrize(
    ("name", "side"),
    [
        *(pytest.param(name, 16, id=f"{name} on 16 pixels") for name in QUICK),
        *(pytest.param(name, None, id=name, marks=pytest.mark.slow) for name in list_models()),
    ],
)
def test_a_quantized_network_answers_as_in_float(
    name: str, side: int | None, record_property: Callable[[str, object], None]
) -> None:
    """The figures go to the report of `pytest --junit-xml` and from there to docs/checks.md."""
    ready = trained(name, side)
    images, labels = ready.held_out.images, ready.held_out.labels
    quantized = quantize(ready.network, ready.calibration).eval()
    session = get_runtime("onnxruntime").build(to_onnx(quantized.graph).SerializeToString(), threads=1)
    exact, simulated = (predictions(network, images, 64).argmax(1) for network in (ready.network, quantized))
    exported = torch.from_numpy(session.run(images.numpy())).argmax(1)
    session.close()
    figures = {
        "float accuracy": share(exact == labels),
        "int8 accuracy": share(exported == labels),
        "agreement, simulated": share(simulated == exact),
        "agreement, ONNX Runtime": share(exported == exact),
    }
    for title, figure in figures.items():
        record_property(title, f"{figure:.1%}")
    assert figures["float accuracy"] >= 0.9, "it must be trained for the rest to mean anything"
    assert figures["agreement, simulated"] >= 0.95
    assert figures["agreement, ONNX Runtime"] >= 0.95
    assert share(simulated == exported) >= 0.97, (
        "the runtime's kernels round a step apart here and there, 200 layers deep"
    )


def share(hits: torch.Tensor) -> float:
    return hits.float().mean().item()
