"""A coded model file is the same network to the bit, smaller, and refused when it is damaged or newer."""

import json
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pocketcnn.compression.coding import ClusterSettings, cluster_weights
from pocketcnn.errors import MissingExtra, PocketcnnError, UsageError
from pocketcnn.graph import GraphNetwork, ModelInfo, Stage, capture
from pocketcnn.graph.coded import Coding, entropy, has_library, pack_network
from pocketcnn.graph.coded.streams import TEXT, pack, unpack
from pocketcnn.graph.header import coded_notice, encode, tensor_names
from pocketcnn.graph.model_file import CODED, KEY, ModelFileError, load, save
from tests.support.small_networks import float_network, images, pruned_network, quantized_network

NETWORKS = {
    "float": float_network,
    "pruned": pruned_network,
    "quantized": quantized_network,
    "4 bit": lambda: quantized_network(bits=4),
}
PREFIX = 12
CODINGS: list[Coding] = ["lzma", "range"] if has_library() else ["lzma"]


def large_network() -> GraphNetwork:
    """With enough weights for the range coder to pay, pruned and shared."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 96, 3), nn.Flatten(), nn.Linear(96 * 4 * 4, 5))
    return cluster_weights(GraphNetwork(capture(module.eval(), (1, 3, 8, 8))), ClusterSettings(density=0.4, bits=5))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_coded_file_is_the_same_network_and_smaller(kind: str, coding: Coding, tmp_path: Path) -> None:
    network = NETWORKS[kind]()
    info = ModelInfo(name="small", classes=tuple("abcde"), lineage=(Stage(name="train", settings={"epochs": 3}),))
    plain = save(tmp_path / "plain.safetensors", network, info=info)
    coded = save(tmp_path / "coded.safetensors", network, info=info, coding=coding)
    first, second = load(plain), load(coded)
    assert second.info == first.info == info
    assert second.graph.nodes == first.graph.nodes
    assert second.numerics == first.numerics
    mine, theirs = first.state_dict(), second.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(second.eval()(images()), first.eval()(images()))
    assert coded.stat().st_size < 0.6 * plain.stat().st_size  # most of a network of this size is header
    assert save(tmp_path / "again.safetensors", second, coding=coding).read_bytes() == coded.read_bytes()


def test_a_coded_file_is_an_ordinary_safetensors_file_of_one_tensor(tmp_path: Path) -> None:
    path = save(tmp_path / "m.safetensors", float_network(), coding="lzma")
    stored = safetensors.torch.load_file(path)
    assert stored.keys() == {CODED}
    header = int.from_bytes(path.read_bytes()[:8], "little")
    assert path.stat().st_size == 8 + header + stored[CODED].numel()
    assert header < 180


def test_what_the_file_says_in_place_of_a_header_is_that_of_a_newer_format_to_older_versions(tmp_path: Path) -> None:
    path = save(tmp_path / "m.safetensors", float_network(), coding="lzma")
    data = path.read_bytes()
    outer = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert json.loads(outer["__metadata__"][KEY])["version"] == 2  # the first format's readers accept 1


def test_an_unknown_coding_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no coding 'zip'"):
        save(tmp_path / "m.safetensors", float_network(), coding="zip")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_diverged_network_is_not_written_coded_either(tmp_path: Path) -> None:
    network = float_network()
    with torch.no_grad():
        network.get_parameter("stem.0.weight")[0] = float("nan")
    with pytest.raises(ModelFileError, match=r"stem\.0\.weight.*NaN"):
        save(tmp_path / "m.safetensors", network, coding="lzma")


@pytest.mark.skipif("range" not in CODINGS, reason="constriction is not installed")
def test_a_range_coded_file_is_smaller_and_asks_for_its_library_where_that_is_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = large_network()
    by_lzma = save(tmp_path / "lzma.safetensors", network, coding="lzma")
    path = save(tmp_path / "range.safetensors", network, coding="range")
    assert path.stat().st_size < 0.97 * by_lzma.stat().st_size
    for one, other in zip(load(path).parameters(), network.parameters(), strict=True):
        assert torch.equal(one, other)
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pocketcnn\[coding\]'"):
        load(path)
    with pytest.raises(MissingExtra, match="Range coding"):
        save(tmp_path / "again.safetensors", network, coding="range")
    assert load(by_lzma)
    small = save(tmp_path / "small.safetensors", float_network(), coding="lzma")
    monkeypatch.undo()
    asked = save(tmp_path / "asked.safetensors", float_network(), coding="range")
    assert asked.read_bytes() == small.read_bytes()  # nothing gains by it, so nothing needs it


@pytest.mark.skipif("range" not in CODINGS, reason="constriction is not installed")
def test_a_coder_that_reads_something_else_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "m.safetensors", large_network(), coding="range")
    exact = entropy.probabilities
    monkeypatch.setattr(entropy, "probabilities", lambda stored: np.roll(exact(stored), 1))
    assert "damaged" in refusal(path) or "other values than were encoded" in refusal(path)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("coded") / "m.safetensors", quantized_network(), coding="lzma")


def block_of(path: Path) -> bytes:
    return safetensors.torch.load_file(path)[CODED].numpy().tobytes()


def file_of(path: Path, block: bytes) -> Path:
    tensor = torch.from_numpy(np.frombuffer(block, np.uint8).copy())
    path.write_bytes(safetensors.torch.save({CODED: tensor}, {KEY: coded_notice("lzma")}))
    return path


def sealed(body: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(body)) + body


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load(path)
    return str(caught.value)


def test_a_flipped_bit_anywhere_is_noticed(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for place in range(start, len(data), 97):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        (tmp_path / "flipped").write_bytes(bytes(changed))
        assert "checksum" in refusal(tmp_path / "flipped")


def test_a_block_that_is_cut_off_is_noticed_even_with_the_right_checksum(good: Path, tmp_path: Path) -> None:
    body = block_of(good)[4:]
    for length in {*range(0, len(body), 101), len(body) - 1}:
        assert "coded" in refusal(file_of(tmp_path / "cut", sealed(body[:length])))
    assert "coded bytes are truncated" in refusal(file_of(tmp_path / "more", sealed(body + b"\0")))
    assert "more coded bytes" in refusal(file_of(tmp_path / "more", sealed(body + b"\0" * 8)))


def test_other_tensors_beside_or_in_place_of_the_block(good: Path, tmp_path: Path) -> None:
    block = torch.from_numpy(np.frombuffer(block_of(good), np.uint8).copy())
    cases: list[dict[str, Tensor]] = [
        {"other": block},
        {CODED: block, "other": block.clone()},
        {CODED: block.to(torch.int16)},
        {CODED: block[None]},
    ]
    for stored in cases:
        path = tmp_path / "f"
        path.write_bytes(safetensors.torch.save(stored, {KEY: coded_notice("lzma")}))
        assert "does not hold exactly one tensor 'coded' of bytes" in refusal(path)
    path.write_bytes(safetensors.torch.save({CODED: block}, {KEY: coded_notice("lzma")[:-1] + " " * 300 + "}"}))
    assert "its format version is 2; it must be 1" in refusal(path)  # too long to be what stands in a coded file


def _table(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    """Change the JSON of the table of tensors in a block; the streams stay."""

    def changed(block: bytes) -> bytes:
        packed, size = struct.unpack_from("<II", block, 4)
        header, _, table = unpack(block[PREFIX : PREFIX + packed], size, TEXT).decode().partition("\0")
        content = json.loads(table)
        change(content)
        text = f"{header}\0{json.dumps(content)}".encode()
        head = pack(text, TEXT)
        return sealed(struct.pack("<II", len(head), len(text)) + head + block[PREFIX + packed :])

    return changed


def _set(*path: Any) -> Callable[[bytes], bytes]:
    *keys, last, value = path

    def change(content: Any) -> None:
        for key in keys:
            content = content[key]
        content[last] = value

    return _table(change)


HOSTILE: list[tuple[Callable[[bytes], bytes], str]] = [
    (_set("more", 1), "invalid at more"),
    (_set("tensors", 0, 0, "eval"), "invalid at tensors.0.0"),
    (_set("tensors", 0, 1, "C64"), "invalid at tensors.0.1"),
    (_set("tensors", 0, 2, [-1]), "invalid at tensors.0.2"),
    (_set("tensors", 0, 2, [2**31]), "invalid at tensors.0.2"),
    (_set("tensors", 0, 2, [2**15, 2**15, 2**15]), "coded files hold up to"),
    (_set("tensors", 0, 2, [1.5]), "invalid at tensors.0.2"),
    (_set("tensors", 0, 3, 257), "invalid at tensors.0.3"),
    (_set("tensors", 0, 3, 3), "has a palette"),
    (_set("tensors", 0, 0, "steps"), "has the encoding 'steps'"),
    (_set("tensors", 0, 4, 1), "has 1 gaps|damaged"),
    (_set("tensors", []), "more coded bytes"),
    (_set("sizes", [0]), "invalid at sizes"),
    (_set("sizes", 1, 10**6), "differs from the one in its header"),
    (_set("sizes", 0, 10**6), "damaged"),
    (_set("sizes", 2, 10), "damaged"),
    (_set("frequencies", [3]), "fewer frequencies"),
    (_set("frequencies", [0] * 900), "frequencies for more segments"),
    (_set("frequencies", [257]), "invalid at frequencies"),
    (_set("checksum", 5), "other values than were encoded"),
    (_table(lambda content: content["tensors"].pop()), "more coded bytes|coded tensors, but"),
    (lambda block: sealed(struct.pack("<II", 2**31, 9) + block[PREFIX:]), "coded bytes|not the"),
    (lambda block: sealed(struct.pack("<II", 9, 2**31) + block[PREFIX:]), "too large"),
    (lambda block: sealed(block[4:PREFIX] + b"\xff" * 40), "damaged"),
    (lambda block: b"", "truncated"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_hostile_blocks(change: Callable[[bytes], bytes], message: str, good: Path, tmp_path: Path) -> None:
    found = refusal(file_of(tmp_path / "f", change(block_of(good))))
    assert any(part in found for part in message.split("|")), found


def test_the_network_in_a_block_is_believed_no_more_than_another(tmp_path: Path) -> None:
    graph = float_network().graph
    names = tensor_names(graph.nodes, graph.numerics)
    header = encode(graph, ModelInfo())
    tensors = [graph.tensors[name] for name in names]
    assert load(file_of(tmp_path / "f", pack_network(header, tensors)[0]))
    fewer = file_of(tmp_path / "f", pack_network(header, tensors[1:])[0])
    assert f"has {len(tensors) - 1} coded tensors, but its network has {len(tensors)}" in refusal(fewer)
    swapped = file_of(tmp_path / "f", pack_network(header, [*tensors[1:], tensors[0]])[0])
    assert "Node" in refusal(swapped)
    newer = file_of(tmp_path / "f", pack_network(header.replace('"version":1', '"version":9'), tensors)[0])
    assert "written by a newer version of pocketcnn (format version 9" in refusal(newer)


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_damage_under_a_right_checksum_is_refused_or_gives_a_network_that_runs(
    data: st.DataObject, good: Path, tmp_path: Path
) -> None:
    block = block_of(good)
    packed, size = struct.unpack_from("<II", block, 4)
    text = bytearray(unpack(block[PREFIX : PREFIX + packed], size, TEXT))
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.sampled_from(list(b'0123456789[]{}",:-.e\0')))
    head = pack(bytes(text), TEXT)
    path = file_of(tmp_path / "f", sealed(struct.pack("<II", len(head), len(text)) + head + block[PREFIX + packed :]))
    try:
        network = load(path).eval()
    except PocketcnnError:
        return
    with torch.no_grad():
        network(torch.zeros(1, *network.graph.input_shape))
