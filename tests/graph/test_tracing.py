"""The quick trace finds what `torch.export` finds, to the last attribute, and leaves the unusual to it."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

import pocketcnn as pc
from pocketcnn.graph.capture.aten_rules import RULES
from pocketcnn.graph.capture.builder import Builder
from pocketcnn.graph.capture.exporting import BATCH, CaptureError, export
from pocketcnn.graph.capture.tracing import trace
from pocketcnn.graph.graph import Graph
from pocketcnn.vision import require_torchvision

ZOO = (
    "mobilenet_v3_small",
    "shufflenet_v1",
    "shufflenet_v2",
    "condensenet_74",
    "shiftnet_c",
    "nasnet_mobile",
    "alexnet",
)
TORCHVISION = ("efficientnet_b0", "densenet121", "regnet_y_400mf", "googlenet")
TIMM = (
    *("ghostnet_100", "res2net50_26w_4s", "hrnet_w18_small", "dpn68", "rexnet_100", "mixnet_s", "repvgg_a0", "dla34"),
    *("resnest14d", "selecsls42", "cspresnet50", "legacy_xception", "inception_v4", "pnasnet5large", "starnet_s1"),
    *("vovnet39a", "tf_efficientnet_lite0", "mobilenetv4_conv_small", "lcnet_100", "fbnetc_100", "mobileone_s0"),
)


def both_ways(module: nn.Module, image: tuple[int, int, int]) -> tuple[Graph, Graph]:
    """The graph from the trace and the one from the exporter."""
    module.eval()
    program = trace(module, image, BATCH)
    assert program is not None
    return Builder(module, program, RULES).graph(), Builder(module, export(module, image), RULES).graph()


def check_equal(traced: Graph, exported: Graph) -> None:
    assert traced.nodes == exported.nodes
    assert (traced.output, traced.buffers, traced.numerics) == (exported.output, exported.buffers, exported.numerics)
    assert traced.tensors.keys() == exported.tensors.keys()
    assert all(traced.tensors[name].data_ptr() == exported.tensors[name].data_ptr() for name in traced.tensors)


@pytest.mark.parametrize("name", ZOO)
def test_networks_of_the_zoo(name: str) -> None:
    check_equal(*both_ways(pc.create(name, classes=7), (3, 64, 64)))


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_networks_of_torchvision(name: str) -> None:
    drawn = {"init_weights": False} if name == "googlenet" else {}
    check_equal(*both_ways(require_torchvision("models").get_model(name, weights=None, **drawn), (3, 64, 64)))


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_networks_of_timm(name: str) -> None:
    require_torchvision()
    timm = pytest.importorskip("timm")
    size = 160 if "inception" in name else 64
    check_equal(*both_ways(timm.create_model(name), (3, size, size)))


class Net(nn.Module):
    """A convolution, then what a test asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop = nn.Conv2d(3, 4, 3, padding=1), nn.Dropout(0.2, inplace=True)
        self.register_buffer("order", torch.tensor([3, 1, 0, 2]))
        self.register_buffer("seen", torch.zeros(1), persistent=False)
        self.gain = nn.Parameter(torch.ones(4, 1, 1))


class InPlace(Net):
    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y = torch.relu_(x * self.gain)
        y += x
        return self.drop(torch.flatten(y[:, self.order], 1))


class Halves(Net):
    def forward(self, x: Tensor) -> Tensor:
        left, right = self.conv(x).chunk(2, dim=1)
        return torch.cat((left, nn.functional.hardtanh(right, 0, 6), right.sigmoid()), 1).mean((2, 3))


class ReadsWhatWasKept(Net):
    """The residual reads the value from before the dropout, which does nothing in eval mode."""

    def forward(self, x: Tensor) -> Tensor:
        kept = self.conv(x)
        return (nn.functional.dropout(kept, 0.5, self.training) + kept).flatten(1)


@pytest.mark.parametrize("kind", [InPlace, Halves])
def test_in_place_operations_and_parts(kind: type[Net]) -> None:
    check_equal(*both_ways(kind(), (3, 8, 8)))


def test_a_value_from_before_a_dropout_stays_what_it_was() -> None:
    module = ReadsWhatWasKept().eval()
    program = trace(module, (3, 8, 8), BATCH)
    assert program is not None
    graph = Builder(module, program, RULES).graph()
    assert graph["add"].inputs == ("dropout", "conv")


class WritesToABuffer(Net):
    def forward(self, x: Tensor) -> Tensor:
        self.seen.add_(1.0)
        return self.conv(x).flatten(1)


class MakesAConstant(Net):
    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x) * torch.arange(8.0)).flatten(1)


class AsksForAValue(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).flatten(1) if x.sum() > 0 else x.flatten(1)


class TwoNames(Net):
    def __init__(self) -> None:
        super().__init__()
        self.again = self.conv

    def forward(self, x: Tensor) -> Tensor:
        return self.again(x).flatten(1)


class TwoAnswers(Net):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.conv(x), x


@pytest.mark.parametrize("kind", [WritesToABuffer, MakesAConstant, AsksForAValue, TwoNames, TwoAnswers])
def test_what_is_unusual_is_left_to_the_exporter(kind: type[Net]) -> None:
    module = kind().eval()
    before = copy.deepcopy(module.state_dict())
    assert trace(module, (3, 8, 8), BATCH) is None
    torch.testing.assert_close(module.state_dict(), before)
    assert not nn.modules.module._global_forward_pre_hooks
    try:
        graph = pc.capture(module, (1, 3, 8, 8))
    except CaptureError:
        return
    image = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(pc.GraphNetwork(graph).eval()(image), module(image))


def test_a_value_that_was_written_to_through_a_view_is_refused() -> None:
    """The graph would still mean the value from before."""

    class WritesToAView(Net):
        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            x[:, :2].add_(1.0)
            return x.flatten(1)

    with pytest.raises(CaptureError, match=r"aten.flatten.*through a view"):
        pc.capture(WritesToAView(), (1, 3, 8, 8))


def test_a_view_may_be_written_to_if_nobody_reads_the_whole() -> None:
    class AddsToHalf(Net):
        def forward(self, x: Tensor) -> Tensor:
            half = self.conv(x)[:, :2]
            half += 1
            return half.relu().flatten(1)

    module = AddsToHalf().eval()
    check_equal(*both_ways(module, (3, 8, 8)))
    image = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    graph = pc.capture(module, (1, 3, 8, 8))
    torch.testing.assert_close(pc.GraphNetwork(graph).eval()(image), module(image))


def test_what_cannot_be_captured_is_still_explained_by_its_line() -> None:
    class Sorts(Net):
        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).sort(1).values.flatten(1)

    with pytest.raises(CaptureError, match=r"aten.sort.* in .*test_tracing.py:\d+ `return self"):
        pc.capture(Sorts(), (1, 3, 8, 8))


def test_the_module_is_as_before() -> None:
    module = Halves().train()
    module.conv.eval()
    pc.capture(module, (1, 3, 8, 8))
    assert (module.training, module.conv.training, module.drop.training) == (True, False, True)
    assert all(tensor.device.type == "cpu" for tensor in module.state_dict().values())


def test_capture_of_an_ordinary_network_loads_no_compiler() -> None:
    """The compiler takes a second to import, which a command line feels."""
    code = (
        "import sys; import pocketcnn as pc; pc.count(pc.create('mobilenet_v3_small'), (1, 3, 64, 64)); "
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
