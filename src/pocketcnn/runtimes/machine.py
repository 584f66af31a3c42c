"""Description of the machine of a measurement, and the peak memory of this process."""

import contextlib
import math
import os
import platform
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FLAGS_OF_INTEREST = (
    *("avx2", "fma", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8"),  # x86
    *("asimddp", "i8mm", "fphp", "sve"),  # Arm: int8 dot product, int8 matrix multiply, half floats, vectors
)
CPU_INFO = Path("/proc/cpuinfo")
CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True)
class Machine:
    """CPU model, instruction sets that affect kernels, cores available to the process, operating system, architecture.

    `flags` is empty on systems other than Linux.
    """

    cpu: str
    flags: tuple[str, ...]
    cores: int
    system: str
    architecture: str

    @property
    def is_x86(self) -> bool:
        return self.architecture.lower() in {"x86_64", "amd64", "i386", "i686", "x86"}

    @property
    def has_vnni(self) -> bool:
        """Whether the CPU has VNNI: uint8 x int8 products accumulated in int32 without saturation in int16."""
        return "avx512_vnni" in self.flags or "avx_vnni" in self.flags


@lru_cache(maxsize=1)
def this_machine() -> Machine:
    """The machine that runs this process."""
    info = CPU_INFO.read_text(errors="replace") if CPU_INFO.is_file() else ""
    cpu, flags = read_cpu_info(info)
    return Machine(
        cpu=cpu or platform.processor() or "unknown",
        flags=flags,
        cores=available_cores(),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        architecture=platform.machine(),
    )


def read_cpu_info(text: str) -> tuple[str, tuple[str, ...]]:
    """The CPU's name and relevant flags from the text of Linux's ``/proc/cpuinfo`` (x86 and Arm)."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    words = set((fields.get("flags") or fields.get("Features") or "").split())
    arm = " ".join(fields[key] for key in ("CPU implementer", "CPU part") if key in fields)
    name = fields.get("model name") or (f"Arm {arm}" if arm else "")
    return name, tuple(flag for flag in FLAGS_OF_INTEREST if flag in words)


def available_cores() -> int:
    """The cores that this process may use: the smaller of its CPU affinity and the CPU quota of its container."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or no quota ("max")
        quota, period = CGROUP_QUOTA.read_text().split()
        return max(1, min(affinity, math.ceil(int(quota) / int(period))))
    return affinity


STATUS = Path("/proc/self/status")


def peak_memory() -> int | None:
    """Peak resident memory of this process in bytes; None if the system does not report it.

    On Linux it is ``VmHWM``, which is reset when a program starts; ``ru_maxrss`` is inherited from the parent process.
    """
    if STATUS.is_file() and (kilobytes := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        return int(kilobytes[1]) * 1024
    return _peak_by_resource() if sys.platform == "darwin" else None


def _peak_by_resource() -> int:
    import resource  # not available on Windows

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS
