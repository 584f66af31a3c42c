"""The predictor finds a known formula again from times of whole blocks, and says how certain it is."""

from collections import Counter
from functools import lru_cache
from itertools import islice

import numpy as np
import pytest

import pocketcnn as pc
from pocketcnn.errors import UsageError
from pocketcnn.graph import for_inference
from pocketcnn.targets.latency.block_text import build
from pocketcnn.targets.latency.features import group_width
from pocketcnn.targets.latency.kernels import Kernel, split
from pocketcnn.targets.latency.regression import KernelTimes, fit
from pocketcnn.targets.latency.sampling import plan


def cost(kernel: Kernel) -> float:
    """Seconds: a call, a roofline with less efficiency for few channels, and activations that cost what they cost."""
    efficiency = min(1.0, 0.3 + kernel.output[0] / 128) * (0.5 if kernel.inputs[0][0] % 4 else 1)
    rate = {"depthwise": 8e9, "grouped": 20e9}.get(kernel.kind, 50e9)
    moved = (kernel.read + kernel.written + kernel.weights) * 4 / 20e9
    activation = kernel.written / 2e9 if "hardswish" in kernel.fused else 0.0
    return 1e-6 + max(kernel.madds / rate / efficiency, moved) + activation


def network_cost(kernels: list[Kernel]) -> float:
    """Seconds of a call."""
    return 5e-6 + sum(map(cost, kernels))


def kernels_of(text: str) -> Counter[Kernel]:
    return Counter(group.kernel for group in split(build(text)))


def seconds_of(kernels: Counter[Kernel]) -> float:
    return network_cost(list(kernels.elements()))


@lru_cache(maxsize=1)
def measured() -> list[Counter[Kernel]]:
    return [kernels_of(text) for text in islice(plan(0), 450)]


@lru_cache(maxsize=1)
def fitted() -> KernelTimes:
    return fit(measured(), [seconds_of(kernels) for kernels in measured()])


def test_networks_that_were_not_measured_come_out_within_some_percent() -> None:
    others = [kernels_of(text) for text in islice(plan(99), 80)]
    errors = [fitted().total(kernels) / seconds_of(kernels) - 1 for kernels in others]
    assert np.median(np.abs(errors)) < 0.05
    assert np.mean(np.abs(errors) < 0.1) > 0.7


@pytest.mark.parametrize("name", ["mobilenet_v2", "shufflenet_v2", "resnet18"])
def test_a_network_of_the_zoo_comes_out_though_only_blocks_were_measured(name: str) -> None:
    graph = for_inference(pc.capture(pc.create(name), (1, 3, 96, 96)))
    kernels = Counter(group.kernel for group in split(graph))
    assert fitted().total(kernels) == pytest.approx(seconds_of(kernels), rel=0.07)


def test_the_kernels_and_the_overhead_add_up_to_the_total() -> None:
    kernels = kernels_of("3x64x64 conv:3,2,16,6 sep:3,1,32,6 pool fc:10,0")
    parts = sum(count * fitted().time(kernel) for kernel, count in kernels.items())
    isolated_total = parts + fitted().overhead(kernels)
    assert isolated_total * fitted().context(kernels) == pytest.approx(fitted().total(kernels))


def slowed(kernels: Counter[Kernel]) -> float:
    """Seconds where kernels of large networks find the caches taken."""
    return seconds_of(kernels) * (1.25 if sum(count * kernel.weights for kernel, count in kernels.items()) > 5e5 else 1)


def test_what_the_kernels_of_a_large_network_do_to_each_other_is_learned() -> None:
    times = fit(measured(), [slowed(kernels) for kernels in measured()])
    others = [kernels for kernels in map(kernels_of, islice(plan(99), 300)) if slowed(kernels) > seconds_of(kernels)]
    assert np.median([times.total(kernels) / slowed(kernels) for kernels in others]) == pytest.approx(1, abs=0.04)


def test_it_is_less_certain_of_what_was_measured_less() -> None:
    usual = kernels_of("96x14x14 ir:3,1,576,96,0,6")
    strange = kernels_of("64x200x200 conv:11,1,512,3")
    assert fitted().error(strange) > 1.5 * fitted().error(usual)


def test_a_kernel_of_no_known_kind_has_a_time_and_no_certainty() -> None:
    strange = Counter({Kernel("upsample", (), ((64, 20, 20),), (64, 40, 40)): 1})
    assert fitted().total(strange) > 0
    assert fitted().error(strange) > 0.5


def test_disturbed_measurements_do_not_decide() -> None:
    random = np.random.default_rng(0)
    noisy = [
        seconds_of(kernels) * (random.uniform(1.5, 4) if index % 10 == 0 else random.normal(1, 0.01))
        for index, kernels in enumerate(measured())
    ]
    times = fit(measured(), noisy)
    others = [kernels_of(text) for text in islice(plan(99), 40)]
    errors = [abs(times.total(kernels) / seconds_of(kernels) - 1) for kernels in others]
    assert np.median(errors) < 0.06
    assert np.mean(np.array(errors) < 0.2) > 0.8


def test_measurements_that_are_a_little_late_do_not_make_all_networks_late() -> None:
    random = np.random.default_rng(1)
    noisy = [
        seconds_of(kernels) * (random.uniform(1.05, 1.3) if index % 4 == 0 else random.normal(1, 0.01))
        for index, kernels in enumerate(measured())
    ]
    times = fit(measured(), noisy)
    others = [kernels_of(text) for text in islice(plan(99), 40)]
    ratios = [times.total(kernels) / seconds_of(kernels) for kernels in others]
    assert abs(np.median(ratios) - 1) < 0.02  # the mean of the measurements is 4 % late


def test_the_same_measurements_give_the_same_function() -> None:
    few = measured()[:60]
    first, second = (fit(few, [seconds_of(kernels) for kernels in few]) for _ in range(2))
    assert first.total(few[3]) == second.total(few[3])


def test_too_few_measurements_are_refused() -> None:
    with pytest.raises(UsageError, match="5 measurements are too few"):
        fit(measured()[:5], [1.0] * 5)


def test_the_indices_of_pruned_shuffles_are_measured() -> None:
    """Pruning leaves a gather where a channel shuffle was; no rate of large ones has to stand for small ones."""
    kinds = Counter(kernel.kind for kernels in measured() for kernel in kernels)
    assert kinds["gather"] >= 20
    shuffles = kernels_of("16x8x8 conv:1,1,16,1 pruned2:1,8,16 pruned2:1,4,16 pool fc:10,0")
    assert fitted().total(shuffles) == pytest.approx(seconds_of(shuffles), rel=0.1)


def with_fast_groups(kernel: Kernel) -> float:
    """Groups of a multiple of 8 channels have a kernel of their own; others go through one that is five times slower."""
    slow = kernel.kind == "grouped" and group_width(kernel) < 8
    return cost(kernel) * (5 if slow else 1)


def test_groups_that_fill_a_register_are_told_from_others() -> None:
    def seconds(kernels: Counter[Kernel]) -> float:
        return 5e-6 + sum(map(with_fast_groups, kernels.elements()))

    times = fit(measured(), [seconds(kernels) for kernels in measured()])
    others = [kernels_of(text) for text in islice(plan(99), 120)]
    grouped = [kernels for kernels in others if any(kernel.kind == "grouped" for kernel in kernels)]
    assert len(grouped) > 8
    assert np.median([abs(times.total(kernels) / seconds(kernels) - 1) for kernels in grouped]) < 0.1


def test_kernels_unlike_any_that_was_measured_are_named() -> None:
    (usual,) = [kernel for kernel in kernels_of("96x14x14 conv:1,1,96,0") if kernel.kind == "pointwise"]
    (strange,) = [kernel for kernel in kernels_of("16x600x600 conv:31,1,256,0") if kernel.kind == "conv"]
    assert fitted().is_familiar(usual)
    assert not fitted().is_familiar(strange)
    assert not fitted().is_familiar(Kernel("upsample", (), ((64, 20, 20),), (64, 40, 40)))
