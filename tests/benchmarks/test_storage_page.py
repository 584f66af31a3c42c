"""The storage table: a page made of the JSON alone, coders that are compared on the streams of real files."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.compression.storage_table.coders import available, sizes, streams_of
from benchmarks.compression.storage_table.page import page
from pocketcnn.compression.coding import ClusterSettings, cluster_weights
from pocketcnn.graph.coded.encodings import entropy
from pocketcnn.graph.model_file import save
from tests.support.small_networks import float_network, quantized_network

CHECKED_IN = Path(__file__).parents[2] / "docs" / "benchmarks" / "compression"


def squeezenet(bytes_of_6_bits: int) -> dict[str, Any]:
    row = {"density": 0.33, "accuracy": 0.95, "agreement": 0.97}
    rows = {"float32": 4_990_000, "33 %, 8 bits": 600_000, "33 %, 6 bits": bytes_of_6_bits}
    return {
        "setting": {"epochs": 14, "sparse_epochs": 5, "shared_epochs": 2},
        "images": {"train": 1000, "test": 647},
        "weights": 1_244_448,
        "rows": {name: {"bytes": size, **row} for name, size in rows.items()},
        "shape": {"33 %, 6 bits": 5.5},
    }


def document(bytes_of_6_bits: int = 450_000) -> dict[str, Any]:
    def runs(*values: float) -> dict[str, Any]:
        return {"mean": sum(values) / len(values), "runs": list(values)}

    row = {"bytes": runs(100_000, 120_000), "agreement": runs(0.99, 0.97), "accuracy": runs(0.95, 0.93)}
    forms = {"float32": row, "int8, coded": {**row, "bytes": runs(22_000, 22_000)}}
    lite = {"float32": {"bytes": 18_000_000, "agreement": 1.0}, "int8, coded": {"bytes": 4_000_000, "agreement": 0.97}}
    return {
        "squeezenet": squeezenet(bytes_of_6_bits),
        "mobilenets": {
            "seeds": 2,
            "steps": 320,
            "networks": [{"network": "mobilenet_v2", "accuracy": [0.96, 0.94], "test_images": 2000, "forms": forms}],
        },
        "efficientnet_lite0": {"test_images": 400, "forms": lite, "pruned": {"weights": 4_650_000, "bits": 2.6}},
        "coders": {"SqueezeNet": {"entropy": 1000, "ours, `lzma`": 1030, "zlib, level 9": 980}},
    }


def test_the_page_is_a_function_of_the_json() -> None:
    text = page(document())
    assert page(document()) == text
    assert "| 33 %, 6 bits | 450,000 | 11.1 | 0.47 MB | 33.0% | 95.00% | 97.00% |" in text
    assert "| int8, coded | 22,000 | 20.0% | 94.00% (93.00%) | 98.00% (97.00%) |" in text
    assert "| SqueezeNet | 1,000 (+0.0%) | 1,030 (+3.0%) | 980 (-2.0%) |" in text
    assert "SqueezeNet's as many would be 404,446 bytes" in text
    assert "500,001" in page(document(500_001))
    assert "What stands in for what" in text


@pytest.mark.parametrize("name", ["storage"])
def test_the_checked_in_page_is_that_of_the_checked_in_json(name: str) -> None:
    found = json.loads((CHECKED_IN / f"{name}.json").read_text())
    assert (CHECKED_IN / f"{name}.md").read_text() == page(found)
    assert found["squeezenet"]["rows"]["33 %, 6 bits"]["bytes"] <= 470_000  # the published 0.47 MB


def test_streams_are_those_of_the_file(tmp_path: Path) -> None:
    network = cluster_weights(float_network(), ClusterSettings(density=0.4, bits=4))
    streams = streams_of(network)
    assert streams["gaps"]
    assert streams["symbols"]
    assert all(int(part.max()) < 16 for part in streams["symbols"])
    pytest.importorskip("constriction")
    coders = available()
    found = sizes(network, coders)
    assert found.keys() == {"entropy", *coders}
    bound = sum(len(part) * entropy(part) for parts in streams.values() for part in parts) / 8
    assert found["entropy"] == round(bound)
    whole = save(tmp_path / "m.safetensors", network, coding="lzma").stat().st_size
    assert 0 < found["ours, `lzma`"] < whole
    quantized = streams_of(quantized_network())
    assert sum(map(len, quantized["symbols"])) > 100
