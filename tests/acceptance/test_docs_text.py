"""What the pages say between their blocks: names, options, paths and links exist, and the text can be read without stopping."""

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pages import ROOT, all_pages, anchors_of, blocks_of, inline_code, links_of, name_of, prose_of

from pocketcnn.cli.app import app

PAGES = {name_of(page): page.read_text(encoding="utf-8") for page in all_pages()}
NAMES = pytest.mark.parametrize("page", PAGES)
LINES, WIDTH = 6, 130
"""The longest paragraph, in lines of so many characters."""

DIALECT = (
    "channels go, really", "what is taken out", "target likes", "on the average behind", "computes the same", "is stood by",
    "made over", "goes on where", "narrowing", "by itself the machine",
)  # fmt: skip
"""Words of our own for what the field has words for."""


def children(command: Any) -> dict[str, Any]:
    """The commands of a group; of another command none."""
    return dict(getattr(command, "commands", {}))


def verb_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words after `pocketcnn` mean, and what is left of them."""
    command: Any = typer.main.get_command(app)
    while children(command) and words and not words[0].startswith("-"):
        assert words[0] in children(command), f"no command {words[0]!r} of {command.name}"
        command, words = children(command)[words[0]], words[1:]
    return command, words


def check_command(line: str) -> None:
    """Every word of a command exists: the verb, and its options."""
    command, words = verb_of(shlex.split(line, comments=True)[1:])
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    assert not unknown, f"{line}: no option {', '.join(unknown)}"


def commands_of(text: str, page: str) -> list[str]:
    """All commands of a page, in blocks and in the text; a name in capitals stands for anything."""
    blocks = [block for block in blocks_of(text, page) if block.language in ("sh", "console")]
    lines = [line.removeprefix("$ ") for block in blocks for line in block.lines]
    return [line for line in (*lines, *inline_code(text)) if re.match(r"pocketcnn( |$)", line)]


@NAMES
def test_every_command_has_its_verb_and_its_options(page: str) -> None:
    for line in commands_of(PAGES[page], page):
        check_command(line)


def test_the_pages_show_every_verb() -> None:
    shown = {
        verb_of(shlex.split(line, comments=True)[1:])[0].name
        for page in PAGES
        for line in commands_of(PAGES[page], page)
    }
    verbs = children(typer.main.get_command(app))
    assert shown >= {name for name, command in verbs.items() if not children(command) and not command.hidden}


def test_a_wrong_command_is_found() -> None:
    for line, says in (
        ("pocketcnn trian x", "no command 'trian'"),
        ("pocketcnn train x --epoch 3", "no option --epoch"),
    ):
        with pytest.raises(AssertionError, match=says):
            check_command(line)


@NAMES
def test_options_in_the_text_exist_somewhere(page: str) -> None:
    commands, known = [typer.main.get_command(app)], {"--help"}
    while commands:
        command = commands.pop()
        commands += children(command).values()
        known |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    scripts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").rglob("*.py"))
    known |= set(re.findall(r'"(--[a-z-]+)"', scripts))
    used = {option for code in inline_code(PAGES[page]) for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", code)}
    assert used <= known


@NAMES
def test_names_of_the_library_in_the_text_exist(page: str) -> None:
    for code in inline_code(PAGES[page]):
        for name in re.findall(r"^(?:pc|pocketcnn)(?:\.\w+)+", code):
            assert exists(re.sub(r"^pc\b", "pocketcnn", name)), name


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    try:
        return importlib.import_module(name) is not None
    except ModuleNotFoundError:
        return bool(module) and hasattr(importlib.import_module(module), attribute)


@NAMES
def test_paths_in_the_text_exist(page: str) -> None:
    paths = [code for code in inline_code(PAGES[page]) if re.fullmatch(r"(src|tests|docs|benchmarks)/[\w/.*-]+", code)]
    assert [path for path in paths if not list(ROOT.glob(path))] == []


@NAMES
def test_links_lead_to_pages_pictures_and_headings(page: str) -> None:
    for target in links_of(PAGES[page]):
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors_of(path.read_text(encoding="utf-8")), target


@NAMES
def test_paragraphs_are_short_and_without_private_words(page: str) -> None:
    text = prose_of(PAGES[page])
    long = [part[:80] for part in paragraphs(text) if lines_of(part) > LINES]
    assert long == []
    spoken = " ".join(re.sub(r"`[^`]*`", "", text).split()).lower()
    assert [words for words in DIALECT if words in spoken] == []


def paragraphs(text: str) -> list[str]:
    """Paragraphs and items of lists; headings, tables, pictures and comments are none."""
    text = re.sub(r"^( *)([-*]|\d+\.) ", r"\n\1", text, flags=re.MULTILINE)
    parts = [part.strip() for part in re.split(r"\n\s*\n", text)]
    return [part for part in parts if part and not re.match(r"[|#!]|<!--", part)]


def lines_of(paragraph: str) -> int:
    """Lines as they stand, or as many as a long one would take."""
    return max(len(paragraph.splitlines()), -(-len(" ".join(paragraph.split())) // WIDTH))


def test_no_code_is_indented_instead_of_fenced() -> None:
    """Such a block has no language, so nothing would run or check it."""
    for page, text in PAGES.items():
        found = re.findall(r"(?:^|\n)\n( {4}\S.*)", prose_of(text))
        assert [line for line in found if not re.match(r" *([-*]|\d+\.) ", line)] == [], page


def test_the_two_commands_for_developers_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shown = re.findall(r"^make (\w+)", PAGES["README.md"], flags=re.MULTILINE)
    assert shown == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in shown)


def test_generated_text_is_looked_at_too() -> None:
    assert Path("docs/benchmarks/search.md").as_posix() in PAGES
    assert paragraphs("a\nb\n- c\n  d\n\n| x |\n\n# y") == ["a\nb", "c\n  d"]
    assert lines_of("x" * 700) == 6
