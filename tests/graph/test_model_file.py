"""One file for a network: what goes in comes out, to the bit, in a process that has never seen the class."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pocketcnn.errors import UsageError
from pocketcnn.graph.contract import InputContract
from pocketcnn.graph.fake_quantize import quantize_weight
from pocketcnn.graph.info import ModelInfo, Stage
from pocketcnn.graph.model_file import KEY, ModelFileError, load, save
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.numerics import WeightFormat
from tests.support.small_networks import float_network, images, pruned_network, quantized_network, small_network

CONTRACT = InputContract(height=16, width=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2))
CLASSES = ("ant", "bée", "猫", "dog & cat", 'a "quote"')
NETWORKS = {
    "float": float_network,
    "pruned": pruned_network,
    "quantized": quantized_network,
    "4 bit": lambda: quantized_network(bits=4),
}


def deeply_nested(depth: int) -> dict[str, Any]:
    return {"deeper": deeply_nested(depth - 1)} if depth else {}


@pytest.mark.parametrize("kind", NETWORKS)
def test_what_is_saved_is_loaded_to_the_bit(kind: str, tmp_path: Path) -> None:
    network = NETWORKS[kind]()
    stage = Stage(
        name="train", settings={"epochs": 3, "nested": {"rates": [0.1, 0.2]}}, seed=4, figures={"accuracy": 0.5}
    )
    info = ModelInfo(name="small", lineage=(stage,))
    path = save(tmp_path / "model.safetensors", network, input=CONTRACT, classes=CLASSES, info=info)
    loaded = load(path)
    assert loaded.info == info.model_copy(update={"input": CONTRACT, "classes": CLASSES})
    assert loaded.numerics == network.numerics
    assert loaded.graph.nodes == network.graph.nodes
    assert set(loaded.state_dict()) == set(network.state_dict())
    assert torch.equal(loaded.eval()(images()), network(images()))
    again = save(tmp_path / "again.safetensors", loaded)
    assert again.read_bytes() == path.read_bytes()


def test_float_tensors_are_stored_under_their_own_names(tmp_path: Path) -> None:
    network = float_network()
    stored = safetensors.torch.load_file(save(tmp_path / "m.safetensors", network))
    assert stored.keys() == {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in stored.items())


def test_quantized_weights_are_stored_in_one_byte_each(tmp_path: Path) -> None:
    network = quantized_network()
    path = save(tmp_path / "m.safetensors", network)
    stored = safetensors.torch.load_file(path)
    weights = network.numerics.weights
    assert weights
    assert {name for name, tensor in stored.items() if tensor.dtype == torch.int8} == set(weights)
    assert all(stored[form.scale].dtype == torch.float32 for form in weights.values())
    tensor_bytes = sum(tensor.numel() * tensor.element_size() for tensor in stored.values())
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert path.stat().st_size == 8 + header + tensor_bytes


@given(
    scale=st.floats(2.0**-126, 2.0**120, width=32),
    codes=st.lists(st.integers(-127, 127), min_size=1, max_size=20),
    bits=st.integers(2, 8),
)
def test_a_weight_that_went_through_codes_has_the_same_codes(scale: float, codes: list[int], bits: int) -> None:
    form = WeightFormat(scale="s", bits=bits)
    stored = torch.tensor([codes], dtype=torch.int8).clamp(-form.high, form.high)
    scales = torch.tensor([scale], dtype=torch.float32)
    assert torch.equal(quantize_weight(stored.float() * scales, scales, form).to(torch.int8), stored)


def test_saving_and_loading_leave_the_random_state_and_the_mode_alone(tmp_path: Path) -> None:
    network = float_network().train()
    state = torch.get_rng_state()
    load(save(tmp_path / "m.safetensors", network))
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training


def test_a_module_is_captured_for_its_input_contract(tmp_path: Path) -> None:
    module = small_network()
    path = save(tmp_path / "m.safetensors", module, input=CONTRACT)
    assert torch.equal(load(path).eval()(images()), module(images()))
    with pytest.raises(UsageError, match=r"SmallNetwork.*input=InputContract"):
        save(tmp_path / "other.safetensors", module)


def test_a_layer_replaced_by_hand_is_saved_with_its_new_shape(tmp_path: Path) -> None:
    network = float_network()
    network.get_submodule("classifier")._modules["1"] = nn.Linear(12, 7)
    loaded = load(save(tmp_path / "m.safetensors", network))
    assert loaded.graph.output_shape == (7,)
    assert torch.equal(loaded.eval()(images()), network(images()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["a", "b"]}, "2 class names, but the output has the shape"),
        (
            {"input": CONTRACT.model_copy(update={"height": 32})},
            r"the input contract has images of shape \(3, 32, 16\)",
        ),
    ],
)
def test_what_contradicts_the_network_is_not_saved(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        save(tmp_path / "m.safetensors", float_network(), **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (ModelInfo(lineage=(Stage(name="train", settings={"loss": float("nan")}),)), "cannot be written as JSON"),
        (ModelInfo(lineage=(Stage(name="train", figures={"loss": float("inf")}),)), "finite numbers"),
        (ModelInfo(lineage=(Stage(name="train", settings={"model": object()}),)), "cannot be written as JSON"),
        (ModelInfo(lineage=(Stage(name="train", settings=deeply_nested(40)),)), "nested too deeply"),
        (ModelInfo(name="\ud800"), "cannot be written as JSON"),
    ],
)
def test_a_lineage_that_json_cannot_hold_is_refused(info: ModelInfo, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message):
        save(tmp_path / "m.safetensors", float_network(), info=info)


def test_a_diverged_network_does_not_replace_a_good_file(tmp_path: Path) -> None:
    network = float_network()
    path = save(tmp_path / "m.safetensors", network)
    before = path.read_bytes()
    with torch.no_grad():
        network.get_parameter("stem.0.weight")[0] = float("nan")
    with pytest.raises(ModelFileError, match=r"stem\.0\.weight.*NaN"):
        save(path, network)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_scales_that_lose_digits_are_refused(tmp_path: Path) -> None:
    network = quantized_network()
    with torch.no_grad():
        network.get_buffer("stem.0.weight_scale")[0] = 0.0
    with pytest.raises(ModelFileError, match=r"scales of 'stem\.0\.weight'"):
        save(tmp_path / "m.safetensors", network)


def test_the_header_is_small(tmp_path: Path) -> None:
    """Some 60 bytes a node: a header must not spend the budget of a small network."""
    network = float_network()
    path = save(tmp_path / "m.safetensors", network)
    outer = json.loads(path.read_bytes()[8 : 8 + int.from_bytes(path.read_bytes()[:8], "little")])
    assert len(outer["__metadata__"][KEY]) < 65 * len(network.graph.nodes)


FRESH = """
    import sys, torch, safetensors.torch
    from pocketcnn.graph.model_file import load
    folder = sys.argv[1]
    known = safetensors.torch.load_file(f"{folder}/known.safetensors")
    for kind in ("pruned", "quantized"):
        network = load(f"{folder}/{kind}.safetensors").eval()
        assert "small_networks" not in sys.modules
        assert torch.equal(network(known["images"]), known[kind]), kind
        optimizer = torch.optim.SGD(network.parameters(), 0.05)
        before = {name: value.clone() for name, value in network.named_parameters()}
        target, losses = torch.tensor([0, 1, 2, 3]), []
        for _ in range(8):
            torch.manual_seed(0)  # one dropout mask for all steps: losses under different masks cannot be compared
            loss = torch.nn.functional.cross_entropy(network.train()(known["images"]), target)
            optimizer.zero_grad(); loss.backward(); optimizer.step(); losses.append(loss.item())
        changed = [name for name, value in network.named_parameters() if not torch.equal(value, before[name])]
        assert len(changed) == len(before) and losses[-1] < losses[0], (kind, losses)
        print(kind, "works")
"""


def test_a_fresh_process_loads_predicts_the_same_and_trains_on(tmp_path: Path) -> None:
    known = {"images": images()}
    for kind in ("pruned", "quantized"):
        network: GraphNetwork = NETWORKS[kind]()
        save(tmp_path / f"{kind}.safetensors", network)
        known[kind] = network(images()).detach()
    safetensors.torch.save_file(known, tmp_path / "known.safetensors")
    command = [sys.executable, "-c", textwrap.dedent(FRESH), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n") == ["pruned works", "quantized works", ""]
