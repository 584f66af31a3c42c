"""The recipe: all hyperparameters of a training, as one frozen, checked value.

The defaults train a light network from scratch on some thousand small images. Read a recipe from TOML, where each line sets a
field of `Recipe`, or change it in Python with `recipe.with_(epochs=5)`.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pocketcnn.documents import read_settings
from pocketcnn.errors import UsageError

LARGEST = 1_000_000
"""Largest number of a recipe, except of its seed and rate; a larger one is a slip."""


class Recipe(BaseModel):
    """The hyperparameters of a training.

    The optimizer defaults had the best validation accuracy of six settings on the digits (a MobileNetV2 of width 0.35 and a
    network with 37,000 parameters, 12 epochs, three seeds); AdamW with a learning rate of 0.012 was second.

    The constructor raises pydantic's `ValidationError`; `with_` and `from_toml` raise `UsageError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=30, ge=1, le=LARGEST)
    batch_size: int = Field(default=64, ge=1, le=LARGEST)
    optimizer: Literal["sgd", "adamw", "rmsprop"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0, allow_inf_nan=False)  # a training that diverges says so
    momentum: float = Field(default=0.9, ge=0, lt=1)  # of sgd and rmsprop
    weight_decay: float = Field(default=5e-4, ge=0, le=LARGEST, allow_inf_nan=False)  # not applied to norms and biases
    bn_l1: float = Field(
        default=0.0, ge=0, le=LARGEST, allow_inf_nan=False
    )  # network slimming: L1 on the scales of batch norms
    warmup_epochs: float = Field(default=1.0, ge=0, le=LARGEST, allow_inf_nan=False)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)  # 0 disables the average
    augmentation: str = Field(default="light", min_length=1)  # name of an augmentation policy of the data package
    mixup_alpha: float = Field(default=0.0, ge=0, le=LARGEST, allow_inf_nan=False)
    cutmix_alpha: float = Field(default=0.0, ge=0, le=LARGEST, allow_inf_nan=False)
    gradient_clip: float = Field(
        default=0.0, ge=0, le=LARGEST, allow_inf_nan=False
    )  # largest L2 norm; 0 disables clipping
    distillation_weight: float = Field(
        default=0.7, ge=0, le=1
    )  # weight w of the distillation loss, if there is a teacher
    distillation_temperature: float = Field(default=4.0, gt=0, le=LARGEST, allow_inf_nan=False)
    distillation_features: Literal["none", "attention", "hint"] = "none"  # loss on the teacher's feature maps
    distillation_feature_weight: float = Field(
        default=1.0, ge=0, le=LARGEST, allow_inf_nan=False
    )  # weight β of the feature loss
    distillation_points: tuple[
        tuple[str, str], ...
    ] = ()  # (student's, teacher's) names; by default the last of each size
    amp: Literal["auto", "off"] = "auto"
    device: str = Field(default="auto", min_length=1)
    workers: int = Field(default=0, ge=0, le=1024)  # 0 is fastest if the images fit in memory
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs:g}) is longer than epochs ({self.epochs})")
        return self

    def with_(self, **changes: Any) -> "Recipe":
        """A copy with some fields changed and checked. Fields that neither sets stay unset (`model_fields_set`).

        Raises:
            UsageError: a field is unknown or its value is out of range.
        """
        return _checked({**self.model_dump(exclude_unset=True), **changes}, "the recipe")

    @classmethod
    def from_toml(cls, path: Path) -> "Recipe":
        """Read a recipe from a TOML file; omitted fields have their defaults.

        Raises:
            UsageError: the file is missing, is not TOML, or has an unknown field or an invalid value.
        """
        return _checked(read_settings(path, "recipe"), f"the recipe {path}")


def _checked(fields: Mapping[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(dict(fields))
    except ValidationError as error:
        problems = "\n".join(f"  {_problem(detail)}" for detail in error.errors())
        raise UsageError(f"{where[0].upper()}{where[1:]} is not valid:\n{problems}") from error


def _problem(detail: Any) -> str:
    """A pydantic error as one line: the field, what is wrong, and the value."""
    field = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, Recipe.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(Recipe.model_fields)}"
        return f"{field}: unknown field; {hint}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{field}: {message}, got {detail['input']!r}" if field else message
