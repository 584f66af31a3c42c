"""Every command that trains says the same of the images before it begins: what was found, and what becomes of their shape."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pocketcnn as pc
from pocketcnn.data import describe, infer_contract, scan
from pocketcnn.errors import Interrupted
from pocketcnn.graph import GraphNetwork, ModelInfo
from pocketcnn.pipeline.candidates import CandidateNetwork
from pocketcnn.pipeline.compress.adapt import adapt_to_target
from pocketcnn.pipeline.search.once_for_all import once_for_all

Say = Callable[[str], None]


@pytest.fixture(scope="module")
def oblong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of several shapes, one of them empty, so that there are findings, notes on copies and notes on shapes."""
    root = tmp_path_factory.mktemp("oblong")
    rng = np.random.default_rng(0)
    for name in ("left", "right"):
        (root / name).mkdir()
        for number in range(10):
            pixels = rng.integers(0, 255, (16, 40 if number % 2 else 16), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    (root / "left" / "empty.png").touch()
    (root / "right" / "copy.png").write_bytes((root / "right" / "0.png").read_bytes())
    return root


@pytest.fixture(scope="module")
def network(oblong: Path) -> GraphNetwork:
    folder = scan(oblong)
    contract = infer_contract(folder)
    plan = CandidateNetwork("mobilenet_v2", 0.1, contract.channels, (contract.height, contract.width), 2)
    graph = pc.capture(plan.build(0, for_training=False), (1, *contract.shape))
    return GraphNetwork(graph, ModelInfo(name="small", input=contract, classes=folder.classes))


VERBS: dict[str, Callable[[Path, GraphNetwork, Path, Say], object]] = {
    "train": lambda data, _, out, say: pc.train_folder(data, "mobilenet_v2", out, width=0.1, say=say),
    "fit": lambda data, _, out, say: pc.fit(data, "size<=60kB", out, effort="quick", say=say),
    "search": lambda data, _, out, say: pc.search(data, "size<=60kB", out, effort="quick", trials=2, say=say),
    "once-for-all": lambda data, _, out, say: once_for_all(data, "size<=60kB", out, effort="quick", say=say),
    "compress": lambda data, network, out, say: pc.compress(network, data, "macs<=50%", out, effort="quick", say=say),
    "target check": lambda data, network, out, say: adapt_to_target(
        network, "dsp-npu", out / "adapted.safetensors", data, say=say
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_images_are_described_before_anything_is_trained(
    verb: str, oblong: Path, network: GraphNetwork, tmp_path: Path
) -> None:
    folder = scan(oblong)
    expected = describe(folder, infer_contract(folder))
    assert any("another shape" in line for line in expected)
    assert any("empty file" in line for line in expected)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == len(expected):
            raise Interrupted("enough was said")

    with pytest.raises(Interrupted):
        VERBS[verb](oblong, network, tmp_path / "out", say)
    assert said == expected
