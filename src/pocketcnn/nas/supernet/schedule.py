"""Training schedules of a supernet: in which order its choices become elastic.

"Once-for-All" (Cai et al., 2020), section 3.3, progressive shrinking: the largest network alone, then smaller kernels, fewer
blocks, and fewer channels; image sizes are elastic throughout. BigNAS (Yu et al., 2020) starts with everything elastic.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from pocketcnn.errors import UsageError
from pocketcnn.nas.supernet.network import Sandwich, Supernet
from pocketcnn.nas.supernet.plan import SupernetPlan
from pocketcnn.nas.supernet.sorting import sort_channels


@dataclass(frozen=True)
class Phase:
    """One phase of the training of a supernet.

    Attributes:
        name: for messages and checkpoints.
        share: of the steps of the whole schedule.
        rate: factor on the learning rate of the recipe.
        sandwich: the sub-networks that are trained besides the largest network; None for none.
        sorts: whether channels are sorted by importance before the phase.
    """

    name: str
    share: float
    rate: float = 1.0
    sandwich: Sandwich | None = None
    sorts: bool = False


def progressive(plan: SupernetPlan, drawn: int = 2, later_rate: float = 1.0) -> tuple[Phase, ...]:
    """Progressive shrinking: the largest network, then kernels, depths and widths; phases without choices are left out.

    Shares follow the paper's epochs: 180 for the largest network, 125 for kernels, 150 each for depths and widths.
    `later_rate` is the learning-rate factor of all phases but the first. The paper uses less than a half. With some hundred
    steps, a third of the rate was too low (digits, smallest sub-network: 84 % instead of 92 % accuracy).
    """
    kernel, depth, expansion = plan.kernels[-1:], plan.depths[-1:], plan.expansions[-1:]
    opened = {
        "smaller images": plan.restricted(kernels=kernel, depths=depth, expansions=expansion),
        "elastic kernel": plan.restricted(depths=depth, expansions=expansion),
        "elastic depth": plan.restricted(expansions=expansion),
        "elastic width": plan,
    }
    shares = {"elastic kernel": 125 / 605, "elastic depth": 150 / 605, "elastic width": 150 / 605}
    images = opened.pop("smaller images")
    first = Sandwich(images, drawn=0) if images.smallest != images.largest else None
    phases = [Phase("largest", 180 / 605, sandwich=first)]
    before = images
    for name, space in opened.items():
        if space != before:
            sandwich = Sandwich(space, drawn)
            phases.append(Phase(name, shares[name], later_rate, sandwich, sorts=name == "elastic width"))
        before = space
    whole = sum(phase.share for phase in phases)
    return tuple(replace(phase, share=phase.share / whole) for phase in phases)


def at_once(plan: SupernetPlan, drawn: int = 2) -> tuple[Phase, ...]:
    """Everything is elastic from the first step."""
    return (Phase("all at once", 1.0, sandwich=Sandwich(plan, drawn)),)


Schedule = Callable[[SupernetPlan], tuple[Phase, ...]]

SCHEDULES: Mapping[str, Schedule] = MappingProxyType({"progressive": progressive, "at-once": at_once})


def check_schedule(name: str) -> None:
    """Check that there is a schedule with this name.

    Raises:
        UsageError: there is none.
    """
    if name not in SCHEDULES:
        raise UsageError(f"There is no supernet schedule {name!r}; choose {', '.join(SCHEDULES)}.")


def phases_of(schedule: str, plan: SupernetPlan) -> tuple[Phase, ...]:
    """The phases of the schedule with this name.

    Raises:
        UsageError: there is none.
    """
    check_schedule(schedule)
    return SCHEDULES[schedule](plan)


def train_phases(supernet: Supernet, phases: Sequence[Phase], train: Callable[[Phase, Supernet], None]) -> Supernet:
    """Train `supernet` in place, phase by phase; `train` runs one phase. It is returned in eval mode."""
    for phase in phases:
        if phase.sorts:
            sort_channels(supernet)
        supernet.sandwich = phase.sandwich
        train(phase, supernet)
    supernet.sandwich = None
    return supernet.eval()
