"""Which formats and analyses lack which operations: what is declared here is what is lacking, no more and no less.

A new operation that is forgotten somewhere fails here by name. Either it gets its form there, or its gap is declared, with
what happens instead.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import pytest
from hypothesis import Phase, find, settings
from hypothesis.errors import NoSuchExample
from torch import Tensor, nn

from pocketcnn.compression.coupling import rules
from pocketcnn.compression.substitution.replacements import REPLACEMENTS
from pocketcnn.cost.patches import first_global
from pocketcnn.cost.receptive_field import reach
from pocketcnn.errors import PocketcnnError
from pocketcnn.formats import ncnn, tflite
from pocketcnn.formats.ncnn.writer import EMITTERS as NCNN
from pocketcnn.formats.onnx.reader import graph_of
from pocketcnn.formats.onnx.writer import to_onnx
from pocketcnn.formats.tflite.emitters import EMITTERS as TFLITE
from pocketcnn.graph import OPS, ActivationFormat, Graph, GraphError, Node, Numerics, capture
from pocketcnn.graph.integer.interpreter import INTEGER_OPS, float_nodes
from pocketcnn.graph.ops.facts import ChannelRule, Family
from pocketcnn.graph.ops.reach import whole_input
from pocketcnn.report.diagram.labels import KIND
from pocketcnn.targets import list_targets, load_target
from tests.support.onnx_support import one_operation
from tests.support.op_cases import CASES, BenchmarkCase

COMPUTED = frozenset(OPS) - {"input"}
ACTIVATIONS = frozenset(name for name, op in OPS.items() if op.family is Family.ACTIVATION)

GAPS: Mapping[str, Collection[str]] = {
    # Refused by name of layer and operation.
    "ncnn": (),
    "TensorFlow Lite": ("erf",),
    # A dropout does nothing at inference and is left out; a shift is written, and comes back, as a convolution.
    "read back from ONNX": ("dropout", "shift"),
    "capture": (),
    # Computed in float32 between two changes of format; `IntegerNetwork.float_nodes` names the nodes.
    "integers": ("batch_norm", "constant", "div", "local_response_norm", "softmax"),
    # End the stage that can be computed patch by patch.
    "patches": ("adaptive_avg_pool", "constant", "linear", "mean", "permute", "reshape", "roll", "sum"),
    # Freeze the channels around them; the message names operation and node.
    "pruning": (),
    # Drawn in the colour of "other", under their own names.
    "drawing kind": ("batch_norm", "constant", "dropout", "local_response_norm", "pad", "reshape", *ACTIVATIONS),
    # Are said to run on a device that lacks others. An activation that it does not run is a [[lacks]] of its file.
    "activations of dsp-npu": ("clip", "elu", "leaky_relu", "prelu", "relu", "relu6", "softmax", "tanh"),
    # Have no stand-in on targets that lack them: `check` says so.
    "substitution": ("relu", "clip", "softmax"),
}


class Alone(nn.Module):
    """One operation as a module, its tensors as parameters or buffers."""

    def __init__(self, case: BenchmarkCase) -> None:
        super().__init__()
        self.case, self.node = case, case.node(case.inferred())
        for role, tensor in case.tensors.items():
            if tensor.is_floating_point() and role not in OPS[case.op].buffers:
                self.register_parameter(role, nn.Parameter(tensor))
            else:
                self.register_buffer(role, tensor)

    def forward(self, x: Tensor) -> Tensor:
        tensors = {role: getattr(self, role) for role in self.case.tensors}
        inputs = [x] * len(self.case.inputs)
        return OPS[self.case.op].run(self.node, inputs, tensors, False)


def is_captured(case: BenchmarkCase) -> bool:
    shapes = set(case.inputs)
    if len(shapes) != 1 or not case.inferred():
        return False
    try:
        return any(node.op == case.op for node in capture(Alone(case), (1, *shapes.pop())).nodes)
    except GraphError:
        return False


def comes_back(case: BenchmarkCase) -> bool:
    if not case.inferred():
        return False
    try:
        back = graph_of(to_onnx(one_operation(case)))
        return back[back.output].op == case.op
    except PocketcnnError:
        return False


def some(works: Callable[[BenchmarkCase], bool]) -> frozenset[str]:
    """The operations of which some use works; a constant is none by itself."""
    quick = settings(max_examples=15, derandomize=True, database=None, phases=[Phase.generate], deadline=None)
    found = {"constant"}
    for name in sorted(set(CASES) - found):
        try:
            find(CASES[name], works, settings=quick)
            found.add(name)
        except NoSuchExample:
            pass
    return frozenset(found)


LACKING: Mapping[str, Callable[[], Collection[str]]] = {
    "ncnn": lambda: COMPUTED - set(NCNN),
    "TensorFlow Lite": lambda: COMPUTED - set(TFLITE),
    "read back from ONNX": lambda: COMPUTED - some(comes_back),
    "capture": lambda: COMPUTED - some(is_captured),
    "integers": lambda: COMPUTED - INTEGER_OPS,
    "patches": lambda: {name for name in COMPUTED if OPS[name].reach is whole_input},
    "pruning": lambda: {name for name in COMPUTED if OPS[name].channels is ChannelRule.UNKNOWN},
    "drawing kind": lambda: {name for name in COMPUTED if OPS[name].family not in KIND},
    "activations of dsp-npu": lambda: ACTIVATIONS - {pattern.op for pattern in load_target("dsp-npu").lacks},
    "substitution": lambda: ACTIVATIONS - set(REPLACEMENTS),
}


@pytest.mark.parametrize("where", GAPS)
def test_what_is_declared_is_what_is_lacking(where: str) -> None:
    assert sorted(LACKING[where]()) == sorted(set(GAPS[where]))


def test_every_device_that_lacks_activations_says_which_it_runs() -> None:
    lacking = {name for name in list_targets() if ACTIVATIONS & {pattern.op for pattern in load_target(name).lacks}}
    assert lacking == {where.removeprefix("activations of ") for where in GAPS if where.startswith("activations of ")}


def test_every_way_in_which_channels_follow_has_its_rule() -> None:
    assert set(rules.RULES) == set(ChannelRule)


NETWORK = Graph(
    (Node("input", "input", (), (3, 4, 4)), Node("features.act", "silu", ("input",), ())), "features.act", {}
).rebuilt()


@pytest.mark.parametrize(
    ("table", "write"),
    [
        ("pocketcnn.formats.ncnn.writer.EMITTERS", ncnn.to_layers),
        ("pocketcnn.formats.tflite.writer.EMITTERS", tflite.to_tflite),
    ],
)
def test_a_format_that_lacks_an_operation_names_it_and_the_layer(
    table: str, write: Callable[[Graph], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    forms = {**NCNN} if "ncnn" in table else {**TFLITE}
    monkeypatch.setattr(table, {name: form for name, form in forms.items() if name != "silu"})
    with pytest.raises(PocketcnnError, match=r"layer 'features\.act' \(silu\)"):
        write(NETWORK)


def test_an_operation_must_say_what_it_is() -> None:
    """There is no default for how channels follow or which pixels are needed: a guess would be silent."""
    known = OPS["silu"]
    with pytest.raises(TypeError, match=r"family.*channels.*reach"):
        type(known)(name="new", shape=known.shape, run=known.run, onnx=known.onnx)  # type: ignore[call-arg]
    assert replace(known, name="new").title == "SiLU"


def test_patches_name_the_operation_that_ends_their_stage() -> None:
    assert first_global(NETWORK) is None
    nodes = (*NETWORK.nodes, Node("pool", "mean", ("features.act",), (), {"axes": (1, 2), "keepdim": True}))
    graph = Graph(nodes, "pool", {}).rebuilt()
    assert first_global(graph) == graph["pool"]
    with pytest.raises(ValueError, match=r"'pool' \(mean\) needs its whole input"):
        reach(graph, graph["pool"], 0, (0, 1))


def test_what_has_no_form_in_integers_is_named() -> None:
    nodes = (*NETWORK.nodes, Node("probabilities", "softmax", ("features.act",), (), {"axis": 0}))
    form = ActivationFormat(scale=0.1, zero_point=3)
    formats = Numerics(activations={"input": form, "features.act": form, "probabilities": form})
    graph = Graph(nodes, "probabilities", {}, formats).rebuilt()
    assert float_nodes(graph) == ("probabilities",)
