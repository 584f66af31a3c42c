"""The recipe: everything that decides how a network is trained, as one frozen, checked value.

The defaults train a light network from scratch on some thousand small images. A recipe is read from TOML, where each
line names a field of `Recipe`, or changed in Python with `recipe.with_(epochs=5)`.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pocketcnn.errors import UsageError


class Recipe(BaseModel):
    """How to train.

    Of six settings tried on the digits (a MobileNetV2 of 0.35 width and a 37,000-parameter network, 12 epochs, three
    seeds) these optimizer defaults validated best on both; AdamW with a learning rate of 0.012 came next.

    Built directly it raises pydantic's `ValidationError`; the other ways raise `UsageError`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=64, ge=1)
    optimizer: Literal["sgd", "adamw", "rmsprop"] = "sgd"
    learning_rate: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)  # of sgd and rmsprop
    weight_decay: float = Field(default=5e-4, ge=0, allow_inf_nan=False)  # norms and biases are spared
    bn_l1: float = Field(default=0.0, ge=0, allow_inf_nan=False)  # network slimming: L1 on the scales of batch norms
    warmup_epochs: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    ema_decay: float = Field(default=0.999, ge=0, lt=1)  # 0 switches the average off
    augmentation: str = Field(default="light", min_length=1)  # a policy of the data package, which reads it
    mixup_alpha: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    cutmix_alpha: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    gradient_clip: float = Field(default=0.0, ge=0, allow_inf_nan=False)  # largest L2 norm; 0 switches it off
    distillation_weight: float = Field(default=0.7, ge=0, le=1)  # share of the teacher's term, when there is one
    distillation_temperature: float = Field(default=4.0, gt=0, allow_inf_nan=False)
    distillation_features: Literal["none", "attention", "hint"] = "none"  # of the teacher, how they are learned
    distillation_feature_weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)  # β, of the sum over the maps
    distillation_points: tuple[tuple[str, str], ...] = ()  # (student's, teacher's); if none, the last of each size
    amp: Literal["auto", "off"] = "auto"
    device: str = Field(default="auto", min_length=1)
    workers: int = Field(default=0, ge=0)  # 0 is fastest while the pixels are in memory
    seed: int = Field(default=0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs:g}) is longer than epochs ({self.epochs})")
        return self

    def with_(self, **changes: Any) -> "Recipe":
        """A copy with some fields changed, checked again.

        Raises:
            UsageError: a field is unknown or its value is out of range.
        """
        return _checked({**self.model_dump(), **changes}, "the recipe")

    @classmethod
    def from_toml(cls, path: Path) -> "Recipe":
        """Read a recipe from a TOML file; what it does not name keeps its default.

        Raises:
            UsageError: the file is missing, is not TOML, or names a field or value that a recipe does not have.
        """
        try:
            fields = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"Cannot read the recipe {path}: {error.strerror or error}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"The recipe {path} is not valid TOML: {error}.") from error
        return _checked(fields, f"the recipe {path}")


def _checked(fields: Mapping[str, Any], where: str) -> Recipe:
    try:
        return Recipe.model_validate(dict(fields))
    except ValidationError as error:
        problems = "\n".join(f"  {_problem(detail)}" for detail in error.errors())
        raise UsageError(f"{where[0].upper()}{where[1:]} has a mistake:\n{problems}") from error


def _problem(detail: Any) -> str:
    """One line of pydantic's report in the words of a recipe: the field, what is wrong, what was given."""
    field = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, Recipe.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(Recipe.model_fields)}"
        return f"{field}: there is no such field; {hint}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{field}: {message}, got {detail['input']!r}" if field else message
