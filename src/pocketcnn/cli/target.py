"""`pocketcnn target`: target devices."""

from typing import TYPE_CHECKING, Annotated

import typer

from pocketcnn.cli.options import Json
from pocketcnn.cli.output import Output
from pocketcnn.cli.target_calibrate import calibrate
from pocketcnn.cli.target_check import check
from pocketcnn.cli.target_layers import layers
from pocketcnn.cli.target_profile import predict, profile
from pocketcnn.cli.verb import Verb

if TYPE_CHECKING:
    from pocketcnn.targets import Target
    from pocketcnn.targets.capability import OpPattern

target = typer.Typer(help="Target devices: list them, check or time networks on them.", no_args_is_help=True)

target.command(cls=Verb)(check)
target.command(cls=Verb)(calibrate)
target.command(cls=Verb)(layers)
target.command(cls=Verb)(profile)
target.command(cls=Verb)(predict)

TargetName = Annotated[str, typer.Argument(metavar="TARGET", help="Name of a target, or its .toml file.")]


@target.command("list", cls=Verb)
def list_all(as_json: Json = False) -> None:
    """List the available targets.

    \b
    Example:
      pocketcnn target list
    """
    from pocketcnn.targets import list_targets, load_target

    output = Output(as_json)
    targets = [load_target(name) for name in list_targets()]
    output.json({"targets": targets})
    rows = [
        (found.name, found.runtime or "none: estimated", found.threads, ", ".join(found.numerics), found.note)
        for found in targets
    ]
    output.table(("target", "runtime", ">threads", "numerics", "note"), rows)


@target.command(cls=Verb)
def show(target: TargetName, as_json: Json = False) -> None:
    """Print the properties of a target.

    \b
    Example:
      pocketcnn target show onnxruntime-cpu
    """
    from pocketcnn.targets import load_target

    output = Output(as_json)
    found = load_target(target)
    output.json(found)
    output.table(("", ""), _properties(found))
    for title, patterns in (("Unsupported", found.lacks), ("Slower than its rates", found.slow)):
        if patterns:
            output.table(
                ("operations", "reason"), [(_in_words(pattern), pattern.why) for pattern in patterns], title=title
            )


def _properties(found: "Target") -> list[tuple[str, str]]:
    from pocketcnn.targets.units import format_bytes, format_count

    rows = [
        ("name", found.name),
        ("runtime", found.runtime or "none on this machine: times are estimated"),
        ("threads", str(found.threads)),
        ("numerics", ", ".join(found.numerics)),
        ("channels", f"multiples of {found.channel_multiple}"),
    ]
    rows += [(name, format_bytes(size)) for name, size in (("RAM", found.ram), ("storage", found.storage)) if size]
    rows += [(f"peak, {form}", f"{format_count(rate)} multiply-adds/s") for form, rate in found.peak_madds.items()]
    if found.bandwidth is not None:
        rows.append(("bandwidth", f"{format_bytes(found.bandwidth)}/s"))
    if found.fallback is not None:
        rows.append(("falls back to", found.fallback.device))
    if found.calibration is not None:
        rows.append(("measured with", f"{found.calibration.runtime} on {found.calibration.cpu}"))
    return [*rows, ("note", found.note)]


def _in_words(pattern: "OpPattern") -> str:
    """``conv2d, kernel over 3, depthwise``."""
    words = [pattern.op]
    for name, value in pattern.model_dump(exclude={"op", "why", "factor"}, exclude_none=True).items():
        plain = name.replace("_", " ")
        words.append(f"{plain} {value}" if not isinstance(value, bool) else plain if value else f"not {plain}")
    factor = pattern.model_dump().get("factor")
    return ", ".join([*words, f"{factor:g} times as long"] if factor else words)
