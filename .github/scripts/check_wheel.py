"""Whether a wheel holds every data file of the package, and nothing else: python .github/scripts/check_wheel.py dist/*.whl

The files are those that Git knows below `src`; a checkout without `src` still knows them.
"""

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]


def problems(packed: set[str], tracked: set[str]) -> list[str]:
    """Files of the package that the wheel lacks, and files of the wheel that are none of the package."""
    missing = [f"The wheel lacks {name}." for name in sorted(tracked - packed)]
    return missing + [f"The wheel has {name}, which Git does not know." for name in sorted(packed - tracked)]


def main() -> int:
    packed = {name for name in ZipFile(sys.argv[1]).namelist() if ".dist-info/" not in name and not name.endswith("/")}
    listed = subprocess.run(
        ["git", "ls-files", "src"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    found = problems(packed, {name.removeprefix("src/") for name in listed})
    print("\n".join(found) or f"{len(packed)} files, all of them there", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
