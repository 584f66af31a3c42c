"""What is LiteRT's own; test_runtime_contract.py has what holds for every runtime."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from pocketcnn.errors import MissingExtra, PocketcnnError
from pocketcnn.formats.tflite import to_tflite
from pocketcnn.formats.tflite.flatbuffer import serialized
from pocketcnn.runtimes.litert_runtime import LiteRtRuntime
from tests.support.runtime_networks import float_network, images, int8_network, network_of

RUNTIME = LiteRtRuntime()


def changed(change) -> bytes:
    """A file whose model was changed by hand."""
    model = schema.ModelT.InitFromPackedBuf(to_tflite(float_network().graph))
    change(model, model.subgraphs[0])
    return serialized(model, 10**5)


def two_outputs(model, graph) -> None:
    graph.outputs = np.asarray([*graph.outputs, graph.operators[0].outputs[0]], np.int32)
    model.signatureDefs = None


def an_int8_input(model, graph) -> None:
    int8 = to_tflite(int8_network().graph)
    other = schema.ModelT.InitFromPackedBuf(int8)
    model.subgraphs, model.buffers, model.operatorCodes = other.subgraphs, other.buffers, other.operatorCodes
    quantize = model.subgraphs[0].operators[0]
    model.subgraphs[0].inputs = quantize.outputs
    model.subgraphs[0].operators = model.subgraphs[0].operators[1:]
    model.signatureDefs = None


def a_future_operator(model, graph) -> None:
    model.operatorCodes[0].version = 99


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (changed(two_outputs), "has 2 outputs"),
        (changed(an_int8_input), "is int8; it must be float32"),
        (changed(a_future_operator), "version '99'"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "it is not a TensorFlow Lite file"),
    ],
    ids=["two outputs", "int8 input", "too new", "not TensorFlow Lite"],
)
def test_what_cannot_be_run_is_refused_in_one_line(data: bytes, message: str) -> None:
    with pytest.raises(PocketcnnError, match=message) as caught:
        RUNTIME.build(data, threads=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("numerics", ["float32", "int8"])
def test_a_file_that_ends_early_is_refused_wherever_it_ends(numerics: str) -> None:
    data = to_tflite(network_of(numerics).graph)
    for end in range(0, len(data) - 1, len(data) // 23):
        with pytest.raises(PocketcnnError):
            RUNTIME.build(data[:end], threads=1)


def test_batches_of_changing_size_give_the_same_answers() -> None:
    x = images(8).numpy()
    with closing(RUNTIME.build(to_tflite(float_network().graph), threads=1)) as session:
        whole = session.run(x)
        parts = [session.run(x[start:stop]) for start, stop in ((0, 1), (1, 4), (4, 5), (5, 8))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)


def test_without_the_library_it_says_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = RUNTIME.write(float_network(), tmp_path / "model.tflite")
    monkeypatch.setattr(LiteRtRuntime, "library", "litert_that_is_absent")
    assert RUNTIME.available() == "it is not installed: pip install 'pocketcnn[litert]'"
    with pytest.raises(MissingExtra, match=r"pip install 'pocketcnn\[litert\]'"):
        RUNTIME.build(path, threads=1)
