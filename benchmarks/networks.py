"""Measure every network of the zoo on this machine and write the pages of docs/networks anew.

    python -m benchmarks.networks                     # measure all, then write the pages: some 6 minutes
    python -m benchmarks.networks --only 'mobilenet*' # measure some, on the machine of the others
    python -m benchmarks.networks --pages             # only write the pages, from the figures that are there

Run it on a machine that does nothing else. Times go to docs/networks/latency.json with their spread.
"""

import argparse
import json
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from benchmarks.network_pages.nominal import nominal_rows
from benchmarks.network_pages.pages import write_pages
from benchmarks.network_pages.timing import measured
from pocketcnn.files import write_text
from pocketcnn.runtimes import StopRule

PAGES = Path(__file__).parents[1] / "docs" / "networks"
LATENCY = "latency.json"
CIRCUMSTANCES = {"machine": ("cpu", "flags", "cores"), "session": ("runtime", "version", "threads")}
"""What must be the same for figures that stand in one table."""


def main() -> None:
    options = arguments()
    latency = options.out / LATENCY
    if not options.pages:
        rule = StopRule(
            warmup_seconds=min(0.1, options.seconds), min_seconds=min(0.2, options.seconds), max_seconds=options.seconds
        )
        rows = [row for name, row in nominal_rows().items() if fnmatch(name, options.only)]
        found = measured(rows, rule, print)
        if options.only != "*" and latency.is_file():
            kept = json.loads(latency.read_text(encoding="utf-8"))
            if other := differing(kept, found):
                raise SystemExit(
                    f"The other figures in {latency} were measured with another {' and '.join(other)}, and one page says one "
                    "machine for all. Measure all networks: leave --only out."
                )
            found["networks"] = dict(sorted({**kept["networks"], **found["networks"]}.items()))
        write_text(latency, json.dumps(found, indent=1) + "\n")
    for page in write_pages(options.out, json.loads(latency.read_text(encoding="utf-8"))):
        print(f"wrote {page}")


def differing(kept: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What of the circumstances of two measurements is not the same."""
    pairs = ((group, key) for group, keys in CIRCUMSTANCES.items() for key in keys)
    return [key for group, key in pairs if kept[group].get(key) != found[group].get(key)]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", help="measure only networks whose names match")
    parser.add_argument("--seconds", type=float, default=1.0, help="the longest time to measure each form of a network")
    parser.add_argument("--pages", action="store_true", help="measure nothing, write the pages")
    parser.add_argument("--out", type=Path, default=PAGES, help="the folder of the pages")
    return parser.parse_args()


if __name__ == "__main__":
    main()
