"""`pocketcnn bench`: networks on runtimes, side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Classes, InputText, Json, Width
from pocketcnn.cli.output import Output
from pocketcnn.cli.shapes import parse_input
from pocketcnn.errors import PocketcnnError, UsageError
from pocketcnn.models.libraries import is_library_name
from pocketcnn.pipeline.choices import NUMERICS, RUNTIMES, listed
from pocketcnn.pipeline.networks import is_file

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
            help=f"What runs them: {listed(RUNTIMES)}, several with commas between, or all. The default suits each file."
        ),
    ] = None,
    threads: Annotated[str, typer.Option(help="Numbers of threads to try: 1, or 1,2.")] = "1",
    numerics: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(NUMERICS)} or both; float networks are quantized. Without it, as the file is."),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images in one call, for the throughput.")] = 1,
    images: Annotated[
        Path | None, typer.Option(help="Folder of images: for the ranges of int8, and to compare answers on.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.01, help="The longest time to measure each.")] = 3.0,
    launches: Annotated[int, typer.Option(min=1, help="Processes started for each file, for the cold start.")] = 5,
    html: Annotated[Path | None, typer.Option(help="Write the comparison as a page, too.")] = None,
    input_text: InputText = "3x224x224",
    width: Width = 1.0,
    classes: Classes = 1000,
    as_json: Json = False,
) -> None:
    """Measure networks on runtimes side by side: time, memory, size.

    Latency, throughput, cold start, peak memory, bytes, and agreement with PyTorch. They take turns, so that whatever
    else the machine does hits all alike. A model file is written as the file of each runtime. The ratio is to the first
    line that could be timed, with its 95 % interval.

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
    runtimes, forms, pictures = _names(runtime), _names(numerics), _pictures(images)
    subjects = [_subject(file, input_text, width, classes) for file in files]
    found = pipeline.bench(subjects, runtimes=runtimes, numerics=forms, images=pictures, plan=plan, say=output.say)
    if not any(line.latency for line in found.lines):
        raise PocketcnnError("\n".join(dict.fromkeys(line.reason for line in found.lines)))
    if html is not None:
        from pocketcnn.report.bench import write_bench_page

        write_bench_page(found.lines, found.notes, found.machine, html)
    output.json(found.as_dict())
    show(output, found)


def parse_threads(text: str) -> tuple[int, ...]:
    """The numbers of ``1,2``.

    Raises:
        UsageError: something else stands there.
    """
    parts = text.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= 1024 for part in parts):
        raise UsageError(f"--threads takes numbers from 1 to 1024 with commas between them, such as 1,2; not '{text}'.")
    return tuple(dict.fromkeys(int(part) for part in parts))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(","))) if text else ()


def _pictures(folder: Path | None) -> list[Path]:
    from pocketcnn.pipeline.deploy.bench_images import image_files

    return image_files(folder) if folder else []


def _subject(name: str, input_text: str, width: float, classes: int) -> "Subject":
    """What a word on the command line means; the other options are for networks by name, see `option_rules`."""
    from pocketcnn.pipeline.deploy.bench import subject_of

    if is_file(name):
        return subject_of(name)
    return subject_of(name, parse_input(input_text), width=1.0 if is_library_name(name) else width, classes=classes)


def show(output: Output, found: "BenchResult") -> None:
    """The comparison for people: one table, what failed, and the notes."""
    headings = (
        *("file", "numerics", "runtime", ">threads", ">median", ">p10 to p90", ">ratio", ">95 % interval"),
        *(">images/s", ">cold start", ">peak memory", ">of it import", ">size", ">agreement", ">worst error"),
    )
    output.table(headings, [_row(line) for line in found.lines if line.latency])
    failed = dict.fromkeys((line.file, line.numerics, line.runtime, line.reason) for line in found.lines if line.reason)
    if failed:
        output.table(("file", "numerics", "runtime", "why not"), list(failed), title="Not measured")
    differing = [line for line in found.lines if line.parity and line.parity.first_difference]
    for file, runtime, layer in dict.fromkeys((x.file, x.runtime, _first_difference(x)) for x in differing):
        output.print(f"\n{file} on {runtime} differs from PyTorch first at: {layer}")
    output.print(f"\n{found.machine.cpu}, {found.machine.cores} cores")
    for note in found.notes:
        output.say(note)


def _first_difference(line: "BenchmarkRow") -> str:
    return (line.parity and line.parity.first_difference) or ""


def _row(line: "BenchmarkRow") -> tuple[object, ...]:
    from pocketcnn.report.bench import cells

    return (line.file, line.numerics, line.runtime, line.threads, *cells(line))
