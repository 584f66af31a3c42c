"""What the budget evaluator takes for granted: multiply-adds and parameters are the same in all numerics."""

import pytest

from pocketcnn.compression import deployed
from pocketcnn.compression.deployed import PRECISIONS, Deployed, counted
from pocketcnn.compression.evaluator import BudgetEvaluator
from pocketcnn.graph import capture
from pocketcnn.models import create
from pocketcnn.targets import Budget, Quantity

NETWORKS = ("mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2", "squeezenet1_1", "condensenet_74", "shiftnet_c")


@pytest.mark.parametrize("name", NETWORKS)
def test_multiply_adds_and_parameters_are_the_same_in_all_forms(name: str) -> None:
    graph = capture(create(name, classes=10).eval(), (1, 3, 64, 64))
    found = [Deployed(graph, form) for form in PRECISIONS]
    for quantity in Quantity:
        if quantity.row.in_all_precisions:
            assert len({counted(each, quantity).value for each in found}) == 1, quantity


def test_a_file_is_written_only_for_what_keeps_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = capture(create("mobilenet_v2", width=0.1, classes=10, total_stride=4).eval(), (1, 3, 16, 16))
    written: list[object] = []
    monkeypatch.setattr(deployed, "artefact_bytes", lambda graph: written.append(graph) or b"0" * 50)
    assert BudgetEvaluator(Budget.parse("macs<=1k, size<=100B")).precision(graph) is None
    assert written == []
    assert BudgetEvaluator(Budget.parse("macs<=1G, size<=100B")).precision(graph) == "float32"
    assert len(written) == 1
    assert BudgetEvaluator(Budget.parse("macs<=1G, size<=10B")).precision(graph) is None
    assert len(written) == 1 + len(PRECISIONS)
