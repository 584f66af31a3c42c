"""What may limit the ranking of a supernet, changed one by one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from benchmarks.supernet_table.task import Task
from pocketcnn.nas.supernet.network import Sandwich, Supernet
from pocketcnn.nas.supernet.schedule import Phase

Size = tuple[int, int]


@dataclass(frozen=True)
class Ablation:
    """A supernet that is trained with everything elastic from the first step (all at once), but for one change.

    Attributes:
        words: for the page.
        longer: times the steps.
        drawn, weight, smallest: see `Sandwich`.
        split: whether each image size has a supernet of its own, with all of the steps.
    """

    words: str
    longer: int = 1
    drawn: int = 2
    weight: float = 1.0
    smallest: bool = True
    split: bool = False

    def trained(self, task: Task) -> Mapping[Size, Supernet]:
        """The trained supernet of each image size; without `split` it is the same one."""
        sizes = task.setting.plan.sizes
        if not self.split:
            return dict.fromkeys(sizes, self._trained(task))
        plans = {size: task.setting.plan.restricted(sizes=(size,)) for size in sizes}
        return {
            size: self._trained(replace(task, setting=replace(task.setting, plan=plan))) for size, plan in plans.items()
        }

    def _trained(self, task: Task) -> Supernet:
        sandwich = Sandwich(task.setting.plan, self.drawn, self.weight, self.smallest)
        return task.supernet_of(
            [Phase("all at once", 1.0, sandwich=sandwich)], self.longer * task.setting.supernet_steps
        )


ABLATIONS: Mapping[str, Ablation] = MappingProxyType(
    {
        "sizes": Ablation("a supernet for each image size, three times the steps together", split=True),
        "longer": Ablation("three times the steps", longer=3),
        "uniform": Ablation("three random sub-networks a step, without the smallest", drawn=3, smallest=False),
        "weight": Ablation("sum of the losses of sub-networks, not their mean", weight=3.0),
    }
)
"""Weights that image sizes share, training length, fairness of sampling, and how much of the gradient belongs to sub-networks."""

LONGER_ALONE = 3
"""Times the steps of training alone, for another ceiling."""
