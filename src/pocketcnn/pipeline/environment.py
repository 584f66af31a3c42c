"""Installed versions, usable runtimes and the processor's instructions: the facts that a bug report needs."""

import platform
import re
from dataclasses import asdict
from importlib import metadata
from typing import Any

from pocketcnn.runtimes import Runtime, get_runtime, runtime_names, this_machine

_PACKAGE = re.compile(r"[\w.-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
_WITHOUT_EXTRA = ""
_FOR_DEVELOPERS = ("test", "dev")


def environment() -> dict[str, Any]:
    """Installed versions, the machine, and the usable runtimes and extras. None of them is imported.

    Returns:
        ``pocketcnn``, ``python``: versions. ``packages``: the version of each required package, None if it is missing.
        ``machine``: see `pocketcnn.runtimes.Machine`. ``runtimes``: usable, reason, version and numerics, by name.
        ``extras``: installed and missing packages, by name.
    """
    machine = this_machine()
    required = requirements()
    packages = {name: installed_version(name) for name in required.pop(_WITHOUT_EXTRA, ())}
    missing = {
        extra: [name for name in names if installed_version(name) is None]
        for extra, names in required.items()
        if extra not in _FOR_DEVELOPERS
    }
    return {
        "pocketcnn": installed_version("pocketcnn") or "unknown",
        "python": platform.python_version(),
        "packages": packages,
        "machine": {**asdict(machine), "has_vnni": machine.has_vnni},
        "runtimes": {name: _runtime(get_runtime(name)) for name in runtime_names()},
        "extras": {extra: {"installed": not names, "missing": names} for extra, names in missing.items()},
    }


def _runtime(runtime: Runtime) -> dict[str, Any]:
    """Whether a runtime can be used, its version, and the numerics that it supports."""
    reason = runtime.available()
    version = installed_version(runtime.distribution)
    return {"usable": reason is None, "reason": reason, "version": version, "numerics": runtime.numerics}


def requirements() -> dict[str, list[str]]:
    """The dependencies of pocketcnn by extra; the required ones under the empty name."""
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
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
