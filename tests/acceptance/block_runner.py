"""Runs the blocks of one page in their order, in a folder of its own, on few small images and with little training.

Nothing is left out. What a command would take too long for is made smaller by the tables below, which are all there is between a
page and what is run: options of commands (`SMALLER`), numbers in Python (`FEWER`), and the sizes of an effort (`LITTLE`).
"""

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pages import ROOT, Block
from typer.testing import CliRunner

from pocketcnn.cli.app import app
from pocketcnn.pipeline.effort import Effort, SupernetEffort

LITTLE = Effort(
    candidates=1,
    rounds=(3,),
    final_steps=20,
    recovery_steps=6,
    quantized_steps=3,
    short_steps=1,
    episodes=4,
    min_epochs=1,
    supernet=SupernetEffort(steps=20, subnetworks=6, population=4, generations=1, finalists=2),
)
"""Stands in for every effort."""

SMALLER: Mapping[str, Mapping[str, str | None]] = MappingProxyType(
    {
        "train": {"--epochs": "2"},
        "train * --network mobilenet_v2": {"--width": "0.1"},
        "compress timm:mobilenetv3_small_100": {"--recipe": "gentle.toml"},
        "search": {"--trials": "2", "--epochs": "1"},
        "search * --workers 8": {"--workers": "1"},
        "search * --width 1": {"--width": "0.1"},
        "bench": {"--seconds": "0.05", "--launches": "1"},
        "target calibrate": {"--seconds": "0.05"},
        "target profile": {"--seconds": "0.5", "--numerics": "float32"},
        "target layers": {"--runs": "3"},
        "target check * --substitute": {"--epochs": "1"},
    }
)
"""Start of a command, with * for anything between, and the options that it gets in place of its own; None adds a flag."""

GENTLE = "epochs = 12\nwarmup_epochs = 1\ngradient_clip = 1.0\n"
"""`gentle.toml`: one epoch of recovery is all warm-up at a high rate, and diverges without clipping."""

FEWER: Mapping[str, str] = MappingProxyType(
    {
        r"\bsteps=[^,\n)]+": "steps=20",
        r"\bsubnetworks=[\d_]+": "subnetworks=6",
        r"\bpopulation=[\d_]+": "population=4",
        r"\bgenerations=[\d_]+": "generations=1",
        r"\bfinalists=[\d_]+": "finalists=2",
        r"\btrials=\d+": "trials=2",
        r"\bepochs=\d+": "epochs=1",
        r"latency<=15ms@onnxruntime-cpu": "macs<=300k",
        r"(?m)^workers = \d+": "workers = 0",
    }
)
"""Patterns in Python and in files, and what stands in for them; such a budget gives images of 8 pixels a huge network."""

MAY_MISS = ("fit", "compress", "search")
"""These end with exit code 3 where a busy machine misses a limit on time, and that is no fault of the command."""

EACH = 24
"""Images of each class that are kept of a folder that a page makes."""


@dataclass
class PageRun:
    """What the blocks of a page share, and what they printed.

    Attributes:
        folder: where all of them run.
        namespace: of the Python blocks.
        printed: standard output of each block, in their order.
    """

    folder: Path
    blocks: list[Block]
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "__page__"})
    printed: list[str] = field(default_factory=list)

    def run(self, capture: Callable[[], str]) -> None:
        """All blocks; `capture` gives what Python printed since it was last asked.

        Raises:
            AssertionError: a block is of no known language, fails, or is a file that nothing uses.
        """
        (self.folder / "gentle.toml").write_text(GENTLE)
        for block in self.blocks:
            assert block.language in RUNNERS, (
                f"{block.place}: no language that can be run or checked: {block.language!r}"
            )
            if block.file:
                self._write(block)
        for block in self.blocks:
            output = RUNNERS[block.language](self, block)
            self.printed.append(output + capture())

    def _write(self, block: Block) -> None:
        users = [other for other in self.blocks if other is not block and block.file in other.text]
        assert users, f"{block.place}: no other block of the page uses the file {block.file}"
        path = self.folder / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(fewer(block.text))

    def python(self, block: Block) -> str:
        """Run in the page's namespace, with fewer steps; a block that is a file is run by what uses it."""
        if not block.file:
            exec(compile("\n" * block.line + fewer(block.text), block.page, "exec"), self.namespace)
        return ""

    def shell(self, block: Block) -> str:
        """Every line is a command."""
        return "".join(self.command(line, block) for line in block.lines)

    def console(self, block: Block) -> str:
        """Lines after ``$`` are commands, the others what they print: their labels must be printed here, too."""
        commands = [line.removeprefix("$ ") for line in block.lines if line.startswith("$ ")]
        assert commands, f"{block.place}: no line begins with '$ '; is it `text`?"
        output = "".join(self.command(line, block) for line in commands)
        labels = [re.split(r"\s{2,}", line)[0] for line in block.lines if re.search(r"\w\s{2,}\S", line)]
        absent = [label for label in labels if not re.search(rf"^{re.escape(label)}\b", output, flags=re.MULTILINE)]
        assert not absent, f"{block.place}: not printed: {absent}\n{output}"
        return output

    def command(self, line: str, block: Block) -> str:
        """One command line; what it prints on both streams."""
        words = shlex.split(line, comments=True)
        if not words:
            return ""
        assert words[0] in PROGRAMS, f"{block.place}: no way to run {words[0]!r}"
        return PROGRAMS[words[0]](self, words[1:], f"{block.place}: {line}")

    def pocketcnn(self, words: list[str], where: str) -> str:
        """The command line in this process."""
        words = smaller(words)
        done = CliRunner().invoke(app, words)
        timed = words[0] in MAY_MISS and "latency" in " ".join(words)
        assert done.exit_code in ((0, 3) if timed else (0,)), (
            f"{where}\nrun as: {shlex.join(words)}\n{done.stdout}\n{done.stderr}\n{done.exception!r}"
        )
        if words[:1] == ["data"] and "--out" in words:
            thin_out(self.folder / words[words.index("--out") + 1])
        return done.stdout + done.stderr

    def make(self, words: list[str], where: str) -> str:
        """A target of the Makefile: it must be there; what it would do is printed."""
        return succeed(["make", "--dry-run", *words], ROOT, where)

    def pip(self, words: list[str], where: str) -> str:
        """An installation of this project with its extras: they must be those that it has."""
        words = [re.sub(r"^(\.|dist/\S*\.whl)(?=\[|$)", "pocketcnn", word) for word in words if word != "-e"]
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        asked = {extra for word in words for extra in re.findall(r"[\w-]+", "".join(re.findall(r"\[(.*)\]", word)))}
        absent = asked - set(project["optional-dependencies"])
        assert not absent, f"{where}: the project has no extra {', '.join(sorted(absent))}"
        offline = ["--dry-run", "--no-index", "--no-deps", "--disable-pip-version-check"]
        return succeed([sys.executable, "-m", "pip", *words, *offline], self.folder, where)

    def script(self, words: list[str], where: str) -> str:
        """A benchmark, on a copy of the documentation and as small as it can be."""
        docs = self.folder / "docs"
        if not docs.exists():
            shutil.copytree(ROOT / "docs", docs)
        script, *options = words
        assert script in BENCHMARKS, f"{where}: no small setting for {script}"
        more = [word.format(docs=docs) for word in BENCHMARKS[script]]
        return succeed([sys.executable, str(ROOT / script), *options, *more], self.folder, where)


def fewer(text: str) -> str:
    """A block with what `FEWER` puts in place of large numbers.

    >>> fewer("SupernetEffort(steps=605 * 1_281_167 // 256)")
    'SupernetEffort(steps=20)'
    """
    for pattern, instead in FEWER.items():
        text = re.sub(pattern, instead, text)
    return text


def smaller(words: list[str]) -> list[str]:
    """A command with the options that `SMALLER` gives it.

    >>> smaller(["train", "photos", "--epochs", "30"])
    ['train', 'photos', '--epochs', '2']
    """
    for start, options in SMALLER.items():
        pattern = re.escape(start).replace(r"\ \*\ ", " (?:.* )?") + r"(?: |$)"
        if re.match(pattern, " ".join(words) + " "):
            for option, value in options.items():
                words = with_option(words, option, value)
    return words


def with_option(words: list[str], option: str, value: str | None) -> list[str]:
    """`words` with this value of an option, in the place of one that is there."""
    if option in words:
        place = words.index(option)
        words = words[:place] + words[place + (1 if value is None else 2) :]
    return [*words, option, *([] if value is None else [value])]


def thin_out(folder: Path) -> None:
    """Leave the first images of each class alone."""
    for label in filter(Path.is_dir, folder.rglob("*")):
        for path in sorted(filter(Path.is_file, label.iterdir()))[EACH:]:
            path.unlink()


def succeed(command: list[str], folder: Path, where: str) -> str:
    """Run a program that must end with exit code 0; what it prints on both streams."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{where}\nrun as: {shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def mermaid(run: PageRun, block: Block) -> str:
    """A flow chart: every line is part of its grammar, every sub-graph ends, and no arrow leads to a node without a name."""
    first, *lines = [line.strip() for line in block.lines]
    assert re.fullmatch(r"flowchart (TD|LR)", first), f"{block.place}: {first}"
    node = r"[A-Za-z_]\w*(?:\[/?\"?[^\]]*\"?/?\])?"
    arrow = r"\s*(?:-->|---|-\.->|==>|-- \"[^\"]+\" -->)\s*"
    forms = [rf"{node}(?:{arrow}{node})*", r'subgraph \w+(?:\["[^"]+"\])?', "end", r"direction (TB|LR)"]
    depth = 0
    for line in lines:
        assert any(re.fullmatch(form, line) for form in forms), f"{block.place}: no part of a flow chart: {line}"
        depth += line.startswith("subgraph") - (line == "end")
        assert depth >= 0, f"{block.place}: an end without a subgraph"
    assert depth == 0, f"{block.place}: a subgraph without an end"
    return ""


def data_file(run: PageRun, block: Block) -> str:
    """A file that the page names is read by the command that uses it; one without a name would be read by nobody."""
    assert block.file, f"{block.place}: which file is it? Write ```{block.language} NAME, and use it in another block."
    return ""


def text(run: PageRun, block: Block) -> str:
    """Output, a formula or a layout of folders: nothing to run. It must not look like a command."""
    commands = [line for line in block.lines if re.match(r"(\$ |(pocketcnn|make|pip|python|import|from) )", line)]
    assert not commands, f"{block.place}: marked as text, though it is run: {commands}"
    return ""


PROGRAMS: Mapping[str, Callable[[PageRun, list[str], str], str]] = MappingProxyType(
    {"pocketcnn": PageRun.pocketcnn, "make": PageRun.make, "pip": PageRun.pip, "python": PageRun.script}
)
RUNNERS: Mapping[str, Callable[[PageRun, Block], str]] = MappingProxyType(
    {
        "python": PageRun.python,
        "sh": PageRun.shell,
        "console": PageRun.console,
        "toml": data_file,
        "json": data_file,
        "mermaid": mermaid,
        "text": text,
    }
)
BENCHMARKS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "benchmarks/networks.py": ("--only", "shiftresnet", "--seconds", "0.02", "--out", "{docs}/networks"),
        "benchmarks/runtimes.py": (
            "--networks", "mobilenet_v3_small", "--runtimes", "onnxruntime", "--threads", "1", "--seconds", "0.02",
            "--launches", "1", "--out", "{docs}/benchmarks",
        ),
    }
)  # fmt: skip
"""Benchmarks that pages show, with the options that make them small and write to a copy."""
