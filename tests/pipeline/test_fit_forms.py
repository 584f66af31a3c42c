"""`fit` with networks that have no width multiplier, or are trained in another form than they are deployed in."""

from pathlib import Path

import pytest

from pocketcnn.data import infer_contract, scan
from pocketcnn.graph.model_file import load
from pocketcnn.pipeline.candidates import propose_candidates
from pocketcnn.pipeline.effort import Effort
from pocketcnn.pipeline.fit.fit import fit
from pocketcnn.targets import Budget


def test_a_network_of_one_width_is_a_candidate(digits: Path) -> None:
    contract = infer_contract(scan(digits))
    (plan,) = propose_candidates(contract, 3, Budget.parse("params<=1M"), limit=4, networks=("shiftresnet",))
    assert (plan.network, plan.width) == ("shiftresnet", 1.0)


@pytest.mark.slow  # 100 layers, measured and quantized
def test_fit_trains_a_condensenet_and_deploys_it_condensed(digits: Path, tmp_path: Path) -> None:
    effort = Effort(candidates=1, rounds=(6,), final_steps=6, recovery_steps=4, quantized_steps=2, min_epochs=1)
    fit(digits, "size<=2MB", tmp_path, effort=effort, networks=("condensenet_86",))
    graph = load(tmp_path / "model.safetensors").graph
    bottlenecks = [node for node in graph.nodes if node.name.endswith("bottleneck.conv")]
    assert {node.integer("groups") for node in bottlenecks} == {4}
    assert len(bottlenecks) == 42
