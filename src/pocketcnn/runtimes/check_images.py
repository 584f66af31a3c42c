"""Images with which an exported file is checked: given ones, and made ones that reach the edges of the input's range."""

import torch
from torch import Tensor

from pocketcnn.graph.contract import InputContract
from pocketcnn.graph.network import GraphNetwork
from pocketcnn.graph.node import Shape

GIVEN = 6
"""Largest number of given images that are used, evenly spaced."""

DEVIATIONS = 2.5
"""Range of the pixels of a network without contract and numerics, in standard deviations on both sides of 0."""


def check_images(network: GraphNetwork, given: Tensor | None = None, *, seed: int = 0) -> Tensor:
    """Images (N, C, H, W), preprocessed: up to `GIVEN` of the given ones and 4 made ones, or 8 made ones if none are given.

    The made images lie in the range of the network's input: noise of full contrast, low contrast, ramps across the image,
    coarse blocks, and both ends of the range (black and white). The channels differ, so that swapped channels or axes show.
    """
    low, high = input_range(network)
    made = low + (high - low) * _made(network.graph.input_shape, seed)
    if given is None or len(given) == 0:
        return made
    count = min(GIVEN, len(given))
    chosen = given[[index * len(given) // count for index in range(count)]]
    return torch.cat([chosen.float().cpu(), made[[0, 3, 6, 7]]])


def input_range(network: GraphNetwork) -> tuple[Tensor, Tensor]:
    """The smallest and largest input value, of shape (C, 1, 1): by the contract, or by the format of a quantized input."""
    contract, channels = network.info.input, network.graph.input_shape[0]
    if contract is not None and len(contract.mean) == channels:
        return _normalised(contract, 0.0), _normalised(contract, 1.0)
    fmt = network.numerics.activations.get(network.graph.nodes[0].name)
    ends = (-DEVIATIONS, DEVIATIONS)
    if fmt is not None:
        ends = ((fmt.low - fmt.zero_point) * fmt.scale, (fmt.high - fmt.zero_point) * fmt.scale)
    low, high = (torch.full((channels, 1, 1), end) for end in ends)
    return low, high


def _normalised(contract: InputContract, value: float) -> Tensor:
    mean, std = torch.tensor(contract.mean), torch.tensor(contract.std)
    return ((value - mean) / std).reshape(-1, 1, 1)


def _made(shape: Shape, seed: int) -> Tensor:
    """8 images with values from 0 to 1."""
    channels, height, width = shape
    random = torch.Generator().manual_seed(seed)

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=random)

    rows, columns = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    slopes = uniform(2, channels, 1, 1)
    blocks = torch.nn.functional.interpolate(uniform(1, channels, 4, 4), size=(height, width), mode="nearest")[0]
    faint = uniform(channels, 1, 1) * 0.7 + 0.3 * uniform(channels, height, width)
    return torch.stack(
        [
            uniform(channels, height, width),
            uniform(channels, height, width) * uniform(channels, 1, 1),
            faint,
            (slopes[0] * rows + slopes[1] * columns) / slopes.sum(0),
            blocks,
            1 - (1 - blocks) * uniform(channels, height, width),
            torch.zeros(channels, height, width),
            torch.ones(channels, height, width),
        ]
    )
