"""What a stopped run leaves for the same command: budgets that were measured, and trainings of the same network."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pocketcnn.data import infer_contract, scan
from pocketcnn.errors import UsageError
from pocketcnn.pipeline.recipes import RECIPE, datasets
from pocketcnn.pipeline.workspace import Workspace, quiet, structure_of
from pocketcnn.targets import Budget


def test_a_budget_is_measured_once(tmp_path: Path) -> None:
    first, second = Budget.parse("latency<=0.3ms@onnxruntime-cpu"), Budget.parse("latency<=0.31ms@onnxruntime-cpu")
    assert Workspace.of(tmp_path, {}, quiet).budget("half", lambda: first) == first
    again = Workspace.of(tmp_path, {}, quiet)
    assert again.budget("half", lambda: second) == first
    assert again.budget("a third", lambda: second) == second
    assert Workspace.of(tmp_path, {"seed": 1}, quiet).budget("half", lambda: second) == second


def test_what_a_stopped_run_left_of_other_widths_is_not_taken_up(digits: Path, tmp_path: Path) -> None:
    """Where a measured time decides how far to prune, the run that goes on may choose another network."""
    folder = scan(digits)
    contract, workspace = infer_contract(folder), Workspace.of(tmp_path, {}, quiet)
    sets, recipe = datasets(folder, contract), RECIPE.with_(epochs=1)

    def network(width: int) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))

    def train(width: int, structure: str) -> int:
        """Epochs of the training, those of earlier calls included."""
        return len(workspace.train("pruned", network(width), sets.train, sets.val, recipe, structure=structure).history)

    assert structure_of(network(4)) == structure_of(network(4)) != structure_of(network(5))
    for width in (4, 5, 4):
        assert train(width, structure_of(network(width))) == 1
    train(4, "")
    with pytest.raises(UsageError, match="another network"):
        train(5, "")
