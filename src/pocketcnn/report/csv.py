"""The stages of a result as a CSV table."""

import csv
import io
from pathlib import Path

from pocketcnn.files import write_text
from pocketcnn.records.result import FitResult, StageRecord

SPLITS = ("validation", "test")
ACCURACY = ("top1", "low", "high", "images")
COSTS = ("params", "madds", "weight_bytes", "peak_activation_bytes", "seconds")


def write_csv(result: FitResult, path: Path) -> None:
    """Write one row for each stage, in order. Accuracies run from 0 to 1; other figures are in base units (bytes, seconds).

    Raises:
        PocketcnnError: the file cannot be written.
    """
    text = io.StringIO()
    rows = [_row(number, stage) for number, stage in enumerate(result.stages, 1)]
    writer = csv.DictWriter(text, fieldnames=_columns(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _columns() -> list[str]:
    return ["stage", "name", *(f"{split}_{field}" for split in SPLITS for field in ACCURACY), *COSTS, "note"]


def _row(number: int, stage: StageRecord) -> dict[str, object]:
    accuracies = {f"{split}_{field}": getattr(getattr(stage, split), field) for split in SPLITS for field in ACCURACY}
    costs = {name: getattr(stage, name) for name in COSTS}
    return {"stage": number, "name": stage.name, **accuracies, **costs, "note": stage.note}
