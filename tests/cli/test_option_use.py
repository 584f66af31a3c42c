"""No option is ignored without a word: every option of every verb is always read, or refused where it has no effect.

The tables have a row for each; an option without one fails the first test.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from pocketcnn.cli.app import app
from pocketcnn.cli.option_rules import RULES
from pocketcnn.cli.verb import Verb
from pocketcnn.nas.strategies import OPTIONS_READ as SEARCH_READS
from pocketcnn.pipeline.compress.strategies import OPTIONS_READ as COMPRESS_READS
from pocketcnn.pipeline.option_use import conditional
from tests.support.cli import commands, fail, succeed

ALWAYS = {
    "fit": "data budget out effort seed network teacher recipe follow_links resize force require_accuracy as_json",
    "data digits": "out as_json",
    "data check": "data everything follow_links resize as_json",  # with --json, every finding is there in any case
    "models": "name check as_json",
    "train": "data network out size recipe epochs seed resume teacher follow_links resize require_accuracy as_json",
    "eval": "file data split follow_links require_accuracy as_json",
    "predict": "file images top as_json",
    "search": "data budget out strategy effort seed recipe follow_links resize force require_accuracy as_json",
    "compress": "network data budget out effort seed strategy criterion resolution blocks small_kernels sparsity cluster_bits "
    "entropy_code max_loss teacher recipe follow_links force require_accuracy as_json",
    "export": "file to out images force as_json",
    "bench": "files threads batch seconds launches html as_json",
    "inspect": "network html diagram as_json",
    "target list": "as_json",
    "target show": "target as_json",
    "target check": "network target substitute strict as_json",
    "target calibrate": "target out seconds as_json",
    "target layers": "network target runs top as_json",
    "target profile": "target out seconds numerics fresh as_json",
    "target predict": "network target table numerics force as_json",
    "doctor": "as_json",
}
"""By verb, the parameters that are read whatever else is given."""


class Row(NamedTuple):
    """A parameter that has an effect with the arguments `used`, and none with `unused`."""

    verb: str
    name: str
    typed: str
    used: str
    unused: str
    message: str = ""


FILE, ZOO, OTHER = "net.safetensors", "mobilenet_v2", "timm:lcnet_050"
COMPRESS = "data --budget macs<=1M --out out"
SUBSTITUTE = f"{FILE} --target dsp-npu --substitute --out out.safetensors"
CHECKED = f"{FILE} --target dsp-npu"


def of_built(verb: str, rest: str = "") -> Iterator[Row]:
    """What a network by its name is built for."""
    for name, typed in (("input_text", "--input 32"), ("width", "--width 0.5"), ("classes", "--classes 3")):
        yield Row(verb, name, typed, f"{ZOO} {rest}", f"{FILE} {rest}")
    yield Row(verb, "width", "--width 1.0", f"{ZOO} {rest}", f"{OTHER} {rest}")


ROWS = [
    Row("models", "width", "--width 1.0", "", "--check"),
    Row("models", "classes", "--classes 1000", "", "--check"),
    Row("models", "input_text", "--input 3x224x224", "", "--check"),
    Row("train", "width", "--width 1", f"data --network {ZOO} --out out", f"data --network {OTHER} --out out"),
    *(
        Row(
            "train",
            "from_scratch",
            "--from-scratch",
            f"data --network {OTHER} --out out",
            f"data --network {name} --out out",
        )
        for name in (ZOO, "imagenet:efficientnet_lite0", f"{OTHER}.ra2_in1k")
    ),
    Row("compress", "from_scratch", "--from-scratch", f"{OTHER} {COMPRESS}", f"{FILE} {COMPRESS}"),
    Row("compress", "from_scratch", "--from-scratch", f"{OTHER} {COMPRESS}", f"hf:some/one {COMPRESS}"),
    Row("eval", "seed", "--seed 0", f"{FILE} data", f"{FILE} data --split all"),
    Row("predict", "as_csv", "--csv", f"{FILE} picture.png", f"{FILE} picture.png --json"),
    Row("compress", "resize", "--fit crop", f"{ZOO} {COMPRESS}", f"{FILE} {COMPRESS}"),
    Row("compress", "size", "--size 32", f"{ZOO} {COMPRESS}", f"{FILE} {COMPRESS}"),
    Row("compress", "width", "--width 1.0", f"{ZOO} {COMPRESS}", f"{FILE} {COMPRESS}"),
    Row("compress", "width", "--width 0.5", f"{ZOO} {COMPRESS}", f"{OTHER} {COMPRESS}"),
    *of_built("bench"),
    Row("bench", "classes", "--classes 3", f"{FILE} {ZOO}", f"{FILE} other.onnx"),
    *of_built("inspect"),
    Row("inspect", "block", "--block features", f"{ZOO} --diagram d.svg", ZOO, "add --diagram"),
    Row("inspect", "blocks", "--blocks", f"{ZOO} --diagram d.svg", ZOO, "add --diagram"),
    *of_built("target check", "--target dsp-npu"),
    Row("target check", "out", "--out out.safetensors", f"{CHECKED} --substitute", CHECKED, "--substitute"),
    Row("target check", "data", "--data photos", SUBSTITUTE, CHECKED, "--substitute"),
    Row("target check", "kernels", "--kernels pair", SUBSTITUTE, CHECKED, "--substitute"),
    Row("target check", "epochs", "--epochs 10", f"{SUBSTITUTE} --data photos", SUBSTITUTE, "--data"),
    Row("target check", "recipe", "--recipe r.toml", f"{SUBSTITUTE} --data photos", SUBSTITUTE, "--data"),
    Row("target check", "seed", "--seed 0", f"{SUBSTITUTE} --data photos", CHECKED, "--data"),
    *of_built("target layers"),
    *of_built("target predict", "--target onnxruntime-cpu"),
]

TYPED = {
    "space": "--space mnasnet", "trials": "--trials 30", "width": "--width 1", "reward": "--reward soft",
    "epochs": "--epochs 1", "workers": "--workers 1", "ray": "--ray local", "storage": "--storage sqlite:///x",
    "control": "--no-control", "warm_start": "--warm-start params",
    "stages": "--stages 1", "allocation": "--allocation global", "reconstruct": "--no-reconstruct",
    "choose": "--choose accuracy",
}  # fmt: skip
"""How the options are written that not every strategy reads; most of them with their defaults."""

OF_STRATEGY = [
    (verb, strategy, name, f"{place} --strategy {strategy}")
    for verb, reads, place in (
        ("search", SEARCH_READS, "data --budget macs<=1M --out out"),
        ("compress", COMPRESS_READS, f"{FILE} {COMPRESS}"),
    )
    for strategy in reads
    for name in sorted(conditional(reads))
]

IN_THE_LIBRARY = {("data check", "seed"), ("target profile", "seed")} | {
    ("bench", name) for name in ("runtime", "numerics", "images")
}
"""What depends on what a file holds; the tests below have each."""


def refused(line: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> str:
    """The message with which a command is refused for its options; empty if it would run. Nothing is run."""
    group = typer.main.get_command(app)
    monkeypatch.chdir(folder)
    for _, command in commands(group):
        command.callback = lambda **_: None
    said: list[str] = []
    monkeypatch.setattr("pocketcnn.cli.failures.typer.echo", lambda text, **_: said.append(text))
    code = group.main(line.split(), standalone_mode=False)
    assert code in ((2,) if said else (0, None)), (code, said)
    return "".join(said)


def test_every_option_of_every_verb_has_a_row() -> None:
    rows = {(row.verb, row.name) for row in ROWS} | {(verb, name) for verb, _, name, _ in OF_STRATEGY} | IN_THE_LIBRARY
    rows |= {(verb, name) for verb, names in ALWAYS.items() for name in names.split()}
    assert rows == {(verb, parameter.name) for verb, command in commands() for parameter in command.params}
    conditional_rows = {(verb, name) for verb, rules in RULES.items() for rule in rules for name in rule.options}
    assert not {(verb, name) for verb, names in ALWAYS.items() for name in names.split()} & conditional_rows


def test_every_verb_checks_its_options() -> None:
    assert [verb for verb, command in commands() if not isinstance(command, Verb)] == []
    assert set(RULES) <= {verb for verb, _ in commands()}


@pytest.mark.parametrize(("verb", "command"), list(commands()), ids=[verb for verb, _ in commands()])
def test_every_parameter_is_read_by_its_verb(verb: str, command: Any) -> None:
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(command.callback)))
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    read = {node.id for part in function.body for node in ast.walk(part) if isinstance(node, ast.Name)}
    assert {parameter.name for parameter in command.params} - read == set(), verb


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.verb} {row.typed}, {row.unused}")
def test_an_option_without_effect_is_refused(row: Row, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    message = refused(f"{row.verb} {row.unused} {row.typed}", monkeypatch, tmp_path)
    assert row.typed.split()[0] in message
    assert row.message in message
    assert refused(f"{row.verb} {row.used} {row.typed}", monkeypatch, tmp_path) == ""
    assert refused(f"{row.verb} {row.unused}", monkeypatch, tmp_path) == ""


@pytest.mark.parametrize(("verb", "strategy", "name", "line"), OF_STRATEGY)
def test_a_strategy_refuses_what_it_does_not_read(
    verb: str, strategy: str, name: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reads = SEARCH_READS if verb == "search" else COMPRESS_READS
    message = refused(f"{verb} {line} {TYPED[name]}", monkeypatch, tmp_path)
    assert refused(f"{verb} {line}", monkeypatch, tmp_path) == ""
    if name in reads[strategy]:
        assert message == ""
        return
    assert f"The strategy {strategy} does not use {TYPED[name].split()[0]}. Leave it out" in message
    readers = [other for other, options in reads.items() if name in options]
    assert all(reader in message.split("another strategy")[1] for reader in readers)


def test_several_options_are_named_at_once(digits: Path, tmp_path: Path) -> None:
    command = ("search", digits, "--budget", "macs<=1M", "--out", tmp_path / "out", "--strategy", "once-for-all")
    message = fail(2, *command, "--trials", 3, "--no-control", "--epochs", 1)
    assert "does not use --trials, --epochs and --no-control. Leave them out" in message
    assert not (tmp_path / "out").exists()


def split_digits(digits: Path, root: Path) -> Path:
    """The same images in a folder with its own three splits."""
    for image in sorted(digits.glob("*/*.png")):
        split = ("train", "train", "val", "test")[int(image.stem) % 4]
        place = root / split / image.parent.name
        place.mkdir(parents=True, exist_ok=True)
        (place / image.name).write_bytes(image.read_bytes())
    return root


def test_a_seed_for_a_folder_with_its_own_splits(model: Path, digits: Path, tmp_path: Path) -> None:
    folder = split_digits(digits, tmp_path / "split")
    for verb in (("data", "check"), ("eval", model)):
        assert "has its own train, val and test splits" in fail(2, *verb, folder, "--seed", 0)
        succeed(*verb, folder)
        succeed(*verb, digits, "--seed", 0)


def test_a_seed_for_a_table_that_was_begun_with_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pocketcnn.targets.latency.predictor import current_conditions
    from pocketcnn.targets.latency.table import LatencyTable
    from pocketcnn.targets.target import load_target

    path = tmp_path / "table.json"
    LatencyTable("onnxruntime-cpu", current_conditions(load_target("onnxruntime-cpu")), seed=3).save(path)
    profile = ("target", "profile", "onnxruntime-cpu", "--seconds", "0.1", "--out", path)
    assert "started with seed 3" in fail(2, *profile, "--seed", 0)
    assert LatencyTable.load(path).seed == 3


def test_what_a_file_of_a_runtime_is_not_run_with(model: Path, onnx_file: Path, digits: Path) -> None:
    quick = ("--seconds", "0.05", "--launches", "1")
    assert "--runtime litert: no given file" in fail(2, "bench", onnx_file, "--runtime", "onnxruntime,litert", *quick)
    assert "--numerics: only for networks" in fail(2, "bench", onnx_file, "--numerics", "int8", *quick)
    assert "--images: only for networks" in fail(2, "bench", onnx_file, "--images", digits, *quick)
    succeed("bench", onnx_file, model, "--numerics", "float32", "--runtime", "onnxruntime", *quick)


def test_a_width_for_networks_that_have_none() -> None:
    assert "leave --width out" in fail(2, "models", "squeezenet*", "--width", "0.5")


@pytest.mark.parametrize("field", ["epochs = 3", "warmup_epochs = 0.5", "seed = 4"])
@pytest.mark.parametrize("verb", ["fit", "search", "compress", "target check"])
def test_a_recipe_may_not_say_what_follows_from_elsewhere(
    verb: str, field: str, model: Path, digits: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(field)
    command = {
        "fit": ("fit", digits, "--budget", "size<=1MB"),
        "search": ("search", digits, "--budget", "macs<=20M"),
        "compress": ("compress", model, digits, "--budget", "macs<=60%"),
        "target check": ("target", "check", model, "--target", "dsp-npu", "--substitute", "--data", digits),
    }[verb]
    out = tmp_path / "out" / "x.safetensors" if verb == "target check" else tmp_path / "out"
    assert f"sets {field.split()[0]}, which has no effect" in fail(2, *command, "--out", out, "--recipe", recipe)
    assert not (tmp_path / "out").exists()


def test_a_recipe_may_not_speak_of_a_teacher_that_there_is_not(digits: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("distillation_weight = 0.5\n")
    train = ("train", digits, "--network", "mobilenet_v2", "--out", tmp_path / "out", "--recipe", recipe)
    assert "sets distillation_weight, which has no effect without a teacher" in fail(2, *train)
    assert not (tmp_path / "out").exists()
