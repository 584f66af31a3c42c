"""The distiller of a training: its teachers, the feature maps to imitate, and their loss."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pocketcnn.errors import UsageError
from pocketcnn.training.distil import attention_loss, ensemble_loss, hint_loss
from pocketcnn.training.feature_maps import FeatureMap, feature_maps, last_of_each_resolution, recorded_feature_maps
from pocketcnn.training.recipe import Recipe
from pocketcnn.training.rng import drawn_from

NAMES_SHOWN = 12

Pair = tuple[FeatureMap, FeatureMap]
"""A feature map of the student, and the teacher's feature map that it imitates."""


class Distiller(nn.Module):
    """Holds the teachers. Its parameters are the regressors from the student's feature maps to the teachers' (FitNets,
    section 2.2).

    The regressors are 1x1 convolutions that are trained with the student and dropped afterwards. The teachers are not
    submodules. They must be on the batch's device, in eval mode.
    """

    def __init__(self, recipe: Recipe, teachers: Sequence[nn.Module], pairs: Sequence[Sequence[Pair]] = ()) -> None:
        """`pairs`: for each teacher, the pairs of feature maps; empty if only predictions are distilled."""
        super().__init__()
        self.recipe, self.teachers = recipe, tuple(teachers)
        self.pairs = tuple(map(tuple, pairs)) or ((),) * len(self.teachers)
        self.regressors = nn.ModuleList()
        if recipe.distillation_features == "hint":
            with drawn_from(recipe.seed):
                for teacher_pairs in self.pairs:
                    self.regressors.append(
                        nn.ModuleList(nn.Conv2d(s.shape[0], t.shape[0], 1) for s, t in teacher_pairs)
                    )

    @classmethod
    def planned(cls, recipe: Recipe, student: nn.Module, teachers: Sequence[nn.Module], images: Tensor) -> "Distiller":
        """The distiller of a recipe, for networks in eval mode on the device of the images (1, C, H, W).

        Raises:
            UsageError: a feature map that the recipe names does not exist or differs in size from its counterpart, or the
                recipe names none and student and teacher have no common size.
        """
        if recipe.distillation_features == "none":
            return cls(recipe, teachers)
        own = feature_maps(student, images)
        pairs = [
            matched_feature_maps(own, feature_maps(teacher, images), recipe.distillation_points) for teacher in teachers
        ]
        return cls(recipe, teachers, pairs).to(images.device)

    @property
    def student_maps(self) -> frozenset[str]:
        """Names of the student's feature maps that `loss` needs."""
        return frozenset(student.name for pairs in self.pairs for student, _ in pairs)

    def loss(self, images: Tensor, logits: Tensor, maps: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The loss on the teachers' predictions and the loss on their feature maps, as two scalars.

        Args:
            images: (N, C, H, W).
            logits: the student's, (N, classes).
            maps: the student's feature maps by name, (N, C, H, W) each.
        """
        predictions, of_features = [], logits.new_zeros(())
        for number, teacher in enumerate(self.teachers):
            with (
                torch.no_grad(),
                recorded_feature_maps(teacher, {other.name for _, other in self.pairs[number]}) as theirs,
            ):
                predictions.append(teacher(images))
            for index, (student, other) in enumerate(self.pairs[number]):
                of_features = of_features + self._distance(number, index, maps[student.name], theirs[other.name])
        soft = ensemble_loss(logits, predictions, self.recipe.distillation_temperature)
        return soft, of_features / len(self.teachers)

    def _distance(self, number: int, index: int, student: Tensor, teacher: Tensor) -> Tensor:
        if self.recipe.distillation_features == "attention":
            return attention_loss(student.float(), teacher.float())
        regressed = self.regressors[number][index](student)  # type: ignore[index]
        return hint_loss(regressed.float(), teacher.float())


def matched_feature_maps(
    student: Sequence[FeatureMap], teacher: Sequence[FeatureMap], named: Sequence[tuple[str, str]]
) -> list[Pair]:
    """The pairs of feature maps in `named`; by default the last of each size that both networks have, largest first.

    Raises:
        UsageError: see `Distiller.planned`.
    """
    if named:
        return [_pair(_called(name, student, "network"), _called(other, teacher, "teacher")) for name, other in named]
    own, theirs = last_of_each_resolution(student), last_of_each_resolution(teacher)
    common = sorted(own.keys() & theirs.keys(), reverse=True)
    if not common:
        sizes = [", ".join(f"{h}x{w}" for h, w in sorted(maps, reverse=True)) or "none" for maps in (own, theirs)]
        raise UsageError(
            f"The network has feature maps of sizes {sizes[0]} and the teacher of sizes {sizes[1]}; no size is common. "
            'Distil predictions only (distillation_features = "none"), or use a teacher with the same strides.'
        )
    return [(own[size], theirs[size]) for size in common]


def _called(name: str, maps: Sequence[FeatureMap], role: str) -> FeatureMap:
    for found in maps:
        if found.name == name:
            return found
    known = [found.name for found in maps]
    some = ", ".join(known[-NAMES_SHOWN:]) or "none"
    raise UsageError(f"The {role} has no feature map {name!r} (distillation_points). The last ones are: {some}.")


def _pair(student: FeatureMap, teacher: FeatureMap) -> Pair:
    if student.resolution != teacher.resolution:
        (h, w), (other_h, other_w) = student.resolution, teacher.resolution
        raise UsageError(
            f"The feature maps {student.name!r} of {h}x{w} and {teacher.name!r} of {other_h}x{other_w} cannot be compared: "
            "distillation_points must name maps of the same size."
        )
    return student, teacher
