"""Networks that were not made here are trained with clipped gradients in every training, not in the first one only."""

from pathlib import Path
from typing import Any

import pytest

from pocketcnn.data import infer_contract, scan
from pocketcnn.graph import GraphNetwork, ModelInfo, Stage, capture
from pocketcnn.pipeline.compress.compress import compress
from pocketcnn.pipeline.recipes import LIBRARY_CLIP, RECIPE, clipped_for
from pocketcnn.pipeline.workspace import Workspace
from pocketcnn.training import Recipe
from tests.support.pipeline import LITTLE
from tests.support.training import small_net


def network(*settings: dict[str, Any]) -> GraphNetwork:
    lineage = tuple(Stage(name="trained", settings=each, seed=0) for each in settings)
    return GraphNetwork(capture(small_net(), (1, 1, 8, 8)), ModelInfo(lineage=lineage))


@pytest.mark.parametrize(
    ("lineage", "recipe", "norm"),
    [
        ((), RECIPE, LIBRARY_CLIP),
        ((), RECIPE.with_(gradient_clip=3.0), 3.0),
        (({"gradient_clip": 0.0},), RECIPE, 0.0),
        (({"gradient_clip": 1.0},), RECIPE, 1.0),
        (({"gradient_clip": 1.0},), RECIPE.with_(gradient_clip=3.0), 3.0),
        (({"recipe": {"gradient_clip": 0.5}},), RECIPE, 0.5),
        (({"recipe": "text"}, {"gradient_clip": 0.0}), RECIPE, 0.0),
        (({"epochs": 3},), RECIPE, LIBRARY_CLIP),
    ],
)
def test_the_norm_is_that_of_the_training_before(
    lineage: tuple[dict[str, Any], ...], recipe: Recipe, norm: float
) -> None:
    assert clipped_for(network(*lineage), recipe).gradient_clip == norm


def test_compress_clips_the_recoveries_of_a_network_that_was_made_elsewhere(
    digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms: list[float] = []

    def nothing(_self: Workspace, _stage: str, *rest: object, **_options: object) -> None:
        norms.extend(each.gradient_clip for each in rest if isinstance(each, Recipe))

    monkeypatch.setattr(Workspace, "train", nothing)
    folder = scan(digits, seed=0)
    contract = infer_contract(folder)
    info = ModelInfo(name="small", input=contract, classes=folder.classes)
    given = GraphNetwork(capture(small_net(classes=3), (1, *contract.shape)), info)
    compress(given, digits, "macs<=80%", tmp_path, effort=LITTLE)
    assert norms
    assert set(norms) == {LIBRARY_CLIP}
