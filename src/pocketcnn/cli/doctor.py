"""`pocketcnn doctor`: what is installed here, and what this machine's processor can do."""

import platform
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pocketcnn
from pocketcnn.cli.options import Json
from pocketcnn.cli.output import Output

if TYPE_CHECKING:
    from pocketcnn.runtimes import Runtime

_PACKAGE = re.compile(r"[\w.-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
_WITHOUT_EXTRA = ""
_FOR_DEVELOPERS = ("test", "dev")


def doctor(as_json: Json = False) -> None:
    """Say what is installed here and what the processor can do.

    \b
    Example:
      pocketcnn doctor
    """
    from pocketcnn.runtimes import get_runtime, runtime_names, this_machine

    out = Output(as_json)
    machine = this_machine()
    required = requirements()
    packages = {name: installed_version(name) for name in required.pop(_WITHOUT_EXTRA, ())}
    missing = {
        extra: [name for name in names if installed_version(name) is None]
        for extra, names in required.items()
        if extra not in _FOR_DEVELOPERS
    }
    runtimes = {name: _runtime(get_runtime(name)) for name in runtime_names()}
    out.json(
        {
            "pocketcnn": pocketcnn.__version__,
            "python": platform.python_version(),
            "packages": packages,
            "machine": {**asdict(machine), "has_vnni": machine.has_vnni},
            "runtimes": runtimes,
            "extras": {extra: {"installed": not names, "missing": names} for extra, names in missing.items()},
        }
    )
    out.table(
        ("", ""),
        [
            ("pocketcnn", pocketcnn.__version__),
            ("python", platform.python_version()),
            *((name, version or "missing") for name, version in packages.items()),
            ("system", f"{machine.system}, {machine.architecture}"),
            ("processor", f"{machine.cpu}, {machine.cores} cores for this process"),
            ("instructions", ", ".join(machine.flags) or "unknown"),
            ("int8", "VNNI: fast and exact" if machine.has_vnni else "no VNNI known: exact by a slower setting on x86"),
            *((f"runtime {name}", _usability(found)) for name, found in runtimes.items()),
            *((f"extra {extra}", _installation(extra, names)) for extra, names in missing.items()),
        ],
    )


def _runtime(runtime: "Runtime") -> dict[str, Any]:
    """Whether a runtime can be used, its version, and the numerics that it computes in."""
    reason = runtime.available()
    version = installed_version(runtime.distribution)
    return {"usable": reason is None, "reason": reason, "version": version, "numerics": runtime.numerics}


def _usability(found: Mapping[str, Any]) -> str:
    return found["reason"] or f"{found['version']}, {' and '.join(found['numerics'])}"


def requirements() -> dict[str, list[str]]:
    """The packages that pocketcnn names, by extra; those that it always needs under the empty name."""
    from importlib import metadata  # one of the slower imports of the standard library

    found: dict[str, list[str]] = {}
    try:
        lines = metadata.requires("pocketcnn") or []
    except metadata.PackageNotFoundError:  # run from a source tree that was not installed
        lines = []
    for line in lines:
        name, extra = _PACKAGE.match(line), _EXTRA.search(line)
        if name is not None:
            found.setdefault(extra[1] if extra else _WITHOUT_EXTRA, []).append(name[0])
    return found


def installed_version(package: str) -> str | None:
    """The version of an installed package, without importing it."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _installation(extra: str, missing: list[str]) -> str:
    return f"not installed: pip install 'pocketcnn[{extra}]'" if missing else "installed"
