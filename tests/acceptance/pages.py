"""The pages of the documentation: their fenced blocks, their links, and what they name in inline code."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<info>.*)$")


@dataclass(frozen=True)
class Block:
    """One fenced block. Its first line is ```` ```language file ````; `file` names a block that is written to a file."""

    page: str
    line: int
    language: str
    file: str
    text: str

    @property
    def place(self) -> str:
        """For messages: ``docs/targets.md, line 12``."""
        return f"{self.page}, line {self.line}"

    @property
    def lines(self) -> list[str]:
        """Commands or lines of output, with continued lines joined and without what is empty."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


def all_pages() -> list[Path]:
    """The README and every page in docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    """The path of a page from the root of the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(text: str, page: str) -> list[Block]:
    """All fenced blocks of a page, in their order.

    Raises:
        AssertionError: a block has no end.
    """
    found, opened, body = [], None, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None and fence:
            opened, body = (number, fence), []
        elif opened is not None and fence and fence["ticks"] == opened[1]["ticks"] and not fence["info"].strip():
            language, _, file = opened[1]["info"].strip().partition(" ")
            found.append(Block(page, opened[0], language, file.strip(), "\n".join(body) + "\n"))
            opened = None
        elif opened is not None:
            body.append(line.removeprefix(opened[1]["indent"]))
    assert opened is None, f"{page}, line {opened[0]}: the block has no end"
    return found


def prose_of(text: str) -> str:
    """A page without its fenced blocks."""
    kept, inside = [], False
    for line in text.splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)


def inline_code(text: str) -> list[str]:
    """What stands between single backticks outside of blocks, lines that were broken joined."""
    return [" ".join(code.split()) for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose_of(text))]


def links_of(text: str) -> list[str]:
    """Targets of links and pictures that lie in this repository, without their anchors."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(text)) if "://" not in target]


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
