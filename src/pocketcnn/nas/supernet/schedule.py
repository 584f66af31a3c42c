"""In which order the parts of a supernet are opened, as data.

"Once-for-All" (Cai et al., 2020), section 3.3, progressive shrinking: first the largest network alone, then smaller kernels, then
fewer blocks, then fewer channels; image sizes are elastic throughout. BigNAS (Yu et al., 2020) opens everything at once.
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
    """A training of the supernet.

    Attributes:
        name: for people, and for the checkpoints.
        share: of the steps of the whole schedule.
        rate: of the learning rate of the recipe.
        sandwich: what is trained beside the largest network; None: nothing.
        sorts: channels are sorted by importance before it.
    """

    name: str
    share: float
    rate: float = 1.0
    sandwich: Sandwich | None = None
    sorts: bool = False


def progressive(plan: SupernetPlan, drawn: int = 2, later_rate: float = 1.0) -> tuple[Phase, ...]:
    """The largest network, then kernels, depths and widths; a phase that opens nothing is left out.

    `later_rate` is that of all phases but the first, where the paper has less than a half. In trainings of some hundred steps a
    third of the rate left much unlearned (digits, smallest sub-network: 84 % in place of 92 %).
    Shares are those of the paper's epochs: 180 for the largest network, 125 for kernels, 150 each for depths and widths.
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
    """Everything from the first step."""
    return (Phase("all at once", 1.0, sandwich=Sandwich(plan, drawn)),)


Schedule = Callable[[SupernetPlan], tuple[Phase, ...]]

SCHEDULES: Mapping[str, Schedule] = MappingProxyType({"progressive": progressive, "at-once": at_once})


def check_schedule(name: str) -> None:
    """There must be a schedule of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in SCHEDULES:
        raise UsageError(f"There is no schedule {name!r} of a supernet; choose {', '.join(SCHEDULES)}.")


def phases_of(schedule: str, plan: SupernetPlan) -> tuple[Phase, ...]:
    """The phases of the schedule of that name.

    Raises:
        UsageError: there is none of that name.
    """
    check_schedule(schedule)
    return SCHEDULES[schedule](plan)


def train_phases(supernet: Supernet, phases: Sequence[Phase], train: Callable[[Phase, Supernet], None]) -> Supernet:
    """Train `supernet` in place, phase by phase; `train` does one. It is returned in eval mode."""
    for phase in phases:
        if phase.sorts:
            sort_channels(supernet)
        supernet.sandwich = phase.sandwich
        train(phase, supernet)
    supernet.sandwich = None
    return supernet.eval()
