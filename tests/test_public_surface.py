"""The names of `import pocketcnn as pc`: found lazily, always the right thing, and known to type checkers."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import pocketcnn as pc


def run(code: str) -> str:
    """What `code` prints in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", pc.__all__)
def test_every_public_name_is_there_and_none_is_a_module(name: str) -> None:
    assert getattr(pc, name) is not None
    assert not isinstance(getattr(pc, name), ModuleType)
    assert name in dir(pc)


def test_type_checkers_are_told_the_same_names_and_homes() -> None:
    tree = ast.parse(Path(pc.__file__).read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    told = {
        (alias.asname, node.module) for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == {(name, home) for name, home in pc._HOMES.items()}


def test_importing_a_module_of_the_same_name_changes_nothing() -> None:
    code = """
import pkgutil, importlib, pocketcnn
for package in ("graph", "training", "pipeline", "cost", "compression", "targets"):
    root = importlib.import_module(f"pocketcnn.{package}")
    for module in pkgutil.walk_packages(root.__path__, root.__name__ + "."):
        importlib.import_module(module.name)
print([name for name in pocketcnn.__all__ if "module" in type(getattr(pocketcnn, name)).__name__])
"""
    assert run(code) == "[]\n"


def test_no_old_name_is_dropped_before_its_version_is_over() -> None:
    assert set(pc._DEPRECATED) == {"code", "CodeSettings", "inference_form", "make_over"}


@pytest.mark.parametrize("old", sorted(pc._DEPRECATED))
def test_old_names_are_kept_for_one_version_and_say_what_they_are_called_now(old: str) -> None:
    vars(pc).pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"pocketcnn.{old} is now pocketcnn.{pc._DEPRECATED[old]};"):
        assert getattr(pc, old) is getattr(pc, pc._DEPRECATED[old])
    assert old not in pc.__all__


def test_nothing_is_imported_before_it_is_used() -> None:
    code = """
import sys, pocketcnn as pc
heavy = ("torch", "numpy", "pydantic", "onnx", "PIL")
before = [name for name in heavy if name in sys.modules]
pc.list_models()
dir(pc)
print(before, [name for name in heavy if name in sys.modules])
"""
    assert run(code) == "[] []\n"


PACKAGES = sorted(module.name for module in pkgutil.iter_modules(pc.__path__) if module.ispkg)


def test_every_package_is_an_attribute_without_an_import_of_its_own() -> None:
    code = f"import pocketcnn as pc; print([getattr(pc, name).__name__ for name in {PACKAGES}])"
    assert ast.literal_eval(run(code)) == [f"pocketcnn.{name}" for name in PACKAGES]


def test_a_latency_is_predicted_by_the_name_that_the_documentation_gives() -> None:
    code = (
        "import sys, pocketcnn as pc; pc.targets; print('torch' in sys.modules, pc.targets.predict_latency.__module__)"
    )
    assert run(code) == "False pocketcnn.targets.latency.predictor\n"


def test_a_name_that_is_not_there_is_an_ordinary_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'pocketcnn' has no attribute 'nonsense'"):
        pc.nonsense  # noqa: B018


def test_the_first_lines_of_the_documentation_run(tmp_path: Path) -> None:
    network = pc.create("mobilenet_v2", width=0.1, classes=3)
    graph = pc.capture(network, (1, 3, 32, 32))
    assert pc.count(network, (1, 3, 32, 32)).madds == pc.count(graph).madds
    contract = pc.InputContract(height=32, width=32, mean=(0.5,) * 3, std=(0.25,) * 3)
    pc.save(tmp_path / "net.safetensors", network, input=contract, classes=("a", "b", "c"))
    assert pc.load(tmp_path / "net.safetensors").info.input == contract
