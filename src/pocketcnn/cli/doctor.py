"""`pocketcnn doctor`: prints installed versions, usable runtimes, and the processor's instructions."""

from collections.abc import Mapping
from typing import Any

from pocketcnn.cli.options import Json
from pocketcnn.cli.output import Output


def doctor(as_json: Json = False) -> None:
    """Print installed versions, runtimes and processor features.

    \b
    Example:
      pocketcnn doctor
    """
    from pocketcnn.pipeline.environment import environment

    out, result = Output(as_json), environment()
    machine = result["machine"]
    out.json(result)
    out.table(
        ("", ""),
        [
            ("pocketcnn", result["pocketcnn"]),
            ("python", result["python"]),
            *((name, version or "missing") for name, version in result["packages"].items()),
            ("system", f"{machine['system']}, {machine['architecture']}"),
            ("processor", f"{machine['cpu']}, {machine['cores']} cores for this process"),
            ("instructions", ", ".join(machine["flags"]) or "unknown"),
            (
                "int8",
                "VNNI: fast and exact" if machine["has_vnni"] else "no VNNI found: exact, with a slower setting on x86",
            ),
            *((f"runtime {name}", _usability(runtime)) for name, runtime in result["runtimes"].items()),
            *((f"extra {name}", _installation(name, extra)) for name, extra in result["extras"].items()),
        ],
    )


def _usability(runtime: Mapping[str, Any]) -> str:
    return runtime["reason"] or f"{runtime['version']}, {' and '.join(runtime['numerics'])}"


def _installation(name: str, extra: Mapping[str, Any]) -> str:
    return "installed" if extra["installed"] else f"not installed: pip install 'pocketcnn[{name}]'"
