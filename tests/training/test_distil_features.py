"""Feature maps of teachers: the losses are the papers' formulas, the right maps are learned, an ensemble is a mean."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketcnn.errors import Interrupted, UsageError
from pocketcnn.graph import GraphNetwork, capture
from pocketcnn.training import Recipe, distil, train
from pocketcnn.training.distil import attention_loss, attention_map, distillation_loss, ensemble_loss, hint_loss
from pocketcnn.training.distiller import Distiller, matched_feature_maps
from pocketcnn.training.feature_maps import feature_maps, last_of_each_resolution, recorded_feature_maps
from pocketcnn.training.objective import Objective
from tests.support.training import QUICK, CtrlC, Digits, course, same_weights, small_net

IMAGES = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(6)
ATTENTION = QUICK.with_(distillation_features="attention", distillation_feature_weight=3.0)
HINT = QUICK.with_(distillation_features="hint", distillation_feature_weight=0.5)


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wide_net(seed: int = 1) -> nn.Sequential:
    """Twice the channels of `small_net` with the same strides."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            nn.Sequential(nn.Conv2d(16, 48, 3, stride=2, padding=1), nn.ReLU()),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(192, 10),
        )


def captured(module: nn.Module) -> GraphNetwork:
    return GraphNetwork(capture(module.eval(), (1, 1, 8, 8))).eval()


# The losses ---------------------------------------------------------------------------------------------------


def test_attention_transfer_is_equation_2() -> None:
    student, teacher = random(5, 3, 4, 6, seed=1), random(5, 7, 4, 6, seed=2)
    expected = 0.0
    for s, t in zip(student, teacher, strict=True):
        q_s, q_t = s.square().sum(0).reshape(-1), t.square().sum(0).reshape(-1)
        expected += 0.5 * float(torch.sqrt(((q_s / q_s.norm() - q_t / q_t.norm()) ** 2).sum())) / 5
    assert float(attention_loss(student, teacher)) == pytest.approx(expected)
    torch.testing.assert_close(attention_map(student).norm(dim=1), torch.ones(5, dtype=torch.float64))


def test_attention_is_blind_to_the_scale_and_the_order_of_channels_and_finite_at_its_minimum() -> None:
    student = random(5, 3, 4, 6, seed=1).requires_grad_()
    loss = attention_loss(student, -3 * student.detach()[:, [2, 0, 1]])
    assert float(loss.detach()) == pytest.approx(0, abs=1e-7)
    attention_loss(student, student.detach()).backward()
    assert student.grad is not None
    assert bool(torch.isfinite(student.grad).all())
    silent = torch.zeros(2, 3, 4, 6, requires_grad=True)  # every unit dead: no attention, but no NaN either
    attention_loss(silent, random(2, 3, 4, 6, seed=3).float()).backward()
    assert silent.grad is not None
    assert bool(torch.isfinite(silent.grad).all())


def test_the_hint_loss_is_half_the_mean_square() -> None:
    student, teacher = random(5, 3, 4, 6, seed=1), random(5, 3, 4, 6, seed=2)
    expected = float(((student - teacher) ** 2).sum()) / 2 / student.numel()
    assert float(hint_loss(student, teacher)) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_an_ensemble_teaches_the_mean_of_its_softened_probabilities(temperature: float) -> None:
    student, teachers = random(5, 4, seed=1), [random(5, 4, seed=seed) for seed in (2, 3, 4)]
    mean = torch.stack([F.softmax(teacher / temperature, 1) for teacher in teachers]).mean(0)
    own = F.softmax(student / temperature, 1)
    expected = temperature**2 * float((mean * (mean / own).log()).sum()) / 5
    assert float(ensemble_loss(student, teachers, temperature)) == pytest.approx(expected)
    alone = ensemble_loss(student, teachers[:1], temperature)
    assert torch.equal(alone, distillation_loss(student, teachers[0], temperature))
    torch.testing.assert_close(ensemble_loss(student, [teachers[0]] * 2, temperature), alone)


# The feature maps ---------------------------------------------------------------------------------------------


def test_feature_maps_are_those_of_the_forward_pass_in_their_order() -> None:
    network = wide_net().eval()
    maps = feature_maps(network, IMAGES[:1])
    assert [found.name for found in maps] == ["0.0", "0.1", "0.2", "0", "1.0", "1.1", "1", "2"]
    assert {found.name: found.shape for found in maps}["1"] == (48, 4, 4)
    last = last_of_each_resolution(maps)
    assert {size: found.name for size, found in last.items()} == {(8, 8): "0", (4, 4): "1", (2, 2): "2"}
    with recorded_feature_maps(network, {"0", "1.0"}) as values:
        network(IMAGES)
    assert torch.equal(values["0"], network[0](IMAGES))
    assert torch.equal(values["1.0"], network[1][0](network[0](IMAGES)))
    before = dict(values)
    network(IMAGES[:2])  # outside nothing is seen any more
    assert values == before
    assert all(not module._forward_hooks for module in network.modules())


def test_values_of_a_captured_network_are_seen_under_the_names_of_its_nodes() -> None:
    network = captured(wide_net())
    maps = feature_maps(network, IMAGES[:1])
    assert [found.name for found in maps] == [n.name for n in network.graph.nodes[1:] if len(n.shape) == 3]
    name = last_of_each_resolution(maps)[8, 8].name
    with recorded_feature_maps(network, {name}) as values:
        network(IMAGES)
    torch.testing.assert_close(values[name], wide_net().eval()[0](IMAGES))


def test_a_captured_network_inside_a_module_is_seen_too() -> None:
    inner = captured(wide_net())
    wrapped = nn.Sequential(inner, nn.Softmax(1)).eval()
    assert {found.name for found in feature_maps(wrapped, IMAGES[:1])} == {
        f"0.{found.name}" for found in feature_maps(inner, IMAGES[:1])
    }


def test_maps_are_matched_by_size_or_by_name() -> None:
    student, teacher = feature_maps(small_net().eval(), IMAGES[:1]), feature_maps(wide_net().eval(), IMAGES[:1])
    pairs = matched_feature_maps(student, teacher, ())
    assert [(s.name, t.name) for s, t in pairs] == [("2", "0"), ("7", "1"), ("8", "2")]
    ((one, other),) = matched_feature_maps(student, teacher, [("5", "1.0")])
    assert (one.name, other.name) == ("5", "1.0")
    with pytest.raises(UsageError, match=r"The network has no feature map 'layer1'.*The last ones are: "):
        matched_feature_maps(student, teacher, [("layer1", "1")])
    with pytest.raises(UsageError, match="The teacher has no feature map 'nothing'"):
        matched_feature_maps(student, teacher, [("5", "nothing")])
    with pytest.raises(UsageError, match="'2' of 8x8 and '1' of 4x4 cannot be compared"):
        matched_feature_maps(student, teacher, [("2", "1")])
    with pytest.raises(UsageError, match=r"sizes 8x8, 4x4, 2x2 and the teacher of sizes none"):
        matched_feature_maps(student, [], ())


# The objective ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_graph", [False, True])
def test_the_objective_with_attention_is_the_sum_of_its_parts(as_graph: bool) -> None:
    student, teachers = small_net(0).eval(), [wide_net(1).eval(), wide_net(2).eval()]
    if as_graph:
        student, teachers = captured(student), [captured(teacher) for teacher in teachers]  # type: ignore[assignment]
    recipe = ATTENTION.with_(distillation_weight=0.25, distillation_temperature=2.0, label_smoothing=0.0)
    lesson = Distiller.planned(recipe, student, teachers, IMAGES[:1])
    found = Objective(recipe, distiller=lesson)(student, IMAGES, LABELS)
    own, theirs = small_net(0).eval(), [wide_net(1).eval(), wide_net(2).eval()]
    expected = 0.25 * ensemble_loss(own(IMAGES), [teacher(IMAGES) for teacher in theirs], 2.0)
    expected = expected + 0.75 * F.cross_entropy(own(IMAGES), LABELS)
    for teacher in theirs:
        for mine, other in ((3, 1), (8, 2), (9, 3)):  # up to these layers: 8x8, 4x4, 2x2
            expected = expected + 3.0 / 2 * attention_loss(own[:mine](IMAGES), teacher[:other](IMAGES))
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(parameter.grad is None for teacher in teachers for parameter in teacher.parameters())


def test_the_objective_with_hints_goes_through_its_regressors() -> None:
    student, teacher = small_net(0).eval(), wide_net(1).eval()
    lesson = Distiller.planned(HINT.with_(distillation_points=(("2", "0"),)), student, [teacher], IMAGES[:1])
    (regressor,) = lesson.regressors[0]  # type: ignore[misc]
    assert (regressor.in_channels, regressor.out_channels, regressor.kernel_size) == (8, 16, (1, 1))
    maps = {"2": student[:3](IMAGES)}
    soft, of_features = lesson.loss(IMAGES, student(IMAGES), maps)
    torch.testing.assert_close(of_features, hint_loss(regressor(maps["2"]), teacher[0](IMAGES)))
    torch.testing.assert_close(soft, distillation_loss(student(IMAGES), teacher(IMAGES), HINT.distillation_temperature))
    of_features.backward()
    assert regressor.weight.grad is not None
    assert student[0].weight.grad is not None


# Whole trainings ----------------------------------------------------------------------------------------------

TRAIN, VAL = Digits(0, 161, noise=0.2), Digits(161, 240)


@pytest.mark.parametrize("recipe", [ATTENTION, HINT, HINT.with_(gradient_clip=0.5, optimizer="sgd")])
def test_a_training_with_features_resumes_to_the_bit(recipe: Recipe, tmp_path: Path) -> None:
    teachers = [wide_net(1), wide_net(2)]
    expected = small_net()
    through = distil(expected, teachers, TRAIN, VAL, recipe)
    network = small_net()
    with pytest.raises(Interrupted):
        distil(network, teachers, TRAIN, VAL, recipe, out=tmp_path, progress=CtrlC(7), checkpoint_seconds=1e9)
    again = small_net(seed=9)
    resumed = distil(again, teachers, TRAIN, VAL, recipe, out=tmp_path, resume=True)
    assert course(resumed) == course(through)
    assert same_weights(again, expected)
    with pytest.raises(UsageError, match="the number of teachers was 2 and is 1"):
        distil(small_net(), teachers[:1], TRAIN, VAL, recipe, out=tmp_path, resume=True)


def test_what_is_learned_are_the_teachers_feature_maps() -> None:
    """Labels and predictions have no weight: only the maps are learned, and they come closer on images not seen."""
    teacher = wide_net()
    train(teacher, Digits(0, 600), VAL, QUICK)
    held_out = torch.stack([VAL[index][0] for index in range(len(VAL))])

    def distance(network: nn.Module) -> float:
        with (
            torch.no_grad(),
            recorded_feature_maps(network.eval(), {"2", "7"}) as own,
            recorded_feature_maps(teacher.eval(), {"0", "1"}) as theirs,
        ):
            network(held_out), teacher(held_out)
        return float(attention_loss(own["2"], theirs["0"]) + attention_loss(own["7"], theirs["1"]))

    recipe = ATTENTION.with_(epochs=6, distillation_weight=1.0, distillation_temperature=1e6, label_smoothing=0.0)
    student = small_net()
    before = distance(student)
    distil(student, teacher, Digits(0, 600), VAL, recipe)
    assert distance(student) < 0.6 * before
    assert set(student.state_dict()) == set(small_net().state_dict())


def test_a_teacher_without_feature_maps_can_teach_predictions_only() -> None:
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    distil(small_net(), teacher, TRAIN, VAL, QUICK.with_(epochs=1))
    with pytest.raises(UsageError, match="no size is common"):
        distil(small_net(), teacher, TRAIN, VAL, ATTENTION)


def test_no_teachers_is_no_lesson() -> None:
    with_none, without = small_net(), small_net()
    train(with_none, TRAIN, VAL, QUICK.with_(epochs=1), teacher=[])
    train(without, TRAIN, VAL, QUICK.with_(epochs=1))
    assert same_weights(with_none, without)


def test_points_are_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('distillation_features = "hint"\ndistillation_points = [["a.b", "c"], ["d", "e"]]\n')
    assert Recipe.from_toml(path).distillation_points == (("a.b", "c"), ("d", "e"))
    path.write_text('distillation_features = "hints"\n')
    with pytest.raises(UsageError, match="distillation_features"):
        Recipe.from_toml(path)
