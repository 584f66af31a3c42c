"""Random damage to a model file: it is loaded and runs, or is refused with an error for people; nothing else happens."""

import copy
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketcnn.errors import PocketcnnError
from pocketcnn.graph.model_file import load
from tests.support.model_files import parts, written

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
small_json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.sampled_from([2**31, -1, 1e-30, 0.5, 10**25, 64])
    | st.sampled_from(["", "conv", "relu", "conv.weight", "fc.bias", "input", "a.b", "forward", "\ud800", "é"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "name", "seed"]), inner, max_size=2),
    max_leaves=6,
)  # fmt: skip


def loads_and_runs_or_is_refused(path: Path) -> None:
    try:
        network = load(path).eval()
    except PocketcnnError:
        return
    shape = network.graph.input_shape
    if prod(shape) < 10**5:
        with torch.no_grad():
            result = network(torch.zeros(2, *shape))
        assert tuple(result.shape[1:]) == network.graph.output_shape


@given(data=st.data())
@FUZZ
def test_fuzzed_bytes(data: st.DataObject, tiny_file: Path, tmp_path: Path) -> None:
    content = bytearray(tiny_file.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, header - 1) | st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255) | st.sampled_from(list(b'0123456789[]{}",:-.eE\\u')))
    path = tmp_path / "fuzzed"
    path.write_bytes(bytes(content))
    loads_and_runs_or_is_refused(path)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in children for place in places(child, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return to
    value = copy.copy(value)
    value[path[0]] = changed(value[path[0]], path[1:], to)
    return value


@given(data=st.data())
@FUZZ
def test_fuzzed_headers(data: st.DataObject, tiny_file: Path, tmp_path: Path) -> None:
    """One or two places of the header become something else, or what stands at another place."""
    header, tensors = parts(tiny_file)
    for _ in range(data.draw(st.integers(1, 2))):
        where = places(header)
        other = data.draw(st.sampled_from(where))
        to = data.draw(small_json | st.just(_at(header, other)))
        header = changed(header, data.draw(st.sampled_from(where)), to)
    loads_and_runs_or_is_refused(written(tmp_path / "fuzzed", header, tensors))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


@given(data=st.data())
@settings(FUZZ, max_examples=60)
def test_fuzzed_tensors(data: st.DataObject, tiny_file: Path, tmp_path: Path) -> None:
    header, tensors = parts(tiny_file)
    name = data.draw(st.sampled_from(sorted(tensors)))
    shape = data.draw(st.lists(st.integers(0, 6), max_size=4))
    dtype = data.draw(st.sampled_from([np.float32, np.int8, np.int64, np.float16, np.float64, np.bool_, np.uint8]))
    raw = data.draw(st.binary(min_size=8, max_size=8))
    values = np.resize(np.frombuffer(raw, np.uint8), prod(shape) * np.dtype(dtype).itemsize)
    tensors[name] = torch.from_numpy(np.frombuffer(values.tobytes(), dtype).reshape(shape).copy())
    loads_and_runs_or_is_refused(written(tmp_path / "fuzzed", header, tensors))
