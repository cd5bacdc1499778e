"""Memory of this computer and this process.

Only psutil is needed to ask, and only when asked.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

# Where Linux tells a container its limit and its use, in which files read lately count as used:
# control groups of version 2 and 1.
_CONTAINER_MEMORY = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


def free_memory_bytes() -> int:
    """Memory that this process may still take: the computer's, or what its container has left."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for folder, limit, usage, cache in _CONTAINER_MEMORY:
        try:
            ceiling, used = (int((folder / name).read_text()) for name in (limit, usage))
            lines = (folder / "memory.stat").read_text().splitlines()
            reclaimable = int(dict(line.split() for line in lines)[cache])
        except (OSError, ValueError, KeyError):
            continue  # no container, or one without a limit
        free = min(free, max(0, ceiling - used + reclaimable))
    return free


def total_memory_bytes() -> int:
    """Memory of this computer, or of the container this process is in."""
    import psutil

    total = int(psutil.virtual_memory().total)
    for folder, limit, _, _ in _CONTAINER_MEMORY:
        with suppress(OSError, ValueError):  # no container, or one without a limit
            total = min(total, int((folder / limit).read_text()))
    return total


def resident_memory_bytes() -> int:
    """The memory that this process holds now."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def peak_memory_bytes() -> int:
    """The most memory this process has held so far, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    with suppress(OSError, StopIteration):
        # On Linux, the number of getrusage begins with that of the program that started this one.
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    import resource  # exists on Unix only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # kilobytes on Linux
