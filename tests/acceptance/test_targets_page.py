"""What docs/targets.md says of the shipped targets is what their files say."""

import re
from pathlib import Path

from pocketcnn.targets import Target, list_targets, load_target
from pocketcnn.targets.units import format_bytes

PAGE = (Path(__file__).parents[2] / "docs" / "targets.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    """The cells of the table of shipped targets, by name."""
    found = {}
    for line in re.findall(r"^\| `.*\|$", PAGE.partition("## Shipped targets")[2].partition("\n## ")[0], re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        for name in re.findall(r"`([\w-]+)`", cells[0]):
            found[name] = cells
    return found


def memory(target: Target) -> str:
    sizes = [format_bytes(size) for size in (target.ram, target.storage) if size]
    return ", ".join(sizes) or "not limited"


def test_the_table_tells_what_the_files_say() -> None:
    table = rows()
    assert set(table) == set(list_targets())
    for name, cells in table.items():
        target = load_target(name)
        assert (cells[1] == "no") == (target.runtime is None)
        assert cells[2] == ", ".join(target.numerics)
        assert cells[3] == memory(target)
