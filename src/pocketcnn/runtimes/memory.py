"""The most memory that this process has held."""

import re
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_memory() -> int | None:
    """Bytes of this process resident in memory at their peak; None where the system does not tell.

    On Linux ``VmHWM``, which begins anew with each program, unlike ``ru_maxrss``, which a child inherits.
    """
    if STATUS.is_file() and (kilobytes := re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())):
        return int(kilobytes[1]) * 1024
    return _peak_by_resource() if sys.platform == "darwin" else None


def _peak_by_resource() -> int:
    import resource  # not on Windows

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # bytes on macOS
