import csv
from pathlib import Path

from pocketcnn.report import FitResult, write_csv


def test_each_stage_is_a_row_with_its_figures_in_base_units(met_result: FitResult, tmp_path: Path) -> None:
    write_csv(met_result, tmp_path / "stages.csv")
    with (tmp_path / "stages.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == ["train", "prune", "recover", "quantize"]
    for row, stage in zip(rows, met_result.stages, strict=True):
        assert float(row["test_top1"]) == stage.test.top1
        assert float(row["validation_low"]) == stage.validation.low
        assert int(row["validation_images"]) == 270
        assert int(row["weight_bytes"]) == stage.weight_bytes
        assert float(row["seconds"]) == stage.seconds
        assert row["note"] == stage.note


def test_a_note_with_commas_quotes_and_lines_survives(met_result: FitResult, tmp_path: Path) -> None:
    note = 'channels, "rounded"\nto 8'
    stage = met_result.stages[0].model_copy(update={"note": note})
    write_csv(met_result.model_copy(update={"stages": (stage,)}), tmp_path / "stages.csv")
    with (tmp_path / "stages.csv").open(encoding="utf-8", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["note"] == note
