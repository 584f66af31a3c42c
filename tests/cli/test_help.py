"""Help, version, and what the program costs before it does anything."""

import subprocess
import sys

import pytest

import pocketcnn
from tests.support.cli import invoke, succeed

VERBS = ("fit", "models", "train", "eval", "predict", "search", "compress", "export", "bench", "inspect", "doctor")
DATA_VERBS = ("digits", "check")
TARGET_VERBS = ("list", "show", "check", "calibrate", "layers", "profile", "predict")
HEAVY = ("torch", "torchvision", "numpy", "rich", "onnx", "onnxruntime", "PIL", "plotly")


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["fit", "--help"], ["data", "check", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = python(
        "import sys; from pocketcnn.cli.app import main; sys.argv = ['pocketcnn', *" + repr(arguments) + "]\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    assert done.stderr == "[]\n"
    assert done.stdout


def test_the_program_itself_adds_little_to_the_start() -> None:
    """At most twice what typer takes, by the fastest of some runs: a busy machine slows down single ones."""
    own, library = zip(*(start_times() for _ in range(5)), strict=True)
    assert min(own) < 2 * min(library)


def start_times() -> tuple[int, int]:
    """Microseconds that the modules of the program and typer take to import."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import pocketcnn.cli.app"],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|") for line in done.stderr.splitlines()[1:]]
    total = {name.strip(): int(cumulative) for _, cumulative, name in rows}
    own = sum(int(row[0].split(":")[1]) for row in rows if row[2].strip().startswith("pocketcnn"))
    assert "typer.rich_utils" not in total
    return own, total["typer"]


@pytest.mark.parametrize(
    "verb",
    [(verb,) for verb in VERBS] + [("data", verb) for verb in DATA_VERBS] + [("target", verb) for verb in TARGET_VERBS],
)
def test_every_verb_has_help_with_an_example_of_itself(verb: tuple[str, ...]) -> None:
    help_text = succeed(*verb, "--help").stdout
    assert "Example" in help_text
    assert f"  pocketcnn {' '.join(verb)} " in help_text or f"  pocketcnn {' '.join(verb)}\n" in help_text


@pytest.mark.parametrize(
    "verb",
    [(verb,) for verb in VERBS] + [("data", verb) for verb in DATA_VERBS] + [("target", verb) for verb in TARGET_VERBS],
)
def test_every_verb_reports_as_json_if_asked(verb: tuple[str, ...]) -> None:
    assert "--json" in succeed(*verb, "--help").stdout


def test_the_list_of_verbs_is_complete_and_none_is_cut_short() -> None:
    listed = succeed("--help").stdout.split("Commands:")[1]
    assert {line.split()[0] for line in listed.splitlines() if line.strip()} == {*VERBS, "data", "target"}
    assert "..." not in listed


def test_version() -> None:
    assert succeed("--version").stdout == f"pocketcnn {pocketcnn.__version__}\n"


def test_wrong_use_ends_with_2() -> None:
    assert invoke().exit_code == 2
    assert invoke("nonsense").exit_code == 2
    assert invoke("fit").exit_code == 2
    assert invoke("models", "--nonsense").exit_code == 2
    assert invoke("predict", "a", "b", "--top", "0").exit_code == 2


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "pocketcnn", "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"pocketcnn {pocketcnn.__version__}\n")
