"""All that follows from a row of the table of quantities, for every row that there is."""

import pytest
import typer

from pocketcnn.cli.app import app
from pocketcnn.compression.deployed import Deployed, Written, counted
from pocketcnn.compression.evaluator import BudgetEvaluator, absolute, figures
from pocketcnn.compression.latency import LatencySource
from pocketcnn.errors import UsageError
from pocketcnn.graph import Graph, capture
from pocketcnn.layers import ConvNormAct
from pocketcnn.report import numbers
from pocketcnn.runtimes import StopRule
from pocketcnn.targets import Budget, Quantity, Target, format_quantity
from pocketcnn.targets.budget import device_limits
from pocketcnn.targets.quantities import Effort, named_quantities

HERE, THERE = "onnxruntime-cpu", "cortex-m7"
RULE = StopRule(max_seconds=0.05, min_seconds=0.01)
every_quantity = pytest.mark.parametrize("quantity", Quantity)


@pytest.fixture(scope="module")
def graph() -> Graph:
    from torch import nn

    layers = [ConvNormAct(1, 4), ConvNormAct(4, 8, stride=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)]
    return capture(nn.Sequential(*layers).eval(), (1, 1, 8, 8))


def text_of(quantity: Quantity, bound: str, target: str = THERE) -> str:
    return f"{quantity}<={bound}" + (f"@{target}" if quantity.has_target else "")


@every_quantity
def test_it_is_read_in_every_unit_under_every_name_and_printed(quantity: Quantity) -> None:
    for name in (quantity, *quantity.row.aliases):
        for unit, factor in quantity.row.dimension.units.items():
            (limit,) = Budget.parse(text_of(quantity, f"3{unit}").replace(quantity, name, 1)).limits
            assert (limit.quantity, limit.bound) == (quantity, pytest.approx(3 * float(factor)))
            assert Budget.parse(str(limit)).limits == (limit,)
            assert str(limit).startswith(f"{quantity}<=")
        assert named_quantities()[name] is Quantity(name) is quantity


@every_quantity
def test_a_figure_is_written_for_people_and_unrounded(quantity: Quantity) -> None:
    unit = format_quantity(quantity, 1234.0).split()[-1]
    assert any(unit == name or not name for name in quantity.row.dimension.units)
    assert numbers.exact(str(quantity), 1234.0).split(numbers.NO_BREAK_SPACE)[-1] in ("234", "bytes", "ms")
    assert numbers.figure(str(quantity), 1234.0).replace(numbers.NO_BREAK_SPACE, " ") == format_quantity(
        quantity, 1234.0
    )


@every_quantity
def test_it_is_listed_in_the_help_of_the_option_and_in_that_of_what_cannot_be_read(quantity: Quantity) -> None:
    with pytest.raises(UsageError) as error:
        Budget.parse("colour<=5")
    (line,) = [line for line in str(error.value).splitlines() if line.split()[:1] == [quantity]]
    assert quantity.row.about in line
    assert all(alias in line for alias in quantity.row.aliases)
    assert all((unit or "no unit") in line for unit in quantity.row.dimension.units)
    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    offered = [option for verb in verbs.values() for option in verb.params if "--budget" in option.opts]
    assert len(offered) >= 3
    assert all(quantity in option.help for option in offered)


@every_quantity
def test_it_is_counted_predicted_or_measured_and_judged(quantity: Quantity, graph: Graph) -> None:
    """The same number from the evaluator, from the files that lie there, and in percent of the network itself."""
    loose = Budget.parse(text_of(quantity, f"1e9{next(iter(quantity.row.dimension.units))}"))
    use = BudgetEvaluator(loose, LatencySource.PREDICTED, float_only=not quantity.has_target).use(graph)
    name = f"{quantity}@{THERE}" if quantity.has_target else str(quantity)
    assert use.share == use.figures[name] / 1e9 > 0
    whole = absolute(Budget.parse(text_of(quantity, "100%")), graph, LatencySource.PREDICTED)
    half = absolute(Budget.parse(text_of(quantity, "50%")), graph, LatencySource.PREDICTED)
    assert whole.limits[0].bound == pytest.approx(use.figures[name])
    assert BudgetEvaluator(whole, LatencySource.PREDICTED).fits(graph)
    float_only = not quantity.has_target
    assert not BudgetEvaluator(half, LatencySource.PREDICTED, float_only=float_only).fits(graph)
    assert BudgetEvaluator(half, LatencySource.PREDICTED, float_only=float_only).share(graph) == pytest.approx(2.0)
    deployed = Deployed(graph)
    written = Written(deployed.graph, deployed.onnx, deployed.coded_bytes)
    budget = Budget.parse(text_of(quantity, f"1e9{next(iter(quantity.row.dimension.units))}", HERE))
    (verdict,) = budget.check(figures(written, budget, RULE))
    assert verdict.kept
    assert verdict.figure.value > 0
    assert verdict.figure.how
    if not quantity.has_target:
        assert verdict.figure.value == use.figures[name]
        assert verdict.figure == counted(deployed, quantity)


@every_quantity
def test_its_row_says_what_its_figure_needs(quantity: Quantity, graph: Graph) -> None:
    """Shapes are enough for what is counted, and for nothing else; the same in all precisions is what the row says."""
    if quantity.has_target:
        with pytest.raises(ValueError, match="is not counted"):
            counted(Deployed(graph), quantity)
        assert quantity.row.effort is Effort.TIME
        return
    shapes = graph.rebuilt(
        tensors={
            name: tensor.to("meta") if tensor.is_floating_point() else tensor for name, tensor in graph.tensors.items()
        }
    )
    exact = counted(Deployed(graph), quantity)
    budget = absolute(Budget.parse(f"{quantity}<=100%"), graph)
    evaluator = BudgetEvaluator(budget, float_only=True)
    assert evaluator.by_shape is (quantity.row.effort is Effort.COUNT)
    if evaluator.by_shape:
        assert counted(Deployed(shapes), quantity) == exact
    else:
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever a tensor without values raises
            counted(Deployed(shapes), quantity)
    assert (counted(Deployed(graph, "int8"), quantity) == exact) is quantity.row.in_all_precisions


@every_quantity
def test_a_device_limits_it_as_its_row_says(quantity: Quantity) -> None:
    limits = {
        limit.quantity: limit.bound
        for limit in device_limits(Target(name="made-up", runtime="torch", ram=1000, storage=2000))
    }
    assert (quantity in limits) is (quantity.row.device is not None)


def test_no_name_means_two_quantities() -> None:
    names = [name for quantity in Quantity for name in (quantity.value, *quantity.row.aliases)]
    assert len(names) == len(set(names))
    with pytest.raises(ValueError, match="colour"):
        Quantity("colour")


def test_the_old_name_of_the_coded_file_still_means_it() -> None:
    budget = Budget.parse("stored<=20kB")
    assert str(budget) == "coded<=20kB"
    assert budget.limits_on(Quantity.STORED) == budget.limits
    with pytest.raises(UsageError, match="coded is limited twice"):
        Budget.parse("stored<=20kB, coded<=30kB")
    assert numbers.exact("stored", 60012.0) == f"60{numbers.NO_BREAK_SPACE}012{numbers.NO_BREAK_SPACE}bytes"
