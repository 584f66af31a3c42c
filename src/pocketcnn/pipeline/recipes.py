"""Recipes, augmentation and datasets of the trainings inside `fit`, `compress` and `search`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pocketcnn.data import ImageDataset, ImageFolder, build_augmentation
from pocketcnn.errors import UsageError
from pocketcnn.graph import GraphNetwork, InputContract
from pocketcnn.models.small_images import is_small
from pocketcnn.pipeline.effort import Effort
from pocketcnn.pipeline.small_sets import batch_size_for, learning_rate_for, more_steps
from pocketcnn.training import Recipe

RECIPE = Recipe()
"""The default recipe."""

SUPERNET_RECIPE = RECIPE.with_(optimizer="adamw", learning_rate=0.012, weight_decay=0.05)
"""The default recipe of supernets. On the digits it gives 97 % instead of 89 % (smallest sub-network: 85 % instead of 81 %)."""


SET_OTHERWISE = ("epochs", "warmup_epochs", "seed")
"""Fields of a recipe that have no effect where the effort sets the number of epochs."""


def base_recipe(recipe: Recipe | None) -> Recipe:
    """The base recipe of all trainings of a command: `recipe`, or the default.

    Raises:
        UsageError: it sets a field that the effort and the seed of the command determine, see `SET_OTHERWISE`.
    """
    unused = [name for name in SET_OTHERWISE if recipe is not None and getattr(recipe, name) != getattr(RECIPE, name)]
    if unused:
        raise UsageError(
            f"The recipe sets {', '.join(unused)}, which has no effect here: --effort or --epochs sets the length of the "
            "training and of the warm-up, and --seed the random seed. Leave it out of the recipe."
        )
    return recipe or RECIPE


LIBRARY_CLIP = 1.0
"""Gradient norm for clipping in networks of other libraries, unless the recipe sets one.

Without clipping, feature maps of one pixel and a last batch of three images gave gradients with a norm of 6,000.
"""


def clipped(recipe: Recipe) -> Recipe:
    """`recipe` with gradients clipped, for networks of other libraries; at its own norm if it sets one."""
    return recipe.with_(gradient_clip=recipe.gradient_clip or LIBRARY_CLIP)


FINE_TUNING_RATES = {"adamw": 1e-3, "rmsprop": 1e-3, "sgd": 0.01}
"""Learning rates for trained weights, which the rates of a training from scratch would destroy."""


def fine_tuning_recipe(recipe: Recipe) -> Recipe:
    """`recipe` with what it does not set chosen for trained weights: AdamW at a low learning rate, for few epochs."""
    given = recipe.model_fields_set
    changes: dict[str, object] = {"optimizer": "adamw", "weight_decay": 0.05, "augmentation": "auto", "epochs": 15}
    optimizer = str(recipe.optimizer if "optimizer" in given else changes["optimizer"])
    if "optimizer" in given:
        del changes["weight_decay"]
    changes["learning_rate"] = FINE_TUNING_RATES[optimizer]
    return recipe.with_(**{name: value for name, value in changes.items() if name not in given})


def clipped_for(network: GraphNetwork, recipe: Recipe) -> Recipe:
    """The base recipe for training `network` further: its gradients are clipped as in the training that it had.

    A network whose lineage has no training was made elsewhere, and is treated as one of another library.
    """
    for stage in network.info.lineage:
        nested = stage.settings.get("recipe")
        for settings in (stage.settings, nested):
            if isinstance(settings, Mapping) and isinstance(settings.get("gradient_clip"), int | float):
                return recipe.with_(gradient_clip=recipe.gradient_clip or settings["gradient_clip"])
    return clipped(recipe)


def without_duration(recipe: Recipe | None) -> Recipe | None:
    """`recipe` with defaults for the fields of `SET_OTHERWISE`, for the trainings after the first one."""
    return recipe and recipe.with_(**{name: getattr(RECIPE, name) for name in SET_OTHERWISE})


def resolve_augmentation(policy: str, contract: InputContract) -> str:
    """The augmentation policy for ``auto``: small shifts and rotations for small images, crops and flips for larger ones.

    Small images are mostly digits, letters and icons, whose class may change when they are mirrored.
    """
    if policy != "auto":
        return policy
    return "light" if is_small((contract.height, contract.width)) else "standard"


def evenly_spaced(dataset: ImageDataset, images: int) -> tuple[Tensor, Tensor]:
    """Up to `images` evenly spaced samples of a dataset: images (N, C, H, W) and labels (N,)."""
    total = len(dataset)
    step = max(1, total // images)
    samples = [dataset[index] for index in range(0, total, step)][:images]
    return torch.stack([image for image, _ in samples]), torch.tensor([label for _, label in samples])


@dataclass(frozen=True)
class Splits:
    """The three splits as datasets. Only `train` is augmented. Choices use `val`; reported figures use `test`."""

    train: ImageDataset
    val: ImageDataset
    test: ImageDataset
    plain_train: ImageDataset
    """The training images without augmentation, for calibration."""

    def calibration(self, images: int = 512) -> Tensor:
        """Up to `images` training images (N, C, H, W) without augmentation, evenly spaced over the classes."""
        return self.evidence(images)[0]

    def evidence(self, images: int) -> tuple[Tensor, Tensor]:
        """Up to `images` training images (N, C, H, W) as in `calibration`, with their labels (N,)."""
        return evenly_spaced(self.plain_train, images)


def datasets(folder: ImageFolder, contract: InputContract, policy: str = "auto") -> Splits:
    """The splits of a folder, preprocessed by `contract`; `policy` names the augmentation of the training images."""
    augment = build_augmentation(resolve_augmentation(policy, contract), contract)
    train = ImageDataset(folder.train, contract, augment)
    return Splits(
        train=train,
        val=ImageDataset(folder.val, contract),
        test=ImageDataset(folder.test, contract),
        plain_train=train.with_augmentation(None),  # shares the decoded pixels
    )


@dataclass
class SplitsBySize:
    """The datasets of a folder for several input sizes; each is made once."""

    folder: ImageFolder
    contract: InputContract
    augmentation: str

    def __post_init__(self) -> None:
        self._made: dict[tuple[int, int], Splits] = {}

    def at(self, size: tuple[int, int]) -> Splits:
        """The datasets for the input size (height, width)."""
        if size not in self._made:
            height, width = size
            contract = self.contract.model_copy(update={"height": height, "width": width})
            self._made[size] = datasets(self.folder, contract, self.augmentation)
        return self._made[size]


@dataclass(frozen=True)
class TrainingRecipes:
    """The recipes of all trainings of a command.

    Attributes:
        effort: sets the number of optimizer steps.
        images: number of training images.
        seed: of all trainings.
        base: recipe that the others change.
    """

    effort: Effort
    images: int
    seed: int
    base: Recipe = RECIPE

    def _recipe(self, steps: int, rate: float = 1.0, **changes: object) -> Recipe:
        """A training of `steps` optimizer steps of a full batch, with `rate` as a factor on the learning rate.

        Small sets have smaller batches, and more steps: about as many images are seen (`small_sets`).
        """
        batch = batch_size_for(self.images, self.base.batch_size)
        if self.effort.more_steps:
            steps = round(steps * more_steps(self.images, self.base.batch_size))
        rate *= learning_rate_for(self.base, batch)
        return self._of(steps, batch, learning_rate=rate, **changes)

    def _of(self, steps: int, batch: int, **changes: object) -> Recipe:
        epochs = self.effort.epochs(steps, self.images, batch)
        warmup = min(1.0, epochs / 10)
        return self.base.with_(epochs=epochs, batch_size=batch, warmup_epochs=warmup, seed=self.seed, **changes)

    def round(self, number: int) -> Recipe:
        """Round `number` of successive halving, from 0: a whole cosine schedule, so that annealed networks compete."""
        return self._recipe(self.effort.rounds[number])

    def final(self) -> Recipe:
        """The final training of the chosen network."""
        return self._recipe(self.effort.final_steps)

    def recovery(self) -> Recipe:
        """Fine-tuning after pruning, at half of the learning rate."""
        return self._recipe(self.effort.recovery_steps, 1 / 2)

    def supernet(self, share: float, rate: float) -> Recipe:
        """A phase of a supernet: `share` of its steps, and `rate` as a factor on the learning rate."""
        base = SUPERNET_RECIPE if self.base == RECIPE else self.base
        steps = round(share * self.effort.supernet.steps)
        batch = min(base.batch_size, max(8, self.images // 8))
        return replace(self, base=base)._of(steps, batch, learning_rate=base.learning_rate * rate)

    def quantized(self) -> Recipe:
        """Quantization-aware fine-tuning: a low learning rate and no EMA of weights, which hardly change.

        Gradients are clipped: without that, single large gradients lowered the agreement by 2 points.
        """
        return self._recipe(
            self.effort.quantized_steps,
            1 / 40,
            weight_decay=0.0,
            ema_decay=0.0,
            distillation_weight=1.0,
            gradient_clip=1.0,
        )
