"""Random sub-networks, mutation, crossover, and shrinking by one decision at a time."""

from collections.abc import Iterator
from random import Random

from pocketcnn.nas.supernet.plan import SupernetPlan
from pocketcnn.nas.supernet.subnetwork import Block, Subnetwork


def random_subnetwork(plan: SupernetPlan, rng: Random) -> Subnetwork:
    """A sub-network with every decision drawn uniformly and independently."""
    stages = tuple(
        tuple(_random_block(plan, rng) for _ in range(rng.choice(plan.depths))) for _ in range(len(plan.stages))
    )
    return Subnetwork(rng.choice(plan.sizes), stages)


def mutated(plan: SupernetPlan, choice: Subnetwork, rng: Random, probability: float) -> Subnetwork:
    """`choice` with each decision drawn again with this probability; a stage that grows gets random blocks."""
    stages = []
    for blocks in choice.stages:
        depth = rng.choice(plan.depths) if rng.random() < probability else len(blocks)
        kept = [_random_block(plan, rng) if rng.random() < probability else block for block in blocks[:depth]]
        stages.append(tuple(kept + [_random_block(plan, rng) for _ in range(depth - len(kept))]))
    size = rng.choice(plan.sizes) if rng.random() < probability else choice.size
    return Subnetwork(size, tuple(stages))


def crossed(one: Subnetwork, other: Subnetwork, rng: Random) -> Subnetwork:
    """The image size and each stage from one parent or the other."""
    stages = tuple(rng.choice(pair) for pair in zip(one.stages, other.stages, strict=True))
    return Subnetwork(rng.choice((one.size, other.size)), stages)


def shrinking_path(plan: SupernetPlan, choice: Subnetwork, rng: Random) -> Iterator[Subnetwork]:
    """`choice`, then ever smaller sub-networks, each with one random decision lowered, down to the smallest.

    No sub-network on the path costs more than the one before.
    """
    while True:
        yield choice
        smaller = lowered(plan, choice)
        if not smaller:
            return
        choice = rng.choice(smaller)


def lowered(plan: SupernetPlan, choice: Subnetwork) -> list[Subnetwork]:
    """All sub-networks with one decision at its next lower value."""
    found = []
    if (index := plan.sizes.index(choice.size)) + 1 < len(plan.sizes):
        found.append(Subnetwork(plan.sizes[index + 1], choice.stages))
    for number, blocks in enumerate(choice.stages):
        if (depth := plan.depths.index(len(blocks))) > 0:
            found.append(_with_stage(choice, number, blocks[: plan.depths[depth - 1]]))
        for index, block in enumerate(blocks):
            for smaller in _lowered_block(plan, block):
                found.append(_with_stage(choice, number, (*blocks[:index], smaller, *blocks[index + 1 :])))
    return found


def _lowered_block(plan: SupernetPlan, block: Block) -> list[Block]:
    kernel, expansion = plan.kernels.index(block.kernel), plan.expansions.index(block.expansion)
    found = [Block(plan.kernels[kernel - 1], block.expansion)] if kernel else []
    return found + ([Block(block.kernel, plan.expansions[expansion - 1])] if expansion else [])


def _with_stage(choice: Subnetwork, number: int, blocks: tuple[Block, ...]) -> Subnetwork:
    return Subnetwork(choice.size, (*choice.stages[:number], blocks, *choice.stages[number + 1 :]))


def _random_block(plan: SupernetPlan, rng: Random) -> Block:
    return Block(rng.choice(plan.kernels), rng.choice(plan.expansions))
