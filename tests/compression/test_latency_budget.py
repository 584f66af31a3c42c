"""NetAdapt and AMC on the latency of a target: what its table says, not what is counted, decides."""

from itertools import islice
from pathlib import Path

import pytest
from test_netadapt import Widths

from pocketcnn.compression.pruning.amc import AmcSettings, amc
from pocketcnn.compression.pruning.amc.agent import AgentSettings
from pocketcnn.compression.pruning.netadapt import NetAdaptSettings, netadapt
from pocketcnn.compression.pruning.resource import MADDS, Resource, latency_on
from pocketcnn.compression.pruning.space import PruningSpace
from pocketcnn.graph import GraphNetwork
from pocketcnn.targets import load_target
from pocketcnn.targets.latency import BlockLatency, LatencyTable, default_path
from pocketcnn.targets.latency.block_text import build
from pocketcnn.targets.latency.kernels import split
from pocketcnn.targets.latency.predictor import current_conditions
from pocketcnn.targets.latency.sampling import plan
from tests.support.automatic import CHANNELS, small_network

TARGET = "onnxruntime-cpu"


@pytest.fixture(scope="module")
def network() -> GraphNetwork:
    return small_network()


@pytest.fixture
def latency(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Resource:
    """Of a made-up machine on which 3x3 convolutions are slow for their multiply-adds and pointwise ones cost nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    points = []
    for text in islice(plan(0), 60):
        kernels = [group.kernel for group in split(build(text))]
        seconds = 1e-6 + sum(kernel.madds * (1e-9 if kernel.kind == "conv" else 1e-12) for kernel in kernels)
        points.append(BlockLatency(text, "float32", seconds, seconds, seconds, 9, 1e-3))
    table = LatencyTable(TARGET, current_conditions(load_target(TARGET)), points=tuple(points))
    table.save(default_path(TARGET))
    return latency_on(TARGET)


def test_a_latency_leads_to_another_network_than_multiply_adds_and_both_keep_their_bound(
    network: GraphNetwork, latency: Resource
) -> None:
    """Nothing is worth anything here: the loop takes what saves most, of what it is told to save."""
    expansions = {}
    for resource in (latency, MADDS):
        bound = 0.5 * resource.use(network.graph)
        settings = NetAdaptSettings(step=0.05, channels=CHANNELS)
        found = netadapt(network, resource, bound, Widths({2: 0.0}), settings)
        assert found.met
        assert resource.use(found.network.graph) <= bound
        expansions[resource.name] = found.network.graph["1.expand.conv"].shape[0]
    assert expansions[latency.name] == 48  # pointwise convolutions cost no time: they stay as they are


def test_the_limits_on_actions_hold_for_a_latency(network: GraphNetwork, latency: Resource) -> None:
    space = PruningSpace.of(network.graph, latency, CHANNELS)
    bound = 0.6 * space.use(space.no_pruning)
    settings = AmcSettings(warmup=3, episodes=4, agent=AgentSettings(hidden=8, updates=1))
    found = amc(space, lambda _: 0.5, bound, settings)
    assert all(episode.use <= bound for episode in found.episodes)
    assert found.policy.use == latency.use(space.prune(found.policy.counts))
