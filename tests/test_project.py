"""What the project says of itself in several files is the same in all: versions, workflows, hooks, markers, extras."""

import re
import runpy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import pocketcnn
from pocketcnn.runtimes.registry import RUNTIMES

ROOT = Path(__file__).parents[1]
PYPROJECT_TEXT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads(PYPROJECT_TEXT)
PROJECT = PYPROJECT["project"]
WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8")) for path in ROOT.glob(".github/workflows/*.yml")
}
OTHER_YAML = [*ROOT.glob(".github/ISSUE_TEMPLATE/*.yml"), ROOT / ".pre-commit-config.yaml"]
release_problems: Callable[..., list[str]] = runpy.run_path(str(ROOT / ".github/scripts/check_release.py"))["problems"]
wheel_problems: Callable[..., list[str]] = runpy.run_path(str(ROOT / ".github/scripts/check_wheel.py"))["problems"]


def minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def requirement(name: str, of: list[str]) -> str:
    """The versions that a list of requirements allows of a package."""
    return next(found[1] for line in of if (found := re.fullmatch(rf"{name}((?:[<>=!~]|$).*)", line)))


def bounds(versions: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """``>=2.11,<2.14``: the oldest minor version, and the one above the newest."""
    low, high = re.fullmatch(r">=([\d.]+),<([\d.]+)", versions).groups()
    return minor(low if "." in low else f"{low}.0"), minor(high if "." in high else f"{high}.0")


def pythons() -> list[str]:
    prefix = "Programming Language :: Python :: "
    return [line.removeprefix(prefix) for line in PROJECT["classifiers"] if line.startswith(prefix)]


def steps(workflow: str, job: str) -> str:
    return "\n".join(step.get("run", "") for step in WORKFLOWS[workflow]["jobs"][job]["steps"])


def test_there_are_both_workflows_and_every_job_has_steps() -> None:
    assert set(WORKFLOWS) == {"ci.yml", "release.yml"}
    for workflow in WORKFLOWS.values():
        for job in workflow["jobs"].values():
            assert job["runs-on"]
            assert all("uses" in step or "run" in step for step in job["steps"])


@pytest.mark.parametrize("path", OTHER_YAML, ids=lambda path: path.name)
def test_other_yaml_files_parse(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text(encoding="utf-8")), dict)


def test_the_matrix_is_every_python_and_both_ends_of_torchs_range() -> None:
    matrix: dict[str, Any] = WORKFLOWS["ci.yml"]["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == pythons()
    assert PROJECT["requires-python"] == f">={pythons()[0]}"
    for library in ("torch", "torchvision"):
        low, above = bounds(requirement(library, PROJECT["dependencies"]))
        found = {minor(entry[library]) for entry in matrix["include"]}
        assert found == {low, (above[0], above[1] - 1)}, library
    assert matrix["torch"] == [entry["torch"] for entry in matrix["include"]]
    assert WORKFLOWS["release.yml"]["jobs"]["test-the-wheel"]["strategy"]["matrix"]["python"] == pythons()


def test_the_workflow_runs_the_commands_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^(make \w+)", readme, re.MULTILINE)
    assert {"make demo", "make test"} <= set(commands)
    assert set(commands) <= set(steps("ci.yml", "test").splitlines())
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    asked = re.findall(r"make (\w+)", "\n".join(steps("ci.yml", job) for job in WORKFLOWS["ci.yml"]["jobs"]))
    assert set(asked) <= set(targets)


def test_nothing_is_published_before_the_wheel_was_tested_without_the_sources() -> None:
    jobs = WORKFLOWS["release.yml"]["jobs"]
    assert jobs["publish"]["needs"] == "test-the-wheel"
    assert jobs["test-the-wheel"]["needs"] == "build"
    tested = steps("release.yml", "test-the-wheel")
    assert (
        tested.index("rm -r src")
        < tested.index("pip install")
        < tested.index("check_wheel.py")
        < tested.index("pytest")
    )
    assert "check_release.py" in steps("release.yml", "build")


def test_a_tag_must_be_the_version_and_the_changelog_must_tell_of_it() -> None:
    version = PROJECT["version"]
    told = f"## [{version}] - 2026-01-31\n"
    assert release_problems(f"v{version}", PYPROJECT_TEXT, told) == []
    assert len(release_problems(version, PYPROJECT_TEXT, told)) == 1
    assert len(release_problems("v0.0.0", PYPROJECT_TEXT, told)) == 1
    assert len(release_problems(f"v{version}", PYPROJECT_TEXT, "## [Unreleased]\n")) == 1


def test_the_version_is_written_once() -> None:
    assert pocketcnn.__version__ == PROJECT["version"]
    literal = re.compile(rf"version.{{0,4}}=.{{0,4}}{re.escape(PROJECT['version'])}", re.IGNORECASE)
    sources = [*(ROOT / "src").rglob("*.py"), *ROOT.glob("*.cfg"), *ROOT.glob("setup.py")]
    assert [path.name for path in sources if literal.search(path.read_text(encoding="utf-8"))] == []


def test_a_wheel_that_lacks_or_adds_a_file_is_refused() -> None:
    assert wheel_problems({"a.py", "b.toml"}, {"a.py", "b.toml"}) == []
    assert wheel_problems({"a.py"}, {"a.py", "b.toml"}) == ["The wheel lacks b.toml."]
    assert wheel_problems({"a.py", "b.toml"}, {"a.py"}) == ["The wheel has b.toml, which Git does not know."]


def test_every_kind_of_data_file_is_packed() -> None:
    package = ROOT / "src" / "pocketcnn"
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["pocketcnn"]
    packed = {path for pattern in patterns for path in package.glob(pattern)}
    data = {path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert data <= packed


def test_the_hook_of_ruff_is_of_the_range_of_the_project() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (ruff,) = [repository for repository in config["repos"] if "ruff" in repository["repo"]]
    low, above = bounds(requirement("ruff", PROJECT["optional-dependencies"]["dev"]))
    assert low <= minor(ruff["rev"].removeprefix("v")) < above


def test_every_folder_of_tests_is_a_marker() -> None:
    markers = {line.partition(":")[0] for line in PYPROJECT["tool"]["pytest"]["ini_options"]["markers"]}
    folders = {path.relative_to(ROOT / "tests").parts[0] for path in (ROOT / "tests").glob("*/**/test_*.py")}
    assert markers == folders | {"slow"}


def test_tests_carry_the_marker_of_their_folder(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> None:
    for item in request.session.items:
        folder, *below = item.path.relative_to(ROOT / "tests").parts
        assert not below or item.get_closest_marker(folder), item.nodeid


def test_every_runtime_that_is_not_always_there_has_an_extra_of_its_name() -> None:
    extras = PROJECT["optional-dependencies"]
    always = {re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]}
    optional = {name for name in RUNTIMES if name not in always}
    assert optional <= set(extras)
    assert set(re.findall(r"\w+", extras["runtimes"][0].removeprefix("pocketcnn"))) == optional
