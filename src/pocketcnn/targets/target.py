"""A target: the device and runtime that a network is made for, as data (TOML)."""

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import Field, ValidationError, field_validator, model_validator

from pocketcnn.documents import parse_settings, read_settings
from pocketcnn.errors import UsageError
from pocketcnn.runtimes.machine import available_cores
from pocketcnn.runtimes.registry import RUNTIMES, runtime_names
from pocketcnn.targets.capability import Calibration, Fallback, OpPattern, Rate, Size, SlowOp, TargetData

Numerics = Literal["float32", "int8"]

FLOAT_LANES = 8
"""float32 values of an AVX2 register, of which this machine's kernels prefer channel counts to be a multiple."""


class Target(TargetData):
    """The device and runtime on which a network will run.

    Attributes:
        name: lower case.
        runtime: the runtime on this machine; None for a device that is not here, whose latencies are estimated.
        threads: a number, or ``"all"`` for every core that the process may use.
        channel_multiple: the number of which channel counts should be a multiple.
        numerics: the supported precisions.
        ram, storage: bytes for peak activations, and for the file; None for no relevant limit.
        peak_madds: peak multiply-adds per second in each precision.
        bandwidth: memory bandwidth in bytes per second.
        lacks: unsupported operations.
        slow: operations below the peak rates.
        fallback: the processor that runs unsupported operations, if there is one.
        calibration: where the rates were measured; None if they come from data sheets.
        note: for display.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    runtime: str | None = None
    threads: Annotated[int, Field(ge=1, le=1024)] | Literal["all"] = 1
    channel_multiple: Annotated[int, Field(ge=1, le=128)] = 1
    numerics: Annotated[tuple[Numerics, ...], Field(min_length=1, strict=False)] = ("float32",)
    ram: Size | None = None
    storage: Size | None = None
    peak_madds: dict[Numerics, Rate] = Field(default_factory=dict)
    bandwidth: Rate | None = None
    lacks: Annotated[tuple[OpPattern, ...], Field(strict=False)] = ()
    slow: Annotated[tuple[SlowOp, ...], Field(strict=False)] = ()
    fallback: Fallback | None = None
    calibration: Calibration | None = None
    note: str = ""

    @field_validator("runtime")
    @classmethod
    def _known_runtime(cls, runtime: str | None) -> str | None:
        if runtime is not None and runtime not in runtime_names():
            raise ValueError(f"unknown runtime; known: {', '.join(runtime_names())}")
        return runtime

    @model_validator(mode="after")
    def _says_how_fast_it_is(self) -> Self:
        missing = [precision for precision in self.numerics if precision not in self.peak_madds]
        if self.runtime is None and (missing or self.bandwidth is None):
            raise ValueError(
                "a target without a runtime needs rates: peak_madds for each of its numerics, and bandwidth"
            )
        return self

    @property
    def thread_count(self) -> int:
        """`threads` as a number on this machine."""
        return available_cores() if self.threads == "all" else self.threads


def list_targets() -> tuple[str, ...]:
    """The names of the built-in targets and of this machine's CPU with each runtime, sorted."""
    files = (resources.files("pocketcnn.targets") / "data").iterdir()
    shipped = (file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))
    return tuple(sorted((*shipped, *_of_this_machine())))


def _of_this_machine() -> dict[str, Target]:
    """This machine's CPU with each runtime, on one thread and on all: ``onnxruntime-cpu``, ``onnxruntime-cpu-all``."""
    threads: tuple[tuple[str, int | Literal["all"], str], ...] = (
        ("", 1, "One thread of this machine's CPU, with"),
        ("-all", "all", "Every core that the process may use, with"),
    )
    return {
        f"{name}-cpu{ending}": Target(
            name=f"{name}-cpu{ending}",
            runtime=name,
            threads=count,
            channel_multiple=FLOAT_LANES,
            numerics=runtime.numerics,
            note=f"{words} {runtime.label}.",
        )
        for name, runtime in RUNTIMES.items()
        for ending, count, words in threads
    }


def is_path(name_or_path: str) -> bool:
    """Whether a target is given as a file (it ends in .toml or has a slash), not as a name."""
    return name_or_path.lower().endswith(".toml") or "/" in name_or_path or "\\" in name_or_path


def load_target(name_or_path: str | Path) -> Target:
    """Load a target by name (case-insensitive) or from a TOML file.

    Raises:
        UsageError: there is no such target (the nearest name is suggested), or the file is not valid.
    """
    if isinstance(name_or_path, Path) or is_path(name_or_path):
        return _checked(read_settings(Path(name_or_path), "target"), str(name_or_path))
    name = name_or_path.casefold()
    if name not in list_targets():
        near = difflib.get_close_matches(name, list_targets(), n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(
            f"There is no target named {name_or_path!r}.{hint} Targets: {', '.join(list_targets())}; or the path of a .toml file."
        )
    if name in (here := _of_this_machine()):
        return here[name]
    text = (resources.files("pocketcnn.targets") / "data" / f"{name}.toml").read_text(encoding="utf-8")
    return _checked(parse_settings(text, f"target {name}"), name)


def _checked(fields: Mapping[str, Any], where: str) -> Target:
    try:
        return Target.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}" for problem in error.errors()
        )
        known = ", ".join(Target.model_fields)
        raise UsageError(f"The target {where} is not valid: {problems}. Its fields are {known}.") from error


def target_toml(target: Target, comment: str = "") -> str:
    """The TOML text from which `load_target` builds an equal target; `comment` is put above it, line by line."""
    fields = target.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return "".join(f"# {line}\n" for line in comment.splitlines()) + tomli_w.dumps(fields)
