"""Every fenced block of the README and of every page in docs/ is run: no page and no block is left out.

The blocks of a page run in their order in a folder of its own, see `block_runner`. What a page names and does not make itself
(photographs, a trained network) is a small stand-in.
"""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from block_runner import LITTLE, RUNNERS, PageRun, fewer, smaller
from pages import Block, all_pages, blocks_of, name_of

from pocketcnn.graph.model_file import load
from pocketcnn.pipeline import effort

SLOW = frozenset(
    {
        "docs/benchmarks/runtimes.md",
        "docs/commands.md",
        "docs/compress.md",
        "docs/networks/README.md",
        "docs/once_for_all.md",
        "docs/search.md",
        "docs/targets.md",
    }
)
"""Pages whose blocks take more than half a minute even so: `make slow` runs them, and `test_docs_text` checks their commands."""

PAGES = {name_of(page): blocks_of(page.read_text(encoding="utf-8"), name_of(page)) for page in all_pages()}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else []) for page, blocks in PAGES.items() if blocks],
)
def test_every_block_of_a_page_runs(
    page: str,
    stand_ins: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(effort, "EFFORTS", dict.fromkeys(effort.EFFORTS, LITTLE))
    lay_out(tmp_path, PAGES[page], stand_ins)
    done = PageRun(tmp_path, PAGES[page])
    done.run(lambda: capsys.readouterr().out)
    if page in THEN:
        THEN[page](done)


def lay_out(folder: Path, blocks: list[Block], stand_ins: Path) -> None:
    """Put into `folder` what the blocks of a page name and do not make."""
    text = "".join(block.text for block in blocks)
    made = set(re.findall(r"--out (\w+)", text))
    for name in {"photos", "digits", "imagenet"} - made:
        shutil.copytree(stand_ins / "photos", folder / name)
    for name in set(re.findall(r"\b(\w+)/model\.", text)) - made:
        shutil.copytree(stand_ins / "run", folder / name)
    shutil.copy(next((stand_ins / "photos").rglob("*.png")), folder / "picture.png")


def readme(done: PageRun) -> None:
    assert (done.folder / "fitted" / "model.onnx").stat().st_size <= 60_000


def commands(done: PageRun) -> None:
    assert (done.folder / "smaller" / "report.html").is_file()
    assert (done.folder / "small.safetensors").is_file()
    printed = [out for block, out in zip(done.blocks, done.printed, strict=True) if block.language == "python"]
    assert [int(out) > 0 for out in printed] == [True, True]


def compress(done: PageRun) -> None:
    given = load(done.folder / "run" / "model.safetensors")
    for name in (
        "smaller/model.safetensors",
        "smallest/model.safetensors",
        "stored/model.safetensors",
        "small.safetensors",
    ):
        assert load(done.folder / name).info.classes == given.info.classes
    assert (done.folder / "stored" / "model.safetensors").stat().st_size <= 40_000
    (printed,) = [out for block, out in zip(done.blocks, done.printed, strict=True) if block.language == "python"]
    assert 0.4 < float(printed) <= 0.5


def targets(done: PageRun) -> None:
    assert (done.folder / "made_over.safetensors").is_file()


THEN: Mapping[str, Callable[[PageRun], None]] = MappingProxyType(
    {"README.md": readme, "docs/commands.md": commands, "docs/compress.md": compress, "docs/targets.md": targets}
)
"""What must have come of it."""


def test_all_pages_are_looked_at() -> None:
    assert {"README.md", "docs/targets.md", "docs/once_for_all.md", "docs/benchmarks/runtimes.md"} <= set(PAGES)
    assert len(PAGES) > 30
    assert set(PAGES) >= SLOW
    assert {block.language for blocks in PAGES.values() for block in blocks} <= set(RUNNERS)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("```ruby\nputs 1\n```\n", "no language that can be run or checked: 'ruby'"),
        ("```\npocketcnn models\n```\n", "no language that can be run or checked: ''"),
        ("```text\npocketcnn models\n```\n", "marked as text, though it is run"),
        ("```sh\ncurl example\n```\n", "no way to run 'curl'"),
        ("```sh\npocketcnn inspect mobilenet_w2\n```\n", "Did you mean mobilenet_v"),
        ("```sh\nmake absent\n```\n", "absent"),
        ("```sh\npip install 'pocketcnn[absent]'\n```\n", "the project has no extra absent"),
        ("```sh\npip install 'other'\n```\n", "No matching distribution found for other"),
        ("```sh\npython benchmarks/absent.py\n```\n", "no small setting for benchmarks/absent.py"),
        ("```console\npocketcnn models\n```\n", "is it `text`?"),
        ("```console\n$ pocketcnn doctor\nabsent label   1\n```\n", "not printed: ['absent label']"),
        ("```toml\nname = 1\n```\n", "which file is it?"),
        ("```toml a.toml\nname = 1\n```\n", "no other block of the page uses the file a.toml"),
        ("```mermaid\nflowchart TD\nsubgraph a\n```\n", "a subgraph without an end"),
        ("```mermaid\nflowchart TD\na -> b\n```\n", "no part of a flow chart: a -> b"),
        ("```python\nimport pocketcnn as pc\npc.targets.absent\n```\n", "absent"),
        ("```python\nx = 1\n```\n\n```python\nprint(y)\n```\n", "'y' is not defined"),
        ("```python\nx = 1\n", "the block has no end"),
    ],
)
def test_a_page_with_a_mistake_fails(text: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((AssertionError, AttributeError, NameError)) as error:
        PageRun(tmp_path, blocks_of(text, "page.md")).run(str)
    assert says in str(error.value)


def test_blocks_of_a_page_share_their_names_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "```toml a/b.toml\nx = 3\n```\n\n```python\nfrom pathlib import Path\n```\n"
    text += "   ```python\n   y = Path('a/b.toml').read_text()\n   ```\n"
    done = PageRun(tmp_path, blocks_of(text, "page.md"))
    done.run(str)
    assert done.namespace["y"] == "x = 3\n"


def test_commands_are_made_smaller_and_not_left_out() -> None:
    assert smaller(["search", "digits", "--trials", "30"]) == ["search", "digits", "--trials", "2", "--epochs", "1"]
    assert smaller(["search", "x", "--workers", "8"])[-2:] == ["--workers", "1"]
    assert smaller(["target", "profile", "openvino-cpu"])[-4:] == ["--seconds", "0.5", "--numerics", "float32"]
    assert smaller(["models", "--check"]) == ["models", "--check"]
    assert (
        fewer("SupernetEffort(steps=605 * 1_281_167 // 256)\nworkers = 8\n")
        == "SupernetEffort(steps=20)\nworkers = 0\n"
    )
