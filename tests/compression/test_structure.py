"""Smaller kernels and smaller images."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pocketcnn.compression.pruning.kernel_shrink import shrink_kernels
from pocketcnn.compression.resolution import at_resolution
from pocketcnn.cost.counting import total_madds
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract, ModelInfo, capture
from pocketcnn.models import create
from tests.support.removal import images_for, outputs, randomise
from tests.support.small_digits import trained_network


class TestKernels:
    def test_the_middle_is_kept_and_maps_keep_their_size(self) -> None:
        module = nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(8, 8, 7, padding=6, dilation=2, groups=8, bias=False),
        )
        network = GraphNetwork(capture(randomise(module), (1, 3, 32, 32)))
        shrunk, changed = shrink_kernels(network)
        assert len(changed) == 2
        images = images_for(network.graph)
        first = F.conv2d(images, module[0].weight[:, :, 1:4, 1:4], module[0].bias, 2, 1).relu()
        expected = F.conv2d(first, module[2].weight[:, :, 2:5, 2:5], None, 1, 2, 2, 8)
        assert torch.allclose(outputs(shrunk.graph, images), expected, atol=1e-5)
        assert shrunk.graph.output_shape == network.graph.output_shape

    def test_a_kernel_that_is_zero_around_its_middle_loses_nothing(self) -> None:
        network = GraphNetwork(capture(create("mobilenet_v3_small", classes=10), (1, 3, 64, 64)))
        edges = torch.ones(5, 5, dtype=torch.bool)
        edges[1:4, 1:4] = False
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.ndim == 4 and parameter.shape[2] == 5:
                    parameter[:, :, edges] = 0
        shrunk, changed = shrink_kernels(network)
        assert len(changed) == 8  # eight of its eleven blocks have 5x5 kernels
        images = images_for(network.graph)
        assert torch.allclose(outputs(shrunk.graph, images), outputs(network.graph, images), atol=1e-5)
        assert total_madds(shrunk.graph) < total_madds(network.graph)

    def test_only_named_layers(self) -> None:
        network = trained_network()
        five = [node.name for node in network.graph.nodes if node.op == "conv2d" and node.pair("padding") == (2, 2)]
        assert shrink_kernels(network, five)[1] == tuple(five)
        with pytest.raises(UsageError, match="not a convolution whose kernel can be cropped"):
            shrink_kernels(network, [network.graph.nodes[-1].name])
        with pytest.raises(UsageError, match="odd number"):
            shrink_kernels(network, size=4)


class TestResolution:
    @pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v1", "shufflenet_v2", "squeezenet1_1", "resnet18"])
    def test_it_is_the_network_captured_at_that_size(self, name: str) -> None:
        module = randomise(create(name, classes=10))
        info = ModelInfo(input=InputContract(height=96, width=96, mean=(0.5,) * 3, std=(0.2,) * 3))
        network = GraphNetwork(capture(module, (1, 3, 96, 96)), info)
        smaller = at_resolution(network, 64, 80)
        expected = capture(module, (1, 3, 64, 80))
        images = images_for(expected)
        assert torch.allclose(outputs(smaller.graph, images), outputs(expected, images), atol=1e-5)
        assert total_madds(smaller.graph) == total_madds(expected)
        assert smaller.info.input is not None
        assert smaller.info.input.shape == (3, 64, 80)

    def test_a_network_for_one_size_says_so(self) -> None:
        module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 5))
        network = GraphNetwork(capture(module, (1, 1, 8, 8)))
        with pytest.raises(UsageError, match="takes images of 8x8 and cannot be changed to 6x6"):
            at_resolution(network, 6, 6)
