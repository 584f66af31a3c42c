"""The table of operations: every entry's shape rule, run, layer and flags agree with each other and with torch."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketcnn.graph.graph import infer_shapes
from pocketcnn.graph.node import Node
from pocketcnn.graph.ops import OPS, GraphError
from pocketcnn.graph.ops.base import Kind
from tests.support.op_cases import CASES, BenchmarkCase

ops = pytest.mark.parametrize("name", sorted(CASES))


def test_every_operation_of_the_table_has_a_case() -> None:
    assert set(CASES) == set(OPS) - {"input"}


@ops
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_the_shape_rule_tells_the_shape_that_run_gives(name: str, data: st.DataObject) -> None:
    case: BenchmarkCase = data.draw(CASES[name])
    result = case.run(case.values())
    batch = 1 if name == "constant" else 2
    assert tuple(result.shape) == (batch, *case.inferred())


@ops
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_what_the_checks_let_pass_can_run(name: str, data: st.DataObject) -> None:
    """One part of a valid use is replaced by something else: it is refused, or it runs and has the inferred shape."""
    case = data.draw(CASES[name].flatmap(_mutated))
    inputs = [Node(f"x{i}", "input", (), shape) for i, shape in enumerate(case.inputs)]
    tensors = {f"node.{role}": tensor for role, tensor in case.tensors.items()}
    try:
        shape = _checked(case, inputs, tensors)
    except GraphError:
        return
    result = case.run(case.values())
    assert tuple(result.shape[1:]) == shape
    assert case.run(case.values(), training=True).shape == result.shape


def _checked(case: BenchmarkCase, inputs: list[Node], tensors: dict[str, torch.Tensor]) -> tuple[int, ...]:
    """The shape from `infer_shapes`, which wants one input: the others are constants."""
    first = inputs[:1] or [Node("x0", "input", (), (1,))]
    rest = [Node(n.name, "constant", (), (), {"shape": n.shape}, {"value": f"{n.name}.value"}) for n in inputs[1:]]
    held = {**tensors, **{f"{n.name}.value": torch.zeros(n.shape) for n in inputs[1:]}}
    return infer_shapes([*first, *rest, case.node()], held)[-1].shape


_numbers = st.integers(-3, 70) | st.sampled_from(
    [2**31, -(2**31), 10**30, True, 0.5, float("nan"), float("inf"), -1e300]
)
_attrs = _numbers | st.lists(st.integers(-3, 70), max_size=5).map(tuple)
_shapes = st.lists(st.integers(1, 5), max_size=4).map(tuple)
_tensor_shapes = st.lists(st.integers(0, 5), max_size=5)


def _mutated(case: BenchmarkCase) -> st.SearchStrategy[BenchmarkCase]:
    shapes = _shapes.map(lambda shape: (case.inputs[0][0], *shape)) if case.op == "gather" else _shapes
    choices = [shapes.map(lambda shape, at=at: _with_input(case, at, shape)) for at in range(len(case.inputs))]
    for key in case.attrs:
        choices.append(_attrs.map(lambda value, key=key: replace(case, attrs={**case.attrs, key: value})))
    for role, tensor in case.tensors.items():
        if tensor.is_floating_point():  # the values of an index are the model file's to check
            choices.append(
                _tensor_shapes.map(lambda s, role=role: replace(case, tensors={**case.tensors, role: torch.ones(s)}))
            )
    return st.one_of(choices)


def _with_input(case: BenchmarkCase, at: int, shape: tuple[int, ...]) -> BenchmarkCase:
    return replace(case, inputs=(*case.inputs[:at], shape, *case.inputs[at + 1 :]))


@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if op.module))
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_the_ordinary_layer_does_what_run_does(name: str, data: st.DataObject) -> None:
    case: BenchmarkCase = data.draw(CASES[name])
    build = OPS[name].module
    assert build is not None
    layer = build(case.node(case.inferred()), case.tensors).eval()
    assert set(dict(layer.named_parameters())) == set(case.tensors) - set(OPS[name].buffers)
    assert torch.equal(layer(*case.values()), case.run(case.values()))


@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if op.inplace and op.arity == 1))
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_an_in_place_operation_reads_only_what_it_overwrites(name: str, data: st.DataObject) -> None:
    """Element i of the output depends on element i of the input alone, so one may overwrite the other."""
    case: BenchmarkCase = data.draw(CASES[name])
    x = case.values(batch=1)[0]
    at = data.draw(st.integers(0, x.numel() - 1))
    changed = x.clone()
    changed.view(-1)[at] += 1
    before, after = case.run([x]).reshape(-1), case.run([changed]).reshape(-1)
    others = torch.arange(x.numel()) != at
    assert before.numel() == x.numel()
    assert torch.equal(before[others], after[others])


@pytest.mark.parametrize("name", sorted(name for name, op in OPS.items() if op.view))
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_view_holds_the_same_elements_in_the_same_order(name: str, data: st.DataObject) -> None:
    case: BenchmarkCase = data.draw(CASES[name])
    x = case.values()[0]
    assert torch.equal(case.run([x]).reshape(-1), x.reshape(-1))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.INT, [0, -3], [True, 1.0, (1,), 2**31, "1", None]),
        (Kind.FLOAT, [0, 1.5, -1e30], [False, float("nan"), float("inf"), 1e39, 10**400, (1.0,), "1"]),
        (Kind.BOOL, [True, False], [0, 1, 1.0, "true"]),
        (Kind.PAIR, [(1, 2)], [(1,), (1, 2, 3), [1, 2], (1, True), (1.0, 2), 3, (1, 2**31)]),
        (Kind.QUAD, [(1, 2, 3, -4)], [(1, 2), (1, 2, 3, 4, 5), (1, 2, 3, None)]),
        (Kind.INTS, [(), (1,), (1, 2, 3)], [[1], (1.0,), 1, ("1",)]),
    ],
)
def test_attribute_kinds(kind: Kind, good: list[object], bad: list[object]) -> None:
    assert all(kind.accepts(value) for value in good)  # type: ignore[arg-type]
    assert not any(kind.accepts(value) for value in bad)  # type: ignore[arg-type]
