"""What an operation says of itself is true of what it computes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pocketcnn.formats.onnx.reader import graph_of
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.graph import OPS, Node, capture
from pocketcnn.graph.ops.facts import ChannelRule
from pocketcnn.graph.ops.reach import whole_input
from tests.support.op_cases import CASES, BenchmarkCase

COMPUTED = sorted(set(OPS) - {"input", "constant"})
SAME_CHANNEL = {ChannelRule.ELEMENTWISE, ChannelRule.WITHIN_CHANNEL, ChannelRule.PER_CHANNEL}


def named(condition: object) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("name", [name for name in COMPUTED if condition(OPS[name])])  # type: ignore[operator]


def drawn(data: st.DataObject, name: str) -> tuple[BenchmarkCase, list[Tensor]]:
    case: BenchmarkCase = data.draw(CASES[name])
    assume(case.inferred())
    scale = data.draw(st.sampled_from([0.5, 3.0, 20.0]))
    return case, [scale * value for value in case.values()]


@named(lambda op: True)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_results_lie_within_the_bounds(name: str, data: st.DataObject) -> None:
    case, values = drawn(data, name)
    low, high = OPS[name].bounds(case.node(case.inferred()))
    result = case.run(values)
    assert float(result.nan_to_num(low, high, low).min()) >= low - 1e-6
    assert float(result.nan_to_num(low, high, low).max()) <= high + 1e-6


@named(lambda op: op.homogeneous)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_what_is_homogeneous_passes_a_factor_on(name: str, data: st.DataObject) -> None:
    case, values = drawn(data, name)
    tensors = {role: 2 * tensor if role == "bias" else tensor for role, tensor in case.tensors.items()}
    if name == "relu6":  # whose bound would be moved along
        values = [value.clamp(-2.9, 2.9) for value in values]
    doubled = replace(case, tensors=tensors).run([2 * value for value in values])
    torch.testing.assert_close(doubled, 2 * case.run(values), atol=1e-3, rtol=1e-4)


@named(lambda op: op.data_movement)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_what_moves_values_makes_none(name: str, data: st.DataObject) -> None:
    case, values = drawn(data, name)
    there = torch.cat([value.flatten() for value in values])
    fills = torch.tensor([0.0, case.attrs.get("value", 0.0), float("-inf")])
    assert bool(torch.isin(case.run(values), torch.cat([there, fills])).all())


@named(lambda op: op.clips)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_clip_only_limits_to_its_bounds(name: str, data: st.DataObject) -> None:
    case, values = drawn(data, name)
    torch.testing.assert_close(case.run(values), values[0].clamp(*OPS[name].bounds(case.node())))


@named(lambda op: op.gate)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_gate_is_what_the_operation_multiplies_with(name: str, data: st.DataObject) -> None:
    case, values = drawn(data, name)
    gate = values[0]
    for inner in reversed(OPS[name].gate):
        gate = BenchmarkCase(inner, case.inputs).run([gate])
    torch.testing.assert_close(case.run(values), values[0] * gate, atol=1e-5, rtol=1e-5)


class Gated(nn.Module):
    """x · f(x), spelled out."""

    def __init__(self, gate: tuple[str, ...]) -> None:
        super().__init__()
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        gate = x
        for inner in reversed(self.gate):
            gate = OPS[inner].run(Node("", inner, ("",), ()), [gate], {}, False)
        return gate * x


@named(lambda op: op.gate)
def test_a_gate_that_is_spelled_out_is_recognised(name: str) -> None:
    """In a network and in an ONNX file."""
    graph = capture(Gated(OPS[name].gate), (1, 3, 4, 4))
    assert [node.op for node in graph.nodes] == ["input", name]
    assert [node.op for node in graph_of(to_onnx(graph)).nodes] == ["input", name]


@named(lambda op: op.channels in SAME_CHANNEL)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_channel_depends_on_itself_alone(name: str, data: st.DataObject) -> None:
    case, (x,) = drawn(data, name)
    channel = data.draw(st.integers(0, x.shape[1] - 1))
    other = x + torch.randn(x.shape, generator=torch.Generator().manual_seed(7))
    other[:, channel] = x[:, channel]
    torch.testing.assert_close(case.run([other])[:, channel], case.run([x])[:, channel], equal_nan=True)


@named(lambda op: op.channels is ChannelRule.ELEMENTWISE)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_an_element_depends_on_the_one_at_its_place(name: str, data: st.DataObject) -> None:
    case, (x,) = drawn(data, name)
    kept = torch.rand(x.shape, generator=torch.Generator().manual_seed(7)) < 0.5
    other = torch.where(kept, x, x.flip(0) - 1)
    torch.testing.assert_close(case.run([other])[kept], case.run([x])[kept])


@named(lambda op: op.reach is not whole_input and op.channels is not ChannelRule.BROADCAST)
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
def test_no_pixel_beyond_the_reach_matters(name: str, data: st.DataObject) -> None:
    """Rows and columns outside of what the operation says it needs are changed: the part of the output stays."""
    case, values = drawn(data, name)
    shape = case.inferred()
    assume(len(shape) == 3 and all(len(each) == 3 for each in case.inputs))
    axis = data.draw(st.sampled_from([0, 1]))
    start = data.draw(st.integers(0, shape[1 + axis] - 1))
    stop = data.draw(st.integers(start + 1, shape[1 + axis]))
    found = OPS[name].reach(case.node(shape), case.tensor_shapes(), axis, (start, stop))
    assume(found is not None)
    changed = []
    for value in values:
        noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(7))
        low, high = (min(max(end, 0), value.shape[2 + axis]) for end in found)
        noise.narrow(2 + axis, low, max(high - low, 0)).zero_()
        changed.append(value + noise)
    before, after = (case.run(each).narrow(2 + axis, start, stop - start) for each in (values, changed))
    torch.testing.assert_close(after, before, equal_nan=True)
