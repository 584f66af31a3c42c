"""Every tensor comes back from its form to the bit, and the form that is chosen is the small one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from pocketcnn.graph.coded import CodedError, Coding, has_library, pack_network, unpack_network
from pocketcnn.graph.coded.encodings import DTYPES, decode_tensor, entropy, smallest, words_of
from pocketcnn.graph.coded.entropy import Decoder, Encoder
from pocketcnn.graph.coded.frequencies import LARGEST, probabilities, stored_counts
from pocketcnn.graph.coded.streams import SYMBOLS, TEXT, pack, unpack

CODINGS: list[Coding] = ["lzma", "range"] if has_library() else ["lzma"]
shapes = hnp.array_shapes(min_dims=0, max_dims=4, max_side=12)


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Any bits of any type, often mostly zeros or of few values, as weights are after pruning and sharing."""
    dtype = draw(st.sampled_from(list(DTYPES.values())))
    shape = draw(shapes)
    size = int(np.prod(shape)) * dtype.itemsize
    if dtype == torch.bool:
        return torch.from_numpy(draw(hnp.arrays(np.bool_, shape)))
    palette = draw(st.lists(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize), min_size=1, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["noise", "few values", "sparse"]))
    if kind == "noise":
        data = rng.integers(0, 256, size, dtype=np.uint8)
    else:
        entries = np.frombuffer(b"".join(palette), np.uint8).reshape(len(palette), -1)
        data = entries[rng.integers(0, len(entries), size // dtype.itemsize)].reshape(-1).copy()
        if kind == "sparse":
            data.reshape(-1, dtype.itemsize)[rng.random(size // dtype.itemsize) < 0.9] = 0
    return torch.from_numpy(data).view(dtype).reshape(shape)


def same(one: Tensor, other: Tensor) -> bool:
    """To the bit: NaN is NaN, and -0 is not 0."""
    alike = one.dtype == other.dtype and one.shape == other.shape
    return alike and bool((words_of(one) == words_of(other)).all())


@settings(deadline=None)
@given(tensor=tensors())
def test_a_tensor_comes_back_from_its_form_to_the_bit(tensor: Tensor) -> None:
    stored = smallest(tensor)
    assert same(decode_tensor(stored.encoding, stored.gaps, stored.symbols, stored.words), tensor)


@settings(deadline=None)
@given(
    found=st.lists(tensors(), max_size=5),
    header=st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    coding=st.sampled_from(CODINGS),
)
def test_a_network_comes_back_from_its_block_to_the_bit(found: list[Tensor], header: str, coding: Coding) -> None:
    text, again = unpack_network(pack_network(header, found, coding)[0])
    assert text == header
    assert len(again) == len(found)
    assert all(same(one, other) for one, other in zip(again, found, strict=True))


@settings(deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0, 1, 7, 253, 254, 255, 256, 509, 510, 511, 2000]), min_size=1, max_size=8),
    trailing=st.integers(0, 600),
)
def test_gaps_of_every_length(gaps: list[int], trailing: int) -> None:
    flat = torch.zeros(sum(gaps) + len(gaps) + trailing)
    flat[torch.tensor(gaps).cumsum(0) + torch.arange(len(gaps))] = torch.linspace(1, 2, len(gaps))
    stored = smallest(flat)
    assert same(decode_tensor(stored.encoding, stored.gaps, stored.symbols, stored.words), flat)
    assert stored.encoding.name == "sparse" or len(flat) < 40


@settings(deadline=None)
@given(data=st.binary(max_size=300), filters=st.sampled_from([SYMBOLS, TEXT]))
def test_packed_bytes_come_back_and_never_more_of_them(data: bytes, filters: object) -> None:
    packed = pack(data, filters)  # type: ignore[arg-type]
    assert unpack(packed, len(data), filters) == data  # type: ignore[arg-type]
    for size in {0, len(data) - 1, len(data) + 1} - {len(data), -1}:
        with pytest.raises(CodedError, match="damaged"):
            unpack(packed, size, filters)  # type: ignore[arg-type]


def test_forms_are_what_they_are_for() -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 32, generator=generator)
    assert smallest(weight).encoding.name == "dense"
    assert smallest(weight).encoding.palette == 0
    shared = (weight * 4).round() / 4
    assert 0 < smallest(shared).encoding.palette < 40
    pruned = torch.where(weight.abs() > 1.5, weight, 0.0)
    assert smallest(pruned).encoding.name == "sparse"
    assert smallest(pruned).encoding.palette == 0
    both = smallest(torch.where(weight.abs() > 1.5, shared, 0.0))
    assert both.encoding.name == "sparse"
    assert both.encoding.palette > 0
    assert smallest((weight * 20).to(torch.int8)).encoding.has_symbols
    scales = torch.arange(1, 256, dtype=torch.float32)[torch.randperm(255, generator=generator)][:64] * 0.0371
    assert smallest(scales).encoding.name == "steps"
    assert smallest(-scales).encoding.name == "dense"


@pytest.mark.parametrize(("coding", "loss"), [("lzma", 0.05), ("range", 0.005)])
def test_the_coders_come_close_to_the_entropy(coding: Coding, loss: float) -> None:
    """Of the weights' own kind: bell-shaped integers, their frequencies included."""
    if coding not in CODINGS:
        pytest.skip("constriction is not installed")
    rng = np.random.default_rng(0)
    symbols = np.clip(rng.normal(128, 12, 200_000).round(), 0, 255).astype(np.uint8)
    encoder = Encoder(coding)
    encoder.add(symbols)
    size = sum(map(len, encoder.finish()))
    assert 1.0 < 8 * size / (entropy(symbols) * len(symbols)) < 1 + loss


@settings(deadline=None)
@given(parts=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 256), st.integers(0, 9)), max_size=4))
def test_segments_come_back_in_their_order(parts: list[tuple[int, int, int]]) -> None:
    segments = [
        (np.random.default_rng(seed).geometric(0.2, size).clip(1, largest) - 1).astype(np.uint8)
        for size, largest, seed in parts
    ]
    for coding in CODINGS:
        encoder = Encoder(coding)
        frequencies = [encoder.add(segment) for segment in segments]
        finished = encoder.finish()
        adaptive = sum(len(segment) for segment, count in zip(segments, frequencies, strict=True) if not count)
        decoder = Decoder(finished, adaptive, sum(frequencies))
        for segment, count in zip(segments, frequencies, strict=True):
            assert np.array_equal(decoder.take(len(segment), count), segment)
        decoder.check_end()


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 2**34), min_size=1, max_size=256))
def test_frequencies_keep_their_leading_digits(counts: list[int]) -> None:
    exact = np.array(counts, np.int64)
    if not exact.any():
        with pytest.raises(ValueError, match="are zero"):
            probabilities(stored_counts(exact))
        return
    found = probabilities(stored_counts(exact))[: len(counts)]
    assert found.sum() == pytest.approx(1)
    assert np.array_equal(found > 0, exact > 0)
    if exact.max() <= LARGEST:
        share = exact / exact.sum()
        assert np.all(np.abs(found - share) <= share / 14)


def test_entropy_is_that_of_shannon() -> None:
    assert entropy(np.array([], np.uint8)) == 0
    assert entropy(np.full(9, 3, np.uint8)) == 0
    assert entropy(np.array([0, 1, 2, 2], np.uint8)) == pytest.approx(1.5)
