"""`pocketcnn bench`: compares networks on several runtimes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import parse_input
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.models.pretrained.source import demands_weights, has_weights
from pocketcnn.pipeline.choices import NUMERICS, RUNTIMES, listed
from pocketcnn.pipeline.networks import CLASSES, is_file

if TYPE_CHECKING:
    from pocketcnn.pipeline.deploy.bench import BenchResult, Subject
    from pocketcnn.runtimes.side_by_side import BenchmarkRow


def bench(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE_OR_NAME...", help="Model files, files of a runtime, or networks of the zoo."),
    ],
    runtime: Annotated[
        str | None,
        typer.Option(
            help=f"Runtimes: {listed(RUNTIMES)}, separated by commas, or all. Default: onnxruntime, or one for the file."
        ),
    ] = None,
    threads: Annotated[str, typer.Option(help="Numbers of threads: 1, or 1,2.")] = "1",
    numerics: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(NUMERICS)} or both; float networks are quantized. Default: that of the network."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Batch size for the throughput.")] = 1,
    images: Annotated[
        Path | None,
        typer.Option(help="Folder of images, for int8 calibration and for comparing outputs. Default: random images."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="Longest time of each measurement, in seconds.")] = 3.0,
    launches: Annotated[
        int, typer.Option(min=1, help="Number of processes for measuring the cold start of each file.")
    ] = 5,
    html: Annotated[Path | None, typer.Option(help="Also write the comparison as an HTML page.")] = None,
    input_text: InputText = "3x224x224",
    width: Width = 1.0,
    classes: Classes = 1000,
    as_json: Json = False,
) -> None:
    """Compare networks on several runtimes: time, memory, size.

    Measures latency, throughput, cold start, peak memory, file size, and agreement with PyTorch. All cases take turns, so
    that other load on the machine affects them equally. A model file is exported for each runtime. The ratio is relative to
    the first measured row, with its 95 % interval.

    \b
    Examples:
      pocketcnn bench trained/model.safetensors fitted/model.onnx --threads 1,2
      pocketcnn bench trained/model.safetensors --runtime all --numerics float32,int8 --images photos --html out.html
    """
    from pocketcnn.pipeline.deploy import bench as pipeline
    from pocketcnn.runtimes import StopRule
    from pocketcnn.runtimes.side_by_side import BenchmarkPlan

    output = Output(as_json)
    rule = StopRule(max_seconds=seconds, min_seconds=min(seconds, StopRule().min_seconds))
    plan = BenchmarkPlan(threads=parse_threads(threads), batch=batch, launches=launches, rule=rule)
    runtimes, precisions, image_paths = _names(runtime), _names(numerics), _image_files(images)
    subjects = [_subject(file, input_text, width, classes) for file in files]
    result = pipeline.bench(
        subjects, runtimes=runtimes, numerics=precisions, images=image_paths, plan=plan, say=output.say
    )
    if not any(line.latency for line in result.lines):
        raise PocketcnnError("\n".join(dict.fromkeys(line.reason for line in result.lines)))
    if html is not None:
        from pocketcnn.report.bench import write_bench_page

        write_bench_page(result.lines, result.notes, result.machine, html)
    output.json(result.as_dict())
    show(output, result)


def parse_threads(text: str) -> tuple[int, ...]:
    """Parse numbers of threads such as ``1,2``.

    Raises:
        UsageError: the text is not a list of numbers from 1 to 1024.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= 1024 for part in parts):
        raise UsageError(f"--threads takes numbers from 1 to 1024 separated by commas, such as 1,2; not '{text}'.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(","))) if text else ()


def _image_files(folder: Path | None) -> list[Path]:
    from pocketcnn.pipeline.deploy.bench_images import image_files

    return image_files(folder) if folder else []


def _subject(name: str, input_text: str, width: float, classes: int) -> "Subject":
    """The subject of a command-line argument. The other options are for networks by name, see `option_rules`."""
    from pocketcnn.pipeline.deploy.bench import subject_of

    if is_file(name):
        return subject_of(name)
    known = None if demands_weights(name) and classes == CLASSES else classes
    return subject_of(name, parse_input(input_text), width=1.0 if has_weights(name) else width, classes=known)


def show(output: Output, result: "BenchResult") -> None:
    """Print the comparison as a table, the failed cases, and the notes."""
    headings = (
        *("file", "numerics", "runtime", ">threads", ">median", ">p10 to p90", ">ratio", ">95 % interval"),
        *(">images/s", ">cold start", ">peak memory", ">import part", ">size", ">agreement", ">worst error"),
    )
    output.table(headings, [_row(line) for line in result.lines if line.latency])
    failed = dict.fromkeys(
        (line.file, line.numerics, line.runtime, line.reason) for line in result.lines if line.reason
    )
    if failed:
        output.table(("file", "numerics", "runtime", "reason"), list(failed), title="Not measured")
    differing = [line for line in result.lines if line.parity and line.parity.first_difference]
    for file, runtime, layer in dict.fromkeys((x.file, x.runtime, _first_difference(x)) for x in differing):
        output.print(f"\n{file} on {runtime}: the first layer that differs from PyTorch is {layer}")
    output.print(f"\n{result.machine.cpu}, {result.machine.cores} cores")
    for note in result.notes:
        output.say(note)


def _first_difference(line: "BenchmarkRow") -> str:
    return (line.parity and line.parity.first_difference) or ""


def _row(line: "BenchmarkRow") -> tuple[object, ...]:
    from pocketcnn.report.bench import cells

    return (line.file, line.numerics, line.runtime, line.threads, *cells(line))
