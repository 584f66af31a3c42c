"""`pocketcnn target calibrate`: measures peak rate and bandwidth of a target on this machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Json
from pocketcnn.cli.output import Output
from pocketcnn.errors import UsageError

if TYPE_CHECKING:
    from pocketcnn.targets import Target


def calibrate(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="Name of a target, or its .toml file.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="The .toml file to write: the target with its measured rates.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Longest time of each measurement, in seconds.")] = 3.0,
    as_json: Json = False,
) -> None:
    """Measure the peak rate and the memory bandwidth of a target on this machine.

    The peak rate (multiply-adds/s, for each numerics) is measured on large convolutions, the bandwidth (bytes/s) on a tensor
    larger than the caches. `target check` uses them to estimate the time of each layer.

    \b
    Example:
      pocketcnn target calibrate onnxruntime-cpu --out this-machine.toml
    """
    if out is not None and out.suffix.lower() != ".toml":
        raise UsageError(f"--out {out}: a target is a .toml file.")
    from pocketcnn.files import write_text
    from pocketcnn.pipeline.latency.calibrate import calibrate as measured
    from pocketcnn.runtimes import StopRule
    from pocketcnn.targets import load_target
    from pocketcnn.targets.target import target_toml

    output = Output(as_json)
    found = measured(
        load_target(target), StopRule(max_seconds=seconds, min_seconds=min(seconds, StopRule().min_seconds))
    )
    if out is not None:
        write_text(
            out,
            target_toml(found, "Rates measured by `pocketcnn target calibrate`; see [calibration] for the machine."),
        )
    output.json(found)
    _print(output, found)
    if out is not None:
        output.print(f"target      {out}")


def _print(output: Output, found: "Target") -> None:
    from pocketcnn.targets.units import format_bytes, format_count

    spread = found.calibration.spread if found.calibration else {}
    rows = [
        (f"{precision} multiply-adds", *(f"{format_count(rate)}/s" for rate in (value, *spread[precision])))
        for precision, value in found.peak_madds.items()
    ]
    if found.bandwidth is not None:
        rows.append(("memory", *(f"{format_bytes(rate)}/s" for rate in (found.bandwidth, *spread["bandwidth"]))))
    output.table(("rate", ">median", ">10th percentile", ">90th percentile"), rows)
    if found.calibration is not None:
        threads = "1 thread" if found.calibration.threads == 1 else f"{found.calibration.threads} threads"
        output.print(f"\n{found.calibration.runtime}, {threads} of {found.calibration.cpu}")
