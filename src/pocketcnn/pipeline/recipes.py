"""The trainings inside a `fit`: which recipe, which augmentation, which images."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pocketcnn.data import ImageDataset, ImageFolder, build_augmentation
from pocketcnn.errors import UsageError
from pocketcnn.graph import InputContract
from pocketcnn.models.small_images import is_small
from pocketcnn.pipeline.effort import Effort
from pocketcnn.training import Recipe

RECIPE = Recipe()
"""The defaults of the library."""

SUPERNET_RECIPE = RECIPE.with_(optimizer="adamw", learning_rate=0.012, weight_decay=0.05)
"""For supernets, which learn more with it in few steps: on the digits 97 % for 89 %, the smallest sub-network 85 % for 81 %."""


SET_OTHERWISE = ("epochs", "warmup_epochs", "seed")
"""Fields of a recipe that decide nothing where the effort says how much is trained."""


def base_recipe(recipe: Recipe | None) -> Recipe:
    """The recipe that the trainings of a command begin with: the given one, or the default.

    Raises:
        UsageError: it sets something that follows from the effort and the seed of the command.
    """
    idle = [name for name in SET_OTHERWISE if recipe is not None and getattr(recipe, name) != getattr(RECIPE, name)]
    if idle:
        raise UsageError(
            f"The recipe sets {', '.join(idle)}, which decides nothing here: how long is trained follows from --effort or "
            "--epochs, the warm-up from that, and all draws from --seed. Leave it out of the recipe."
        )
    return recipe or RECIPE


def without_duration(recipe: Recipe | None) -> Recipe | None:
    """The recipe for what comes after a training of that recipe: see `SET_OTHERWISE`."""
    return recipe and recipe.with_(**{name: getattr(RECIPE, name) for name in SET_OTHERWISE})


def resolve_augmentation(policy: str, contract: InputContract) -> str:
    """The augmentation policy that ``auto`` stands for: small shifts and turns for small images, crops and flips for large.

    Small images are mostly glyphs, icons and digits, where a mirrored picture is another one.
    """
    if policy != "auto":
        return policy
    return "light" if is_small((contract.height, contract.width)) else "standard"


def evenly_spaced(dataset: ImageDataset, images: int) -> tuple[Tensor, Tensor]:
    """Up to `images` of a dataset (N, C, H, W), spread evenly over its order, with their labels (N,)."""
    total = len(dataset)
    step = max(1, total // images)
    samples = [dataset[index] for index in range(0, total, step)][:images]
    return torch.stack([image for image, _ in samples]), torch.tensor([label for _, label in samples])


@dataclass(frozen=True)
class Splits:
    """The three splits as datasets: augmented for training, plain for choosing (val) and for the figures (test)."""

    train: ImageDataset
    val: ImageDataset
    test: ImageDataset
    plain_train: ImageDataset
    """The training images without augmentation, for calibration."""

    def calibration(self, images: int = 512) -> Tensor:
        """Up to `images` training images (N, C, H, W), spread evenly over the classes' order."""
        return self.evidence(images)[0]

    def evidence(self, images: int) -> tuple[Tensor, Tensor]:
        """The same with their labels (N,)."""
        return evenly_spaced(self.plain_train, images)


def datasets(folder: ImageFolder, contract: InputContract, policy: str = "auto") -> Splits:
    """The folder's splits, preprocessed by `contract`."""
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
    """The datasets of a folder for networks with images of different sizes, made once each."""

    folder: ImageFolder
    contract: InputContract
    augmentation: str

    def __post_init__(self) -> None:
        self._made: dict[tuple[int, int], Splits] = {}

    def at(self, size: tuple[int, int]) -> Splits:
        """The datasets for (height, width)."""
        if size not in self._made:
            height, width = size
            contract = self.contract.model_copy(update={"height": height, "width": width})
            self._made[size] = datasets(self.folder, contract, self.augmentation)
        return self._made[size]


@dataclass(frozen=True)
class TrainingRecipes:
    """Recipes of the kinds of training in a `fit`, for a folder of some size and an effort."""

    effort: Effort
    images: int
    seed: int
    base: Recipe = RECIPE

    def _recipe(self, steps: int, **changes: object) -> Recipe:
        batch = min(self.base.batch_size, max(8, self.images // 8))
        epochs = self.effort.epochs(steps, self.images, batch)
        warmup = min(1.0, epochs / 10)
        return self.base.with_(epochs=epochs, batch_size=batch, warmup_epochs=warmup, seed=self.seed, **changes)

    def round(self, number: int) -> Recipe:
        """A round of successive halving, counted from 0. Each is a whole cosine, so that candidates are compared annealed."""
        return self._recipe(self.effort.rounds[number])

    def final(self) -> Recipe:
        """The training of the network that was chosen."""
        return self._recipe(self.effort.final_steps)

    def recovery(self) -> Recipe:
        """Fine-tuning after pruning: a gentler rate, the parent's predictions as the teacher."""
        return self._recipe(self.effort.recovery_steps, learning_rate=self.base.learning_rate / 2)

    def supernet(self, share: float, rate: float) -> Recipe:
        """A phase of a supernet: its share of the steps, and its learning rate as a share of the usual one."""
        base = SUPERNET_RECIPE if self.base == RECIPE else self.base
        steps = round(share * self.effort.supernet.steps)
        return replace(self, base=base)._recipe(steps, learning_rate=base.learning_rate * rate)

    def quantized(self) -> Recipe:
        """Fine-tuning with simulated integers: a low rate, no averaging of weights over steps that hardly move.

        Without a bound, single gradients through the integers threw a network that agreed on all images off by 2 %.
        """
        return self._recipe(
            self.effort.quantized_steps,
            learning_rate=self.base.learning_rate / 40,
            weight_decay=0.0,
            ema_decay=0.0,
            distillation_weight=1.0,
            gradient_clip=1.0,
        )
