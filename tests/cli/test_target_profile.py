"""`target profile` and `target predict` on ONNX Runtime, for real though short."""

import json
from pathlib import Path

from pocketcnn.cli.app import app


def test_a_short_profile_and_a_prediction_from_it(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    table = tmp_path / "table.json"
    profile = ["target", "profile", "onnxruntime-cpu", "--seconds", "0.5", "--numerics", "float32", "--out", str(table)]
    result = CliRunner().invoke(app, [*profile, "--json"])
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert summary["float32 blocks"] >= 20
    predict = ["target", "predict", "mobilenet_v2", "--target", "onnxruntime-cpu", "--table", str(table)]
    found = CliRunner().invoke(app, [*predict, "--width", "0.35", "--input", "64", "--json"])
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert 0 < document["low"] < document["seconds"] < document["high"]
    assert len(document["kernels"]) == 55
    absent = CliRunner().invoke(app, [*predict, "--numerics", "int8"])
    assert absent.exit_code == 2


def test_without_a_table_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    result = CliRunner().invoke(
        app,
        ["target", "predict", "mobilenet_v2", "--target", "onnxruntime-cpu", "--table", str(tmp_path / "none.json")],
    )
    assert result.exit_code == 2
    assert "pocketcnn target profile onnxruntime-cpu" in result.output
